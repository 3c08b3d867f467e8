"""A feed of prices over a WebSocket, which outlives the death of its server."""

from contextlib import asynccontextmanager

import trio
from process import open_process
from trio_instances import Backoff, ChildSpec, InstanceSpec, ReconnectPolicy, open_runtime
from trio_instances.channels import WebSocketChannel
from trio_instances.testing import open_gateway  # the server: it echoes

QUICK = ReconnectPolicy(backoff=Backoff(initial=0.05, cap=0.5), stable_after=0.2)


class PriceFeed(WebSocketChannel):
    """Subscribes on every connection; what it hears waits in a queue that outlives them."""

    def __init__(self, url, symbols):
        super().__init__(url, on_message=self.take)
        self.symbols = symbols
        self.into_queue, self.queue = trio.open_memory_channel(100)

    @asynccontextmanager
    async def connect(self, instance):
        instance.watch_queue("prices", self.into_queue)  # its pressure shows in the health
        async with super().connect(instance) as connection:
            for symbol in self.symbols:
                await connection.send(f"subscribed {symbol}")
            yield connection

    def instance_children(self, instance):
        # The consumer lives through every reconnect. Without the log the feed is only degraded.
        log = ChildSpec("log", self.log, (instance,), essential=False)
        return [ChildSpec("consumer", self.consume), log]

    async def take(self, instance, message):
        await self.into_queue.send(message)

    async def consume(self):
        async for message in self.queue:
            print("consumer:", message)

    async def log(self, instance):
        while True:
            await trio.sleep(0.25)
            print(f"log: {instance.status}, connection {instance.generation}")


async def main():
    async with (
        open_process() as log,
        open_gateway() as gateway,
        open_runtime(sinks=[log]) as runtime,
    ):
        channel = PriceFeed(gateway.url + "/prices", ["EURUSD", "GBPUSD"])
        spec = InstanceSpec(id="prices", channel=channel, reconnect=QUICK)
        feed = await runtime.start_instance(spec)
        await feed.wait_connected()
        await trio.sleep(0.3)
        await gateway.die()
        await feed.wait_status("reconnecting")
        print("why:", feed.health().cause)
        await gateway.revive()
        await feed.wait_connected()
        await trio.sleep(0.3)


trio.run(main)
