"""`Supervisor.dump`: the live tree as text."""

from __future__ import annotations

import re

import pytest
import trio
from trio.testing import MockClock

from trio_instances import ChildSpec, RestartIntensity, open_supervisor, supervise


async def idle() -> None:
    """Run until cancelled."""
    await trio.sleep_forever()


async def crash_once(runs: list[int]) -> None:
    """Crash after a second, the first time."""
    runs.append(1)
    if len(runs) == 1:
        await trio.sleep(1)
        raise ValueError("a bug")
    await trio.sleep_forever()


async def refuse() -> None:
    """Fail at once."""
    raise ValueError("never")


async def test_it_shows_every_child_with_its_state_and_where_it_waits(
    autojump_clock: MockClock,
) -> None:
    """A line a child: state, incarnation, since when, restarts, last failure, waiting place."""
    intensity = RestartIntensity(max_restarts=2, period=10.0)
    async with open_supervisor(strategy="rest_for_one", intensity=intensity) as supervisor:
        await supervisor.start(idle, name="idler")
        subtree = [ChildSpec("worker", idle), ChildSpec("crasher", crash_once, ([],))]
        await supervisor.start_child(ChildSpec("sub", supervise, (subtree,)))
        await trio.sleep(3)
        text = supervisor.dump()
        await supervisor.stop()

    place = r"at test_dump\.py:\d+ in \w+: await trio\.sleep_forever\(\)"
    failure = r"last failure: unexpected \(recoverable\): ValueError: a bug"
    expected = [
        r"supervisor  rest_for_one, at most 2 restarts in 10 s",
        rf"├─ idler  running #1 for 3\.0 s, {place}",
        r"└─ sub  running #1 for 3\.0 s, one_for_one, at most 1 restart in 5 s",
        rf"   ├─ worker  running #1 for 3\.0 s, {place}",
        rf"   └─ crasher  running #2 for 2\.0 s, 1 restart, {failure}, {place}",
    ]
    lines = text.splitlines()
    assert len(lines) == len(expected)
    for line, pattern in zip(lines, expected, strict=True):
        assert re.fullmatch(pattern, line), line


async def test_the_children_of_two_supervisors_within_one_child_hang_on_one_branch() -> None:
    """The last of them ends it, also where the supervisor opened last has none."""

    async def two(*, task_status: trio.TaskStatus[None]) -> None:
        async with open_supervisor() as a, open_supervisor() as b, open_supervisor():
            await a.start(idle, name="a")
            await b.start(idle, name="b")
            task_status.started()
            await trio.sleep_forever()

    async with open_supervisor() as supervisor:
        await supervisor.start(two)
        branches = [line[: line.index("─") + 1] for line in supervisor.dump().splitlines()[1:]]
        await supervisor.stop()
    assert branches == ["└─", "   ├─", "   └─"]


async def test_a_child_that_is_down_shows_why(autojump_clock: MockClock) -> None:
    """A parked child is in the tree, with its cause; one that never ran has no incarnation."""
    async with open_supervisor() as supervisor:
        await supervisor.start_children([ChildSpec("optional", refuse, essential=False)])
        for _ in range(3):
            await trio.testing.wait_all_tasks_blocked()
        text = supervisor.dump()

    assert re.search(
        r"└─ optional  parked #2 for 0\.0 s, 1 restart, last failure: unexpected .*: never$", text
    )


async def test_a_child_that_has_not_run_yet_waits_nowhere() -> None:
    """Between its registration and its first step there is nothing more to say."""
    async with open_supervisor() as supervisor:
        supervisor.start_soon(idle, name="new")
        text = supervisor.dump()
        await supervisor.stop()

    assert text.splitlines()[1] == "└─ new  starting for 0.0 s"


async def test_a_child_may_ask_for_it_itself() -> None:
    """Whoever calls it is not waiting, and the tree says so."""
    texts = []

    async with open_supervisor() as supervisor:

        async def curious() -> None:
            texts.append(supervisor.dump())

        await supervisor.start(curious, name="curious", restart="temporary")

    assert texts[0].splitlines()[1].endswith(", at the call of dump()")


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (59.94, "59.9 s"),
        (60.0, "1 m 0 s"),
        (2232.0, "37 m 12 s"),
        (7384.0, "2 h 3 m"),
        (86_399.0, "23 h 59 m"),
        (200_000.0, "2 d 7 h"),
    ],
)
async def test_a_long_time_is_told_in_its_two_largest_units(
    seconds: float, words: str, autojump_clock: MockClock
) -> None:
    """Nobody divides 200,000 seconds in their head."""
    async with open_supervisor() as supervisor:
        await supervisor.start(idle, name="idler")
        await trio.sleep(seconds)
        text = supervisor.dump()
        await supervisor.stop()

    assert f"idler  running #1 for {words}, " in text
