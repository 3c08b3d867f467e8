"""The end of an endpoint: in good order, in its time, whatever is under way."""

from __future__ import annotations

import pytest
import trio
from trio.testing import MockClock

from trio_instances import InstanceStatus, open_runtime, open_supervisor
from trio_instances.http import serve_operations
from trio_instances.telemetry import EventBus

from ..instance.scripted import ScriptedChannel
from ..runtime.instances import slow_to_stop, spec_of
from .endpoints import BEARER, TOKEN, fleet, read_all, request, serve, served, serving
from .test_bad_clients import MANY, flood, stalled

S = InstanceStatus
SOON = 2.0
"""Real seconds within which something counts as done at once."""


async def refused(port: int) -> bool:
    """Tell whether nobody listens at a port."""
    try:
        stream = await trio.open_tcp_stream("127.0.0.1", port)
    except OSError:
        return True
    await stream.aclose()
    return False


async def test_an_idle_endpoint_ends_at_once() -> None:
    """Connections that wait for their next request are closed, and the port is free."""
    async with served(stop_timeout=10.0) as endpoint:
        await endpoint.get("/livez")
        idle = await endpoint.connect()
        began_at = trio.current_time()
        endpoint.scope.cancel()
        await endpoint.ended.wait()
        assert trio.current_time() - began_at < SOON
        assert await read_all(idle) == b""
        await idle.aclose()
        assert await refused(endpoint.port)


async def test_readers_that_read_do_not_delay_the_end() -> None:
    """They get their goodbye, and then it is over, long before the time is up."""
    async with served(stop_timeout=10.0) as endpoint:
        readers = [await endpoint.follow() for _ in range(50)]
        began_at = trio.current_time()
        endpoint.scope.cancel()
        for reader in readers:
            assert (await reader.rest())[-1].kind == "bye"
            await reader.aclose()
        await endpoint.ended.wait()
        assert trio.current_time() - began_at < 8


async def test_readers_that_stall_are_given_up_at_the_end() -> None:
    """The end takes ``stop_timeout`` and no more, however full their buffers are."""
    async with fleet() as (runtime, _), serving(runtime, replay=MANY, stop_timeout=0.5) as endpoint:
        flood(runtime)
        streams = [await stalled(endpoint, "/events?after=start") for _ in range(20)]
        await trio.sleep(0.5)
        began_at = trio.current_time()
        endpoint.scope.cancel()
        await endpoint.ended.wait()
        assert 0.4 < trio.current_time() - began_at < 0.5 + SOON
        for stream in streams:
            await stream.aclose()


async def test_an_answer_under_way_is_finished() -> None:
    """Whoever asked just before gets everything, and the connection is closed then."""
    channels = [ScriptedChannel() for _ in range(1500)]
    async with fleet(*channels) as (runtime, _), serving(runtime, stop_timeout=20.0) as endpoint:
        stream = await stalled(endpoint, "/instances")
        await trio.sleep(0.2)
        endpoint.scope.cancel()
        await trio.sleep(0.1)
        assert not endpoint.ended.is_set()
        said = await read_all(stream)
        await stream.aclose()
        await endpoint.ended.wait()
    assert said.count(b'"instance_id": "bot-') == 1500
    assert said.endswith(b"\r\n0\r\n\r\n")


async def test_a_restart_under_way_is_finished(mock_clock: MockClock) -> None:
    """The endpoint ends after it, so that no instance stays stopped half-way."""
    async with fleet(slow_to_stop(3.0)) as (runtime, [bot]):
        async with serving(runtime, token=TOKEN, stop_timeout=10.0) as endpoint:
            await bot.wait_status(S.CONNECTED)
            mock_clock.rate = 10.0
            await endpoint.client.post("/instances/bot-0/restart", headers=BEARER)
            await bot.wait_status(S.STOPPING)
            endpoint.scope.cancel()
            await endpoint.ended.wait()
            assert bot.status in (S.CONNECTING, S.CONNECTED)
        with trio.fail_after(30):
            await bot.wait_status(S.CONNECTED)


async def test_a_restart_that_takes_too_long_is_given_up(mock_clock: MockClock) -> None:
    """The end does not wait longer than its time; the instance stops, and stays stopped."""
    async with fleet(slow_to_stop(30.0)) as (runtime, [bot]):
        async with serving(runtime, token=TOKEN, stop_timeout=2.0) as endpoint:
            await bot.wait_status(S.CONNECTED)
            mock_clock.rate = 10.0
            await endpoint.client.post("/instances/bot-0/restart", headers=BEARER)
            await bot.wait_status(S.STOPPING)
            began_at = trio.current_time()
            endpoint.scope.cancel()
            await endpoint.ended.wait()
            assert trio.current_time() - began_at < 25
        with trio.fail_after(60):
            await bot.wait_status(S.STOPPED)


