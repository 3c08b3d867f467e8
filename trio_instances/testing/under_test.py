"""A runtime and a supervisor for the length of one test, and what is found at its end."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from random import Random
from typing import Any, final

from .._runtime.opening import open_runtime
from .._runtime.runtime import Runtime
from .._runtime.settings import RuntimeSettings
from .._supervision.opening import open_supervisor
from .._supervision.supervisor import Supervisor
from ..telemetry.schema import Event
from .expectations import (
    Expectations,
    LooseEnd,
    left_running,
    matters,
    pending_of_runtime,
    pending_of_tree,
)
from .lull import settle
from .recorder import EventRecorder


@final
class TestEnd:
    """What there was at the end of one test.

    Args:
        recorder: What was told.
        expectations: What the test said may happen.
    """

    __test__ = False  # or pytest would take its name for that of tests

    def __init__(self, recorder: EventRecorder, expectations: Expectations) -> None:
        self.tree = ""
        """The tree when the body had ended, as text."""
        self.events = ""
        """The last events before that, as text; those of the stop say nothing of the test."""
        self._recorder = recorder
        self._expectations = expectations
        self._pending: list[LooseEnd] = []
        self._root = ""
        """The path of the runtime."""
        # Kept here, as what a test's recorder keeps is the test's own to clear, or to bound.
        self._told: list[Event] = []
        recorder.bus.listen(self._hear)

    def _hear(self, event: Event) -> None:
        if matters(event):
            self._told.append(event)

    def unexpected(self) -> Sequence[str]:
        """Return what is not as it was expected, each as a text; ask when all has ended."""
        # In an order of their own: fixtures that know nothing of each other end in any order.
        pending = sorted(self._pending, key=lambda end: end.path)
        left = left_running(self._told, self._root)
        return self._expectations.unexpected(self._told, pending, left)

    @asynccontextmanager
    async def runtime(
        self, settings: RuntimeSettings | None, random: Random
    ) -> AsyncIterator[Runtime]:
        """Run a runtime for the length of the test."""
        async with open_runtime(settings, events=self._recorder.bus, random=random) as runtime:
            self._root = runtime.tree().path
            try:
                yield runtime
                await settle()
            finally:
                self._keep(runtime.dump())
                self._pending += pending_of_runtime(runtime)

    @asynccontextmanager
    async def supervisor(
        self, options: Mapping[str, Any], random: Random
    ) -> AsyncIterator[Supervisor]:
        """Run a supervisor for the length of the test."""
        options = {"events": self._recorder.bus, "random": random, **options}
        async with open_supervisor(**options) as supervisor:
            try:
                yield supervisor
                await settle()
            finally:
                self._keep(supervisor.dump())
                self._pending += pending_of_tree(supervisor.tree())
            await supervisor.stop()

    def _keep(self, tree: str) -> None:
        self.tree = f"{self.tree}\n{tree}".strip()
        self.events = self.events or self._recorder.tell()
