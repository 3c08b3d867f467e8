"""What the stop of a supervisor was like: which children took long, and why."""

from __future__ import annotations

import heapq
import math
from typing import final

from attrs import frozen

from ..policy.failures import Cause

MAX_NOTABLE = 20
"""Children that a report names: enough to find the culprit, and bounded for 100,000 of them."""

_NAMED_IN_WORDS = 3


@final
@frozen
class ChildStop:
    """How one child ended that was asked to stop."""

    path: str
    seconds: float
    """From being asked to its end."""
    forced: bool
    """It did not use its soft stop within its budget, and was cancelled."""
    stuck: bool
    """It was cancelled, and went on for so long that it was reported."""
    cause: Cause | None
    """What it failed with while it ended, if it did."""

    def __str__(self) -> str:
        said = ["forced"] if self.forced else []
        if self.stuck:
            said.append("stuck")
        if self.cause is not None:
            said.append(str(self.cause))
        return f"{self.path} {self.seconds:.1f} s" + (f" ({', '.join(said)})" if said else "")


@final
@frozen
class StopReport:
    """How the stop of a supervisor went, the supervisors within its children included."""

    seconds: float
    """From the beginning of the stop to the end of the last child."""
    stopped: int
    """How many children ran, were asked, and ended."""
    forced: int
    """How many of them were cancelled because the budget of their soft stop was over."""
    stuck: int
    """How many ignored their cancellation so long that they were reported as stuck."""
    failed: int
    """How many raised something of their own while they ended."""
    notable: tuple[ChildStop, ...]
    """Those counted above first, then the others, the slowest first; at most 20."""

    def __str__(self) -> str:
        children = "child" if self.stopped == 1 else "children"
        parts = [f"stopped {self.stopped} {children} in {self.seconds:.1f} s"]
        counts = {"forced": self.forced, "stuck": self.stuck, "failed": self.failed}
        parts += [f"{count} {what}" for what, count in counts.items() if count]
        named = "; ".join(map(str, self.notable[:_NAMED_IN_WORDS]))
        return ", ".join(parts) + (f": {named}" if named else "")


@final
class StopLog:
    """Collects what a report tells, in bounded memory.

    Args:
        now: When the stop began, in seconds of `trio.current_time`.
    """

    def __init__(self, now: float) -> None:
        self._began_at = now
        self._stopped = 0
        self._forced = 0
        self._stuck = 0
        self._failed = 0
        self._notable: list[tuple[bool, float, int, ChildStop]] = []
        """A heap, the least notable on top; the number tells equals apart."""
        self._number = 0
        self._slow = -math.inf
        """What must be exceeded to be kept for nothing but the time it took, in seconds."""

    def note(
        self, path: str, seconds: float, *, forced: bool, stuck: bool, cause: Cause | None
    ) -> None:
        """Take in the end of a child; the arguments are the fields of `ChildStop`."""
        self._stopped += 1
        # Most of many end well and at once, and cost no more than this.
        if seconds > self._slow or forced or stuck or cause is not None:
            self._forced += forced
            self._stuck += stuck
            self._failed += cause is not None
            self._keep(ChildStop(path, seconds, forced, stuck, cause))

    def absorb(self, report: StopReport) -> None:
        """Take in the stop of a supervisor within one of the children."""
        self._stopped += report.stopped
        self._forced += report.forced
        self._stuck += report.stuck
        self._failed += report.failed
        for stop in report.notable:
            self._keep(stop)

    def _keep(self, stop: ChildStop) -> None:
        self._number -= 1  # of equals, the first is kept
        remarkable = stop.forced or stop.stuck or stop.cause is not None
        entry = (remarkable, stop.seconds, self._number, stop)
        if len(self._notable) < MAX_NOTABLE:
            heapq.heappush(self._notable, entry)
        else:
            heapq.heappushpop(self._notable, entry)
        if len(self._notable) == MAX_NOTABLE:
            remarkable, seconds, *_ = self._notable[0]
            self._slow = math.inf if remarkable else seconds

    def report(self, now: float) -> StopReport:
        """Return the report of a stop that is complete."""
        return StopReport(
            seconds=now - self._began_at,
            stopped=self._stopped,
            forced=self._forced,
            stuck=self._stuck,
            failed=self._failed,
            notable=tuple(entry[-1] for entry in sorted(self._notable, reverse=True)),
        )
