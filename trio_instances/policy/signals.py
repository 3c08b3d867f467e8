"""The words of the connection machine: phases, signals, actions, and all that it knows."""

from __future__ import annotations

from enum import StrEnum
from typing import final

from attrs import evolve, frozen

from .failures import Cause


class Phase(StrEnum):
    """Where the connection is.

    - ``idle``: no attempt was made yet.
    - ``queued``: an attempt waits for its turn in the connection budget.
    - ``connecting``: an attempt is under way.
    - ``connected``: it is open, and not proven.
    - ``proven``: it has been open for long enough.
    - ``waiting``: the next attempt has a time.
    - ``paused``: an operator keeps it closed.
    - ``failed``: it is given up.
    - ``stopped``: its instance ends; where that was a crash, another run begins as ``idle``.
    """

    IDLE = "idle"
    QUEUED = "queued"
    CONNECTING = "connecting"
    CONNECTED = "connected"
    PROVEN = "proven"
    WAITING = "waiting"
    PAUSED = "paused"
    FAILED = "failed"
    STOPPED = "stopped"


class SignalKind(StrEnum):
    """What can be learned about a connection, of its budget as well, or wanted of it.

    - ``start``: its instance begins.
    - ``opened``, ``lost``: an attempt has succeeded; it, or the connection, has failed.
    - ``stable``, ``data``: it has been open for long enough; an application event came.
    - ``due``: the time of the next attempt has come.
    - ``granted``, ``cleared``: the budget grants an attempt; its breaker has closed.
    - ``overdue``: it may have been away for too long.
    - ``credentials``: its next attempt has new ones.
    - ``rotate``, ``handover``: it is to be replaced; the new one beside the old one.
    - ``reconnect``, ``retry``, ``pause``, ``resume``, ``drain``, ``stop``: the verbs.
    - ``drained``: nothing is left to be sent, or the time for it is over.
    """

    START = "start"
    OPENED = "opened"
    LOST = "lost"
    STABLE = "stable"
    DATA = "data"
    DUE = "due"
    GRANTED = "granted"
    CLEARED = "cleared"
    OVERDUE = "overdue"
    CREDENTIALS = "credentials"
    ROTATE = "rotate"
    HANDOVER = "handover"
    RECONNECT = "reconnect"
    RETRY = "retry"
    PAUSE = "pause"
    RESUME = "resume"
    DRAIN = "drain"
    DRAINED = "drained"
    STOP = "stop"


@final
@frozen
class Signal:
    """One thing learned about a connection, or wanted of it."""

    kind: SignalKind
    generation: int | None = None
    """Which connection it is about; None for what is about whichever there is."""
    cause: Cause | None = None
    """Why; every ``lost`` has one."""
    seconds: float = 0.0
    """How long a ``drain`` may take."""


class ActionKind(StrEnum):
    """What the connection loop is to do.

    - ``queue``: wait for the connection budget to grant an attempt.
    - ``open``: begin an attempt.
    - ``close``: end the connection, or the attempt, of a generation.
    - ``opened``: nothing; an attempt has succeeded.
    - ``proven``: nothing; the connection is proven.
    - ``wait``: let ``seconds`` pass before the next attempt.
    - ``exhausted``: nothing; the quick attempts are used up.
    - ``attention``: nothing; somebody should look at it.
    - ``open_beside``: begin an attempt that leaves the connection as it is.
    - ``leave``: end the old connection of a handover: its successor is open.
    - ``promote``: nothing; the attempt beside is now the only one.
    - ``drain``: tell when nothing is left to be sent, within ``seconds``.
    - ``pause``, ``resume``: nothing; an operator's wish is in force.
    - ``fail``: give up, with the cause.

    Those with nothing to do are there to be told of.
    """

    QUEUE = "queue"
    OPEN = "open"
    CLOSE = "close"
    OPENED = "opened"
    PROVEN = "proven"
    WAIT = "wait"
    EXHAUSTED = "exhausted"
    ATTENTION = "attention"
    OPEN_BESIDE = "open_beside"
    LEAVE = "leave"
    PROMOTE = "promote"
    DRAIN = "drain"
    PAUSE = "pause"
    RESUME = "resume"
    FAIL = "fail"


