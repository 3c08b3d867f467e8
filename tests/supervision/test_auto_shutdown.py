"""Significant children: whose end ends the supervisor, and whose does not."""

from __future__ import annotations

from functools import partial

import pytest
import trio
from trio.testing import MockClock

from trio_instances import (
    Backoff,
    ChildSpec,
    InvalidSpec,
    RestartIntensity,
    RestartLimitExceeded,
    open_supervisor,
    supervise,
)

from .conftest import Puppet, Recorder, puppets, quiet, states, supervised

STRATEGIES = pytest.mark.parametrize("strategy", ["one_for_one", "one_for_all", "rest_for_one"])
MANY = RestartIntensity(max_restarts=100, period=1000)


async def ends(recorder: Recorder, *puppets_that_end: tuple[Puppet, str]) -> bool:
    """Let children end, and tell whether the body was cancelled by that."""
    for puppet, how in puppets_that_end:
        if how == "crashed":
            puppet.crash()
        else:
            puppet.finish()
        await quiet()
    return False


@pytest.mark.parametrize("setting", ["never", "any_significant", "all_significant"])
@pytest.mark.parametrize("restart", ["transient", "temporary"])
async def test_a_child_that_is_not_significant_ends_nothing(
    autojump_clock: MockClock, restart: str, setting: str, recorder: Recorder
) -> None:
    """U1: under every setting, for every kind of end."""
    a, b, c = puppets("abc")
    async with supervised(
        recorder, *(each.spec(restart=restart) for each in (a, b, c)),
        auto_shutdown=setting, intensity=MANY,
    ) as supervisor:  # fmt: skip
        a.finish()
        b.crash()
        await supervisor.terminate_child("c")
        await trio.sleep(1)
        await supervisor.start_child(Puppet("d").spec())


@STRATEGIES
@pytest.mark.parametrize(
    ("restart", "how", "ended"),
    [
        ("transient", "returned", True),
        ("transient", "crashed", False),
        ("temporary", "returned", True),
        ("temporary", "crashed", True),
    ],
)
async def test_any_significant(
    *, autojump_clock: MockClock,
    restart: str, how: str, ended: bool, strategy: str, recorder: Recorder,
) -> None:  # fmt: skip
    """U2, U3: an end for good ends the supervisor, and its block returns normally."""
    a, b, c = puppets("abc")
    went_on = False
    async with supervised(
        recorder, a.spec(), b.spec(restart=restart, significant=True), c.spec(),
        auto_shutdown="any_significant", strategy=strategy,
    ):  # fmt: skip
        await ends(recorder, (b, how))
        await trio.sleep(1)
        went_on = True
    assert went_on is not ended
    if ended:
        assert recorder.take() == [
            f"{how} b#1", "stop c#1", "stopped c#1", "stop a#1", "stopped a#1",
        ]  # fmt: skip


@pytest.mark.parametrize("setting", ["any_significant", "all_significant"])
@pytest.mark.parametrize("restart", ["transient", "temporary"])
async def test_terminating_a_significant_child_ends_nothing(
    autojump_clock: MockClock, restart: str, setting: str, recorder: Recorder
) -> None:
    """U4, U8: an end that was asked for is none by itself, now or later."""
    a, b = puppets("ab")
    async with supervised(
        recorder, a.spec(restart=restart, significant=True), b.spec(), auto_shutdown=setting
    ) as supervisor:
        await supervisor.terminate_child("a")
        await trio.sleep(100)
        assert states(supervisor)["b"] == "running"


@pytest.mark.parametrize("strategy", ["one_for_all", "rest_for_one"])
@pytest.mark.parametrize("restart", ["transient", "temporary"])
async def test_a_significant_bystander_ends_nothing(
    autojump_clock: MockClock, restart: str, strategy: str, recorder: Recorder
) -> None:
    """U5: being taken down with a sibling is no end by itself, even where it is forgotten."""
    a, b = puppets("ab")
    async with supervised(
        recorder, a.spec(), b.spec(restart=restart, significant=True),
        auto_shutdown="any_significant", strategy=strategy,
    ) as supervisor:  # fmt: skip
        a.crash()
        await trio.sleep(100)
        assert states(supervisor)["a"] == "running"


@STRATEGIES
async def test_all_significant_waits_for_the_last(
    autojump_clock: MockClock, strategy: str, recorder: Recorder
) -> None:
    """U6: it ends when the last active significant child does; the others do not matter."""
    a, b, c = puppets("abc")
    went_on = 0
    async with supervised(
        recorder,
        a.spec(restart="transient", significant=True),
        b.spec(restart="temporary", significant=True),
        c.spec(),
        auto_shutdown="all_significant", strategy=strategy,
    ):  # fmt: skip
        a.finish()
        await quiet()
        went_on += 1
        b.crash()
        await trio.sleep(1)
        went_on += 1
    assert went_on == 1


async def test_a_restarting_significant_child_is_active(
    autojump_clock: MockClock, recorder: Recorder
) -> None:
    """U7: one that is between two incarnations has not ended."""
    a, b = puppets("ab")
    async with supervised(
        recorder,
        a.spec(restart="transient", significant=True, backoff=Backoff(10, jitter="none", cap=10)),
        b.spec(restart="transient", significant=True),
        auto_shutdown="all_significant",
    ) as supervisor:
        a.crash()
        await quiet()
        b.finish()
        await quiet()
        assert states(supervisor) == {"a": "restarting", "b": "stopped"}
        await trio.sleep(20)
        assert states(supervisor) == {"a": "running", "b": "stopped"}


