"""Serving the operations endpoint: how it begins, and how it ends."""

from __future__ import annotations

import errno
import secrets
from collections.abc import Sequence
from typing import TYPE_CHECKING, final

import trio
from attrs import frozen

from ..policy.listening import LOOPBACK, Address
from ..telemetry.sinks.extras import not_installed
from .feed import Feed
from .settings import Settings
from .work import Work

if TYPE_CHECKING:
    from .._runtime.runtime import Runtime
    from .connections import Connections

DEFAULT_PORT = 8077
_OTHERS = 100
"""Connections beyond the readers: scrapers, probes, pages, and whoever is turned away politely."""


async def serve_operations(
    runtime: Runtime,
    *,
    host: str = LOOPBACK,
    port: int = DEFAULT_PORT,
    token: str | None = None,
    replay: int = 10_000,
    max_readers: int = 1500,
    stop_timeout: float = 2.0,
    metrics_by_instance: bool = True,
    task_status: trio.TaskStatus[str] = trio.TASK_STATUS_IGNORED,
) -> None:
    """Serve the operations endpoint of a runtime, and its page, until cancelled.

    It is an async function like any child: ready when it listens. Start it outside the runtime's
    block, in a nursery around it, and it can still be asked while the runtime stops::

        async with trio.open_nursery() as nursery:
            async with open_runtime() as runtime:
                url = await nursery.start(serve_operations, runtime)
                ...
            nursery.cancel_scope.cancel()

    Cancelling it takes no more connections, says goodbye to the readers of events, lets the other
    requests and the restarts under way end, and gives up what is left after ``stop_timeout``. An
    instance whose restart is given up while it stops stays stopped.

    Args:
        runtime: What to show.
        host: The address to listen on. By default, and wherever it is a loopback address, only this
            machine's users can reach it, and reading needs no token.
        port: The port; 0 takes any that is free. The default is ours, and has no other meaning.
        token: What a request must bring as ``Authorization: Bearer ...`` to do anything, and on
            other than loopback addresses to see anything. None refuses every verb.
        replay: Events that are kept for readers that come back. One half are the newest; the other
            half the newest before those, without the probes that passed like the one before.
        max_readers: Readers of events at a time; more are asked to come later.
        stop_timeout: Seconds that the end may take; a supervisor's own budget is 5.
        metrics_by_instance: Whether the series of ``/metrics`` bear an instance's id. Without it
            there are as many as there are channel types, however many instances there are.
        task_status: Told the URL when it listens.

    Raises:
        InvalidSpec: An argument is not what it must be, or a host other than loopback has no token;
            all of them are listed.
        ImportError: The extra ``http`` is not installed.
        OSError: It cannot listen there.
        trio.ClosedResourceError: The runtime has ended, and nothing more can be heard of it.
    """
    settings = Settings(
        host=host,
        port=port,
        token=token,
        replay=replay,
        max_readers=max_readers,
        stop_timeout=stop_timeout,
        metrics_by_instance=metrics_by_instance,
    )
    feed, work = Feed(replay, run=secrets.token_hex(4)), Work()
    endpoint = Endpoint(settings, feed, work, _make_connections(runtime, settings, feed, work))
    listeners = await _listen(host, port)
    try:
        with runtime.events.listen(feed.take, on_close=feed.end):
            await endpoint.serve(listeners, task_status)
    finally:
        for listener in listeners:
            listener.socket.close()


def _make_connections(runtime: Runtime, settings: Settings, feed: Feed, work: Work) -> Connections:
    try:
        # Here, because whoever imports the library need not have them.
        from .application import make_application  # noqa: PLC0415
        from .connections import Connections  # noqa: PLC0415
    except ModuleNotFoundError as missing:
        raise not_installed("serve_operations", "http", missing) from None

    application = make_application(runtime, settings, feed, work)
    return Connections(application, work, limit=settings.max_readers + _OTHERS)


async def _listen(host: str, port: int) -> list[trio.SocketListener]:
    try:
        listeners = await trio.open_tcp_listeners(port, host=host)
    except (OSError, UnicodeError) as exc:  # the latter of a host that can be no name
        number = exc.errno if isinstance(exc, OSError) else errno.EADDRNOTAVAIL
        told = f"cannot listen on {Address(host, port)} ({exc}): {_way_out(number)}"
        raise OSError(number, told) from exc

    if port == 0:  # a name with several addresses has got a port for each, and one URL
        for listener in listeners[1:]:
            listener.socket.close()
        del listeners[1:]
    return listeners


def _way_out(number: int | None) -> str:
    if number == errno.EADDRINUSE:
        return "choose another port, or 0 for any"

    return "choose an address of this machine, and a port that you may use"


@final
@frozen
class Endpoint:
    """What an endpoint is made of, before it listens."""

    settings: Settings
    feed: Feed
    work: Work
    connections: Connections

    async def serve(
        self, listeners: Sequence[trio.SocketListener], task_status: trio.TaskStatus[str]
    ) -> None:
        """Serve until cancelled, and then end in good order, within the time for it."""
        # Shielded as the connections are: it is what takes the goodbye to them.
        pacing = trio.CancelScope(shield=True)
        async with trio.open_nursery() as nursery:
            self.work.open(nursery)
            nursery.start_soon(self.feed.keep_pace, pacing)
            try:
                task_status.started(_url(self.settings.host, listeners[0]))
                await trio.serve_listeners(
                    self.connections.serve, list(listeners), handler_nursery=nursery
                )
            finally:
                self.feed.end()
                await self.connections.stop()
                with trio.move_on_after(self.settings.stop_timeout, shield=True):
                    await self.work.wait_idle()
                self.connections.abort()
                self.work.cancel()
                pacing.cancel()


def _url(host: str, listener: trio.SocketListener) -> str:
    return f"http://{Address(host, listener.socket.getsockname()[1])}"
