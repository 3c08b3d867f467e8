"""Draws the pictures of the operations page: the real page, of a real runtime whose parts fail.

``python docs/draw_page.py`` makes them all anew in ``docs/pictures``, in about two minutes, and
``python docs/draw_page.py crash-loop`` makes one. It needs the extra ``test``, and a Chromium.

Each picture is a *scene*: a function that fills a runtime, has something go wrong there, and names
what is to be looked at.
"""

from __future__ import annotations

import linecache
import shutil
import sys
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from random import Random
from typing import Any, TypeVar, final
from urllib.parse import urlencode

import trio
from attrs import frozen
from playwright.sync_api import sync_playwright

from trio_instances import (
    BudgetPolicy,
    Cause,
    ChannelError,
    ConnectionBudget,
    Instance,
    InstanceSpec,
    ProbePolicy,
    ReconnectPolicy,
    Runtime,
    RuntimeSettings,
    open_runtime,
    watch_stalls,
)
from trio_instances.channels import MemoryChannel, MemoryServer
from trio_instances.http import serve_operations
from trio_instances.policy.specs import ChildSpec

F = TypeVar("F", bound=Callable[..., Any])

PICTURES = Path(__file__).parent / "pictures"
BROWSERS = ("chromium", "chromium-browser", "google-chrome")
TOKEN = "the-token-of-the-pictures"  # noqa: S105 - it guards nothing

DOWN = Cause("recoverable", "http_503", detail="503 Service Unavailable")
REVOKED = Cause("fatal", "http_401", detail="the token was revoked", who_must_act="credentials")
RESET = Cause("recoverable", "reset", detail="connection reset by peer", lost=True)


# --- what the fleet is made of -------------------------------------------------------------------


class Chat(MemoryChannel):
    """A bot in a chat."""

    channel_type = "chat"


class Feed(MemoryChannel):
    """A feed of prices."""

    channel_type = "feed"


class Device(MemoryChannel):
    """A device in the field, whose last words take for ever."""

    channel_type = "device"

    def instance_children(self, _: Instance) -> Sequence[ChildSpec]:
        """Give one that does not let itself be stopped."""
        return (ChildSpec("recorder", record, shutdown=0.5),)


def of_file(name: str) -> Callable[[F], F]:
    """Have a function stand in another file, so that nobody sees where a picture was drawn."""
    lines = linecache.getlines(__file__)
    linecache.cache[name] = (len(lines), None, lines, name)

    def move(function: F) -> F:
        code: Any = function.__code__
        function.__code__ = code.replace(co_filename=name)
        return function

    return move


@of_file("meters/recorder.py")
async def record() -> None:
    """Wait, and do not listen when asked to stop."""
    try:
        await trio.sleep_forever()
    finally:
        with trio.CancelScope(shield=True):
            await trio.sleep(30)


@final
class Provider:
    """A far end, and all that is connected to it."""

    def __init__(self) -> None:
        self.server = MemoryServer(capacity=256)
        self.ends: list[Any] = []
        self.talks = True

    async def serve(self) -> None:
        """Accept everybody, and talk to them now and then."""
        async with trio.open_nursery() as nursery:
            while True:
                end = await self.server.accept()
                self.ends.append(end)
                nursery.start_soon(self._talk, end)

    async def _talk(self, end: Any) -> None:
        with suppress(ChannelError):
            while True:
                await trio.sleep(0.4)
                if self.talks:
                    await end.send("news")

    def fall(self, cause: Cause) -> None:
        """Drop all connections, and refuse new ones."""
        self.server.refusal = cause
        self.drop(cause)

    def drop(self, cause: Cause = RESET) -> None:
        """Drop all connections."""
        for end in self.ends:
            end.close(cause)
        self.ends.clear()


