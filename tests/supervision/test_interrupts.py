"""Ctrl-C and its like: they go through a supervisor, after an ordered stop."""

from __future__ import annotations

import signal
import subprocess
import sys
import textwrap
from functools import partial
from typing import Any

import pytest
import trio
from trio.testing import MockClock

from trio_instances import (
    ChildSpec,
    RestartIntensity,
    SupervisorNotRunning,
    open_supervisor,
    supervise,
    telemetry,
    until_stopped,
)

from .conftest import Crash, Recorder, quiet


async def test_an_interrupt_before_a_child_is_ready_is_no_failed_start(
    autojump_clock: MockClock, recorder: Recorder
) -> None:
    """Who waits for the start outside the block hears that the supervisor ended."""
    go, heard = trio.Event(), trio.Event()

    async def interrupted(*, task_status: trio.TaskStatus[None]) -> None:
        await go.wait()
        raise KeyboardInterrupt

    async with trio.open_nursery() as nursery:
        with pytest.raises(KeyboardInterrupt):
            async with open_supervisor(events=recorder.bus) as supervisor:

                async def start() -> None:
                    with pytest.raises(SupervisorNotRunning):
                        await supervisor.start(interrupted)
                    heard.set()

                nursery.start_soon(start)
                await quiet()
                go.set()
                await trio.sleep_forever()
    assert heard.is_set()
    (failed,) = recorder.of(telemetry.ChildStartFailed)
    assert failed.cause.error_type == "KeyboardInterrupt"


@pytest.mark.parametrize("stray", [KeyboardInterrupt, SystemExit])
async def test_a_group_with_an_interrupt_is_taken_apart(
    autojump_clock: MockClock, stray: type[BaseException], recorder: Recorder
) -> None:
    """Law 6: the interrupt goes through, bare; the error beside it is the child's, and told."""

    async def mixed() -> None:
        await trio.lowlevel.checkpoint()
        raise BaseExceptionGroup("", [Crash("beside"), BaseExceptionGroup("", [stray()])])

    with pytest.raises(stray):
        async with open_supervisor(
            events=recorder.bus, intensity=RestartIntensity(10, 5)
        ) as supervisor:
            supervisor.start_soon(mixed, name="a")
            await trio.sleep_forever()
    (exited,) = recorder.of(telemetry.ChildExited)
    assert exited.cause.detail == "beside"
    assert recorder.of(telemetry.ChildRestarting) == []


@pytest.mark.parametrize(
    "told",
    [
        telemetry.ChildStarted,
        telemetry.ChildExited,
        telemetry.ChildRestarting,
        telemetry.ChildStopping,
        telemetry.ChildStopped,
    ],
)
async def test_what_a_listener_lets_through_goes_through_and_harms_no_child(
    autojump_clock: MockClock, told: type[telemetry.Event], recorder: Recorder
) -> None:
    """Law 6 for a ``sys.exit()`` in a listener: the stop that it was told of has its order."""
    asked = False

    def leave(event: telemetry.Event) -> None:
        nonlocal asked
        if isinstance(event, told) and not asked:
            asked = True
            raise SystemExit(3)

    async def crashing() -> None:
        await trio.sleep(1)
        raise Crash

    recorder.bus.listen(leave)
    with trio.fail_after(100), pytest.raises(SystemExit) as caught:
        async with open_supervisor(
            events=recorder.bus, intensity=RestartIntensity(max_restarts=100)
        ) as supervisor:
            for name in "abc":
                supervisor.start_soon(trio.sleep_forever, name=name)
            supervisor.start_soon(crashing, name="d")
            await trio.sleep(10)
            await supervisor.stop()
    assert asked
    assert caught.value.code == 3
    stopped = [event.child for event in recorder.of(telemetry.ChildStopped)]
    assert [child for child in stopped if child != "d"] == ["c", "b", "a"]


