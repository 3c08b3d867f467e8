"""An ASGI application, served by hypercorn for as long as a block lasts."""

from contextlib import asynccontextmanager
from functools import partial

import trio
from hypercorn.config import Config
from hypercorn.trio import serve


@asynccontextmanager
async def serving(app, bind="127.0.0.1:0"):
    """Serve an application while the block runs, and yield its URL; port 0 takes a free one.

    At the block's end no more requests are taken, and those that were taken are answered. A block
    that raises or is cancelled drops them.
    """
    config, stopping = Config(), trio.Event()
    config.bind, config.loglevel, config.graceful_timeout = [bind], "ERROR", 1.0
    async with trio.open_nursery() as nursery:
        (url,) = await nursery.start(partial(serve, app, config, shutdown_trigger=stopping.wait))
        yield url
        stopping.set()
