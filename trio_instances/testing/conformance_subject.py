"""One channel that is checked, and an instance for it: opened, lived with, and closed."""

from __future__ import annotations

import inspect
import math
from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from random import Random
from typing import Any, final

import trio

from .._exceptions import ChildStartFailed, Escalation
from .._instance.handle import Instance
from .._instance.life_signs import LifeSigns
from .._instance.probe_schedule import ProbeSchedule
from .._instance.record import InstanceRecord
from .._instance.spec import InstanceSpec
from .._instance.watching import Lookout
from .._supervision.core import Core
from .._supervision.opening import open_supervisor
from .._supervision.reporter import Reporter
from .._supervision.supervisor import Supervisor
from ..abc import Channel
from ..policy.options import SupervisorOptions
from ..policy.specs import ChildSpec
from ..telemetry.bus import EventBus
from .rules import BrokenRule, Late, limited

_OWN = "own"
"""The path of the supervisor of an instance's own children."""


@final
class Subject:
    """One channel to be checked, and an instance for it that does nothing."""

    def __init__(self, channel: Channel[Any], limit: float, patience: float) -> None:
        self.channel = channel
        self.limit = limit
        self.patience = patience
        spec = InstanceSpec(id="checked", channel=channel)
        signs = LifeSigns(ProbeSchedule(1))
        core = Core(
            path="checked",
            options=SupervisorOptions(),
            reporter=Reporter(EventBus()),
            random=Random(0),
        )
        record = InstanceRecord(spec, core, signs, Lookout())
        record.handle = self.instance = Instance(record)

    @asynccontextmanager
    async def run_own_children(self) -> AsyncIterator[None]:
        """Run the instance's own children around a block, as an instance does."""
        given = self.channel.instance_children(self.instance)
        children = _checked_children("instance_children", given)
        try:
            async with open_supervisor(name=_OWN, classify=self.channel.classify) as supervisor:
                with limited("the start of its own children", self.limit):
                    await supervisor.start_children(children)
                yield
                with limited("the stop of its own children", self.limit):
                    await supervisor.stop()
        except (ChildStartFailed, Escalation) as exc:
            if exc.path.split("/")[0] != _OWN:
                raise
            raise BrokenRule("the instance's own children get ready, and run", str(exc)) from exc

    @asynccontextmanager
    async def generation(self) -> AsyncIterator[tuple[Any, Supervisor]]:
        """Open a connection with its children, and close it, as an instance does.

        Raises:
            Late: Connecting, or closing, takes too long.
        """
        step = "connect"
        with trio.CancelScope(deadline=trio.current_time() + self.limit) as scope:
            async with (
                checked_context(self.channel.connect(self.instance)) as connection,
                open_supervisor(classify=self.channel.classify) as supervisor,
            ):
                given = self.channel.children(self.instance, connection)
                await supervisor.start_children(_checked_children("children", given))
                scope.deadline = math.inf
                try:
                    yield connection, supervisor
                finally:
                    step, scope.deadline = "closing", trio.current_time() + self.limit
                await supervisor.stop()
        if scope.cancel_called:
            raise Late(step, self.limit)

    async def live(self) -> None:
        """Have one connection from its beginning to its end, a probe included."""
        async with self.generation() as (connection, _):
            with limited("probe", self.limit):
                await self.channel.probe(self.instance, connection)

    @property
    def whole(self) -> float:
        """Seconds that `live` may take: to connect, to probe, and to close."""
        return 3 * self.limit


def checked_context(given: object) -> AbstractAsyncContextManager[Any]:
    """Check what `connect` has returned.

    Raises:
        BrokenRule: It is no async context manager.
    """
    if isinstance(given, AbstractAsyncContextManager):
        return given

    if inspect.iscoroutine(given):
        given.close()  # or Python would warn that nobody awaits it
    raise BrokenRule(
        "connect returns an async context manager",
        f"it returned {given!r}; is @asynccontextmanager missing?",
    )


def _checked_children(hook: str, given: object) -> Sequence[ChildSpec]:
    rule = f"{hook} returns a sequence of ChildSpec, each with a name of its own"
    if inspect.iscoroutine(given):
        given.close()
    if not isinstance(given, Sequence) or not all(isinstance(c, ChildSpec) for c in given):
        raise BrokenRule(rule, f"it returned {given!r}")

    names = [child.name for child in given]
    if len(set(names)) < len(names):
        raise BrokenRule(rule, f"the names are {', '.join(names)}")

    return given
