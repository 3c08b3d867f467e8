"""The operator: does what a schedule asks of a runtime, and waits for nothing."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, final

import trio

from ..._exceptions import ChannelError, InstanceError, SupervisionError
from ..._instance.handle import Instance
from ..._runtime.runtime import Runtime
from ...policy.failures import Cause, FailureClass
from .channel import Tell
from .facts import Asked, Raised
from .fleet import Fleet
from .world import FAULTS, MISHAPS, REPORTS, Happening, What

REPORTED = ChannelError(Cause(FailureClass.RECOVERABLE, "reported"))
"""What an application reports."""


@final
class Operator:
    """Everybody who asks something of one runtime.

    Args:
        runtime: Of whom it is asked.
        fleet: What the members are.
        callers: Where the calls go on.
        tell: Takes in what was asked.
    """

    def __init__(self, runtime: Runtime, fleet: Fleet, callers: trio.Nursery, tell: Tell) -> None:
        self._runtime = runtime
        self._fleet = fleet
        self._callers = callers
        self._tell = tell
        self._calls: list[trio.CancelScope] = []

    async def start_all(self) -> None:
        """Start every member, one after the other."""
        for spec in list(self._fleet.specs.values()):
            await self._call(self._runtime.start_instance, spec)

    def perform(self, step: Happening) -> None:
        """Do one thing, or begin it."""
        if step.what in FAULTS or step.what in MISHAPS:
            return  # the fakes do that by their clock

        if step.what is What.GIVE_UP:
            if self._calls:
                self._calls[-1].cancel()
            return

        now = trio.current_time()
        whom = "" if step.what is What.APPLY else step.target
        self._tell(Asked(at=now, instance_id=whom, verb=str(step.what)))
        verb = self._asynchronous(step)
        if verb is not None:
            self._callers.start_soon(self._call, *verb)
        else:
            self._ask(step)

    def _asynchronous(self, step: Happening) -> tuple[Any, ...] | None:
        """Return what to await, and with what; None for what is asked and done at once."""
        runtime, who = self._runtime, step.target
        if step.what is What.APPLY:
            if who:
                self._fleet.change(who, step.number, channel=step.lasts > 0)
            return runtime.apply, self._fleet.wanted(step.ids)

        return {
            What.START: (runtime.start_instance, self._fleet.specs.get(who)),
            What.STOP: (runtime.stop_instance, who),
            What.RESTART: (runtime.restart_instance, who),
            What.CREDENTIALS: (runtime.update_credentials, who, step.number),
            What.REVIVE: (self._revive, who, step.child),
        }.get(step.what)

    async def _revive(self, who: str, child: str) -> None:
        await self._runtime.instance(who).restart_child(child)

    async def _call(self, verb: Callable[..., Awaitable[object]], *args: object) -> None:
        scope = trio.CancelScope()
        self._calls.append(scope)
        try:
            with scope:
                await verb(*args)
        except (SupervisionError, InstanceError):
            pass  # what is documented may be raised
        except Exception as exc:
            text = f"{verb.__name__} raised {type(exc).__name__}: {exc}"
            self._tell(Raised(at=trio.current_time(), text=text))
        finally:
            self._calls.remove(scope)

    def _ask(self, step: Happening) -> None:
        found = [each for each in self._runtime.list_instances() if each.id == step.target]
        for instance in found:
            _ask(instance, step)


def _ask(instance: Instance, step: Happening) -> None:
    match step.what:
        case What.RECONNECT:
            instance.reconnect()
        case What.RETRY_NOW:
            instance.retry_now()
        case What.PAUSE:
            instance.pause()
        case What.RESUME:
            instance.resume()
        case What.DRAIN:
            instance.drain(30.0)
        case What.ROTATE:
            instance.rotate()
        case What.REPORT:
            for _ in range(REPORTS):
                instance.report_failure(REPORTED)
        case What.SUCCEED:
            instance.report_success()
        case _:
            raise ValueError(f"{step.what} is nothing that is asked of an instance")
