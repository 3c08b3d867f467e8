"""What no event tells of a runtime, as OpenTelemetry metrics that are read when they are wanted.

It needs the extra ``otel``, and is imported by its own name::

    from trio_instances.telemetry.sinks.otel_observer import observe_runtime
"""

from __future__ import annotations

import math
import threading
import time
import weakref
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import Future
from functools import partial
from typing import Final, final

import trio

from ...policy.mistakes import MistakeList
from .extras import not_installed
from .in_run import in_run
from .otel_instruments import BUDGET, INSTANCE_ID, PHASE, SCOPE, SINK, VERSION
from .runtime_families import NO_PARTS, HasParts, Parts, RuntimeFamily, families

try:
    from opentelemetry.metrics import CallbackOptions, Meter, MeterProvider, Observation, get_meter
except ModuleNotFoundError as missing:
    raise not_installed("observe_runtime", "otel", missing) from None

__all__ = ["observe_runtime"]

ATTRIBUTES: Final[Mapping[str, str]] = {
    "budget": BUDGET,
    "how": f"{SCOPE}.sink.failure.kind",
    "instance_id": INSTANCE_ID,
    "outcome": f"{SCOPE}.sink.outcome",
    "phase": PHASE,
    "sink": SINK,
}
"""What the labels of the families are called here."""


FRESH = 1.0
"""Seconds for which other threads are told the same, so that a collection asks only once."""
PATIENCE = 1.0
"""Seconds that another thread waits for the Trio thread. That one may itself wait for a collection
to end, in the SDK's ``force_flush`` for instance, and must not do so for ever."""


def observe_runtime(
    runtime: HasParts, *, meter_provider: MeterProvider | None = None, by_instance: bool = True
) -> None:
    """Have the connection budgets, the event loop, and the sinks of a runtime observed.

    Each time the SDK collects, in whatever thread, the Trio thread is asked. Where that is blocked
    for a second, what was seen before is told again. When the run of Trio is over, or nobody has
    the runtime any more, nothing is: a provider, which may be there for ever, does not keep it.

    Call it once for a runtime. Two runtimes of one process need a meter provider each, as their
    metrics have the same names.

    Args:
        runtime: Which.
        meter_provider: Where metrics go; the global one if None.
        by_instance: Whether the share of the event loop's time is told for each instance.

    Raises:
        InvalidSpec: `by_instance` is neither True nor False.
        RuntimeError: It is called outside of Trio.
    """
    wrong = MistakeList("observe_runtime")
    wrong.boolean("by_instance", by_instance)
    wrong.raise_any()
    window = _Window(runtime, trio.lowlevel.current_trio_token())
    meter = get_meter(SCOPE, VERSION, meter_provider=meter_provider)
    for family in families(by_instance=by_instance):
        callbacks = [partial(_observe, family, window)]
        _creator(meter, family)(f"{SCOPE}.{family.name}", callbacks, family.unit, family.help)


def _creator(meter: Meter, family: RuntimeFamily) -> Callable[..., object]:
    if family.counts:
        return meter.create_observable_counter
    if family.adds_up:
        return meter.create_observable_up_down_counter

    return meter.create_observable_gauge


@final
class _Window:
    """Through which any thread looks at a runtime."""

    def __init__(self, runtime: HasParts, token: trio.lowlevel.TrioToken) -> None:
        # A meter keeps its callbacks for ever: they must not keep all that a runtime holds.
        self._runtime = weakref.ref(runtime)
        self._token = token
        self._lock = threading.Lock()
        self._seen = NO_PARTS
        self._seen_at = -math.inf

    def look(self) -> Parts:
        """Return what there is to see."""
        if in_run(self._token):
            return self._look()

        with self._lock:
            if time.monotonic() - self._seen_at >= FRESH:
                self._seen, self._seen_at = self._ask(), time.monotonic()
            return self._seen

    def _look(self) -> Parts:
        runtime = self._runtime()
        return NO_PARTS if runtime is None else Parts.of(runtime)

    def _ask(self) -> Parts:
        answer: Future[Parts] = Future()
        try:
            # Not trio.from_thread, which waits for as long as it takes.
            self._token.run_sync_soon(self._answer, answer)
            return answer.result(timeout=PATIENCE)
        except trio.RunFinishedError:
            return NO_PARTS
        except TimeoutError:
            return self._seen

    def _answer(self, answer: Future[Parts]) -> None:
        # What it raised here would be taken for a bug in Trio, and end the run.
        try:
            answer.set_result(self._look())
        except Exception as exc:
            answer.set_exception(exc)


def _observe(family: RuntimeFamily, window: _Window, _: CallbackOptions) -> Iterable[Observation]:
    names = [ATTRIBUTES[label] for label in family.labels]
    return [
        Observation(value, dict(zip(names, labels, strict=True)))
        for labels, value in family.values(window.look())
    ]