@frozen
class Stage:
    """What a scene plays on."""

    runtime: Runtime
    nursery: trio.Nursery

    def provider(self) -> Provider:
        """Return a new far end."""
        provider = Provider()
        self.nursery.start_soon(provider.serve)
        return provider

    async def start(
        self, kind: type[MemoryChannel], provider: Provider, name: str, **spec: Any
    ) -> Instance:
        """Start an instance."""
        options = {key: spec.pop(key) for key in ("on_message", "outbox_capacity") if key in spec}
        fields: dict[str, Any] = {"probe": ProbePolicy(interval=1.5, timeout=0.8), **spec}
        channel = kind(provider.server, **options)
        return await self.runtime.start_instance(InstanceSpec(id=name, channel=channel, **fields))

    async def fleet(self) -> list[Instance]:
        """Start a fleet in which all is well."""
        chat, feed = self.provider(), self.provider()
        budget = ConnectionBudget("chat-provider", BudgetPolicy(attempts_per_second=40, burst=40))
        bots = [
            await self.start(Chat, chat, f"support-{place}-{n}", budget=budget)
            for place in ("berlin", "lyon", "osaka")
            for n in range(1, 4)
        ]
        feeds = [
            await self.start(Feed, feed, f"prices-{name}")
            for name in ("copper", "coffee", "cotton", "nickel", "wheat")
        ]
        return [*bots, *feeds]


@frozen
class Shot:
    """What is looked at."""

    instance: str | None = None
    """The instance that is opened; None shows the fleet alone."""
    height: int = 720
    """Of the picture, in pixels."""
    seconds: float = 4.0
    """How long the page looks on before the picture is taken."""


Scene = Callable[[Stage], Awaitable[Shot]]


# --- the scenes ----------------------------------------------------------------------------------


async def fleet(stage: Stage) -> Shot:
    """Most is well, and a little of everything is not."""
    bots = await stage.fleet()
    provider = stage.provider()
    provider.server.refusal = DOWN
    await stage.start(Feed, provider, "prices-tin", reconnect=ReconnectPolicy(attempts=2))
    await stage.start(Feed, provider, "prices-lead")
    revoked = stage.provider()
    revoked.server.refusal = REVOKED
    await stage.start(Chat, revoked, "sales-lyon-1")
    bots[3].pause()
    full = await stage.start(Chat, stage.provider(), "archive-osaka-1", outbox_capacity=100)
    stage.nursery.start_soon(fill, full)
    await trio.sleep(6)
    return Shot()


async def fill(bot: Instance) -> None:
    """Say that most of its queue is in use."""
    queue, _ = trio.open_memory_channel[int](100)
    bot.watch_queue("inbox", queue)
    for number in range(88):
        queue.send_nowait(number)
    await trio.sleep_forever()


async def details(stage: Stage) -> Shot:
    """One instance that has lost its connection, and comes back step by step."""
    await stage.fleet()
    provider = stage.provider()
    bot = await stage.start(Feed, provider, "prices-tin", probe=ProbePolicy(interval=0.4))
    await trio.sleep(9)
    provider.fall(DOWN)
    await bot.wait_status("degraded")
    return Shot(instance="prices-tin", height=860)


async def provider_outage(stage: Stage) -> Shot:
    """A provider is down: many reconnect, the breaker is open, and one goes first."""
    await stage.fleet()
    provider = stage.provider()
    budget = ConnectionBudget("payments-provider", BudgetPolicy(attempts_per_second=5, burst=40))
    for number in range(1, 31):
        await stage.start(Feed, provider, f"payments-{number:02}", budget=budget)
    await trio.sleep(3)
    provider.fall(DOWN)
    await trio.sleep(1)
    return Shot(seconds=12, height=600)


async def bad_credentials(stage: Stage) -> Shot:
    """Some credentials were revoked: these fail at once, and somebody must act."""
    await stage.fleet()
    provider = stage.provider()
    for name in ("sales-lyon-1", "sales-lyon-2", "sales-osaka-1"):
        await stage.start(Chat, provider, name)
    await trio.sleep(2)
    provider.fall(REVOKED)
    await trio.sleep(3)
    return Shot(instance="sales-lyon-1")


