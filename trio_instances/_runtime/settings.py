"""What holds for a whole runtime."""

from __future__ import annotations

from enum import StrEnum
from typing import cast, final

from attrs import field, frozen

from ..policy.intensity import RestartIntensity
from ..policy.mistakes import MistakeList, member_or_given
from ..policy.strategies import StopOrder


class OnInstanceFailure(StrEnum):
    """What the runtime does when an instance fails for good.

    - ``park``: the instance is left down and visible; the others go on.
    - ``escalate``: the runtime stops all instances in order and raises.
    """

    PARK = "park"
    ESCALATE = "escalate"


def _on_instance_failure(value: OnInstanceFailure | str) -> OnInstanceFailure:
    return member_or_given(OnInstanceFailure, value)


def _stop_order(value: StopOrder | str) -> StopOrder:
    return member_or_given(StopOrder, value)


def _ids(value: object) -> tuple[str, ...] | None:
    return cast("tuple[str, ...] | None", tuple(value) if isinstance(value, list) else value)


@final
@frozen(kw_only=True)
class RuntimeSettings:
    """What holds for a whole runtime."""

    name: str = "runtime"
    """The root of every path in it."""
    instance_intensity: RestartIntensity = RestartIntensity(max_restarts=6, period=30.0)
    """Restarts of one instance as a whole, for each alone: one more than its children may need."""
    on_instance_failure: OnInstanceFailure = field(
        default=OnInstanceFailure.PARK, converter=_on_instance_failure
    )
    """What follows when an instance fails for good."""
    stop_order: StopOrder = field(default=StopOrder.REVERSE, converter=_stop_order)
    """Whether the end of the runtime stops its instances one after the other, or all at once."""
    probes_at_once: int = 200
    """Probes that may run at once, of all instances together.

    Enough for a thousand instances of which every probe uses up its time: 1,000 * 5 s / 30 s = 167.
    """
    required: tuple[str, ...] | None = field(default=None, converter=_ids)
    """The ids of the instances without which the start is not done; None: all that can be proven.

    See `notify_init_system`.
    """
    sink_buffer: int = 10_000
    """Events that one slow sink may lag behind before it loses some."""
    sink_timeout: float = 5.0
    """Seconds that all sinks together have to take in the last events."""
    sink_write_timeout: float = 10.0
    """Seconds after which a sink that takes in events is cut off, to be tried again later."""

    def __attrs_post_init__(self) -> None:
        wrong = MistakeList("RuntimeSettings")
        wrong.name("name", self.name)
        wrong.instance("instance_intensity", self.instance_intensity, RestartIntensity)
        wrong.member("on_instance_failure", self.on_instance_failure, OnInstanceFailure)
        wrong.member("stop_order", self.stop_order, StopOrder)
        wrong.whole("probes_at_once", self.probes_at_once, at_least=1)
        if isinstance(self.required, tuple):
            for index, each in enumerate(self.required):
                wrong.name(f"required[{index}]", each)
        elif self.required is not None:
            wrong.add("required", self.required, "must be a list of ids, or None")
        wrong.whole("sink_buffer", self.sink_buffer, at_least=1)
        wrong.number("sink_timeout", self.sink_timeout, finite=True)
        wrong.number("sink_write_timeout", self.sink_write_timeout, above=0.0)
        wrong.raise_any()
