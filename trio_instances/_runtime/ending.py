"""The end of a runtime, as those see it who live longer."""

from __future__ import annotations

from typing import TYPE_CHECKING, final

import trio

from .._supervision.stopping import stuck_in

if TYPE_CHECKING:
    from .._supervision.core import Core


@final
class RuntimeEnding:
    """How far the end of a runtime is: `Runtime.ending`.

    Cancelling what waits here changes nothing.

    Args:
        core: The supervisor of the instances.
    """

    def __init__(self, core: Core) -> None:
        self._core = core
        self._begun = trio.Event()

    @property
    def begun(self) -> bool:
        """Whether it has begun."""
        return self._begun.is_set()

    @property
    def over(self) -> bool:
        """Whether the last instance has ended."""
        return self._core.stopped.is_set()

    async def wait_begun(self) -> None:
        """Wait until it begins."""
        await self._begun.wait()

    async def wait_over(self) -> None:
        """Wait until the last instance has ended."""
        await self._core.stopped.wait()

    def stuck_children(self) -> tuple[str, ...]:
        """Return the paths of the children that were cancelled, and reported as not ending."""
        return tuple(stuck_in(self._core))

    def begin(self) -> None:
        """Take note that it begins; for the runtime only."""
        self._begun.set()