async def crash_loop(stage: Stage) -> Shot:
    """A handler fails at each message: restarts, escalation, and again."""
    await stage.fleet()
    await stage.start(Chat, stage.provider(), "orders-berlin-1", on_message=fail)
    await trio.sleep(10)
    return Shot(instance="orders-berlin-1", height=900)


@of_file("orders/handlers.py")
async def fail(_: Instance, message: object) -> None:
    """Fail at a message."""
    raise KeyError(f"no handler for {message!r}")


async def alive_but_deaf(stage: Stage) -> Shot:
    """A connection is open, and nothing comes any more; its probe still passes."""
    await stage.fleet()
    provider = stage.provider()
    policy = ProbePolicy(interval=1.5, timeout=0.5, data_silence=2.0, failures_to_fail=30)
    await stage.start(Feed, provider, "prices-tin", probe=policy)
    await trio.sleep(6)
    provider.talks = False
    await trio.sleep(6)
    return Shot(instance="prices-tin", height=860)


async def stuck_stop(stage: Stage) -> Shot:
    """An instance is to be restarted, and one of its children does not stop."""
    await stage.fleet()
    await stage.start(Device, stage.provider(), "meter-17")
    await trio.sleep(2)
    stage.nursery.start_soon(stage.runtime.restart_instance, "meter-17")
    await trio.sleep(8)
    return Shot(instance="meter-17", height=820)


async def stalled_loop(stage: Stage) -> Shot:
    """A handler blocks the event loop, and with it everybody."""
    await stage.fleet()
    await stage.start(Feed, stage.provider(), "prices-tin", on_message=block)
    return Shot()


async def block(_: Instance, message: object) -> None:
    """Do in the event loop what should be done in a thread."""
    parse(message)


@of_file("prices/parser.py")
def parse(_: object) -> None:
    """Take long."""
    time.sleep(0.25)


SCENES: dict[str, Scene] = {
    "fleet": fleet,
    "details": details,
    "provider-outage": provider_outage,
    "bad-credentials": bad_credentials,
    "crash-loop": crash_loop,
    "alive-but-deaf": alive_but_deaf,
    "stuck-stop": stuck_stop,
    "stalled-loop": stalled_loop,
}


# --- taking pictures -----------------------------------------------------------------------------


async def draw(name: str) -> None:
    """Play a scene, and take its picture."""
    async with trio.open_nursery() as nursery:  # noqa: SIM117 - it is cancelled between their ends
        async with open_runtime(RuntimeSettings(name="gateway"), random=Random(7)) as runtime:
            url = await nursery.start(partial(serve_operations, runtime, port=0, token=TOKEN))
            with watch_stalls(events=runtime.events):
                shot = await SCENES[name](Stage(runtime, nursery))
                await trio.to_thread.run_sync(take, url, shot, PICTURES / f"{name}.png")
            nursery.cancel_scope.cancel()


def take(url: str, shot: Shot, path: Path) -> None:
    """Take a picture, once the page has been live for a while."""
    executable = next(filter(None, map(shutil.which, BROWSERS)))
    options = ["--no-sandbox", "--disable-lcd-text"]  # text without coloured edges packs better
    view = {} if shot.instance is None else {"instance": shot.instance}
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=executable, args=options)
        page = browser.new_page(viewport={"width": 1280, "height": shot.height})
        page.goto(f"{url}/#{urlencode(view)}")
        page.wait_for_selector("body[data-live=live]")
        page.wait_for_timeout(shot.seconds * 1000)
        page.screenshot(path=path)
        browser.close()


if __name__ == "__main__":
    PICTURES.mkdir(exist_ok=True)
    for each in sys.argv[1:] or SCENES:
        trio.run(draw, each)
