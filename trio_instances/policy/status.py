"""Machine 3: an instance. What is said of it, and which change may follow which.

Everything that affects the status is in this file. A status has two parts: where the *link* is,
which `TRANSITIONS` moves, and the *reasons* to call the instance degraded, which come and go. While
there is a reason, and the link is up or on its way, the status is ``degraded``.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import final

from attrs import evolve, frozen

from .failures import Cause


class InstanceStatus(StrEnum):
    """What is said of an instance.

    - ``starting``: its own children are being started.
    - ``connecting``: it makes its first connection.
    - ``connected``: it has a connection whose children are ready.
    - ``reconnecting``: it lost its connection, or got none, and goes on trying.
    - ``degraded``: it goes on, with less than it should have; the reasons say what.
    - ``paused``: an operator keeps it disconnected.
    - ``failed``: it is parked, and somebody must act.
    - ``stopping``: it was asked to stop.
    - ``stopped``: it has ended, or has never been started.
    """

    STARTING = "starting"
    CONNECTING = "connecting"
    CONNECTED = "connected"
    RECONNECTING = "reconnecting"
    DEGRADED = "degraded"
    PAUSED = "paused"
    FAILED = "failed"
    STOPPING = "stopping"
    STOPPED = "stopped"


class Change(StrEnum):
    """What can happen to the link."""

    START = "start"
    CONNECT = "connect"
    OPEN = "open"
    LOSE = "lose"
    PAUSE = "pause"
    RESUME = "resume"
    FAIL = "fail"
    STOP = "stop"
    END = "end"


_S = InstanceStatus

TRANSITIONS: Mapping[InstanceStatus, Mapping[Change, InstanceStatus]] = {
    _S.STOPPED: {Change.START: _S.STARTING},
    _S.STARTING: {
        Change.CONNECT: _S.CONNECTING,
        Change.PAUSE: _S.PAUSED,
        Change.FAIL: _S.FAILED,
        Change.STOP: _S.STOPPING,
        Change.END: _S.STOPPED,
    },
    _S.CONNECTING: {
        Change.OPEN: _S.CONNECTED,
        Change.LOSE: _S.RECONNECTING,
        Change.PAUSE: _S.PAUSED,
        Change.START: _S.STARTING,
        Change.FAIL: _S.FAILED,
        Change.STOP: _S.STOPPING,
    },
    _S.CONNECTED: {
        Change.LOSE: _S.RECONNECTING,
        Change.PAUSE: _S.PAUSED,
        Change.START: _S.STARTING,
        Change.FAIL: _S.FAILED,
        Change.STOP: _S.STOPPING,
    },
    _S.RECONNECTING: {
        Change.OPEN: _S.CONNECTED,
        Change.PAUSE: _S.PAUSED,
        Change.START: _S.STARTING,
        Change.FAIL: _S.FAILED,
        Change.STOP: _S.STOPPING,
    },
    _S.PAUSED: {
        Change.RESUME: _S.RECONNECTING,
        Change.START: _S.STARTING,
        Change.FAIL: _S.FAILED,
        Change.STOP: _S.STOPPING,
    },
    _S.FAILED: {Change.START: _S.STARTING, Change.STOP: _S.STOPPING},
    _S.STOPPING: {
        Change.START: _S.STARTING,
        Change.FAIL: _S.FAILED,
        Change.END: _S.STOPPED,
    },
    _S.DEGRADED: {},
}
"""Where each change takes the link. A pair that is missing changes nothing: it says nothing new.

``degraded`` is no place of the link, so nothing leads there and nothing leads away.
"""

_CAN_BE_DEGRADED = frozenset({_S.CONNECTING, _S.CONNECTED, _S.RECONNECTING})


@final
@frozen
class DegradedReason:
    """One reason why an instance is called degraded."""

    what: str
    """``reconnect``, ``probe``, ``failures``, ``pressure`` or ``child:NAME``."""
    why: Cause
    since: float
    """Since when, in seconds of `trio.current_time`."""


@final
@frozen
class StatusState:
    """Where the link is, and the reasons to call the instance degraded."""

    link: InstanceStatus = InstanceStatus.STOPPED
    reasons: tuple[DegradedReason, ...] = ()

    @property
    def status(self) -> InstanceStatus:
        """What is said of the instance."""
        if self.reasons and self.link in _CAN_BE_DEGRADED:
            return InstanceStatus.DEGRADED

        return self.link


_UNDEGRADED = {link: StatusState(link) for link in InstanceStatus}
"""Shared by all instances, as nearly all are well."""


def step(state: StatusState, change: Change) -> StatusState:
    """Move the link. A fresh start forgets the reasons: what they spoke of is gone."""
    link = TRANSITIONS[state.link].get(change, state.link)
    if link is state.link:
        return state

    if link is InstanceStatus.STARTING or not state.reasons:
        return _UNDEGRADED[link]

    return StatusState(link, state.reasons)


def degrade(state: StatusState, what: str, why: Cause, now: float) -> StatusState:
    """Add a reason; one that is there already keeps its time and takes the newer cause."""
    for reason in state.reasons:
        if reason.what == what:
            newer = evolve(reason, why=why)
            others = tuple(newer if other is reason else other for other in state.reasons)
            return evolve(state, reasons=others)

    return evolve(state, reasons=(*state.reasons, DegradedReason(what, why, now)))


def recover(state: StatusState, what: str) -> StatusState:
    """Take a reason away, if it is there."""
    return evolve(state, reasons=tuple(r for r in state.reasons if r.what != what))
