"""Following the events of an endpoint through every loss of the connection."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random

import pytest
import trio

from trio_instances._cli.address import read_address
from trio_instances._cli.following import (
    Bye,
    Gap,
    Happened,
    Lost,
    News,
    Opened,
    Pulse,
    follow,
    read,
)
from trio_instances._cli.remote import Remote
from trio_instances._cli.sse import Message

from .endpoints import site, stranger

HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n"


class Heard(list[News]):
    """All news, in order."""

    def __init__(self) -> None:
        super().__init__()
        self._more = trio.Event()

    async def take(self, news: Sequence[News]) -> None:
        """Take some in."""
        self.extend(news)
        self._more.set()
        self._more = trio.Event()

    async def wait(self, kind: type[News], times: int = 1) -> None:
        """Wait until there was some of this kind, so often."""
        while len(self.of(kind)) < times:
            await self._more.wait()

    async def wait_named(self, name: str) -> None:
        """Wait until an event of this name has come, about this instance."""
        while name not in self.names:
            await self._more.wait()

    def of(self, kind: type[News]) -> list[News]:
        """Return those of one kind."""
        return [each for each in self if isinstance(each, kind)]

    @property
    def names(self) -> list[str]:
        """What the events were called, and about whom."""
        return [
            f"{each.data['event']} {each.data.get('instance_id')}"
            for each in self
            if isinstance(each, Happened)
        ]


async def start_following(
    nursery: trio.Nursery, url: str, heard: Heard, after: str | None = None
) -> None:
    """Follow in the background, without chance."""

    async def run() -> None:
        async with Remote(read_address(url, None)) as remote:
            await follow(remote, heard.take, after=after, instance=None, random=Random(1))

    nursery.start_soon(run)
    await heard.wait(Opened)


async def test_what_happens_is_handed_on() -> None:
    """From now on, each with the id to go on from."""
    heard = Heard()
    async with site() as here, trio.open_nursery() as nursery:
        await start_following(nursery, here.url, heard)
        await heard.wait(Pulse)
        await here.start("bot")
        await heard.wait_named("instance.connected bot")
        nursery.cancel_scope.cancel()

    first, last = (each for each in (heard.of(Happened)[0], heard.of(Happened)[-1]))
    assert isinstance(first, Happened)
    assert isinstance(last, Happened)
    assert first.position != last.position


async def test_a_lost_stream_goes_on_where_it_ended() -> None:
    """Nothing twice, and nothing left out."""
    asked: list[bytes] = []

    async def serve(stream: trio.SocketStream) -> None:
        asked.append(await stream.receive_some())
        number = len(asked)
        frame = f'id: run-{number}\ndata: {{"event": "e{number}"}}\n\nid: run-9\ndata: {{'
        await stream.send_all(HEAD + frame.encode())

    heard = Heard()
    async with stranger(serve) as url, trio.open_nursery() as nursery:
        await start_following(nursery, url, heard, after="run-0")
        await heard.wait(Opened, 2)
        await heard.wait(Happened, 2)
        nursery.cancel_scope.cancel()

    assert b"after=run-0" in asked[0]
    assert b"after=run-1" in asked[1]
    assert [type(each) for each in heard[:5]] == [Opened, Happened, Lost, Opened, Happened]


async def test_another_run_of_the_process_is_a_gap() -> None:
    """It is told goodbye, then losses, then the gap; and the new run from its beginning on."""
    heard = Heard()
    async with trio.open_nursery() as nursery:
        async with site() as here:
            port = int(here.url.rpartition(":")[2])
            await start_following(nursery, here.url, heard)
            await heard.wait(Pulse)
        await heard.wait(Bye)
        await heard.wait(Lost)
        async with site(port) as here:
            await here.start("second")
            await heard.wait(Gap)
            await heard.wait_named("instance.started second")
            nursery.cancel_scope.cancel()

    assert heard.of(Gap) == [Gap(None, "these events are of another run than the id")]


async def test_losses_come_after_longer_and_longer_waits() -> None:
    """Also the first one: whether that ends anything is for others to say."""
    heard = Heard()
    with trio.socket.socket() as free:
        await free.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{free.getsockname()[1]}"
        async with trio.open_nursery() as nursery, Remote(read_address(url, None)) as remote:

            async def run() -> None:
                await follow(remote, heard.take, after=None, instance=None, random=Random(1))

            nursery.start_soon(run)
            await heard.wait(Lost, 2)
            nursery.cancel_scope.cancel()

    one, other = heard
    assert isinstance(one, Lost)
    assert isinstance(other, Lost)
    assert 0.5 <= one.wait <= 1.0 <= other.wait <= 2.0


@pytest.mark.parametrize(
    ("message", "news"),
    [
        (Message("message", '{"event": "x"}', "r-1"), Happened("r-1", {"event": "x"})),
        (Message("pulse", '{"at": 5}', "r-1"), Pulse(5.0)),
        (Message("pulse", "{}", "r-1"), None),
        (Message("gap", '{"missed": 3, "why": "slow"}', ""), Gap(3, "slow")),
        (Message("gap", '{"missed": null}', ""), Gap(None, "")),
        (Message("bye", '{"why": "ends"}', ""), Bye("ends")),
        (Message("of a later version", "{}", ""), None),
        (Message("message", "{", ""), Gap(1, "a message that is not JSON")),
        (Message("message", "[1]", ""), Gap(1, "a message that is not JSON")),
    ],
)
def test_a_message_is_read_or_is_told_as_missing(message: Message, news: News | None) -> None:
    """Nothing is dropped without a word but what only later versions know of."""
    assert read(message) == news
