"""A thousand readers on real sockets, half of which take nothing: nobody else notices."""

from __future__ import annotations

import gc
import re
import sys
from collections.abc import Callable, Iterator
from itertools import pairwise

import pytest
import trio

from trio_instances import ChildSpec, InstanceStatus, Runtime
from trio_instances.telemetry import InstanceStarted

from ..instance.scripted import ScriptedChannel, always
from .endpoints import Endpoint, fleet, serving
from .test_bad_clients import stalled

GOOD = STALLED = 500
BOTS = 20
BIG = 120
"""Big events: together far more than the buffers of a connection hold."""
SMALL = 10_000
"""Small events that come at once, and far more than are kept."""
KEPT = 2_000
STEPS = 20
FILES = 2 * (GOOD + STALLED) + 500


@pytest.fixture
def files() -> Iterator[None]:
    """Allow this process as many open files as both ends of all connections are."""
    resource = pytest.importorskip("resource", reason="this system has no such limit to raise")
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < FILES:
        pytest.skip(f"this system allows {hard} open files, and {FILES} are needed")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, FILES), hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def publish(runtime: Runtime, number: int, size: int) -> None:
    """Publish an event of about so many bytes that can be told from those of the bots."""
    children = tuple("x" * 100 for _ in range(size // 100))
    event = InstanceStarted(at=float(number), instance_id="nobody", children=children)
    runtime.events.publish(event)


class Good:
    """A reader that reads, and keeps what came of the events that are looked for."""

    def __init__(self) -> None:
        self.ids: list[int] = []
        self.found: list[int] = []
        self.gaps = 0
        self._rest = b""

    async def read(self, endpoint: Endpoint, *, task_status: trio.TaskStatus[None]) -> None:
        """Read until the stream ends."""
        reader = await endpoint.follow()
        task_status.started()
        async with reader.stream:
            async for data in reader.stream:
                self._take(bytes(data))

    def _take(self, data: bytes) -> None:
        whole, mark, self._rest = (self._rest + data).rpartition(b"\n\n")
        text = whole + mark
        self.gaps += text.count(b"event: gap")
        self.ids += [int(number) for number in re.findall(rb"id: \w+-(\d+)\ndata", text)]
        pattern = rb'"instance_id": "nobody", [^\n]*?"at": (\d+)\.0|"at": (\d+)\.0, [^\n]*?"nobody"'
        self.found += [int(one or other) for one, other in re.findall(pattern, text)]


class Working(ScriptedChannel):
    """A channel whose connections have a child that works on, step after step."""

    def __init__(self) -> None:
        super().__init__()
        self.steps = 0
        self.give_children = always(ChildSpec("worker", self.work))

    async def work(self) -> None:
        """Take steps."""
        while True:
            await trio.sleep(0.01)
            self.steps += 1


@pytest.mark.timeout(300)  # it takes 10 seconds of a processor, which others may be busy with
@pytest.mark.skipif(sys.platform == "win32", reason="both ends need more sockets than it allows")
async def test_a_thousand_readers_half_of_them_stalled_disturb_nobody(files: None) -> None:
    """Instances go on, whoever reads gets everything in order, and what is kept stays bounded."""
    channels = [Working() for _ in range(BOTS)]
    readers = [Good() for _ in range(GOOD)]
    async with fleet(*channels) as (runtime, bots):
        for bot in bots:
            await bot.wait_status(InstanceStatus.CONNECTED)
        async with (
            serving(runtime, replay=KEPT, stop_timeout=10.0) as endpoint,
            trio.open_nursery() as nursery,
        ):
            still = [await stalled(endpoint, "/events") for _ in range(STALLED)]
            for good in readers:
                await nursery.start(good.read, endpoint)
            assert (await endpoint.get("/livez")).status_code == 200

            began = [channel.steps for channel in channels]
            for number in range(BIG):
                publish(runtime, number, 4000)
                await trio.sleep(0.01)
                if number % 10 == 0:
                    bots[number // 10 % BOTS].reconnect()
            for channel, before in zip(channels, began, strict=True):
                assert channel.steps - before > STEPS
            assert sum(bot.generation for bot in bots) == BOTS + BIG // 10
            await wait_for(lambda: all(len(each.found) == BIG for each in readers))

            # More than the stalled ones will ever get: it is dropped, and not kept for them.
            for number in range(SMALL):
                publish(runtime, number, 0)
            assert (await endpoint.get("/instances")).status_code == 200
            kept = sum(isinstance(each, InstanceStarted) for each in gc.get_objects())
            assert kept <= KEPT + BOTS
            for stream in still:
                await stream.aclose()
            await wait_for(lambda: all(each.found[-1] == SMALL - 1 for each in readers))
            endpoint.scope.cancel()

    for good in readers:
        assert good.found[:BIG] == list(range(BIG))
        assert good.found[BIG:] == list(range(SMALL - len(good.found[BIG:]), SMALL))
        steps = [later - earlier for earlier, later in pairwise(good.ids)]
        holes = [step for step in steps if step != 1]
        assert len(holes) == good.gaps == 1  # that of the flood at the end, and no other


async def wait_for(condition: Callable[[], bool]) -> None:
    """Wait until something is so."""
    while not condition():  # noqa: ASYNC110 - nobody tells it
        await trio.sleep(0.02)
