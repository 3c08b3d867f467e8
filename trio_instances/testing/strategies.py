"""What hypothesis can draw for property tests: causes, policies, specs, scripts, faults.

It needs hypothesis, and is imported by nothing else: ``from trio_instances.testing import
strategies``. Whatever is drawn is valid. Times are in seconds, and drawn from a few round numbers
as well as from between them, so that two of them often are equal; that is where bugs are.
"""

from __future__ import annotations

import math
import string
from collections.abc import Callable
from typing import Any

import trio

try:
    from hypothesis import strategies as st
except ImportError as exc:
    raise ImportError(
        "trio_instances.testing.strategies needs hypothesis: pip install hypothesis"
    ) from exc

from .._instance.spec import InstanceSpec
from .._runtime.settings import OnInstanceFailure, RuntimeSettings
from ..abc import Channel
from ..policy.backoff import Backoff, Jitter
from ..policy.breaker import BreakerPolicy
from ..policy.budget import BudgetPolicy
from ..policy.failures import Cause, FailureClass, WhoMustAct
from ..policy.health import ProbePolicy
from ..policy.intensity import RestartIntensity
from ..policy.pressure import PressurePolicy
from ..policy.reconnect import Exhausted, ReconnectPolicy
from ..policy.restart import RestartType
from ..policy.specs import ChildSpec
from ..policy.strategies import StopOrder, Strategy
from .fake_channel import FakeChannel
from .faults import MOMENTARY, Fault, FaultKind, FaultSchedule
from .script import CRASH, Attempt, Script

__all__ = [
    "attempts",
    "backoffs",
    "breaker_policies",
    "budget_policies",
    "causes",
    "child_specs",
    "fault_schedules",
    "faults",
    "instance_specs",
    "names",
    "pressure_policies",
    "probe_policies",
    "reconnect_policies",
    "restart_intensities",
    "runtime_settings",
    "scripts",
]

_ROUND = [0.5, 1.0, 2.0, 5.0, 30.0, 60.0]


def _spans(least: float, most: float) -> st.SearchStrategy[float]:
    fitting = [seconds for seconds in _ROUND if least <= seconds <= most]
    between = st.floats(least, most, allow_subnormal=False)
    return st.one_of(st.sampled_from(fitting), between) if fitting else between


