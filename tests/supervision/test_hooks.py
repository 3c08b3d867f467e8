"""What the user supplies to be asked or told something may fail; the supervisor goes on."""

from __future__ import annotations

import pytest
import trio
from trio.testing import MockClock

from trio_instances import (
    Cause,
    ChildSpec,
    ChildState,
    FailureClass,
    FatalChildFailure,
    InvalidSpec,
    RestartIntensity,
    Strategy,
    open_supervisor,
    telemetry,
)
from trio_instances.telemetry import EventBus

from .conftest import Crash, Puppet, Recorder, quiet, states, supervised


async def test_classify_decides_what_a_failure_means(
    autojump_clock: MockClock, recorder: Recorder
) -> None:
    """The supervisor asks it, and the cause it gives is told and acted on."""

    def classify(error: Exception) -> Cause:
        return Cause(FailureClass.FATAL, f"saw {error}")

    puppet = Puppet("a")
    with pytest.raises(FatalChildFailure, match="saw a crashes"):
        async with supervised(recorder, puppet.spec(), classify=classify):
            puppet.crash()
            await trio.sleep_forever()
    assert recorder.of(telemetry.ChildExited)[0].cause.reason == "saw a crashes"


@pytest.mark.parametrize("broken", ["raises", "rubbish"])
async def test_a_classify_that_fails_is_told_of_and_replaced_by_the_default(
    autojump_clock: MockClock, broken: str, recorder: Recorder
) -> None:
    """It is an event, never the end of a supervisor."""

    def classify(error: Exception) -> Cause:
        if broken == "raises":
            raise ZeroDivisionError("in classify")
        return "rubbish"  # type: ignore[return-value]  # what a careless user does

    puppet = Puppet("a")
    async with supervised(recorder, puppet.spec(), classify=classify) as supervisor:
        puppet.crash()
        await quiet()
        assert states(supervisor) == {"a": "running"}
    (failed,) = recorder.of(telemetry.HookFailed)
    assert (failed.hook, failed.path) == ("classify", "supervisor/a")
    assert recorder.of(telemetry.ChildExited)[0].cause.error_type == "Crash"


async def test_a_listener_that_raises_stops_nothing(
    autojump_clock: MockClock, recorder: Recorder
) -> None:
    """Neither the child that the event is about, nor the supervisor, nor the other listeners."""

    def broken(event: telemetry.Event) -> None:
        raise Crash

    recorder.bus.listen(broken)
    puppet = Puppet("a")
    async with supervised(recorder, puppet.spec()) as supervisor:
        puppet.crash()
        await quiet()
        assert states(supervisor) == {"a": "running"}
    assert [event.hook for event in recorder.of(telemetry.HookFailed)] == ["listener"]


async def test_a_listener_may_use_the_supervisor(
    autojump_clock: MockClock, recorder: Recorder
) -> None:
    """It is called in the middle of a change, and what it starts is a child like any other."""
    puppet = Puppet("a")
    async with supervised(recorder, puppet.spec()) as supervisor:

        def listener(event: telemetry.Event) -> None:
            if isinstance(event, telemetry.ChildExited) and event.child == "a":
                supervisor.start_soon(trio.sleep_forever, name="witness")
                supervisor.which_children()

        recorder.bus.listen(listener)
        puppet.crash()
        await quiet()
        assert states(supervisor) == {"a": "running", "witness": "running"}


async def test_without_a_listener_everything_works_the_same(autojump_clock: MockClock) -> None:
    """Events are for those who listen; nothing depends on them."""
    puppet = Puppet("a", ["ok", "error", "ok"])
    async with open_supervisor(
        events=EventBus(), strategy="one_for_all", intensity=RestartIntensity(5, 5)
    ) as supervisor:
        child = await supervisor.start_child(puppet.spec())
        puppet.crash()
        await quiet()
        assert child.state is ChildState.RUNNING
        await supervisor.stop()


async def test_every_mistake_of_open_supervisor_is_listed(
    autojump_clock: MockClock, recorder: Recorder
) -> None:
    """V12, V16, law 12: one error names each field with what was given; nothing starts."""
    with pytest.raises(InvalidSpec) as caught:
        async with open_supervisor(
            strategy="one_for_none",
            intensity=3,  # type: ignore[arg-type]  # wrong on purpose
            auto_shutdown="now",
            backoff="soon",  # type: ignore[arg-type]  # wrong on purpose
            classify="what",  # type: ignore[arg-type]  # wrong on purpose
            name="a/b",
            events="here",  # type: ignore[arg-type]  # wrong on purpose
            random=4,  # type: ignore[arg-type]  # wrong on purpose
        ):
            pytest.fail("the block was entered")
    assert [mistake.place for mistake in caught.value.mistakes] == [
        "strategy", "intensity", "auto_shutdown", "backoff", "classify", "name", "events", "random",
    ]  # fmt: skip


async def test_words_and_enums_mean_the_same(autojump_clock: MockClock, recorder: Recorder) -> None:
    """Code and configuration files say the same: a string is accepted where an enum is."""
    for strategy in Strategy:
        async with open_supervisor(strategy=str(strategy)) as supervisor:
            assert repr(supervisor) == f"<Supervisor 'supervisor' {strategy}>"
            spec = ChildSpec("a", trio.sleep_forever, restart="temporary")
            assert repr(await supervisor.start_child(spec)) == "<Child 'supervisor/a' running #1>"
            assert repr(supervisor) == f"<Supervisor 'supervisor' {strategy} running=1>"
            await supervisor.stop()
