"""When a silence leads to a probe, and when it is told."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from trio_instances.policy.health import LivenessSignal, ProbePolicy, ProbeState, ProbeTrigger
from trio_instances.policy.liveness import Heard, next_probe, silent

TRANSPORT, DATA = LivenessSignal

times = st.floats(0.0, 1e6)
thresholds = st.none() | st.floats(0.1, 1e5)
policies = st.builds(
    ProbePolicy,
    transport_silence=thresholds,
    data_silence=thresholds,
    startup_failures=st.none() | st.just(3),
)
states = st.builds(ProbeState, at=st.none() | times, passed=st.booleans())
heards = st.builds(Heard, transport=times, data=times)


@given(policies, states, heards, times)
def test_a_probe_never_comes_later_than_its_regular_time(
    policy: ProbePolicy, state: ProbeState, heard: Heard, regular_at: float
) -> None:
    """Silence can only bring it forward, and is named as the reason only then."""
    at, trigger = next_probe(policy, state, heard, regular_at)

    assert at <= regular_at
    assert (trigger is ProbeTrigger.INTERVAL) == (at == regular_at)


@given(states, heards, times, times)
def test_without_thresholds_silence_changes_nothing(
    state: ProbeState, heard: Heard, regular_at: float, now: float
) -> None:
    """None is off, for what is asked and for what is told."""
    assert next_probe(ProbePolicy(), state, heard, regular_at) == (regular_at, "interval")
    assert silent(ProbePolicy(), state, heard, now) == ()


@given(policies, states, heards, times, times)
def test_before_a_start_is_over_silence_changes_nothing(
    policy: ProbePolicy, state: ProbeState, heard: Heard, regular_at: float, now: float
) -> None:
    """The gate holds for both signals."""
    if policy.startup_failures is None or state.passed:
        return

    assert next_probe(policy, state, heard, regular_at) == (regular_at, "interval")
    assert silent(policy, state, heard, now) == ()


@given(policies, states, heards, times)
def test_no_silence_is_asked_about_before_its_threshold_has_passed_since_the_last_word(
    policy: ProbePolicy, state: ProbeState, heard: Heard, regular_at: float
) -> None:
    """Whoever spoke a moment ago is left alone."""
    at, trigger = next_probe(policy, state, heard, regular_at)
    if trigger is ProbeTrigger.INTERVAL:
        return

    signal = LivenessSignal(trigger)
    threshold = policy.threshold(signal, passed=state.passed)
    assert threshold is not None
    assert at >= heard.at(signal) + threshold


@given(policies, states, heards, times)
def test_a_silence_that_was_asked_about_is_left_alone_for_its_threshold(
    policy: ProbePolicy, state: ProbeState, heard: Heard, regular_at: float
) -> None:
    """Counted from the end of the probe, whatever that was made for."""
    at, trigger = next_probe(policy, state, heard, regular_at)
    if trigger is ProbeTrigger.INTERVAL or state.at is None:
        return

    signal = LivenessSignal(trigger)
    threshold = policy.threshold(signal, passed=state.passed)
    assert threshold is not None
    was_silent_already = state.at >= heard.at(signal) + threshold
    assert not was_silent_already or at >= state.at + threshold


@given(
    st.floats(1.0, 100.0),
    st.floats(1.0, 100.0),
    st.floats(0.0, 0.9),
    st.sampled_from(LivenessSignal),
)
def test_a_channel_that_is_never_heard_costs_a_probe_for_each_threshold_and_no_more(
    interval: float, threshold: float, latency: float, signal: LivenessSignal
) -> None:
    """Beside the regular ones; and it is never without one for longer than the threshold."""
    policy = ProbePolicy(
        interval=interval,
        transport_silence=threshold if signal is TRANSPORT else None,
        data_silence=threshold if signal is DATA else None,
    )
    state, heard, regular_at = ProbeState(), Heard(0.0, 0.0), interval
    triggers = []
    while True:
        at, trigger = next_probe(policy, state, heard, regular_at)
        if at > 1000.0:
            break
        triggers.append(trigger)
        ended = at + latency
        assert at - (state.at or 0.0) <= threshold + 1e-6
        regular_at = ended + interval if ended >= regular_at else regular_at
        state = ProbeState(at=ended)

    assert triggers.count(ProbeTrigger.INTERVAL) <= 1000 / interval + 1
    assert triggers.count(ProbeTrigger(signal)) <= 1000 / threshold + 1


@given(policies, states, heards, times)
def test_what_is_silent_has_passed_its_threshold(
    policy: ProbePolicy, state: ProbeState, heard: Heard, now: float
) -> None:
    """And what has not passed it is not silent."""
    for signal in LivenessSignal:
        threshold = policy.threshold(signal, passed=state.passed)
        passed = threshold is not None and now >= heard.at(signal) + threshold
        assert (signal in silent(policy, state, heard, now)) == passed


def test_the_signals_are_told_apart() -> None:
    """Each has its own threshold, and its own last time."""
    policy = ProbePolicy(transport_silence=10.0, data_silence=100.0)
    heard = Heard(transport=50.0, data=0.0)

    assert next_probe(policy, ProbeState(), heard, 1000.0) == (60.0, ProbeTrigger.TRANSPORT)
    assert next_probe(policy, ProbeState(at=70.0), heard, 1000.0) == (80.0, ProbeTrigger.TRANSPORT)
    assert next_probe(policy, ProbeState(at=99.0), heard, 1000.0) == (100.0, ProbeTrigger.DATA)
    assert silent(policy, ProbeState(), heard, 59.9) == ()
    assert silent(policy, ProbeState(), heard, 60.0) == (TRANSPORT,)
    assert silent(policy, ProbeState(), heard, 100.0) == (TRANSPORT, DATA)