async def test_a_second_ctrl_c_in_a_child_s_own_code_cuts_the_stop_short_as_well(
    autojump_clock: MockClock,
) -> None:
    """Where the second one lands is chance; that it hurries is not. Subtrees are no obstacle."""

    async def drains(seconds: float, error: type[BaseException] | None = None) -> None:
        with until_stopped():
            await trio.sleep_forever()
        await trio.sleep(seconds)
        if error is not None:
            raise error

    def spec(name: str, *args: Any) -> ChildSpec:
        return ChildSpec(name, drains, args, shutdown=1000.0)

    began_at = trio.current_time()
    with pytest.raises(KeyboardInterrupt):
        async with open_supervisor() as supervisor:
            inner = [spec("slow", 1000.0), spec("hit", 1.0, KeyboardInterrupt)]
            tree = partial(supervise, inner)
            await supervisor.start_children([spec("before", 1000.0), ChildSpec("tree", tree)])
            raise KeyboardInterrupt
    assert trio.current_time() - began_at == 1.0


# --- A real Ctrl-C in a real process

PROGRAM = """
import trio
import trio.testing
from trio_instances import open_supervisor
from trio_instances.telemetry import EventBus, ChildEvent

def tell(event):
    if isinstance(event, ChildEvent):
        print(event.name, event.child, flush=True)

async def permanent():
    await trio.sleep_forever()

@trio.lowlevel.enable_ki_protection  # or Ctrl-C might be its own, and not that of the start
async def slow(*, task_status):
    print("begun", flush=True)
    await trio.sleep_forever()

async def busy():
    await trio.lowlevel.checkpoint()
    print("begun", flush=True)
    while True:
        pass

async def main():
    bus = EventBus()
    bus.listen(tell)
    async with open_supervisor(events=bus) as supervisor:
        for name in "abc":
            supervisor.start_soon(permanent, name=name)
        await trio.testing.wait_all_tasks_blocked()
        {body}

try:
    trio.run(main)
except KeyboardInterrupt:
    print("interrupted", flush=True)
"""


@pytest.mark.parametrize(
    ("body", "last"),
    [
        ("print('begun', flush=True)", []),
        ("print('begun', flush=True); await trio.sleep_forever()", []),
        ("await supervisor.start(slow)", ["child.stopping slow", "child.stopped slow"]),
        ("supervisor.start_soon(busy)", ["child.exited busy"]),
    ],
    ids=["while leaving", "in the body", "while starting", "in a child's own code"],
)
def test_ctrl_c_stops_a_process_in_order(body: str, last: list[str]) -> None:
    """A real SIGINT: the children stop in reverse order, and `KeyboardInterrupt` comes out bare."""
    program = textwrap.dedent(PROGRAM).format(body=body)
    with subprocess.Popen(
        [sys.executable, "-c", program], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        for line in process.stdout:
            if line == "begun\n":
                break
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=20)
    lines = [line for line in out.splitlines() if "started" not in line]
    stops = [f"child.{what} {name}" for name in "cba" for what in ("stopping", "stopped")]
    assert (lines, err) == ([*last, *stops, "interrupted"], "")


HURRIED = """
import sys
import trio
import trio.testing
from functools import partial
from trio_instances import ChildSpec, open_supervisor, supervise, until_stopped

@trio.lowlevel.enable_ki_protection  # or the second might come in its own code, like a failure
async def drains(seconds):
    with until_stopped():
        await trio.sleep_forever()
    print("draining", flush=True)
    try:
        await trio.sleep(seconds)
    finally:
        print("cut short", flush=True)

def spec(name, seconds):
    return ChildSpec(name, drains, (seconds,), shutdown=1000)

async def main():
    async with open_supervisor(stop_order=sys.argv[1]) as supervisor:
        tree = partial(supervise, [spec("inner", 1000)])
        await supervisor.start_children([spec("outer", 1000), ChildSpec("tree", tree)])
        await trio.testing.wait_all_tasks_blocked()
        print("begun", flush=True)
        await trio.sleep_forever()

try:
    trio.run(main)
except KeyboardInterrupt:
    print("interrupted", flush=True)
"""


