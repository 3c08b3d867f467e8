"""The event bus: what listeners hear, and what a bad one cannot do."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st

from trio_instances import telemetry
from trio_instances._exceptions import InvalidSpec
from trio_instances.telemetry import Event, EventBus, HookFailed


def happened(at: float) -> Event:
    """Return an event that is told from others by its time."""
    return telemetry.RuntimeStarted(at=at)


def times(events: list[Event]) -> list[float]:
    """Return the times of events, to compare them by."""
    return [event.at for event in events]


def failing_when(fails: Callable[[Event], bool], heard: list[Event]) -> Callable[[Event], None]:
    """Return a listener that notes each event and raises at some."""

    def listen(event: Event) -> None:
        heard.append(event)
        if fails(event):
            raise ValueError(event.name)

    return listen


def reports(events: list[Event]) -> list[HookFailed]:
    """Return the failures among the events."""
    return [event for event in events if isinstance(event, HookFailed)]


def test_a_bus_says_whether_anybody_listens() -> None:
    """The flag that guards the hot paths follows every coming and going."""
    bus = EventBus()
    said = [bus.listening]
    first = bus.listen(lambda _: None)
    said.append(bus.listening)
    second = bus.listen(lambda _: None)
    first.close()
    said.append(bus.listening)
    second.close()
    said.append(bus.listening)

    assert said == [False, True, True, False]


def test_every_listener_hears_every_event_in_order() -> None:
    """Events reach all listeners, each in the order of publishing."""
    bus = EventBus()
    first: list[Event] = []
    second: list[Event] = []
    bus.listen(first.append)
    bus.listen(second.append)

    for at in range(3):
        bus.publish(happened(at))

    assert times(first) == times(second) == [0, 1, 2]


def test_a_listener_hears_nothing_after_its_block() -> None:
    """A place on the bus is a context manager, and may be closed again."""
    bus = EventBus()
    heard: list[Event] = []

    with bus.listen(heard.append) as place:
        bus.publish(happened(1))
    bus.publish(happened(2))
    place.close()

    assert times(heard) == [1]
    assert place.closed


def test_one_function_may_listen_twice() -> None:
    """Two places are two, though the function be the same."""
    bus = EventBus()
    heard: list[Event] = []
    bus.listen(heard.append)
    with bus.listen(heard.append):
        bus.publish(happened(1))
    bus.publish(happened(2))

    assert times(heard) == [1, 1, 2]


def test_a_failing_listener_harms_neither_publisher_nor_other_listeners() -> None:
    """What a listener raises stays with it, and the others are told after the event itself."""
    bus = EventBus()
    bad: list[Event] = []
    good: list[Event] = []
    place = bus.listen(failing_when(lambda _: True, bad))
    bus.listen(good.append)

    bus.publish(happened(7))

    report = reports(good)[0]
    assert [event.name for event in good] == ["runtime.started", "hook.failed"]
    assert (report.hook, report.at, report.cause.error_type) == ("listener", 7, "ValueError")
    assert "failing_when" in report.path
    assert reports(bad) == []
    assert place.failures == 1


def test_a_listener_that_goes_on_failing_is_reported_once() -> None:
    """It is kept and counted, and reported again only after it has taken an event."""
    bus = EventBus()
    good: list[Event] = []
    place = bus.listen(failing_when(lambda event: event.at in (1, 2, 4), []))
    bus.listen(good.append)

    for at in range(1, 5):
        bus.publish(happened(at))

    assert times(list(reports(good))) == [1, 4]
    assert place.failures == 3


def test_listeners_that_fail_at_each_others_reports_do_not_go_on_for_ever() -> None:
    """A failure at a report is counted and not reported, and is no reason to stay silent later."""
    bus = EventBus()
    heard: list[Event] = []
    first = bus.listen(failing_when(lambda event: event.name == "hook.failed", []))
    second = bus.listen(failing_when(lambda event: event.at == 1, []))
    bus.listen(heard.append)

    bus.publish(happened(1))

    assert len(reports(heard)) == 1
    assert (first.failures, second.failures) == (1, 1)
    assert not first.failing


@given(st.lists(st.lists(st.booleans(), max_size=4), max_size=4))
def test_publishing_ends_whatever_the_listeners_do(plans: list[list[bool]]) -> None:
    """Each event costs at most one report for each listener, however they fail."""
    bus = EventBus()
    heard: list[Event] = []
    bus.listen(heard.append)
    for plan in plans:
        script = iter(plan)
        bus.listen(failing_when(lambda _, script=script: next(script, True), []))  # type: ignore[misc]  # a default is no part of a Callable

    for at in range(5):
        bus.publish(happened(at))

    assert len(heard) <= 5 * (1 + len(plans))
    assert times([event for event in heard if event.name == "runtime.started"]) == [0, 1, 2, 3, 4]


def test_what_is_worse_than_an_exception_passes() -> None:
    """A KeyboardInterrupt in a listener is nobody's to keep."""
    bus = EventBus()

    def interrupted(_: Event) -> None:
        raise KeyboardInterrupt

    bus.listen(interrupted)
    with pytest.raises(KeyboardInterrupt):
        bus.publish(happened(1))


def test_a_listener_may_leave_while_an_event_is_published() -> None:
    """One that is closed by an earlier one does not hear the event any more."""
    bus = EventBus()
    heard: list[Event] = []
    places = [bus.listen(lambda _: places[1].close())]
    places.append(bus.listen(heard.append))

    bus.publish(happened(1))

    assert heard == []


def test_a_listener_that_comes_while_an_event_is_published_hears_the_next() -> None:
    """It has missed the one that is under way."""
    bus = EventBus()
    heard: list[Event] = []

    def invite(_: Event) -> None:
        place.close()
        bus.listen(heard.append)

    place = bus.listen(invite)
    bus.publish(happened(1))
    bus.publish(happened(2))

    assert times(heard) == [2]


def test_a_closed_bus_lets_everybody_go() -> None:
    """After that nothing is heard, nobody can come, and publishing does no harm."""
    bus = EventBus()
    heard: list[Event] = []
    place = bus.listen(heard.append)
    bus.close()
    bus.close()
    bus.publish(happened(1))

    assert heard == []
    assert place.closed
    assert not bus.listening
    with pytest.raises(trio.ClosedResourceError):
        bus.listen(heard.append)


async def listen_async(event: Event) -> None:
    """Be what a listener must not be."""


@pytest.mark.parametrize("callback", [None, "print", listen_async])
def test_what_cannot_listen_is_refused(callback: Callable[[Event], None]) -> None:
    """An async function would never run; it is refused before it could be forgotten."""
    bus = EventBus()

    with pytest.raises(InvalidSpec, match="callback: must be a plain function"):
        bus.listen(callback)

    assert not bus.listening