@final
@frozen
class Action:
    """One thing that the connection loop is to do, or to tell."""

    kind: ActionKind
    cause: Cause | None = None
    seconds: float = 0.0
    quick: bool = True
    generation: int = 0
    """Which connection it is about, where it is about one."""


@final
@frozen
class ConnectionState:
    """All that the machine knows."""

    phase: Phase = Phase.IDLE
    generation: int = 0
    """Which connection there is, or was last; counted from 1."""
    begun: int = 0
    """How many were begun: the number of the newest, which may be a successor."""
    successor: int | None = None
    """The generation that is to take over, while it is being made."""
    attempt: int = 0
    """Attempts in a row since a connection was last proven; what replaces an open one on request
    has the number of the one that it replaces."""
    next_retry_at: float | None = None
    """When the next attempt is due, while waiting."""
    cause: Cause | None = None
    """Why the last connection or attempt ended."""
    exhausted_at: float | None = None
    """When the quick attempts were used up; None again when a connection is proven."""
    away_since: float | None = None
    """Since when there has been no connection; once the quick attempts are used up, no proven one.

    However few attempts there were since: one may wait for a budget, or for as long as it was told.
    """
    needs_attention: bool = False
    """Whether it has been said since then that somebody should look at it."""
    waited: float = 0.0
    """The step of the last delay, in seconds, until a connection is proven.

    No connection is proven before it has lasted that long: something that fails every few minutes
    under delays of minutes would otherwise always look healthy.
    """
    opened_at: float = 0.0
    """When the last connection was opened."""
    rotate_at: float | None = None
    """When the open connection is to be replaced, if it is to be."""
    besides: int = 0
    """Attempts at a handover that failed in a row."""
    outdated: int = 0
    """The newest generation that was begun with credentials which are not the present ones."""
    drain_by: float | None = None
    """Until when there is time to send what is left, while an operator drains it."""
    pause_wanted: bool = False
    """Whether an operator wants it closed: now, once it is drained, or in its next run."""
    stable: bool = False
    data: bool = False
    budgeted: bool = False
    """Whether every attempt needs a grant of a connection budget."""

    @property
    def exhausted(self) -> bool:
        """Whether the quick attempts are used up, until a connection is proven."""
        return self.exhausted_at is not None

    def counting_anew(self) -> ConnectionState:
        """Forget the failures so far."""
        return evolve(self, attempt=0, waited=0.0).fresh()

    def fresh(self) -> ConnectionState:
        """Forget for how long there has been no connection, and what was said of that."""
        return evolve(self, exhausted_at=None, away_since=None, needs_attention=False)

    def away(self, now: float) -> ConnectionState:
        """Note since when there is no connection, if that is not known."""
        return self if self.away_since is not None else evolve(self, away_since=now)

    def uncounted(self) -> ConnectionState:
        """Let the next attempt have the number of this one: what was asked for is no failure."""
        return evolve(self, attempt=max(self.attempt - 1, 0))

    def down(self) -> ConnectionState:
        """Forget what was true of a connection that is there no more."""
        return evolve(self, successor=None, rotate_at=None, besides=0)

    def renewed(self) -> ConnectionState:
        """Forget all but the numbers that were used, and that an operator wants a pause."""
        return ConnectionState(
            generation=self.begun,
            begun=self.begun,
            pause_wanted=self.pause_wanted,
            budgeted=self.budgeted,
        )


Step = tuple[ConnectionState, tuple[Action, ...]]
"""What comes of a signal: what the machine knows then, and what is to be done, in order."""
