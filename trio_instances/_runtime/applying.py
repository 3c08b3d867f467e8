"""Desired state: one pass that makes the instances there are those that are wanted."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, final

import trio
from attrs import frozen

from .._exceptions import (
    ChildStartFailed,
    InstanceAlreadyStarted,
    InstanceNotFound,
    TrioInstancesError,
)
from .._instance.spec import InstanceSpec
from ..policy.mistakes import MistakeList
from ..telemetry.bus import EventBus
from ..telemetry.runtime_events import RuntimeApplied

if TYPE_CHECKING:
    from ..policy.desired import Changes


@final
@frozen(kw_only=True)
class Applied:
    """What one `Runtime.apply` did; ids in the order in which it was done."""

    stopped: tuple[str, ...]
    """Were there and are not wanted; newest first."""
    restarted: tuple[str, ...]
    """Were there, and are now what is wanted."""
    started: tuple[str, ...]
    """Were not there."""
    unchanged: tuple[str, ...]
    """Were there as they are wanted, and were not touched; also those that are parked."""
    failed: Mapping[str, TrioInstancesError]
    """What should have been started or restarted, and could not: the next pass tries again."""


def check_wanted(specs: Iterable[InstanceSpec]) -> tuple[InstanceSpec, ...]:
    """Return what is wanted as a tuple.

    Raises:
        InvalidSpec: Something is no specification, or two share an id or a channel object.
    """
    wrong = MistakeList("apply")
    if not isinstance(specs, Iterable):
        wrong.add("specs", specs, "must be several InstanceSpecs")
        wrong.raise_any()
    wanted = tuple(specs)
    ids: dict[str, int] = {}
    channels: dict[int, int] = {}
    for index, spec in enumerate(wanted):
        wrong.instance(f"specs[{index}]", spec, InstanceSpec)
        if not isinstance(spec, InstanceSpec):
            continue

        first = ids.setdefault(spec.id, index)
        if first != index:
            wrong.add(f"specs[{index}].id", spec.id, f"must be unique (specs[{first}] has it)")
        first = channels.setdefault(id(spec.channel), index)
        if first != index:
            expected = f"must be an object of its own (specs[{first}] has it)"
            wrong.add(f"specs[{index}].channel", spec.channel, expected)
    wrong.raise_any()
    return wanted


async def perform(
    changes: Changes,
    wanted: Iterable[InstanceSpec],
    *,
    stop: Callable[[str], Awaitable[None]],
    lend: Callable[[str], Awaitable[None]],
    replace: Callable[[InstanceSpec], Awaitable[object]],
    start: Callable[[InstanceSpec], Awaitable[object]],
) -> Applied:
    """Do what was decided, one after the other; each instance is dealt with once.

    Args:
        changes: What was decided.
        wanted: What there is to be.
        stop: Stops an instance and forgets it.
        lend: Stops an instance and keeps it, so that another one can have its channel object.
        replace: Restarts an instance as something else.
        start: Starts an instance.
    """
    specs = {spec.id: spec for spec in wanted}
    stopped, failed = [], dict[str, TrioInstancesError]()

    async def attempt(verb: Callable[[InstanceSpec], Awaitable[object]], spec_id: str) -> bool:
        try:
            await verb(specs[spec_id])
        except (ChildStartFailed, InstanceAlreadyStarted) as exc:
            failed[spec_id] = exc
            return False
        return True

    for each in changes.stop:
        if each in changes.lent:
            await lend(each)
        else:
            with suppress(InstanceNotFound):  # somebody else was faster
                await stop(each)
                stopped.append(each)
    return Applied(
        stopped=tuple(stopped),
        restarted=tuple([each for each in changes.restart if await attempt(replace, each)]),
        started=tuple([each for each in changes.start if await attempt(start, each)]),
        unchanged=changes.unchanged,
        failed=failed,
    )


def tell_applied(bus: EventBus, applied: Applied, began_at: float) -> None:
    """Tell of a pass that is done."""
    if bus.listening:
        now = trio.current_time()
        bus.publish(
            RuntimeApplied(
                at=now,
                stopped=len(applied.stopped),
                restarted=len(applied.restarted),
                started=len(applied.started),
                unchanged=len(applied.unchanged),
                failed=len(applied.failed),
                elapsed=now - began_at,
            )
        )
