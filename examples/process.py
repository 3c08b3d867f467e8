"""What a process has around its runtime: a log, and an ear for signals."""

import signal
import sys
from contextlib import asynccontextmanager

import trio
from loguru import logger
from trio_instances.telemetry import LoguruSink


@asynccontextmanager
async def open_process():
    """Yield the sink that logs what deserves attention.

    SIGINT and SIGTERM cancel the block, and everything inside it stops in order.
    """
    logger.remove()
    logger.add(sys.stdout, level="WARNING", format="{level}: {message}")
    async with trio.open_nursery() as nursery:
        await nursery.start(_stop_at_signal, nursery.cancel_scope)
        yield LoguruSink()
        nursery.cancel_scope.cancel()


async def _stop_at_signal(scope, task_status):
    with trio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
        task_status.started()
        await anext(signals)
        scope.cancel()
