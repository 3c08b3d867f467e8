"""A channel without a network, which does what a script says, and on which tests can act."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from contextlib import asynccontextmanager
from enum import StrEnum
from typing import TYPE_CHECKING, Any, final

import trio
from attrs import frozen

from .._exceptions import ChannelError
from ..abc import Channel
from ..policy.failures import Cause, FailureClass
from ..policy.handlers import parse_handler
from ..policy.mistakes import MistakeList
from ..policy.specs import ChildSpec
from .fake_connection import FakeConnection
from .faults import NO_FAULTS, Fault, FaultKind, FaultSchedule, as_schedule
from .script import CRASH, Attempt, Script, as_script, cause_of_refusal

if TYPE_CHECKING:
    from .._instance.handle import Instance

SESSION_REFUSED = Cause(FailureClass.RECOVERABLE, "session_refused", lost=True)
"""What an attempt fails with that `Attempt.refuses_session` refuses."""

_KEPT = 1000
_REFUSING = (FaultKind.OUTAGE, FaultKind.REFUSE, FaultKind.EXPIRE)


class DeedKind(StrEnum):
    """What a fake has done, or what was done to it."""

    BEGAN = "began"
    CONNECTED = "connected"
    RESUMED = "resumed"
    FAILED = "failed"
    CLOSING = "closing"
    CLOSED = "closed"
    DROPPED = "dropped"


@final
@frozen
class Deed:
    """One thing that happened at a fake."""

    at: float
    """When, in seconds of `trio.current_time`."""
    attempt: int
    """On which attempt, or the connection that came of it, counted from 1."""
    kind: DeedKind
    """What: ``began`` an attempt; ``connected``, and ``resumed`` where a session went on; the child
    ``failed``, by a crash or a loss; it was ``closing`` in order; it ended, ``closed`` in order or
    ``dropped``."""


class FakeChannel(Channel[FakeConnection]):
    """A channel without a network. It does what a script says; without one, nothing goes wrong.

    Each connection has one child, ``reader``, which receives the messages: whole numbers, counted
    from 1 on each connection, and what `deliver` sends. A connected fake leaves its attempt's
    number as the session, unless it resumes one that the instance brings.

    Everything is in Trio's time, so that a test under ``MockClock`` waits for nothing.

    Args:
        script: What each attempt meets.
        faults: What goes wrong by the clock, beside the script.
        since: When the schedule of faults begins, in Trio's time; None: at the first attempt.
        on_message: Is called with each message. What it raises, the reader crashes with.
        overlaps: Whether it bears two connections at once; see `Channel.overlaps`.

    Raises:
        InvalidSpec: With every mistake.
    """

    channel_type = "fake"

    def __init__(
        self,
        script: Script | Attempt | Iterable[Attempt] = (),
        *,
        faults: FaultSchedule | Iterable[Fault] = NO_FAULTS,
        since: float | None = None,
        on_message: Callable[[Instance, object], Awaitable[None]] | None = None,
        overlaps: bool = False,
    ) -> None:
        wrong = MistakeList("FakeChannel")
        with wrong.part("script"):
            self.script = as_script(script)
        with wrong.part():
            self._faults = as_schedule(faults)
        wrong.number("since", since, at_least=-math.inf, finite=True, optional=True)
        self._on_message = parse_handler(wrong, on_message)
        wrong.boolean("overlaps", overlaps)
        wrong.raise_any()
        self.overlaps = overlaps
        self.attempts: int = 0
        """Attempts that began."""
        self.living: int = 0
        """Generations of which something is left now."""
        self.most_living: int = 0
        """... and the most there ever were at once."""
        self.credentials: Any = None
        """What `Runtime.update_credentials` has given last."""
        self.deeds: deque[Deed] = deque(maxlen=_KEPT)
        """What happened, oldest first; the last thousand."""
        self.message_times: deque[float] = deque(maxlen=_KEPT)
        """When messages were handed out, in Trio's time; the last thousand. They are no deeds, or
        nothing else would be kept of a long time."""
        self._since = since
        self._renewed_at = -math.inf
        self._connections: list[FakeConnection] = []
        if since is not None:
            self._faults = self._faults.shifted(since)

    def __repr__(self) -> str:
        now = f"attempts={self.attempts} connections={len(self._connections)}"
        return f"<{type(self).__qualname__} {now}>"

    # --- for tests -------------------------------------------------------------------------------

    @property
    def script(self) -> Script:
        """What each attempt meets; a test may set another one, for the attempts to come.

        It is given as `FakeChannel` takes it.

        Raises:
            InvalidSpec: What is set is no script.
        """
        return self._script

    @script.setter
    def script(self, script: Script | Attempt | Iterable[Attempt]) -> None:
        self._script = as_script(script)

    @property
    def connection(self) -> FakeConnection:
        """The newest open connection.

        Raises:
            RuntimeError: None is open.
        """
        if not self._connections:
            raise RuntimeError("the fake is not connected: wait_status('connected') first")

        return self._connections[-1]

    def lose(self, why: Cause | int = 1006) -> None:
        """Lose the newest connection, now; nothing changes where it is lost already.

        Args:
            why: A cause, which should say ``lost``, or a close code.

        Raises:
            RuntimeError: None is open.
        """
        self.connection.lose(why)

    def crash(self, why: Cause = CRASH) -> None:
        """Let the reader of the newest connection crash, now.

        Raises:
            RuntimeError: None is open.
        """
        self.connection.crash(why)

    def deliver(self, message: object) -> None:
        """Send a message on the newest connection, also where the script has it deaf.

        Raises:
            RuntimeError: None is open.
        """
        self.connection.deliver(message)

    def times(self, kind: DeedKind | str) -> Sequence[float]:
        """Return when deeds of a kind happened, of those that are kept; "began" for attempts."""
        return [deed.at for deed in self.deeds if deed.kind == kind]

    # --- the channel -----------------------------------------------------------------------------

    @asynccontextmanager
    async def connect(self, instance: Instance) -> AsyncIterator[FakeConnection]:
        """Do what the script says of the next attempt. See `Channel.connect`."""
        self.attempts += 1
        number, attempt = self.attempts, self.script[self.attempts]
        self.living += 1
        self.most_living = max(self.most_living, self.living)
        self._begin_schedule()
        self._note(number, DeedKind.BEGAN)
        end = DeedKind.DROPPED
        try:
            connection = await self._open(instance, number, attempt)
            self._connections.append(connection)
            try:
                yield connection
            finally:
                self._connections.remove(connection)
            self._note(number, DeedKind.CLOSING)
            await self._close(attempt)
            end = DeedKind.CLOSED
        finally:
            await _stay(attempt.stays)
            self.living -= 1
            self._note(number, end)

    def children(self, instance: Instance, connection: FakeConnection) -> Sequence[ChildSpec]:
        """Return the reader. See `Channel.children`."""
        return (ChildSpec("reader", self._read, (instance, connection)),)

    async def probe(self, instance: Instance, connection: FakeConnection) -> None:  # noqa: ARG002 - the contract
        """Answer, unless the script has it mute. See `Channel.probe`."""
        await connection.answer_probe()

    def update_credentials(self, credentials: object) -> None:
        """Take in anything. Attempts that `FaultKind.EXPIRE` refused until now are accepted."""
        self.credentials = credentials
        self._renewed_at = trio.current_time()

    # --- its parts -------------------------------------------------------------------------------

    def _note(self, number: int, kind: DeedKind) -> None:
        self.deeds.append(Deed(trio.current_time(), number, kind))

    def _begin_schedule(self) -> None:
        if self._since is None:
            self._since = trio.current_time()
            self._faults = self._faults.shifted(self._since)

    async def _open(self, instance: Instance, number: int, attempt: Attempt) -> FakeConnection:
        await trio.sleep(attempt.takes)
        await trio.sleep_until(self._faults.over(trio.current_time(), FaultKind.HANG))
        if attempt.refused is not None:
            raise ChannelError(cause_of_refusal(attempt.refused))
        for fault in self._faults.active(trio.current_time(), *_REFUSING):
            if fault.kind is not FaultKind.EXPIRE or fault.at > self._renewed_at:
                raise ChannelError(fault.cause)

        resumes = instance.session is not None
        if resumes and attempt.refuses_session:
            instance.session = None
            raise ChannelError(SESSION_REFUSED)
        if not resumes:
            instance.session = number
        self._note(number, DeedKind.CONNECTED)
        if resumes:
            self._note(number, DeedKind.RESUMED)
        return FakeConnection(instance, number, attempt, self._faults)

    async def _close(self, attempt: Attempt) -> None:
        await trio.sleep(attempt.close_takes)
        await trio.sleep_until(self._faults.over(trio.current_time(), FaultKind.SLOW_CLOSE))
        if attempt.close_fails is not None:
            raise ChannelError(attempt.close_fails)

    async def _read(
        self, instance: Instance, connection: FakeConnection, *, task_status: trio.TaskStatus[None]
    ) -> None:
        try:
            connection.start_child()
            task_status.started()
            while True:
                message = await connection.receive()
                self.message_times.append(trio.current_time())
                instance.saw_event()
                if self._on_message is not None:
                    await self._on_message(instance, message)
        except Exception:
            self._note(connection.number, DeedKind.FAILED)
            raise
        finally:
            await _stay(connection.attempt.child_stays)


async def _stay(seconds: float) -> None:
    """Go on for so long, whoever cancels; only where somebody does."""
    if seconds and trio.current_effective_deadline() == -math.inf:
        with trio.CancelScope(shield=True):
            await trio.sleep(seconds)
