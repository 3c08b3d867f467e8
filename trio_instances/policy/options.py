"""How one supervisor behaves: everything about it that is decided when it is opened."""

from __future__ import annotations

from typing import final

from attrs import frozen

from .backoff import Backoff
from .causes.defaults import classify_failure
from .failures import Classify
from .intensity import RestartIntensity
from .mistakes import MistakeList
from .strategies import AutoShutdown, StopOrder, Strategy


@final
@frozen(kw_only=True)
class SupervisorOptions:
    """What `open_supervisor` takes; the meaning of each is told there."""

    strategy: Strategy = Strategy.ONE_FOR_ONE
    intensity: RestartIntensity = RestartIntensity()
    auto_shutdown: AutoShutdown = AutoShutdown.NEVER
    backoff: Backoff | None = None
    classify: Classify = classify_failure
    max_children: int | None = None
    stop_order: StopOrder = StopOrder.REVERSE

    def check(self, wrong: MistakeList) -> None:
        """Note every option that is not what it must be."""
        wrong.member("strategy", self.strategy, Strategy)
        wrong.instance("intensity", self.intensity, RestartIntensity)
        wrong.member("auto_shutdown", self.auto_shutdown, AutoShutdown)
        wrong.instance("backoff", self.backoff, Backoff, optional=True)
        if not callable(self.classify):
            expected = "must be a function from an exception to a Cause"
            wrong.add("classify", self.classify, expected)
        if self.max_children is not None:
            wrong.whole("max_children", self.max_children)
        wrong.member("stop_order", self.stop_order, StopOrder)