@pytest.mark.parametrize("order", ["reverse", "concurrent"])
def test_a_second_ctrl_c_cuts_every_soft_stop_short(order: str) -> None:
    """The first asks softly; who asks again gets out of whole subtrees, by one interrupt."""
    command = [sys.executable, "-c", HURRIED, order]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        for awaited in ("begun\n", "draining\n"):
            assert process.stdout.readline() == awaited
            process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=20)
    lines = out.splitlines()
    assert (lines.pop(), err) == ("interrupted", "")
    # At once, the other one may have begun to drain as well, and is then cut short too.
    expected = {"cut short"} if order == "reverse" else {"cut short", "draining"}
    assert {"cut short"} <= set(lines) <= expected


UNLUCKY = """
import signal
import sys
import trio
from trio_instances import open_supervisor

def interrupt(frame, event, arg):
    code = frame.f_code
    if event == "call" and code.co_name == "{method}" and "_supervision" in code.co_filename:
        sys.setprofile(None)
        signal.raise_signal(signal.SIGINT)

async def child():
    try:
        await trio.sleep_forever()
    finally:
        print("child ended", flush=True)

async def main():
    sys.setprofile(interrupt)
    async with open_supervisor() as supervisor:
        supervisor.start_soon(child)
        await trio.lowlevel.checkpoint()

try:
    trio.run(main)
except KeyboardInterrupt:
    print("interrupted", flush=True)
"""


@pytest.mark.parametrize("method", ["__aenter__", "__aexit__"])
def test_ctrl_c_between_the_block_and_the_supervisor_loses_nothing(method: str) -> None:
    """It may come at any line, so also where the block is entered, and where it is left."""
    done = subprocess.run(
        [sys.executable, "-X", "dev", "-c", UNLUCKY.format(method=method)],
        capture_output=True,
        text=True,
        timeout=20,
        check=False,
    )
    assert (done.stdout.splitlines()[-1], done.stderr) == ("interrupted", "")
    assert method == "__aenter__" or done.stdout.splitlines()[0] == "child ended"


AT_EVERY_LINE = """
import itertools, signal, sys
import trio
from trio_instances import open_supervisor, until_stopped

CALLED = {"__enter__", "__exit__", "started", "become_ready", "move", "wake"}
here = countdown = 0
ended = False

def trace(frame, event, arg):
    global countdown
    code = frame.f_code
    within = "_supervision" in code.co_filename or "contextlib" in code.co_filename
    if not (here and within and code.co_name in CALLED):
        return None
    if event == "line":
        countdown -= 1
        if countdown == 0:
            signal.raise_signal(signal.SIGINT)
    return trace

async def child(*, task_status):
    global here, ended
    try:
        here = 1
        task_status.started()
        with until_stopped():
            here = 0
            await trio.lowlevel.checkpoint()
            here = 1
        here = 0
        await trio.sleep_forever()
    finally:
        here = 0
        ended = True

async def main():
    async with open_supervisor() as supervisor:
        await supervisor.start(child)
        await trio.sleep(0.01)
        if countdown > 0:
            await supervisor.stop()

for line in itertools.count(1):
    countdown, ended = line, False
    try:
        sys.settrace(trace)
        trio.run(main)
    except KeyboardInterrupt:
        assert ended and countdown <= 0, line
    else:
        assert countdown > 0, f"lost at {line}"
        break
    finally:
        sys.settrace(None)
print(f"interrupted at {line - 1} lines", flush=True)
"""


def test_ctrl_c_at_any_line_of_what_a_child_calls_gets_out() -> None:
    """It is raised in the child's own code, never in the middle of a change that it has called."""
    done = subprocess.run(
        [sys.executable, "-X", "dev", "-c", AT_EVERY_LINE],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    said = done.stdout.split()
    assert (said[:2], done.stderr) == (["interrupted", "at"], "")
    assert int(said[2]) > 20
