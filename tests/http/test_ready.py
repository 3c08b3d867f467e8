"""``/livez`` and ``/readyz``: what an orchestrator asks."""

from __future__ import annotations

import trio
from trio.testing import MockClock

from trio_instances import InstanceStatus, RuntimeSettings

from ..instance.scripted import HANGS, ScriptedChannel, fatal
from .endpoints import BEARER, TOKEN, fleet, let_pass, serve, serving

S = InstanceStatus
PROVEN_AFTER = 61.0


async def test_it_is_alive_whatever_becomes_of_the_instances() -> None:
    """200 as soon as it listens, without any instance."""
    async with fleet() as (runtime, _), serving(runtime) as endpoint:
        told = await endpoint.json("/livez")
    assert told["status"] == "alive"
    assert told["uptime"] >= 0


async def test_a_runtime_without_instances_is_not_ready_and_says_so() -> None:
    """503: there may be some in a moment."""
    async with fleet() as (runtime, _), serving(runtime) as endpoint:
        answer = await endpoint.get("/readyz")
    assert answer.status_code == 503
    assert answer.json() == {
        "ready": False,
        "summary": "0 instances",
        "detail": "there is no instance yet",
        "not_proven": [],
        "not_listed": 0,
        "unknown": [],
    }


async def test_it_is_ready_once_every_instance_is_proven(mock_clock: MockClock) -> None:
    """503 while a connection is young, and which one and why; 200 when it has lasted."""
    async with fleet(ScriptedChannel()) as (runtime, [bot]), serving(runtime) as endpoint:
        await bot.wait_status(S.CONNECTED)
        answer = await endpoint.get("/readyz")
        assert answer.status_code == 503
        assert answer.json()["not_proven"] == [
            {
                "instance_id": "bot-0",
                "status": "connected",
                "connected": True,
                "cause": None,
                "why": "connected: its connection is not proven yet",
            }
        ]
        await let_pass(mock_clock, PROVEN_AFTER)
        told = await endpoint.json("/readyz")
    assert told["ready"]
    assert told["not_proven"] == []
    assert told["summary"] == "1 instance: 1 connected"


async def test_a_required_instance_that_has_failed_keeps_it_from_being_ready(
    mock_clock: MockClock,
) -> None:
    """Until somebody has acted, however well the others are; the body names the cause."""
    settings = RuntimeSettings(required=["bot-1"])
    channels = ScriptedChannel(), ScriptedChannel(fatal("banned"))
    async with fleet(*channels, settings=settings) as (runtime, bots), serving(runtime) as endpoint:
        await bots[1].wait_status(S.FAILED)
        await let_pass(mock_clock, PROVEN_AFTER)
        answer = await endpoint.get("/readyz")
    assert answer.status_code == 503
    [missing] = answer.json()["not_proven"]
    assert missing["instance_id"] == "bot-1"
    assert missing["cause"]["reason"] == "banned"
    assert missing["why"].startswith("failed: ")
    assert "to be mended: bot-1 by credentials (banned)" in answer.json()["summary"]


async def test_an_instance_that_is_not_required_does_not_matter(mock_clock: MockClock) -> None:
    """200 with the required ones proven, while another one still connects."""
    settings = RuntimeSettings(required=["bot-0"])
    channels = ScriptedChannel(), ScriptedChannel(HANGS)
    async with fleet(*channels, settings=settings) as (runtime, _), serving(runtime) as endpoint:
        await let_pass(mock_clock, PROVEN_AFTER)
        assert (await endpoint.json("/readyz"))["ready"]


async def test_a_required_id_that_no_instance_has_is_named() -> None:
    """A typing error in the settings is not an endless wait without a word."""
    settings = RuntimeSettings(required=["bot-0", "bto-1"])
    async with fleet(settings=settings) as (runtime, _), serving(runtime) as endpoint:
        answer = await endpoint.get("/readyz")
    assert answer.status_code == 503
    assert answer.json()["unknown"] == ["bot-0", "bto-1"]


async def test_a_runtime_that_ends_is_not_ready(mock_clock: MockClock) -> None:
    """Nobody sends work any more to what is on its way down."""
    async with trio.open_nursery() as nursery:
        async with fleet(ScriptedChannel()) as (runtime, [bot]):
            endpoint = await nursery.start(serve, runtime)
            await bot.wait_status(S.CONNECTED)
            await let_pass(mock_clock, PROVEN_AFTER)
            assert (await endpoint.json("/readyz"))["ready"]
        answer = await endpoint.get("/readyz")
        endpoint.scope.cancel()
    assert answer.status_code == 503
    assert answer.json()["detail"] == "the runtime stops"


async def test_of_very_many_the_first_hundred_are_listed() -> None:
    """The answer stays small; how many more there are is told."""
    channels = [ScriptedChannel(HANGS) for _ in range(103)]
    async with fleet(*channels) as (runtime, _), serving(runtime) as endpoint:
        told = (await endpoint.get("/readyz")).json()
    assert [each["instance_id"] for each in told["not_proven"]] == [f"bot-{n}" for n in range(100)]
    assert told["not_proven"][0]["why"] == "connecting"
    assert told["not_listed"] == 3


async def test_strangers_learn_whether_it_is_ready_and_no_names() -> None:
    """Beyond loopback no token is needed to ask, as orchestrators have none; names need one."""
    options = {"host": "0.0.0.0", "token": TOKEN}  # noqa: S104 - what is tested
    async with fleet(ScriptedChannel(HANGS)) as (runtime, _), serving(runtime, **options) as served:
        stranger = await served.get("/readyz")
        friend = await served.get("/readyz", headers=BEARER)
        assert (await served.get("/livez")).status_code == 200
    assert (stranger.status_code, stranger.json()) == (503, {"ready": False})
    assert friend.json()["not_proven"][0]["instance_id"] == "bot-0"
