"""A runtime, its endpoint, and a tab that shows its page."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from random import Random
from typing import Any, final

import trio

from trio_instances import InstanceSpec, Runtime, RuntimeSettings, open_runtime
from trio_instances.http import serve_operations

from ...instance.scripted import STEADY, ScriptedChannel
from .browsers import Browser, Tab
from .relay import Relay

TOKEN = "a-token-that-only-tests-know"  # noqa: S105 - it guards nothing


@final
class Site:
    """What a test of the page plays with."""

    def __init__(self, runtime: Runtime, nursery: trio.Nursery, tab: Tab, **options: Any) -> None:
        self.runtime = runtime
        self.tab = tab
        self.relay = Relay()
        self.do = tab.do
        self._nursery = nursery
        self._options = options
        self._scope = trio.CancelScope()
        self._ended = trio.Event()

    async def serve(self, *, port: int = 0) -> None:
        """Start an endpoint."""
        self._scope, self._ended = trio.CancelScope(), trio.Event()
        url = await self._nursery.start(partial(self._serve, port=port))
        self.relay.port = int(url.rpartition(":")[2])

    async def _serve(self, *, port: int, task_status: trio.TaskStatus[str]) -> None:
        with self._scope:
            await serve_operations(
                self.runtime, port=port, task_status=task_status, **self._options
            )
        self._ended.set()

    async def end(self) -> None:
        """End the endpoint, in good order."""
        self._scope.cancel()
        await self._ended.wait()

    async def start(
        self, instance_id: str, /, *outcomes: float | BaseException, **spec: Any
    ) -> ScriptedChannel:
        """Start an instance that is steady and not probed, unless the spec says otherwise."""
        channel = spec.pop("channel", None) or ScriptedChannel(*outcomes)
        fields: dict[str, Any] = {"reconnect": STEADY, "probe": None, **spec}
        await self.runtime.start_instance(InstanceSpec(id=instance_id, channel=channel, **fields))
        assert isinstance(channel, ScriptedChannel)
        return channel

    async def visit(self, view: str = "") -> None:
        """Open the page."""
        await self.tab.visit(f"{self.relay.url}/{view}")


@asynccontextmanager
async def site(
    browser: Browser, *, name: str = "gateway", tab: dict[str, Any] | None = None, **options: Any
) -> AsyncIterator[Site]:
    """Serve a runtime. Whatever a test does, the page must not do what no page should.

    Args:
        browser: Where the tab is opened.
        name: The runtime's.
        tab: What the tab is like.
        options: Those of `serve_operations`.
    """
    opened = await trio.to_thread.run_sync(partial(browser.open, **(tab or {})))
    async with trio.open_nursery() as nursery:
        async with open_runtime(RuntimeSettings(name=name), random=Random(1)) as runtime:
            made = Site(runtime, nursery, opened, **{"token": TOKEN, **options})
            await nursery.start(made.relay.serve)
            await made.serve()
            try:
                yield made
            finally:
                with trio.CancelScope(shield=True):
                    await opened.close()
        nursery.cancel_scope.cancel()

    assert opened.complaints == []
    assert opened.hosts() <= {made.relay.url.removeprefix("http://")}
