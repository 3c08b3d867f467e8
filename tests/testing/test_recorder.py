"""`EventRecorder`: waiting for events, asking for them, stating what came."""

from __future__ import annotations

import re
from typing import Any

import pytest
import trio
from trio.testing import MockClock

from trio_instances import Cause, InvalidSpec
from trio_instances.policy.health import ProbeVerdict
from trio_instances.telemetry import (
    ChildExited,
    ChildStarted,
    Event,
    EventBus,
    InstanceConnecting,
    InstanceFailed,
    ProbeCompleted,
)
from trio_instances.testing import EventRecorder, event


def started(child: str, instance: str = "bot", at: float = 0.0) -> ChildStarted:
    """Return what is told of a child that starts."""
    path = f"runtime/{instance}/{child}"
    return ChildStarted(
        at=at, instance_id=instance, path=path, child=child, incarnation=1, elapsed=0.0
    )


def exited(child: str, instance: str = "bot") -> ChildExited:
    """Return what is told of a child that crashes."""
    cause = Cause("recoverable", "crash")
    path = f"runtime/{instance}/{child}"
    return ChildExited(
        at=1.0,
        instance_id=instance,
        path=path,
        child=child,
        incarnation=1,
        uptime=1.0,
        cause=cause,
    )


def probed(streak: int) -> ProbeCompleted:
    """Return what is told of a probe that passes."""
    return ProbeCompleted(
        at=float(streak),
        instance_id="bot",
        generation=1,
        verdict=ProbeVerdict.OK,
        latency=0.0,
        streak=streak,
        cause=None,
    )


def recorder(*events: Event) -> EventRecorder:
    """Return a recorder that has heard these."""
    recorder = EventRecorder()
    for each in events:
        recorder.bus.publish(each)
    return recorder


def message_of(call: Any, *args: Any, **options: Any) -> str:
    """Return what a statement that does not hold says."""
    with pytest.raises(AssertionError) as raised:
        call(*args, **options)
    return str(raised.value)


def test_events_are_found_by_kind_instance_child_and_field() -> None:
    """Each of them narrows it down, all of them together."""
    a, b, c = started("a"), started("b", "other"), exited("a")
    heard = recorder(a, b, c)

    assert heard.of() == [a, b, c] == list(heard)
    assert heard.of(ChildStarted) == [a, b] == heard.of("child.started")
    assert heard.of("child.*", instance="bot") == [a, c]
    assert heard.of(child="b") == [b] == heard.of(child="runtime/other/b")
    assert heard.of(reason="crash") == [c] == heard.of(failure_class="recoverable")
    assert heard.of(incarnation=2) == []
    assert heard.of(event("*", child="a"), instance="ignored") == [a, c]
    assert heard.names(instance="bot") == ["child.started", "child.exited"]


def test_what_is_cleared_is_forgotten() -> None:
    """And returned."""
    heard = recorder(started("a"))

    assert len(heard.clear()) == 1
    assert len(heard) == 0


def test_the_oldest_events_are_forgotten_where_there_are_too_many() -> None:
    """Memory is bounded."""
    heard = EventRecorder(keep=2)
    for number in range(5):
        heard.bus.publish(started(f"c{number}"))

    assert [each.child for each in heard.of(ChildStarted)] == ["c3", "c4"]


@pytest.mark.parametrize("kind", ["child.startet", "nothing.*", int, 5])
def test_a_kind_that_there_is_not_is_refused(kind: Any) -> None:
    """A typo would be an event that never comes."""
    with pytest.raises(InvalidSpec, match="kind"):
        event(kind)


def test_a_recorder_that_keeps_nothing_is_refused() -> None:
    """At the door."""
    with pytest.raises(InvalidSpec, match="keep"):
        EventRecorder(keep=0)


def test_a_recorder_can_hear_another_bus_as_well() -> None:
    """It is a listener as others are."""
    heard, bus = EventRecorder(), EventBus()
    with bus.listen(heard):
        bus.publish(started("a"))
    bus.publish(started("b"))

    assert heard.of() == [started("a")]


# --- waiting -------------------------------------------------------------------------------------


async def test_an_event_that_comes_is_waited_for(autojump_clock: MockClock) -> None:
    """However late; another one does not count."""
    heard = recorder()
    async with trio.open_nursery() as nursery:

        @nursery.start_soon
        async def _() -> None:
            await trio.sleep(1.0)
            heard.bus.publish(started("a"))
            await trio.sleep(1.0)
            heard.bus.publish(exited("a"))

        found = await heard.wait_for("child.exited")
        assert trio.current_time() == 2.0
        assert found == exited("a")


