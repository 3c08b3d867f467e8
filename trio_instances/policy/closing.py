"""Machine 2's rules for whoever wants a connection closed: a pause, a drain, the end."""

from __future__ import annotations

from attrs import evolve

from .failures import Cause
from .reconnect import ReconnectPolicy
from .signals import Action, ActionKind, ConnectionState, Phase, Signal, Step


def leave_successor(s: ConnectionState, cause: Cause | None = None) -> tuple[Action, ...]:
    """Close an attempt beside as well, if there is one."""
    if s.successor is None:
        return ()

    return (Action(ActionKind.CLOSE, cause, generation=s.successor),)


def pause(s: ConnectionState, g: Signal, _: ReconnectPolicy, __: float, ___: float) -> Step:
    """Close what there is, until somebody resumes."""
    # Whoever pauses knows how it was, and is called for it no more.
    calm = s.down().counting_anew()
    after = evolve(calm, phase=Phase.PAUSED, next_retry_at=None, drain_by=None, pause_wanted=True)
    close = Action(ActionKind.CLOSE, g.cause, generation=s.generation)
    return after, (close, *leave_successor(s, g.cause), Action(ActionKind.PAUSE))


def begin_paused(
    s: ConnectionState, _: Signal, __: ReconnectPolicy, ___: float, ____: float
) -> Step:
    """Have the next run begin paused: this one has not begun, or has ended."""
    if s.pause_wanted:
        return s, ()

    return evolve(s, pause_wanted=True), (Action(ActionKind.PAUSE),)


def begin_anew(s: ConnectionState, _: Signal, __: ReconnectPolicy, ___: float, ____: float) -> Step:
    """Call that off."""
    if not s.pause_wanted:
        return s, ()

    return evolve(s.counting_anew(), pause_wanted=False), (Action(ActionKind.RESUME),)


def drain(s: ConnectionState, g: Signal, _: ReconnectPolicy, now: float, __: float) -> Step:
    """Give what is left some time to be sent."""
    if s.drain_by is not None:
        return s, ()

    # A crash before the drain is over leads to its end, and not back.
    after = evolve(s, drain_by=now + g.seconds, pause_wanted=True)
    return after, (Action(ActionKind.DRAIN, seconds=g.seconds),)


def drained(s: ConnectionState, g: Signal, p: ReconnectPolicy, now: float, u: float) -> Step:
    """Pause, as it is sent, or the time is over."""
    return (s, ()) if s.drain_by is None else pause(s, g, p, now, u)


def undrain(s: ConnectionState, _: Signal, __: ReconnectPolicy, ___: float, ____: float) -> Step:
    """Call a drain off."""
    if s.drain_by is None:
        return s, ()

    return evolve(s, drain_by=None, pause_wanted=False), (Action(ActionKind.RESUME),)


def stop(s: ConnectionState, g: Signal, _: ReconnectPolicy, __: float, ___: float) -> Step:
    """Close what there is, as its instance ends."""
    after = evolve(s.down(), phase=Phase.STOPPED, next_retry_at=None, drain_by=None)
    close = Action(ActionKind.CLOSE, g.cause, generation=s.generation)
    return after, (close, *leave_successor(s, g.cause))
