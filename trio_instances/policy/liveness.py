"""Liveness: when a silence is long enough to ask, and when it is one to tell of.

Silence proves nothing: a quiet channel is silent because nobody speaks. So it only leads to a
question, which is a probe; a probe that has passed is the answer, until the threshold has passed
once more. A healthy channel that is never heard costs one probe for each threshold, and no more.
"""

from __future__ import annotations

from typing import final

from attrs import frozen

from .health import LivenessSignal, ProbePolicy, ProbeState, ProbeTrigger


@final
@frozen
class Heard:
    """When a connection last gave each signal; when it was opened, if it never did."""

    transport: float
    data: float

    def at(self, signal: LivenessSignal) -> float:
        """Return when it last gave a signal."""
        return self.transport if signal is LivenessSignal.TRANSPORT else self.data


_TRIGGERS = (
    (LivenessSignal.TRANSPORT, ProbeTrigger.TRANSPORT),
    (LivenessSignal.DATA, ProbeTrigger.DATA),
)


def next_probe(
    policy: ProbePolicy, state: ProbeState, heard: Heard, regular_at: float
) -> tuple[float, ProbeTrigger]:
    """Return when a connection is to be probed next, and why.

    Args:
        policy: Its thresholds.
        state: What its probes said so far. Every one that ended since a silence passed its
            threshold has asked about it, whatever it was made for.
        heard: When it was last heard.
        regular_at: When it is to be probed in any case.
    """
    at, trigger = regular_at, ProbeTrigger.INTERVAL
    for signal, its_trigger in _TRIGGERS:
        threshold = policy.threshold(signal, passed=state.passed)
        if threshold is None:
            continue

        ask_at = heard.at(signal) + threshold
        if state.at is not None and state.at >= ask_at:
            ask_at = state.at + threshold
        if ask_at < at:
            at, trigger = ask_at, its_trigger

    return at, trigger


def silent(
    policy: ProbePolicy, state: ProbeState, heard: Heard, now: float
) -> tuple[LivenessSignal, ...]:
    """Return the signals that are silent for longer than their threshold.

    Ask this after a probe: a transport that is heard because it was asked is not silent.

    Args:
        policy: Its thresholds.
        state: What its probes said so far.
        heard: When it was last heard.
        now: The time.
    """
    found: tuple[LivenessSignal, ...] = ()
    for signal, _ in _TRIGGERS:
        threshold = policy.threshold(signal, passed=state.passed)
        if threshold is not None and now >= heard.at(signal) + threshold:
            found = (*found, signal)
    return found
