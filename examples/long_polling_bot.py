"""A bot that asks for its messages by long polling, with httpx."""

import time
from contextlib import asynccontextmanager

import httpx
import trio
from attrs import evolve
from chat_server import ChatServer
from process import open_process
from trio_instances import Cause, ChildSpec, InstanceFailed, InstanceSpec, open_runtime
from trio_instances.abc import Channel
from trio_instances.policy.causes import DEFAULTS, TELEGRAM, RuleSet, on_error, parse_retry_after

NETWORK = on_error("httpx.TransportError", Cause("recoverable", "network", lost=True))
CAUSES = RuleSet("httpx", [NETWORK]) | TELEGRAM | DEFAULTS


class Bot(Channel):
    channel_type = "long_polling"

    def __init__(self, url, token):
        self.url, self.token, self.seen = url, token, 0

    @asynccontextmanager
    async def connect(self, instance):
        timeout = httpx.Timeout(5, read=15)  # longer than the server holds a poll back
        headers = {"Authorization": self.token}
        async with httpx.AsyncClient(base_url=self.url, headers=headers, timeout=timeout) as client:
            await self.probe(instance, client)  # no connection before the token was accepted
            yield client

    def children(self, instance, client):
        return [ChildSpec("poller", self.poll, (instance, client))]

    async def probe(self, instance, client):
        (await client.get("/me")).raise_for_status()

    async def poll(self, instance, client):
        while True:
            updates = await client.get("/updates", params={"after": self.seen})
            instance.saw_frame()
            for message in updates.raise_for_status().json():
                instance.saw_event()
                answer = {"text": f"you said {message['text']}"}
                (await client.post("/answers", json=answer)).raise_for_status()
                self.seen = message["id"]  # not sooner: rather an answer twice than none

    def classify(self, exc):
        if not isinstance(exc, httpx.HTTPStatusError):
            return CAUSES.cause_of_error(exc)
        asked = parse_retry_after(exc.response.headers.get("Retry-After", ""), time.time())
        cause = CAUSES.cause_of_status(exc.response.status_code, retry_after=asked)
        return evolve(cause, lost=True)  # connect anew, after a delay; do not just poll again

    def update_credentials(self, token):
        self.token = token


async def main():
    server = ChatServer(token="old")
    async with open_process() as log, server.open() as url, open_runtime(sinks=[log]) as runtime:
        spec = InstanceSpec(id="bot", channel=Bot(url, "old"))
        bot = await runtime.start_instance(spec)
        await server.say("hello")
        server.break_down()
        await bot.wait_status("reconnecting")
        print("asked to wait:", bot.health().cause.retry_after)
        server.repair(token="new")  # which the bot does not know
        try:
            await bot.wait_connected()
        except InstanceFailed as failed:
            print("must act:", failed.cause.who_must_act)
        await runtime.update_credentials("bot", "new")
        await server.say("again")
        print(server.answers)


trio.run(main)
