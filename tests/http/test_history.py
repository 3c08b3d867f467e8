"""What is kept of what has happened."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from trio_instances.http.history import History
from trio_instances.policy.health import ProbeVerdict
from trio_instances.telemetry import Event, InstanceStarted, ProbeCompleted


def started(number: int = 0) -> InstanceStarted:
    """Return an event that counts."""
    return InstanceStarted(at=float(number), instance_id="a", children=())


def probed(verdict: ProbeVerdict = ProbeVerdict.OK, streak: int = 2) -> ProbeCompleted:
    """Return a probe."""
    return ProbeCompleted(
        at=0.0,
        instance_id="b",
        generation=1,
        verdict=verdict,
        latency=0.1,
        streak=streak,
        cause=None,
    )


def test_probes_that_pass_again_push_nothing_out_that_counts() -> None:
    """An hour of them leaves a failure before it where it was, in its order."""
    history = History(10)
    some: list[Event] = [
        started(1),
        probed(streak=1),
        started(2),
        probed(ProbeVerdict.FATAL, streak=2),
    ]
    for event in some:
        history.add(event)
    for _ in range(1000):
        history.add(probed())

    found = list(history.after(0))
    assert [entry.event for entry in found[:4]] == some
    assert [entry.number for entry in found] == [1, 2, 3, 4, *range(1000, 1005)]
    assert (history.oldest, history.last) == (0, 1004)


def test_probes_that_pass_again_have_their_half() -> None:
    """So what is newest is whole, and the latencies of a while can be seen."""
    history = History(10)
    for _ in range(1000):
        history.add(probed())

    assert [entry.number for entry in history.after(0)] == [996, 997, 998, 999, 1000]


@given(
    capacity=st.integers(1, 12),
    events=st.lists(st.sampled_from([started(), probed()]), max_size=60),
    data=st.data(),
)
def test_what_is_kept_after_a_place_has_no_hole_but_where_probes_passed_again(
    capacity: int, events: list[Event], data: st.DataObject
) -> None:
    """Each once, in order; no more than the room there is; everything up to `oldest` is gone."""
    history = History(capacity)
    for event in events:
        history.add(event)
    place = data.draw(st.integers(0, len(events)))
    numbers = [entry.number for entry in history.after(place)]
    counting = [
        number
        for number, event in enumerate(events, 1)
        if number > max(place, history.oldest) and isinstance(event, InstanceStarted)
    ]

    assert numbers == sorted(set(numbers))
    assert all(number > max(place, history.oldest) for number in numbers)
    assert set(counting) <= set(numbers)
    everything = list(history.after(0))
    assert list(history.newest_first()) == everything[::-1]
    assert len(everything) <= capacity
