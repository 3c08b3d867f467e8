"""One connection of a `FakeChannel`: what happens on it, and when, by the script and the clock."""

from __future__ import annotations

import math
from collections import deque
from enum import IntEnum
from typing import TYPE_CHECKING, final

import trio

from .._exceptions import ChannelError
from ..policy.failures import Cause
from .faults import FaultKind, FaultSchedule
from .script import Attempt, cause_of_end

if TYPE_CHECKING:
    from .._instance.handle import Instance

_ENDING = (FaultKind.OUTAGE, FaultKind.DROP, FaultKind.EXPIRE)


class _Due(IntEnum):  # what comes first of what is due at the same moment
    MESSAGE = 0
    CRASH = 1
    ROTATION = 2
    LOSS = 3


@final
class FakeConnection:
    """One connection of a `FakeChannel`, which makes it.

    Args:
        instance: Whose it is.
        number: Which attempt it comes from, counted from 1.
        attempt: What happens to it.
        faults: What happens to it by the clock, in Trio's time.
    """

    def __init__(
        self, instance: Instance, number: int, attempt: Attempt, faults: FaultSchedule
    ) -> None:
        now = trio.current_time()
        self.number = number
        self.attempt = attempt
        self.opened_at = now
        """When it was connected, in Trio's time."""
        self.received: int = 0
        """Messages that were received, those that the child crashed at included."""
        self.child_starts: int = 0
        """Incarnations of its child so far."""
        self._instance = instance
        self._faults = faults
        self._inbox: deque[object] = deque()
        self._poked = trio.Event()
        self._message_at = now
        self._sent = 0
        self._crashed_at = now
        self._rotates_at = now + attempt.rotates_after
        self._lost_at = now + attempt.holds
        self._why = cause_of_end(attempt.ends)
        self._crash: Cause | None = None
        fault = faults.next(now, *_ENDING)
        if fault is not None and fault.at < self._lost_at:
            self._lost_at, self._why = fault.at, fault.cause

    # --- for the channel's own use ---------------------------------------------------------------

    def start_child(self) -> None:
        """Count one more incarnation of its child.

        Raises:
            ChannelError: The script wants it to crash before it is ready.
        """
        self.child_starts += 1
        if self.child_starts in self.attempt.bad_starts:
            raise ChannelError(self.attempt.crash)

    async def receive(self) -> object:
        """Return the next message; wait for it. Cancelling loses nothing.

        Raises:
            ChannelError: The connection is lost, or the script wants a crash here.
        """
        await trio.lowlevel.checkpoint_if_cancelled()
        while True:
            at, due = self._next()
            if at > trio.current_time():
                with trio.move_on_at(at):
                    await self._poked.wait()
                continue

            if due is _Due.LOSS:
                raise ChannelError(self._why)
            if due is _Due.CRASH:
                raise ChannelError(self._take_crash(at))
            if due is _Due.ROTATION:
                self._rotates_at = math.inf
                self._instance.rotate()
                continue

            return self._take_message()

    async def answer_probe(self) -> None:
        """Answer a probe, or not; for ever.

        Raises:
            ChannelError: The connection is lost.
        """
        await trio.lowlevel.checkpoint()
        if trio.current_time() >= self.opened_at + self.attempt.mute_after:
            await trio.sleep_forever()
        await trio.sleep_until(self._faults.over(trio.current_time(), FaultKind.MUTE))
        if trio.current_time() >= self._lost_at:
            raise ChannelError(self._why)

    # --- for tests -------------------------------------------------------------------------------

    def lose(self, why: Cause | int) -> None:
        """Lose it now."""
        if self._lost_at > trio.current_time():
            self._lost_at, self._why = trio.current_time(), cause_of_end(why)
            self._poke()

    def crash(self, why: Cause) -> None:
        """Let the child crash that reads, now; or as soon as it reads again."""
        self._crash = why
        self._poke()

    def deliver(self, message: object) -> None:
        """Send it a message, beside those of the script."""
        self._inbox.append(message)
        self._poke()

    # --- what is due -----------------------------------------------------------------------------

    def _poke(self) -> None:
        self._poked.set()
        self._poked = trio.Event()

    def _next(self) -> tuple[float, _Due]:
        return min(
            (self._next_message(), _Due.MESSAGE),
            (self._next_crash(), _Due.CRASH),
            (self._rotates_at, _Due.ROTATION),
            (self._lost_at, _Due.LOSS),
        )

    def _next_message(self) -> float:
        if self._inbox:
            return trio.current_time()

        at = self._faults.over(self._message_at, FaultKind.DEAF, FaultKind.MUTE)
        return at if at < self.opened_at + self.attempt.deaf_after else math.inf

    def _next_crash(self) -> float:
        if self._crash is not None:
            return trio.current_time()

        fault = self._faults.next(self._crashed_at, FaultKind.CRASH)
        return math.inf if fault is None else fault.at

    def _take_crash(self, at: float) -> Cause:
        asked, self._crash = self._crash, None
        if asked is not None:
            return asked

        fault = self._faults.next(self._crashed_at, FaultKind.CRASH)
        assert fault is not None
        self._crashed_at = at
        return fault.cause

    def _take_message(self) -> object:
        if self._inbox:
            message = self._inbox.popleft()
        else:
            self._sent += 1
            message = self._sent
            self._message_at = (
                self._faults.over(self._message_at, FaultKind.DEAF, FaultKind.MUTE)
                + self.attempt.every
            )
        self.received += 1
        if self.received in self.attempt.crashes:
            raise ChannelError(self.attempt.crash)

        return message
