"""``/tree``: the live tree as JSON and as text."""

from __future__ import annotations

from typing import Any

import pytest
import trio
from trio.testing import MockClock

from trio_instances import ChildSpec, InstanceStatus

from ..instance.scripted import HANGS, ScriptedChannel, Worker, always
from .endpoints import fleet, served, serving

S = InstanceStatus


async def wait_for_godot() -> None:
    """Wait, at a line that can be found."""
    await trio.sleep_forever()


def busy() -> ScriptedChannel:
    """Return a channel whose connections have a child that waits."""
    channel = ScriptedChannel()
    channel.give_children = always(ChildSpec("reader", wait_for_godot))
    return channel


async def test_the_tree_has_every_child_with_its_state_and_where_it_waits(
    mock_clock: MockClock,
) -> None:
    """As JSON: the runtime, its instances, their supervisors, and their children."""
    async with fleet(busy()) as (runtime, [bot]), serving(runtime) as endpoint:
        await bot.wait_status(S.CONNECTED)
        await trio.testing.wait_all_tasks_blocked()
        tree = await endpoint.json("/tree")
    assert tree["schema"] == 1
    assert tree["path"] == "runtime"
    assert tree["strategy"] == "one_for_one"
    [child] = tree["children"]
    assert (child["name"], child["path"]) == ("bot-0", "runtime/bot-0")
    assert (child["state"], child["incarnation"], child["restarts"]) == ("running", 1, 0)
    assert child["waiting_at"] is None  # a supervisor is open within, and tells more
    leaf = next(each for each in leaves(child) if each["name"] == "reader")
    assert "in wait_for_godot: await trio.sleep_forever()" in leaf["waiting_at"]


def leaves(child: dict[str, Any]) -> list[dict[str, Any]]:
    """Return every child under one that has none itself."""
    within = [each for nested in child["supervisors"] for each in nested["children"]]
    if not within:
        return [child]
    return [leaf for each in within for leaf in leaves(each)]


async def test_the_tree_counts_restarts_and_gives_the_last_cause() -> None:
    """What crashed a moment ago can be seen to have crashed."""
    worker, channel = Worker(), ScriptedChannel()
    channel.give_children = always(ChildSpec("worker", worker.run))
    async with fleet(channel) as (runtime, [bot]), serving(runtime) as endpoint:
        await bot.wait_status(S.CONNECTED)
        reader = await endpoint.follow()
        worker.end(OSError("oops"))
        await reader.wait(name="child.started")
        await reader.aclose()
        [child] = (await endpoint.json("/tree?instance=bot-0"))["children"]
        text = (await endpoint.get("/tree?format=text")).text
    leaf = next(each for each in leaves(child) if each["name"] == "worker")
    assert (leaf["incarnation"], leaf["restarts"]) == (2, 1)
    assert leaf["last_cause"]["detail"]
    assert "worker  running #2" in text
    assert "1 restart, last failure: " in text


async def test_the_tree_as_text_is_the_dump_of_the_runtime(mock_clock: MockClock) -> None:
    """The same lines in slices: of more instances than a slice has, the last one closes."""
    channels = [busy() for _ in range(25)]
    async with fleet(*channels) as (runtime, bots), serving(runtime) as endpoint:
        for bot in bots:
            await bot.wait_status(S.CONNECTED)
        await trio.testing.wait_all_tasks_blocked()
        text = (await endpoint.get("/tree?format=text")).text
    lines = text.splitlines()
    assert lines[0] == "runtime  one_for_one, at most 3 restarts in 10 s"
    tops = [line for line in lines if line[0] in "├└"]
    assert [line[3:].split()[0] for line in tops] == [bot.id for bot in bots]
    assert [line[0] for line in tops] == [*24 * "├", "└"]
    assert text.count("in wait_for_godot: await trio.sleep_forever()") == 25


@pytest.mark.parametrize(
    ("query", "accept", "kind"),
    [
        ("", None, "application/json"),
        ("", "*/*", "application/json"),
        ("", "text/plain", "text/plain; charset=utf-8"),
        ("", "text/html, text/plain, application/json", "application/json"),
        ("?format=json", "text/plain", "application/json"),
        ("?format=text", "application/json", "text/plain; charset=utf-8"),
    ],
)
async def test_the_form_is_chosen_by_the_parameter_or_by_what_is_accepted(
    query: str, accept: str | None, kind: str
) -> None:
    """JSON unless one asks for text."""
    async with served() as endpoint:
        headers = {} if accept is None else {"accept": accept}
        answer = await endpoint.get(f"/tree{query}", headers=headers)
    assert answer.headers["content-type"] == kind


async def test_an_unknown_form_is_refused() -> None:
    """400, with those there are."""
    async with served() as endpoint:
        assert await endpoint.refusal("/tree?format=svg") == (
            400,
            "bad_parameter",
            "format must be json or text, not 'svg'",
        )


async def test_the_tree_of_one_instance_has_no_other() -> None:
    """In both forms, below the runtime's own line."""
    channels = ScriptedChannel(HANGS), ScriptedChannel(HANGS)
    async with fleet(*channels) as (runtime, _), serving(runtime) as endpoint:
        tree = await endpoint.json("/tree?instance=bot-1")
        text = (await endpoint.get("/tree?instance=bot-1&format=text")).text
    assert [child["name"] for child in tree["children"]] == ["bot-1"]
    assert "bot-1  running" in text
    assert "bot-0" not in text


async def test_the_tree_of_an_empty_runtime_is_its_own_line() -> None:
    """Nothing is no special case."""
    async with fleet() as (runtime, _), serving(runtime) as endpoint:
        assert (await endpoint.json("/tree"))["children"] == []
        assert (await endpoint.get("/tree?format=text")).text.count("\n") == 1
