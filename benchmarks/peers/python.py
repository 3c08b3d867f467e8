"""triotp and mode: whether they are here, and how they are kept quiet."""

from __future__ import annotations

import asyncio
import importlib.util
import logging
from collections.abc import Awaitable, Callable
from contextlib import AbstractContextManager
from functools import partial
from typing import Any

MANY = 1_000_000_000
"""Restarts that are allowed where the number is not the point."""


def _installed(module: str) -> bool:
    return importlib.util.find_spec(module) is not None


triotp_here = partial(_installed, "triotp")
mode_here = partial(_installed, "mode")


def quiet_triotp() -> AbstractContextManager[object]:
    """Return a block in which triotp writes no log: the others write none either."""
    from logbook import NullHandler  # noqa: PLC0415 - not installed everywhere

    handler: AbstractContextManager[object] = NullHandler().applicationbound()
    return handler


def triotp_specs(run: Callable[..., Awaitable[None]], count: int) -> list[Any]:
    """Return so many children for triotp; each is called with its number.

    Args:
        run: What each does.
        count: How many.
    """
    from triotp import supervisor  # noqa: PLC0415 - not installed everywhere

    return [supervisor.child_spec(id=f"c-{n}", task=run, args=[n]) for n in range(count)]


async def triotp_supervise(specs: list[Any], **started: Any) -> None:
    """Run triotp's supervisor.

    Args:
        specs: Its children.
        started: The ``task_status``, where there is one.
    """
    from triotp import supervisor  # noqa: PLC0415 - not installed everywhere

    await supervisor.start(specs, supervisor.options(MANY, 1), **started)


def mode_services(run: Callable[[int], Awaitable[None]], count: int) -> list[Any]:
    """Return so many services for mode; each runs one task, which is called with its number.

    Args:
        run: What each does.
        count: How many.
    """
    from mode import Service  # noqa: PLC0415 - not installed everywhere

    class Child(Service):  # type: ignore[misc]  # mode is not typed
        abstract = False

        def __init__(self, number: int) -> None:
            super().__init__()
            self.number = number

        @Service.task
        async def _run(self) -> None:
            await run(self.number)

    return [Child(number) for number in range(count)]


def mode_supervisor(services: list[Any], *, kind: str = "OneForOneSupervisor") -> Any:
    """Return mode's supervisor of these services, which allows any number of restarts.

    Args:
        services: Its children.
        kind: The name of its class.
    """
    import mode  # noqa: PLC0415 - not installed everywhere

    supervisor = getattr(mode, kind)(max_restarts=MANY, over=1.0)
    supervisor.add(*services)  # of those given at once it hears no crash
    return supervisor


def run_mode(function: Callable[..., Awaitable[Any]], *args: Any) -> Any:
    """Run an async function in asyncio, without any log.

    Args:
        function: What to run.
        args: Its arguments.
    """
    logging.disable(logging.CRITICAL)

    async def main() -> Any:
        return await function(*args)

    return asyncio.run(main())