async def test_an_event_that_has_come_counts(autojump_clock: MockClock) -> None:
    """So there is no race between an act and the waiting for what it does."""
    heard = recorder(started("a"), started("b"))

    assert await heard.wait_for(ChildStarted) == started("a")
    assert await heard.wait_for(ChildStarted, times=2) == started("b")


async def test_a_wait_in_vain_says_what_came(autojump_clock: MockClock) -> None:
    """In place of a hang."""
    heard = recorder(started("a"), started("x", "other"))

    with pytest.raises(AssertionError) as raised:
        await heard.wait_for("child.exited", instance="bot", reason="crash")

    assert trio.current_time() == 86400.0
    text = str(raised.value)
    assert "waited 86400 s for child.exited instance='bot' reason='crash': it did not come" in text
    assert "child.started" in text
    assert "other" not in text


async def test_a_wait_in_vain_is_not_told_by_the_probes_of_the_day(
    autojump_clock: MockClock,
) -> None:
    """One that passed like the one before pushes out nothing; who waits for probes sees them."""
    heard = recorder(started("a"), *[probed(streak) for streak in range(1, 101)])

    with pytest.raises(AssertionError) as raised:
        await heard.wait_for("child.exited")
    text = str(raised.value)
    assert "child.started" in text
    assert len(re.findall("probe.completed", text)) == 1
    assert heard.tell(2).splitlines()[0].strip().startswith("0.000 child.started")

    with pytest.raises(AssertionError, match="streak=100"):
        await heard.wait_for("probe.completed", verdict="fatal")


async def test_a_wait_for_several_says_how_many_came(autojump_clock: MockClock) -> None:
    """One of two, say."""
    heard = recorder(started("a"))

    with pytest.raises(AssertionError, match="1 of 2 came"):
        await heard.wait_for("child.started", times=2, within=1.0)
    with pytest.raises(AssertionError, match="nothing came of it"):
        await heard.wait_for(instance="nobody", within=1.0)
    with pytest.raises(AssertionError, match="nothing came at all"):
        await recorder().wait_for(within=1.0)


async def test_a_cancelled_wait_is_cancelled(autojump_clock: MockClock) -> None:
    """It is no failure of what is waited for."""
    with trio.move_on_after(1.0) as limit:
        await recorder().wait_for("child.exited")

    assert limit.cancelled_caught


# --- stating -------------------------------------------------------------------------------------


def test_a_sequence_may_have_other_events_in_between() -> None:
    """Unless it is to be exact."""
    heard = recorder(started("a"), started("b"), exited("a"))

    heard.assert_sequence("child.started", ChildExited)
    heard.assert_sequence("child.started", "child.exited", child="a", exact=True)
    heard.assert_sequence(event("child.started", child="b"), event("child.*", reason="crash"))
    text = message_of(heard.assert_sequence, "child.started", "child.exited", exact=True)
    assert text.startswith("1 events came that were not expected")


def test_a_sequence_that_did_not_come_is_shown_beside_what_came() -> None:
    """With marks at what fits."""
    heard = recorder(started("a"), exited("b"))

    text = message_of(heard.assert_sequence, "child.exited", event("child.started", child="a"))

    assert text == (
        "event 2 of 2 did not come in its place\n"
        "expected (+ came, - did not):\n"
        "  + child.exited\n"
        "  - child.started child='a'\n"
        "came (+ as expected):\n"
        "         0.000 child.started bot runtime/bot/a incarnation=1 elapsed=0s\n"
        "  +      1.000 child.exited bot runtime/bot/b incarnation=1 uptime=1s: crash (recoverable)"
    )


def test_a_long_story_is_shown_by_its_end() -> None:
    """With how much was left out."""
    heard = recorder(*[started("a", at=float(number)) for number in range(100)])

    text = message_of(heard.assert_sequence, "child.exited")

    assert "(70 earlier events)" in text
    assert len(re.findall("child.started", text)) == 30
    assert "nothing" in message_of(recorder().assert_sequence, InstanceConnecting)


def test_what_should_not_have_come_is_shown() -> None:
    """All of it."""
    heard = recorder(started("a"), exited("a"), exited("b"))

    heard.assert_none(InstanceFailed)
    heard.assert_none("child.exited", child="c")
    text = message_of(heard.assert_none, "child.exited", instance="bot")
    assert text.startswith("there should be no child.exited instance='bot': 2 came\n")
    assert "one came" in message_of(heard.assert_none, ChildStarted)
    assert heard.tell(1).strip().startswith("1.000 child.exited")
