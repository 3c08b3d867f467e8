"""A bot that is called: a Starlette app on hypercorn, listening as a child of its instance."""

import secrets
from contextlib import asynccontextmanager

import httpx
import trio
from chat_server import ChatServer
from process import open_process
from serving import serving
from starlette.applications import Starlette
from starlette.responses import Response
from starlette.routing import Route
from trio_instances import Cause, ChannelError, ChildSpec, InstanceSpec, ProbePolicy
from trio_instances import open_runtime, until_stopped
from trio_instances.abc import Channel


class Webhook(Channel):
    channel_type = "webhook"

    def __init__(self, url, token):
        self.url, self.token, self.here = url, token, ""
        self.into_queue, self.queue = trio.open_memory_channel(100)

    def instance_children(self, instance):  # stopped in reverse: the worker after the listener
        return [ChildSpec("worker", self.work), ChildSpec("listener", self.listen, (instance,))]

    @asynccontextmanager
    async def connect(self, instance):  # to be connected is to be registered
        instance.watch_queue("updates", self.into_queue)
        headers = {"Authorization": self.token}
        async with httpx.AsyncClient(base_url=self.url, headers=headers) as client:
            (await client.put("/webhook", json={"url": self.here})).raise_for_status()
            yield client
            (await client.put("/webhook", json={"url": None})).raise_for_status()

    async def probe(self, instance, client):
        if (await client.get("/me")).raise_for_status().json()["webhook"] != self.here:
            raise ChannelError(Cause("recoverable", "webhook_moved", lost=True))

    async def listen(self, instance, task_status):
        app = Starlette(routes=[Route("/", self.take, methods=["POST"])])
        app.state.instance = instance
        async with serving(app) as self.here:
            task_status.started()
            with until_stopped():
                await trio.sleep_forever()

    async def take(self, request):
        if not secrets.compare_digest(request.headers.get("X-Secret", ""), self.token):
            return Response(status_code=403)
        request.app.state.instance.saw_event()
        try:
            self.into_queue.send_nowait(await request.json())
        except trio.WouldBlock:  # the service will call again
            return Response(status_code=503, headers={"Retry-After": "1"})
        return Response(status_code=204)

    async def work(self):
        with until_stopped():
            async for update in self.queue:
                print("worker:", update["text"])
        while self.queue.statistics().current_buffer_used:  # all that the listener has taken
            print("worker, at the end:", self.queue.receive_nowait()["text"])


async def main():
    server = ChatServer(token="secret")
    async with open_process() as log, server.open() as url, open_runtime(sinks=[log]) as runtime:
        hook, quick = Webhook(url, "secret"), ProbePolicy(interval=0.1)
        await runtime.start_instance(InstanceSpec(id="bot", channel=hook, probe=quick))
        await server.call("hello")
        server.webhook = None  # the service forgets it, and a probe finds out
        await server.call("again")
    print("registered:", server.webhook)


trio.run(main)
