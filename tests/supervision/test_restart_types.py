"""Restart type by way of ending: who is started again, who is kept, who is forgotten."""

from __future__ import annotations

import pytest
import trio
from trio.testing import MockClock

from trio_instances import (
    Cause,
    ChannelError,
    ChildAlreadyPresent,
    ChildNotFound,
    ChildRunning,
    ChildSpec,
    FailureClass,
    FatalChildFailure,
    RestartIntensity,
    RestartLimitExceeded,
    open_supervisor,
    telemetry,
)

from .conftest import Crash, Puppet, Recorder, puppets, quiet, states, supervised


async def end_by(how: str) -> None:
    """End as an incarnation can end by itself."""
    await trio.lowlevel.checkpoint()
    match how:
        case "returned":
            return
        case "crashed":
            raise Crash
        case "group":
            raise ExceptionGroup("several", [Crash(), ExceptionGroup("more", [OSError()])])
        case "own scope":
            with trio.CancelScope() as scope:
                scope.cancel()
                await trio.sleep_forever()


ONCE = RestartIntensity(max_restarts=1, period=1000)


@pytest.mark.parametrize(
    ("restart", "how", "after"),
    [
        ("permanent", "returned", "running"),
        ("permanent", "crashed", "running"),
        ("permanent", "own scope", "running"),
        ("transient", "returned", "stopped"),
        ("transient", "crashed", "running"),
        ("transient", "own scope", "stopped"),
        ("transient", "group", "running"),
        ("temporary", "returned", None),
        ("temporary", "crashed", None),
        ("temporary", "own scope", None),
    ],
)
async def test_the_restart_type_and_the_way_of_ending_decide(
    autojump_clock: MockClock, restart: str, how: str, after: str | None, recorder: Recorder
) -> None:
    """R1, R2, R3: restart, keep, or forget; a scope of the child's own is its own affair."""
    runs = 0

    async def child() -> None:
        nonlocal runs
        runs += 1
        if runs == 1:
            await end_by(how)
        else:
            await trio.sleep_forever()

    async with supervised(recorder, intensity=ONCE) as supervisor:
        supervisor.start_soon(child, name="a", restart=restart)
        await quiet()
        assert states(supervisor).get("a") == after
        assert runs == (2 if after == "running" else 1)


@pytest.mark.parametrize(
    ("restart", "how", "counts"),
    [
        ("permanent", "returned", True),
        ("permanent", "crashed", True),
        ("transient", "returned", False),
        ("transient", "crashed", True),
        ("temporary", "returned", False),
        ("temporary", "crashed", False),
    ],
)
async def test_only_an_end_that_is_restarted_counts(
    *, autojump_clock: MockClock, restart: str, how: str, counts: bool, recorder: Recorder
) -> None:
    """R1, R2, R3: with an intensity of 0 the supervisor gives up exactly where one counts."""
    gave_up = False
    try:
        async with supervised(recorder, intensity=RestartIntensity(0, 5)) as supervisor:
            supervisor.start_soon(end_by, how, name="a", restart=restart)
            await quiet()
    except RestartLimitExceeded:
        gave_up = True
    assert gave_up is counts


async def test_a_crash_of_a_temporary_child_is_told_with_its_cause(
    autojump_clock: MockClock, recorder: Recorder
) -> None:
    """R3: it is not restarted and not counted, and it is not silent either."""
    async with supervised(recorder) as supervisor:
        supervisor.start_soon(end_by, "crashed", name="a", restart="temporary")
        await quiet()
        assert supervisor.which_children() == []
    (exited,) = recorder.of(telemetry.ChildExited)
    assert exited.cause.error_type == "Crash"
    assert recorder.of(telemetry.ChildRestarting) == []


async def test_a_transient_child_that_returned_is_present_and_can_be_restarted(
    autojump_clock: MockClock, recorder: Recorder
) -> None:
    """R4: its name is taken, and `restart_child` starts it."""
    puppet = Puppet("a")
    async with supervised(recorder, puppet.spec(restart="transient")) as supervisor:
        puppet.finish()
        await quiet()
        with pytest.raises(ChildAlreadyPresent):
            await supervisor.start_child(puppet.spec())
        child = await supervisor.restart_child("a")
        assert (child.incarnation, puppet.attempts) == (2, 2)


async def test_a_temporary_child_that_ended_is_gone_and_its_name_is_free(
    autojump_clock: MockClock, recorder: Recorder
) -> None:
    """R4: it cannot be restarted by name, and another one can take the name."""
    puppet = Puppet("a")
    async with supervised(recorder, puppet.spec(restart="temporary")) as supervisor:
        puppet.crash()
        await quiet()
        with pytest.raises(ChildNotFound):
            await supervisor.restart_child("a")
        await supervisor.start_child(puppet.spec())


