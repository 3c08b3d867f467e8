"""A wire between a browser and an endpoint, which a test can cut."""

from __future__ import annotations

from typing import final

import trio


@final
class Relay:
    """Passes bytes on, both ways."""

    def __init__(self) -> None:
        self.port = 0
        """Where the endpoint is."""
        self.url = ""
        """Where the relay is."""
        self.cut_off = False
        """Whether new connections are closed at once."""
        self._scopes: set[trio.CancelScope] = set()

    async def serve(self, *, task_status: trio.TaskStatus[None]) -> None:
        """Serve until cancelled."""
        listeners = await trio.open_tcp_listeners(0, host="127.0.0.1")
        self.url = f"http://127.0.0.1:{listeners[0].socket.getsockname()[1]}"
        task_status.started()
        await trio.serve_listeners(self._connect, listeners)

    def cut(self) -> None:
        """Cut all connections, and let no new one through."""
        self.cut_off = True
        for scope in self._scopes:
            scope.cancel()

    def mend(self) -> None:
        """Let connections through again."""
        self.cut_off = False

    async def _connect(self, near: trio.SocketStream) -> None:
        if self.cut_off:
            return

        with trio.CancelScope() as scope:
            self._scopes.add(scope)
            try:
                far = await trio.open_tcp_stream("127.0.0.1", self.port)
                async with far, trio.open_nursery() as nursery:
                    nursery.start_soon(_pass_on, near, far, scope)
                    nursery.start_soon(_pass_on, far, near, scope)
            except OSError:
                pass  # nobody listens there now
            finally:
                self._scopes.discard(scope)


async def _pass_on(
    source: trio.SocketStream, target: trio.SocketStream, scope: trio.CancelScope
) -> None:
    try:
        async for data in source:
            await target.send_all(data)
    except (trio.BrokenResourceError, trio.ClosedResourceError):
        pass
    scope.cancel()
