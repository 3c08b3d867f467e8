"""Trio's choice among the tasks that are ready, taken from a seed."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import trio


@contextmanager
def scheduling(seed: int) -> Iterator[None]:
    """Let Trio run ready tasks in an order that the seed alone decides.

    Trio shuffles them on purpose, so that nobody depends on an order, and keeps a switch that makes
    the shuffling replayable; Hypothesis uses the same one.
    """
    inside: Any = trio._core._run  # noqa: SLF001 - there is no other way to it
    before = inside._ALLOW_DETERMINISTIC_SCHEDULING  # noqa: SLF001 - likewise
    inside._ALLOW_DETERMINISTIC_SCHEDULING = True  # noqa: SLF001 - likewise
    inside._r.seed(seed)  # noqa: SLF001 - likewise
    try:
        yield
    finally:
        inside._ALLOW_DETERMINISTIC_SCHEDULING = before  # noqa: SLF001 - likewise
