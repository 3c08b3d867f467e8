"""A chat service for the examples: a bot asks it for its messages, or has itself called."""

from contextlib import asynccontextmanager

import httpx
import trio
from serving import serving
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

HOLD = 10.0
"""Seconds that a poll is held back while there is nothing to say."""
DOWN = Response(status_code=502, headers={"Retry-After": "1"})


class ChatServer:
    """A chat with one bot. It can break down, and come back with another token."""

    def __init__(self, token):
        self.token = token
        self.broken = False
        self.webhook = None
        self.answers = []
        self._messages = []
        self._news = trio.Event()

    @asynccontextmanager
    async def open(self):
        """Serve on a free port of the loopback interface while the block runs; yield the URL."""
        routes = [
            Route("/me", self._me),
            Route("/updates", self._updates),
            Route("/answers", self._answer, methods=["POST"]),
            Route("/webhook", self._set_webhook, methods=["PUT"]),
        ]
        app = Starlette(routes=routes, middleware=[Middleware(Door, server=self)])
        async with serving(app) as url:
            yield url

    def break_down(self):
        """Answer all with 502 and a time to wait from now on, polls held back included."""
        self.broken = True
        self._tell()

    def repair(self, token):
        """Work again, and let in who has this token."""
        self.broken, self.token = False, token

    async def say(self, text):
        """Say something to a bot that polls; wait until it has answered."""
        known = len(self.answers)
        self._messages.append({"id": len(self._messages) + 1, "text": text})
        self._tell()
        while len(self.answers) == known:
            await trio.sleep(0.01)

    async def call(self, text):
        """Say something to a bot with a webhook, and say it again until it has taken it."""
        async with httpx.AsyncClient(headers={"X-Secret": self.token}) as client:
            while not (self.webhook and await self._called(client, text)):
                await trio.sleep(0.05)

    async def _called(self, client, text):
        return (await client.post(self.webhook, json={"text": text})).is_success

    def _tell(self):
        self._news.set()
        self._news = trio.Event()

    async def _me(self, request):
        return JSONResponse({"webhook": self.webhook})

    async def _updates(self, request):
        after = int(request.query_params["after"])
        with trio.move_on_after(HOLD):
            while len(self._messages) <= after and not self.broken:
                await self._news.wait()
        return DOWN if self.broken else JSONResponse(self._messages[after:])

    async def _answer(self, request):
        self.answers.append((await request.json())["text"])
        return Response(status_code=204)

    async def _set_webhook(self, request):
        self.webhook = (await request.json())["url"]
        return Response(status_code=204)


class Door:
    """Lets a request in, or refuses it."""

    def __init__(self, app, server):
        self.app, self.server = app, server

    async def __call__(self, scope, receive, send):
        """Answer one request."""
        app = self.app
        token = dict(scope.get("headers", ())).get(b"authorization", b"").decode()
        if scope["type"] == "http" and self.server.broken:
            app = DOWN
        elif scope["type"] == "http" and token != self.server.token:
            app = Response(status_code=401)
        await app(scope, receive, send)
