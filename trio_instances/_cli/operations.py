"""The operations endpoint of a command, as a service around its runtime."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from .._exceptions import TrioInstancesError
from .._runtime.run_settings import RunSettings
from ..http import serve_operations
from ..policy.restart import RestartType

if TYPE_CHECKING:
    from .._runtime.runtime import Runtime
    from .._supervision.supervisor import Supervisor
    from ..policy.listening import Address


class CannotServe(TrioInstancesError):
    """The endpoint cannot begin; the text says why, and the way out."""


async def serve(
    services: Supervisor, runtime: Runtime, address: Address, settings: RunSettings | None = None
) -> str:
    """Start the operations endpoint of a runtime, and return its URL once it listens.

    A later failure of it is never the end of anything else. Cancelling it starts nothing.

    Args:
        services: Where it runs: around the runtime, so that it shows how that one stops.
        runtime: What it shows.
        address: Where it listens.
        settings: What else it is to be; as by default, if None.

    Raises:
        CannotServe: It cannot listen there, or the extra is not installed.
    """
    given = settings or RunSettings()
    run = partial(
        serve_operations,
        runtime,
        host=address.host,
        port=address.port,
        token=given.http_token,
        replay=given.http_replay,
        metrics_by_instance=given.metrics_by_instance,
    )
    try:
        child = await services.start(
            run, name="operations endpoint", restart=RestartType.TRANSIENT, essential=False
        )
    except (OSError, ImportError) as exc:
        raise CannotServe(exc.strerror if isinstance(exc, OSError) else str(exc)) from exc

    return str(child.value)