async def test_the_last_one_triggers_though_others_were_terminated_before(
    autojump_clock: MockClock, recorder: Recorder
) -> None:
    """U8: what was stopped by hand is not active; the last end by itself counts."""
    a, b = puppets("ab")
    went_on = False
    async with supervised(
        recorder,
        a.spec(restart="transient", significant=True),
        b.spec(restart="transient", significant=True),
        auto_shutdown="all_significant",
    ) as supervisor:
        await supervisor.terminate_child("a")
        b.finish()
        await trio.sleep(1)
        went_on = True
    assert not went_on


@pytest.mark.parametrize("setting", ["any_significant", "all_significant"])
async def test_declining_ends_nothing(
    autojump_clock: MockClock, setting: str, recorder: Recorder
) -> None:
    """U9: a significant child that has nothing to do is not active, and triggers nothing."""
    declining, other = Puppet("a", ["decline"]), Puppet("b")
    async with supervised(
        recorder,
        declining.spec(restart="transient", significant=True),
        other.spec(),
        auto_shutdown=setting,
    ) as supervisor:
        await trio.sleep(100)
        assert states(supervisor) == {"a": "stopped", "b": "running"}


@pytest.mark.parametrize("significant", [True, False])
async def test_an_automatic_shutdown_escalates_only_through_a_significant_subtree(
    *, autojump_clock: MockClock, significant: bool, recorder: Recorder
) -> None:
    """U10: a subtree that ended itself has returned, which matters where it is significant."""
    leaf = Puppet("leaf")
    subtree = partial(
        supervise,
        [leaf.spec(restart="transient", significant=True)],
        auto_shutdown="any_significant",
    )
    went_on = False
    async with supervised(
        recorder,
        ChildSpec("tree", subtree, restart="transient", significant=significant),
        Puppet("b").spec(),
        auto_shutdown="any_significant",
    ):
        leaf.finish()
        await trio.sleep(1)
        went_on = True
    assert went_on is not significant


async def test_a_permanent_subtree_that_ends_itself_is_restarted_and_counted(
    autojump_clock: MockClock, recorder: Recorder
) -> None:
    """U11: it burns the outer intensity."""
    leaf = Puppet("leaf")
    subtree = partial(
        supervise,
        [leaf.spec(restart="transient", significant=True)],
        auto_shutdown="any_significant",
    )
    with pytest.raises(RestartLimitExceeded):
        async with supervised(recorder, ChildSpec("tree", subtree)):
            for _ in range(2):
                leaf.finish()
                await quiet()
    assert leaf.attempts == 2


async def test_beyond_the_intensity_a_significant_child_escalates(
    autojump_clock: MockClock, recorder: Recorder
) -> None:
    """U12: the intensity decides, and the two reasons are told apart: this one raises."""
    a = Puppet("a")
    with pytest.raises(RestartLimitExceeded):
        async with supervised(
            recorder,
            a.spec(restart="transient", significant=True),
            auto_shutdown="any_significant",
            intensity=RestartIntensity(0, 5),
        ):
            a.crash()
            await trio.sleep_forever()


async def test_the_order_of_two_ends_decides(autojump_clock: MockClock, recorder: Recorder) -> None:
    """U13: after a crash under one_for_all the other end is swallowed; before it, it ends all."""
    a, b, slow = Puppet("a"), Puppet("b"), Puppet("c", cleanup=5.0)
    async with supervised(
        recorder, a.spec(), b.spec(restart="transient", significant=True), slow.spec(),
        auto_shutdown="any_significant", strategy="one_for_all",
    ) as supervisor:  # fmt: skip
        a.crash()
        await quiet()
        b.finish()
        await trio.sleep(10)
        assert set(states(supervisor).values()) == {"running"}

    went_on = False
    async with supervised(
        recorder, a.spec(), b.spec(restart="transient", significant=True),
        auto_shutdown="any_significant", strategy="one_for_all",
    ):  # fmt: skip
        b.finish()
        await quiet()
        a.crash()
        await trio.sleep(1)
        went_on = True
    assert not went_on


async def test_parking_a_significant_child_ends_nothing(
    autojump_clock: MockClock, recorder: Recorder
) -> None:
    """A parked child is to be revived."""
    a = Puppet("a")
    async with supervised(
        recorder,
        a.spec(restart="transient", significant=True, essential=False),
        auto_shutdown="any_significant",
        intensity=RestartIntensity(0, 5),
    ) as supervisor:
        a.crash()
        await trio.sleep(1)
        assert states(supervisor) == {"a": "parked"}


async def test_significance_that_contradicts_is_refused_at_the_door(
    autojump_clock: MockClock, recorder: Recorder
) -> None:
    """V9, V10: not under ``never``, and not for a permanent child."""
    puppet = Puppet("a")
    async with supervised(recorder) as supervisor:
        with pytest.raises(InvalidSpec, match="auto_shutdown='never'"):
            await supervisor.start_child(puppet.spec(restart="transient", significant=True))
        with pytest.raises(InvalidSpec, match="significant"):
            await supervisor.start_children([puppet.spec(restart="transient", significant=True)])
        with pytest.raises(InvalidSpec, match="significant"):
            supervisor.start_soon(puppet.run, restart="transient", significant=True)
    with pytest.raises(InvalidSpec, match="a permanent child never ends"):
        puppet.spec(significant=True)
    assert puppet.attempts == 0


async def test_a_start_in_the_body_that_ends_the_supervisor_lets_the_block_return(
    autojump_clock: MockClock, recorder: Recorder
) -> None:
    """The body may be in the middle of a verb; the end is normal all the same."""

    async def returns(*, task_status: trio.TaskStatus[None]) -> None:
        task_status.started()

    for _ in range(20):
        async with open_supervisor(auto_shutdown="any_significant") as supervisor:
            while True:
                await supervisor.start(returns, restart="temporary", significant=True)