@pytest.mark.parametrize("strategy", ["one_for_all", "rest_for_one"])
@pytest.mark.parametrize(
    ("restart", "fails"), [("transient", False), ("temporary", False), ("temporary", True)]
)
async def test_an_end_without_a_restart_touches_no_sibling(
    *, autojump_clock: MockClock, strategy: str, restart: str, fails: bool, recorder: Recorder
) -> None:
    """R5: the strategy is about restarts; where there is none, nothing is taken along."""
    a, b, c = puppets("abc")
    async with supervised(
        recorder, a.spec(), b.spec(restart=restart), c.spec(), strategy=strategy
    ) as supervisor:
        if fails:
            b.crash()
        else:
            b.finish()
        await quiet()
        assert recorder.take() == ["crashed b#1" if fails else "returned b#1"]
        assert (a.attempts, c.attempts) == (1, 1)
        assert states(supervisor)["a"] == states(supervisor)["c"] == "running"


async def test_a_fatal_failure_is_never_retried(
    autojump_clock: MockClock, recorder: Recorder
) -> None:
    """Crash or degrade: what no restart can mend ends the supervisor at once, budget or not."""
    puppet = Puppet("a")
    with pytest.raises(FatalChildFailure, match="bad credentials") as caught:
        async with supervised(recorder, puppet.spec(), intensity=RestartIntensity(9, 9)):
            puppet.crash(ChannelError(Cause(FailureClass.FATAL, "bad credentials")))
            await trio.sleep_forever()
    assert puppet.attempts == 1
    assert isinstance(caught.value.__cause__, ChannelError)


async def test_a_child_that_is_not_essential_is_parked_beyond_the_intensity(
    autojump_clock: MockClock, recorder: Recorder
) -> None:
    """Crash or degrade: it is left down, visibly, and its siblings go on."""
    optional, other = Puppet("a", ["ok", "error"]), Puppet("b")
    async with supervised(recorder, optional.spec(essential=False), other.spec()) as supervisor:
        optional.crash()
        await quiet()
        assert states(supervisor) == {"a": "parked", "b": "running"}
        assert recorder.take() == ["crashed a#1", "start_failed a#2", "parked a#2"]


async def test_a_parked_child_is_revived_by_restart_child(
    autojump_clock: MockClock, recorder: Recorder
) -> None:
    """What was parked can be started again by hand, and an event says so; if it fails, it stays."""
    puppet = Puppet("a", ["ok", "error", "error", "ok"])
    spec = puppet.spec(essential=False, intensity=RestartIntensity(1, 1000))
    async with supervised(recorder, spec) as supervisor:
        puppet.crash()
        await quiet()
        with pytest.raises(Exception, match="a fails to start"):
            await supervisor.restart_child("a")
        assert states(supervisor) == {"a": "parked"}
        await supervisor.restart_child("a")
        assert states(supervisor) == {"a": "running"}
        assert len(recorder.of(telemetry.ChildRevived)) == 2
        with pytest.raises(ChildRunning):
            await supervisor.restart_child("a")


async def test_a_child_with_an_intensity_of_its_own_spends_no_other_s(
    autojump_clock: MockClock, recorder: Recorder
) -> None:
    """A budget of its own is counted apart, both ways."""
    own, shared = Puppet("own"), Puppet("shared")
    async with supervised(
        recorder, own.spec(intensity=RestartIntensity(3, 1000)), shared.spec(), intensity=ONCE
    ) as supervisor:
        for _ in range(3):
            own.crash()
            await quiet()
        shared.crash()
        await quiet()
        assert states(supervisor) == {"own": "running", "shared": "running"}


async def test_a_group_of_errors_is_judged_by_its_worst_leaf(
    autojump_clock: MockClock, recorder: Recorder
) -> None:
    """Law 6: groups are flattened, however nested, and one fatal leaf is enough."""
    fatal = ChannelError(Cause(FailureClass.FATAL, "revoked"))

    async def child() -> None:
        await trio.lowlevel.checkpoint()
        raise ExceptionGroup("", [Crash(), ExceptionGroup("", [ExceptionGroup("", [fatal])])])

    with pytest.raises(FatalChildFailure, match="revoked"):
        async with open_supervisor(events=recorder.bus) as supervisor:
            await supervisor.start_children([ChildSpec("a", child)])
            await trio.sleep_forever()


async def test_a_failure_that_counts_as_false_is_a_failure(
    autojump_clock: MockClock, recorder: Recorder
) -> None:
    """An exception with a length, of which this one has none, say."""

    class Mistakes(Exception):
        def __len__(self) -> int:
            return 0

    async def fails() -> None:
        raise Mistakes

    async with supervised(recorder) as supervisor:
        supervisor.start_soon(fails, restart="transient", essential=False)
        await trio.sleep(1)
        assert states(supervisor) == {"fails": "parked"}
