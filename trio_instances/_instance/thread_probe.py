"""Probing with a function that blocks: in a thread, within the probe's budget."""

from __future__ import annotations

from collections.abc import Callable
from contextvars import ContextVar
from typing import TYPE_CHECKING, TypeVar, TypeVarTuple, cast, final

import trio

from .life_signs import LifeSigns

if TYPE_CHECKING:
    from trio.lowlevel import Task

T = TypeVar("T")
Ts = TypeVarTuple("Ts")

PROBE_THREADS = 40
"""Threads for all blocking probes of a program; as many as Trio has for everything else."""

probed: ContextVar[LifeSigns | None] = ContextVar("trio_instances.probed", default=None)
"""The instance that this task probes."""

_threads: trio.lowlevel.RunVar[trio.CapacityLimiter] = trio.lowlevel.RunVar("probe threads")


async def thread_probe(
    function: Callable[[*Ts], T], *args: *Ts, limiter: trio.CapacityLimiter | None = None
) -> T:
    """Run a blocking function in a thread, for a `Channel.probe` that has no other way to ask.

    ::

        async def probe(self, instance, connection):
            await thread_probe(requests.get, self.status_url)

    Cancelling it, which is what the end of the probe's budget does, abandons the thread: it goes
    on, for nobody can end it, and what it returns or raises is dropped. It keeps its place in the
    limit until it ends. So probes that hang never pile up threads: further ones wait for a place,
    and fail by their own budgets. An instance has one place at a time, so that one that hangs takes
    none from others. `trio.from_thread.check_cancelled` tells the function that it was abandoned.

    The function sees the context variables of the probe; what it sets there is lost.

    Args:
        function: Must be fit to run in another thread.
        args: What it is called with.
        limiter: Whose places it takes; None takes those of all blocking probes, 40 at a time.

    Returns:
        What the function returns.

    Raises:
        Exception: What the function raises.
    """
    signs = probed.get()
    own = None if signs is None else signs.thread
    limit = _OneEach(own, _shared() if limiter is None else limiter)
    return await trio.to_thread.run_sync(
        function,
        *args,
        abandon_on_cancel=True,
        limiter=cast("trio.CapacityLimiter", limit),  # Trio takes whatever has these two methods
    )


def _shared() -> trio.CapacityLimiter:
    try:
        return _threads.get()
    except LookupError:
        limiter = trio.CapacityLimiter(PROBE_THREADS)
        _threads.set(limiter)
        return limiter


@final
class _OneEach:
    """A place of the instance's own, and then one of everybody's."""

    def __init__(self, own: trio.CapacityLimiter | None, shared: trio.CapacityLimiter) -> None:
        self._own = own
        self._shared = shared

    async def acquire_on_behalf_of(self, borrower: Task | object) -> None:
        if self._own is not None:
            await self._own.acquire_on_behalf_of(borrower)
        try:
            await self._shared.acquire_on_behalf_of(borrower)
        except BaseException:
            if self._own is not None:
                self._own.release_on_behalf_of(borrower)
            raise

    def release_on_behalf_of(self, borrower: Task | object) -> None:
        self._shared.release_on_behalf_of(borrower)
        if self._own is not None:
            self._own.release_on_behalf_of(borrower)