def _optional(strategy: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.none() | strategy


def _or_never(strategy: st.SearchStrategy[float]) -> st.SearchStrategy[float]:
    return st.just(math.inf) | strategy


# --- causes and policies -------------------------------------------------------------------------


def names() -> st.SearchStrategy[str]:
    """Draw what can be an id of an instance, or the name of a child."""
    letters = string.ascii_lowercase + string.digits + "-_.äß "
    return st.text(letters, min_size=1, max_size=12).filter(str.strip)


def causes(
    failure_class: FailureClass | str | None = None, *, lost: bool | None = None
) -> st.SearchStrategy[Cause]:
    """Draw a cause.

    Args:
        failure_class: Of which class; None: of any.
        lost: Whether the connection is lost; None: either.
    """
    of_class = st.sampled_from(FailureClass) if failure_class is None else st.just(failure_class)
    return st.builds(
        Cause,
        of_class,
        st.sampled_from(["timeout", "close_1006", "close_4004", "http_429", "http_503", "bug"]),
        detail=st.text(max_size=20),
        error_type=st.sampled_from(["", "OSError"]),
        retry_after=_optional(_spans(0.0, 600.0)),
        resumable=st.booleans(),
        lost=st.booleans() if lost is None else st.just(lost),
        planned=st.booleans(),
        who_must_act=st.sampled_from(WhoMustAct),
    )


def backoffs() -> st.SearchStrategy[Backoff]:
    """Draw delays of children: none, constant, growing."""
    return _delays(stable_after=_spans(0.0, 300.0))


def _delays(**fields: st.SearchStrategy[Any]) -> st.SearchStrategy[Backoff]:
    return st.builds(
        lambda ends, **others: Backoff(initial=min(ends), cap=max(ends), **others),
        st.tuples(st.just(0.0) | _spans(0.01, 60.0), _spans(0.0, 300.0)),
        factor=st.sampled_from([1.0, 2.0]) | st.floats(1.0, 10.0),
        jitter=st.sampled_from(Jitter),
        **fields,
    )


def restart_intensities() -> st.SearchStrategy[RestartIntensity]:
    """Draw restart budgets that a handful of restarts exceeds."""
    return st.builds(RestartIntensity, max_restarts=st.integers(0, 6), period=_spans(0.1, 60.0))


def reconnect_policies() -> st.SearchStrategy[ReconnectPolicy]:
    """Draw ways to reconnect."""
    return st.builds(
        ReconnectPolicy,
        attempts=st.integers(1, 8),
        backoff=_delays(),
        slow=_delays(),
        exhausted=st.sampled_from(Exhausted),
        stable_after=_spans(0.0, 120.0),
        needs_data=st.booleans(),
        connect_timeout=_spans(0.1, 60.0),
        close_timeout=_spans(0.1, 30.0),
        hint_floor=_spans(0.0, 5.0),
        attention_after=_or_never(_spans(0.0, 7200.0)),
        max_age=_or_never(_spans(1.0, 86400.0)),
    )


def probe_policies() -> st.SearchStrategy[ProbePolicy]:
    """Draw when to probe."""
    return st.builds(
        ProbePolicy,
        interval=_spans(0.5, 120.0),
        jitter=st.sampled_from([0.0, 0.1, 1.0]),
        timeout=_spans(0.1, 30.0),
        failures_to_fail=st.integers(1, 5),
        successes_to_recover=st.integers(1, 3),
        startup_failures=_optional(st.integers(1, 10)),
        transport_silence=_optional(_spans(1.0, 300.0)),
        data_silence=_optional(_spans(1.0, 300.0)),
    )


def pressure_policies() -> st.SearchStrategy[PressurePolicy]:
    """Draw when queues are too full."""
    shares = st.lists(st.floats(0.05, 1.0), min_size=3, max_size=3).map(sorted)
    return st.builds(
        lambda shares, part, interval: PressurePolicy(
            warn=shares[0],
            degraded=shares[1],
            shed=shares[2],
            hysteresis=shares[0] * part,
            interval=interval,
        ),
        shares,
        st.floats(0.0, 0.9),
        _spans(0.1, 30.0),
    )


def breaker_policies() -> st.SearchStrategy[BreakerPolicy]:
    """Draw when a breaker opens."""
    return st.builds(
        BreakerPolicy,
        share=st.floats(0.1, 1.0),
        minimum=st.integers(1, 10),
        window=_spans(1.0, 120.0),
        backoff=_delays(),
        stable_after=_spans(0.0, 30.0),
        patience=_spans(1.0, 120.0),
    )


def budget_policies() -> st.SearchStrategy[BudgetPolicy]:
    """Draw how many connection attempts there may be."""
    return st.builds(
        BudgetPolicy,
        attempts_per_second=st.sampled_from([0.1, 1.0, 50.0]) | st.floats(0.01, 100.0),
        burst=st.integers(1, 20),
        attempts_per_day=_optional(st.integers(1, 1000)),
        in_flight=_optional(st.integers(1, 20)),
        breaker=_optional(breaker_policies()),
    )


# --- specifications ------------------------------------------------------------------------------


def child_specs(
    run: Callable[..., Any] = trio.sleep_forever, *, name: st.SearchStrategy[str] | None = None
) -> st.SearchStrategy[ChildSpec]:
    """Draw the specification of a child.

    Args:
        run: What it runs.
        name: What it is called; None: anything.
    """

    def build(restart: RestartType, significant: bool, **rest: Any) -> ChildSpec:  # noqa: FBT001 - drawn
        may_be = restart is not RestartType.PERMANENT
        return ChildSpec(run=run, restart=restart, significant=significant and may_be, **rest)

    return st.builds(
        build,
        name=names() if name is None else name,
        restart=st.sampled_from(RestartType),
        shutdown=_or_never(_spans(0.0, 60.0)),
        significant=st.booleans(),
        essential=st.booleans(),
        start_timeout=_or_never(_spans(0.1, 60.0)),
        backoff=_optional(backoffs()),
        intensity=_optional(restart_intensities()),
    )


def instance_specs(
    make_channel: Callable[[], Channel[Any]] | None = None,
    *,
    id: st.SearchStrategy[str] | None = None,  # noqa: A002 - the field's name
) -> st.SearchStrategy[InstanceSpec]:
    """Draw the specification of an instance, with a channel of its own.

    Args:
        make_channel: Returns a new channel; None takes `FakeChannel` with a drawn script.
        id: Its id; None: anything.
    """
    drawn = st.builds(FakeChannel, scripts()) if make_channel is None else st.builds(make_channel)
    return st.builds(
        InstanceSpec,
        id=names() if id is None else id,
        channel=drawn,
        name=st.just("") | names(),
        reconnect=reconnect_policies(),
        probe=_optional(probe_policies()),
        pressure=pressure_policies(),
        strategy=st.sampled_from(Strategy),
        intensity=restart_intensities(),
        child_backoff=_optional(backoffs()),
        failures_to_degrade=st.integers(1, 20),
    )


def runtime_settings() -> st.SearchStrategy[RuntimeSettings]:
    """Draw what holds for a whole runtime."""
    return st.builds(
        RuntimeSettings,
        name=names(),
        instance_intensity=restart_intensities(),
        on_instance_failure=st.sampled_from(OnInstanceFailure),
        stop_order=st.sampled_from(StopOrder),
        probes_at_once=st.integers(1, 200),
        sink_buffer=st.integers(1, 10_000),
        sink_timeout=_spans(0.0, 10.0),
        sink_write_timeout=_spans(0.1, 30.0),
    )


# --- what fakes do -------------------------------------------------------------------------------


def _statuses() -> st.SearchStrategy[int]:
    return st.sampled_from([401, 404, 429, 500, 503])


def _codes() -> st.SearchStrategy[int]:
    return st.sampled_from([1000, 1001, 1006, 1011, 1012, 4000, 4004])


def attempts(*, at_most: float = 60.0, fatal: bool = True) -> st.SearchStrategy[Attempt]:
    """Draw what one attempt meets. What shrinks, shrinks to an attempt without a fault.

    Args:
        at_most: Seconds that anything takes that ends at all.
        fatal: Whether failures may be fatal, so that the instance is parked.
    """
    severity = None if fatal else FailureClass.RECOVERABLE
    refusals = causes(severity) | (_statuses() if fatal else st.sampled_from([429, 500, 503]))
    ends = _codes() | causes(severity, lost=True)
    moments = _or_never(_spans(0.0, at_most))
    return st.builds(
        Attempt,
        takes=st.just(0.0) | _spans(0.0, at_most) | st.just(math.inf),
        refused=_optional(refusals),
        refuses_session=st.booleans(),
        holds=moments,
        ends=st.just(1006) | ends,
        every=st.just(30.0) | _spans(0.5, at_most),
        deaf_after=moments,
        mute_after=moments,
        rotates_after=moments,
        crashes=st.lists(st.integers(1, 10), max_size=3, unique=True).map(sorted),
        crash=st.just(CRASH) | causes(severity),
        bad_starts=st.lists(st.integers(1, 4), max_size=2, unique=True).map(sorted),
        child_stays=st.just(0.0) | _spans(0.0, 5.0),
        close_takes=st.just(0.0) | moments,
        close_fails=_optional(causes(severity)),
        stays=st.just(0.0) | _spans(0.0, 5.0),
    )


def scripts(*, at_most: int = 5, fatal: bool = True) -> st.SearchStrategy[Script]:
    """Draw what a fake does, attempt by attempt; in the end it connects and stays.

    Args:
        at_most: Attempts that something is wrong with.
        fatal: Whether failures may be fatal, so that the instance is parked.
    """
    return st.builds(Script, st.lists(attempts(fatal=fatal), max_size=at_most))


def faults(
    *, seconds: float = 3600.0, kinds: st.SearchStrategy[FaultKind] | None = None
) -> st.SearchStrategy[Fault]:
    """Draw one fault by the clock.

    Args:
        seconds: In which it begins and ends.
        kinds: Of which kind; None: of any.
    """

    def build(kind: FaultKind, at: float, lasts: float) -> Fault:
        return Fault(kind, at, 0.0 if kind in MOMENTARY else min(lasts, seconds - at))

    drawn = st.sampled_from(FaultKind) if kinds is None else kinds
    return st.builds(build, drawn, _spans(0.0, seconds), _spans(0.0, seconds))


def fault_schedules(
    *,
    seconds: float = 3600.0,
    at_most: int = 6,
    kinds: st.SearchStrategy[FaultKind] | None = None,
) -> st.SearchStrategy[FaultSchedule]:
    """Draw faults by the clock, in the order of their beginnings.

    Args:
        seconds: In which they all begin and end.
        at_most: How many there can be.
        kinds: Of which kinds; None: of any.
    """
    several = st.lists(faults(seconds=seconds, kinds=kinds), max_size=at_most)
    in_order = several.map(lambda drawn: sorted(drawn, key=lambda fault: fault.at))
    return st.builds(FaultSchedule, in_order)