async def test_cancelled_twice_it_still_ends_in_good_order() -> None:
    """The second cancellation, from further out, shortens nothing."""
    async with trio.open_nursery() as outer, open_runtime() as runtime:
        with trio.CancelScope() as scope:
            async with trio.open_nursery() as inner:
                endpoint = await inner.start(serve, runtime)
                reader = await endpoint.follow()

                async def read() -> None:
                    with trio.CancelScope(shield=True):
                        assert (await reader.rest())[-1].kind == "bye"
                        await reader.aclose()

                outer.start_soon(read)
                endpoint.scope.cancel()
                scope.cancel()
        assert endpoint.ended.is_set()
        assert scope.cancelled_caught


async def test_it_serves_while_its_runtime_stops(mock_clock: MockClock) -> None:
    """Around a runtime it shows how that one stops, which is when one wants to look."""
    async with trio.open_nursery() as nursery:
        async with fleet(slow_to_stop(5.0)) as (runtime, [bot]):
            endpoint = await nursery.start(serve, runtime)
            await bot.wait_status(S.CONNECTED)

            async def look() -> None:
                await runtime.ending.wait_begun()
                await trio.testing.wait_all_tasks_blocked()
                told = await endpoint.json("/instances/bot-0")
                assert told["status"] == "stopping"
                tree = (await endpoint.get("/tree?format=text")).text
                assert "bot-0  stopping" in tree
                mock_clock.rate = 100.0

            nursery.start_soon(look)
        assert (await endpoint.json("/instances"))["instances"][0]["status"] == "stopped"
        endpoint.scope.cancel()


async def test_it_does_not_begin_when_the_runtime_has_ended() -> None:
    """Nothing could be heard any more: an error, and the port is free."""
    async with open_runtime() as runtime:
        pass
    with pytest.raises(trio.ClosedResourceError):
        await serve_operations(runtime, port=0)


async def test_on_a_bus_that_outlives_the_runtime_it_goes_on() -> None:
    """The bus is somebody else's, who may have more to tell."""
    bus = EventBus()
    async with trio.open_nursery() as nursery:
        async with open_runtime(events=bus) as runtime:
            endpoint = await nursery.start(serve, runtime)
            reader = await endpoint.follow()
        await reader.wait(name="runtime.stopped")
        async with open_runtime(events=bus):
            await reader.wait(name="runtime.started")
        await reader.aclose()
        endpoint.scope.cancel()
    assert not bus.listening


async def test_after_its_end_nothing_listens_any_more() -> None:
    """The bus is as it was before, so that events cost nothing again."""
    async with open_runtime() as runtime:
        async with serving(runtime):
            assert runtime.events.listening
        assert not runtime.events.listening


async def test_two_endpoints_of_one_runtime_do_not_know_each_other() -> None:
    """Each has its readers, its ids and its token; the end of one is none of the other's."""
    async with open_runtime() as runtime, serving(runtime) as one:
        async with serving(runtime, token=TOKEN) as other:
            readers = [await one.follow(), await other.follow()]
            await runtime.start_instance(spec_of("a"))
            first, second = [await reader.wait() for reader in readers]
            assert first.data == second.data
            assert first.id != second.id
            await readers[1].aclose()
        assert (await one.get("/instances")).status_code == 200
        await readers[0].wait(name="instance.connected")
        await readers[0].aclose()


async def test_it_is_a_child_like_any_other() -> None:
    """A supervisor starts it, waits for it to listen, has its URL, and stops it in order."""
    async with open_runtime() as runtime:
        async with open_supervisor() as services:

            async def serve_it(*, task_status: trio.TaskStatus[str]) -> None:
                await serve_operations(runtime, port=0, task_status=task_status)

            child = await services.start(serve_it, name="operations")
            assert (await ask(child.value)).startswith(b"HTTP/1.1 200 ")
            await services.restart_child("operations") if False else None
            report = await services.stop()
        assert report is not None


async def ask(url: str) -> bytes:
    """Ask whether something is alive."""
    host, _, port = url.removeprefix("http://").partition(":")
    async with await trio.open_tcp_stream(host, int(port)) as stream:
        await stream.send_all(request())
        return await read_all(stream)
