"""Following a file, in this process: what is said when something does not work."""

from __future__ import annotations

from pathlib import Path

import trio
from trio.testing import wait_all_tasks_blocked

from trio_instances import ChildSpec, InstanceSpec, Runtime, RuntimeSettings, open_runtime
from trio_instances._cli.reloading import Reloads
from trio_instances._runtime.config import Config

from ..instance.scripted import ScriptedChannel, always, fatal

SECONDS = 20


async def fail(*, task_status: trio.TaskStatus[None]) -> None:
    """Fail before it is ready."""
    raise fatal("no_money")


def spec_of(name: str, *children: ChildSpec) -> InstanceSpec:
    """Return an instance with children of its own."""
    channel = ScriptedChannel()
    channel.give_own = always(*children)
    return InstanceSpec(id=name, channel=channel)


async def runtime_has(runtime: Runtime, instance_id: str) -> None:
    """Wait until an instance is connected."""
    while instance_id not in [instance.id for instance in runtime.list_instances()]:
        await trio.lowlevel.checkpoint()
    await runtime.instance(instance_id).wait_status("connected")


async def test_one_that_cannot_be_started_is_named_and_the_others_run() -> None:
    """With the reason, in one line."""
    said: list[str] = []
    config = Config(RuntimeSettings(), (spec_of("bad", ChildSpec("own", fail)), spec_of("good")))
    async with open_runtime() as runtime, trio.open_nursery() as nursery:
        nursery.start_soon(Reloads(said.append).begin, runtime, config)
        await runtime_has(runtime, "good")
        await wait_all_tasks_blocked()
        assert [instance.id for instance in runtime.list_instances()] == ["good"]
        nursery.cancel_scope.cancel()

    (line,) = said
    assert line.startswith("bad could not be started: child 'runtime/bad' failed to start")
    assert "no_money" in line


async def test_a_failure_that_nobody_foresaw_changes_nothing() -> None:
    """It is named by its type alone, for its text may hold a secret."""
    said: list[str] = []
    done = trio.Event()

    def say(line: str) -> None:
        said.append(line)
        if line == "nothing was changed":
            done.set()

    nameless = Path("\0")  # no file can be called so, and Python refuses it in a way of its own
    reloads = Reloads(say)
    config = Config(RuntimeSettings(), (spec_of("bot"),))
    with trio.fail_after(SECONDS):
        async with open_runtime() as runtime, trio.open_nursery() as nursery:
            await reloads.begin(runtime, config)
            nursery.start_soon(reloads.follow, runtime, nameless, config)
            await runtime_has(runtime, "bot")
            reloads.ask()
            reloads.ask()
            await done.wait()
            await wait_all_tasks_blocked()
            assert [instance.id for instance in runtime.list_instances()] == ["bot"]
            nursery.cancel_scope.cancel()

    assert said[1:] == [f"{nameless} could not be read: ValueError", "nothing was changed"]
