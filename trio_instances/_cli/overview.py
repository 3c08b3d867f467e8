"""What is known of a fleet elsewhere, folded from answers and events. Pure.

Events only say whom to ask about again: what is shown of an instance always comes from a snapshot,
so that no event that was missed or misread can leave a wrong picture behind.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Collection, Sequence
from typing import final

from attrs import define, field, frozen

from .answer import Answer, Budget, Row
from .following import Bye, Gap, Happened, Lost, News, Opened, Pulse

RATE_WINDOW = 10.0
"""Seconds over which a budget's grants are counted; the endpoint counts attempts over as many."""
_LATELY = 100
_BAD = ("WARNING", "ERROR")
EVENTS, SNAPSHOTS = "events", "snapshots"
"""The two ways in which news comes, each of which can fail."""


@final
@frozen
class Trouble:
    """Why the picture is not of now."""

    since: float
    """When anything was last heard."""
    why: str
    again_at: float


@final
@frozen
class Line:
    """Something that happened lately, in words."""

    at: float
    level: str
    text: str


@final
@define(eq=False)
class Overview:
    """A fleet, as far as it is known here. All times called ``now`` are of this side's clock."""

    rows: dict[str, Row] = field(factory=dict)
    budgets: tuple[Budget, ...] = ()
    attempts_per_second: float = 0.0
    named: set[str] = field(factory=set)
    """Instances that something has happened to since their snapshots."""
    whole: bool = True
    """Whether the snapshots of all are wanted, because nobody knows what has happened."""
    lately: deque[Line] = field(factory=lambda: deque(maxlen=_LATELY))
    """Warnings and errors, the newest last."""
    heard_at: float | None = None
    _run: str | None = None
    """The run of the process that the rows are of."""
    _ahead: float = 0.0
    """By how many seconds the other side's clock is ahead of ours; they have nothing in common."""
    _troubles: dict[str, Trouble] = field(factory=dict)
    _grants: dict[str, deque[tuple[float, int]]] = field(factory=dict)

    # --- what comes in ---------------------------------------------------------------------------

    def take_all(self, answer: Answer, now: float) -> None:
        """Take the snapshots of all instances in."""
        self.rows = {row.instance_id: row for row in answer.instances}
        self._run = answer.run
        self._take_head(answer, now)

    def take_some(self, asked: Collection[str], answer: Answer, now: float) -> None:
        """Take the snapshots of some in. Those that were asked for and are not there are gone.

        Those of another run of the process are not taken in: all are wanted then.
        """
        if answer.run != self._run:
            self.whole = True
            return

        for name in asked:
            self.rows.pop(name, None)
        self.rows.update({row.instance_id: row for row in answer.instances})
        self._take_head(answer, now)

    def take_news(self, news: Sequence[News], now: float) -> None:
        """Take in what the stream of events brings."""
        for each in news:
            match each:
                case Happened():
                    self._take_event(each)
                case Gap():
                    self.whole = True
                case Lost():
                    self.fails(EVENTS, str(each.failure), each.wait, now)
                case Opened() | Bye() | Pulse():
                    pass  # a pulse may be of another run, whose clock is not that of the rows
        if any(not isinstance(each, Lost) for each in news):
            self.works(EVENTS, now)

    def fails(self, way: str, why: str, wait: float, now: float) -> None:
        """Note that news does not come in one of the ways."""
        before = self._troubles.get(way)
        heard = now if self.heard_at is None else self.heard_at
        since = heard if before is None else before.since
        self._troubles[way] = Trouble(since, why, now + wait)

    def works(self, way: str, now: float) -> None:
        """Note that news comes in one of the ways."""
        self.heard_at = now
        self._troubles.pop(way, None)

    def _take_head(self, answer: Answer, now: float) -> None:
        self._ahead = answer.at - now
        self.attempts_per_second = answer.attempts_per_second
        self.budgets = answer.budgets
        keys = {budget.key for budget in answer.budgets}
        self._grants = {key: some for key, some in self._grants.items() if key in keys}
        for budget in answer.budgets:
            samples = self._grants.setdefault(budget.key, deque())
            if samples and (samples[-1][1] > budget.granted or samples[-1][0] > answer.at):
                samples.clear()  # of another run of the process
            samples.append((answer.at, budget.granted))
            while len(samples) > 2 and samples[1][0] <= answer.at - RATE_WINDOW:  # noqa: PLR2004
                samples.popleft()
        self.works(SNAPSHOTS, now)

    def _take_event(self, event: Happened) -> None:
        name = event.data.get("instance_id")
        if isinstance(name, str):
            self.named.add(name)
        level, at = event.data.get("level"), event.data.get("at")
        if level in _BAD and isinstance(at, int | float):
            self.lately.append(Line(float(at), str(level), str(event.data.get("line"))))

    # --- what is known ---------------------------------------------------------------------------

    def seen_at(self, now: float) -> float:
        """Return what the other side's clock says now; where news is lost, what it said last."""
        trouble = self.trouble
        return (now if trouble is None else trouble.since) + self._ahead

    def here(self, at: float) -> float:
        """Return what this side's clock said at a time of the other side's."""
        return at - self._ahead

    @property
    def trouble(self) -> Trouble | None:
        """What has been wrong for longest, if anything is."""
        return min(self._troubles.values(), key=lambda each: each.since, default=None)

    def counts(self) -> Counter[str]:
        """Return how many instances have each status."""
        return Counter(row.status for row in self.rows.values())

    def rate_of(self, budget: Budget) -> float | None:
        """Return the attempts a second that a budget grants lately; None where nobody knows yet."""
        samples = self._grants.get(budget.key)
        if not samples or samples[-1][0] <= samples[0][0]:
            return None

        return (samples[-1][1] - samples[0][1]) / (samples[-1][0] - samples[0][0])
