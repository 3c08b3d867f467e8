"""Whether the cost of a child grows with their number, with and without the garbage collector."""

from __future__ import annotations

import gc
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from functools import partial
from time import perf_counter

import trio

from . import start
from .harness.command import main
from .harness.values import OURS, Contender, Figure, Sample, Target, Workload

PARTS = (1000, 100, 10, 1)
"""Of the workload's size, from few children to many."""
AT_LEAST = 10_000
"""Children altogether, so that a small number is measured long enough."""

Measure = Callable[[int], Awaitable[Sample]]


class Collector:
    """The garbage collector, and how long it has been at work."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self._begun = 0.0

    def __call__(self, phase: str, _: dict[str, int]) -> None:
        """Take note of a run's begin or end; `gc.callbacks` calls it."""
        if phase == "start":
            self._begun = perf_counter()
        else:
            self.seconds += perf_counter() - self._begun


@contextmanager
def _watched() -> Iterator[Collector]:
    collector = Collector()
    gc.collect()
    gc.callbacks.append(collector)
    try:
        yield collector
    finally:
        gc.callbacks.remove(collector)


def measure(function: Measure, part: int, size: int) -> Sample:
    """Start and stop a part of so many children, often enough; once more without the collector."""
    count = max(size // part, 1)
    times = max(min(AT_LEAST, size) // count, 1)
    with _watched() as collector:
        whole = _mean(function, count, times)
    gc.disable()
    alone = _mean(function, count, times)
    gc.enable()
    both = (whole["start"] + whole["stop"]) * count * times
    return {
        "start": whole["start"],
        "start without gc": alone["start"],
        "stop": whole["stop"],
        "stop without gc": alone["stop"],
        "share of gc": collector.seconds / both,
    }


def _mean(function: Measure, count: int, times: int) -> dict[str, float]:
    samples = [trio.run(function, count) for _ in range(times)]
    return {name: sum(each[name] for each in samples) / times for name in ("start", "stop")}


def _names(who: str) -> dict[int, str]:
    return {part: f"{who}, {100_000 // part:,}" for part in PARTS}


WORKLOAD = Workload(
    name="growth",
    title="The cost of one child among a hundred, and among {n}",
    size=100_000,
    tiny=1_000,
    figures=(
        Figure("start", "µs", 1e6),
        Figure("start without gc", "µs", 1e6),
        Figure("stop", "µs", 1e6),
        Figure("stop without gc", "µs", 1e6),
        Figure("share of gc", "%", 100.0),
    ),
    contenders={
        name: Contender(partial(measure, function, part))
        for who, function in ((OURS, start.ours), ("nursery.start", start.nursery_start))
        for part, name in _names(who).items()
    },
    targets=tuple(
        Target(figure, 1.25, of=f"{OURS}, 100", by=f"{OURS}, 100,000")
        for figure in ("start without gc", "stop without gc")
    ),
)

if __name__ == "__main__":
    main(WORKLOAD)
