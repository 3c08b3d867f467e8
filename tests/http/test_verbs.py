"""What an operator can do, and what is needed for it."""

from __future__ import annotations

from functools import partial

import pytest
import trio
from trio.testing import MockClock

from trio_instances import InstanceStatus
from trio_instances.http.verbs import VERBS

from ..instance.scripted import HANGS, ScriptedChannel, fatal
from ..runtime.instances import slow_to_stop
from .endpoints import BEARER, TOKEN, fleet, serve, served, serving

S = InstanceStatus


def path(verb: str, instance_id: str = "bot-0") -> str:
    """Return where a verb is sent."""
    return f"/instances/{instance_id}/{verb}"


def test_these_are_the_verbs() -> None:
    """All that change one instance, and need no more than its id."""
    assert VERBS == ("reconnect", "retry_now", "pause", "resume", "drain", "restart")


@pytest.mark.parametrize("verb", VERBS)
async def test_without_a_configured_token_nobody_can_do_anything(verb: str) -> None:
    """403 on loopback, too, with any token: the way out is in the text."""
    channel = ScriptedChannel()
    async with served(channel) as endpoint:
        for headers in ({}, BEARER):
            assert await endpoint.refusal(path(verb), "POST", headers=headers) == (
                403,
                "no_token_configured",
                "nobody can do anything here: the endpoint was started without a token",
            )
        assert (await endpoint.json("/instances/bot-0"))["status"] == "connected"
    assert len(channel.attempts) == 1


@pytest.mark.parametrize("verb", VERBS)
async def test_a_verb_needs_the_token_on_loopback_too(verb: str) -> None:
    """401 without it, also where everybody may read."""
    async with served(token=TOKEN) as endpoint:
        assert (await endpoint.refusal(path(verb), "POST"))[:2] == (401, "token_needed")
        wrong = {"authorization": "Bearer wrong"}
        assert (await endpoint.refusal(path(verb), "POST", headers=wrong))[0] == 401
        assert (await endpoint.json("/instances/bot-0"))["status"] == "connected"


async def test_reconnect_makes_a_new_connection() -> None:
    """202 at once; the next generation follows."""
    channel = ScriptedChannel()
    async with fleet(channel) as (runtime, [bot]), serving(runtime, token=TOKEN) as endpoint:
        await bot.wait_status(S.CONNECTED)
        reader = await endpoint.follow()
        answer = await endpoint.client.post(path("reconnect"), headers=BEARER)
        assert answer.status_code == 202
        assert set(answer.json()) == {"instance_id", "verb", "status", "changed"}
        assert answer.json()["verb"] == "reconnect"
        await reader.wait(name="instance.connected")
        assert bot.generation == 2
        await reader.aclose()


async def test_pause_and_resume_are_told_by_the_status() -> None:
    """Each changes it, and the answer says what it is then."""
    async with served(token=TOKEN) as endpoint:
        assert (await endpoint.client.post(path("pause"), headers=BEARER)).json() == {
            "instance_id": "bot-0",
            "verb": "pause",
            "status": "paused",
            "changed": True,
        }
        told = (await endpoint.client.post(path("resume"), headers=BEARER)).json()
        assert told["status"] == "reconnecting"


async def test_a_verb_that_changes_nothing_says_so_and_what_would() -> None:
    """202, as it may come twice; and nobody waits for what will not come."""
    channels = ScriptedChannel(), ScriptedChannel(fatal())
    async with fleet(*channels) as (runtime, bots), serving(runtime, token=TOKEN) as endpoint:
        await bots[0].wait_status(S.CONNECTED)
        await bots[1].wait_status(S.FAILED)

        async def ask(verb: str, name: str) -> tuple[int, bool, str | None]:
            answer = await endpoint.client.post(path(verb, name), headers=BEARER)
            body = answer.json()
            return answer.status_code, body["changed"], body.get("detail")

        assert await ask("retry_now", "bot-1") == (
            202,
            False,
            "as it has failed: restart wakes it, once its cause is mended",
        )
        assert await ask("retry_now", "bot-0") == (
            202,
            False,
            "as it is connected: reconnect makes a new connection",
        )
        assert await ask("resume", "bot-0") == (202, False, "as it is not paused")
        assert await ask("pause", "bot-0") == (202, True, None)
        assert await ask("pause", "bot-0") == (
            202,
            False,
            "as it is paused: resume connects it again",
        )
        assert await ask("restart", "bot-1") == (202, True, None)


async def test_retry_now_does_not_wait_for_the_next_attempt() -> None:
    """The attempt that would be due in 60 seconds is made at once."""
    channel = ScriptedChannel(*[OSError("no")] * 2)
    async with fleet(channel) as (runtime, [bot]), serving(runtime, token=TOKEN) as endpoint:
        await bot.wait_status(S.RECONNECTING)
        while bot.status is not S.CONNECTED:
            await endpoint.client.post(path("retry_now"), headers=BEARER)
    assert len(channel.attempts) == 3


async def test_drain_lets_an_instance_finish_and_pauses_it() -> None:
    """It ends its connection, and stays paused until somebody resumes it."""
    async with (
        fleet(ScriptedChannel()) as (runtime, [bot]),
        serving(runtime, token=TOKEN) as endpoint,
    ):
        await bot.wait_status(S.CONNECTED)
        answer = await endpoint.client.post(path("drain"), headers=BEARER)
        assert answer.status_code == 202
        with trio.fail_after(10):
            await bot.wait_status(S.PAUSED)


async def test_restart_wakes_an_instance_that_has_failed() -> None:
    """202 before it is done; the events tell the rest."""
    channel = ScriptedChannel(fatal())
    async with fleet(channel) as (runtime, [bot]), serving(runtime, token=TOKEN) as endpoint:
        await bot.wait_status(S.FAILED)
        answer = await endpoint.client.post(path("restart"), headers=BEARER)
        assert answer.status_code == 202
        assert answer.json()["verb"] == "restart"
        with trio.fail_after(10):
            await bot.wait_status(S.CONNECTED)


async def test_a_restart_goes_on_when_whoever_asked_for_it_has_gone(mock_clock: MockClock) -> None:
    """It is the endpoint's work, and not that of a connection."""
    async with (
        fleet(slow_to_stop(3.0)) as (runtime, [bot]),
        serving(runtime, token=TOKEN) as endpoint,
    ):
        await bot.wait_status(S.CONNECTED)
        mock_clock.rate = 10.0
        async with await endpoint.connect() as stream:
            lines = f"Host: localhost\r\nAuthorization: Bearer {TOKEN}\r\n\r\n".encode()
            await stream.send_all(b"POST " + path("restart").encode() + b" HTTP/1.1\r\n" + lines)
            await bot.wait_status(S.STOPPING)
        with trio.fail_after(100):
            await bot.wait_status(S.CONNECTED)
        assert bot.generation == 2


async def test_many_restarts_at_once_are_one_and_no_trouble() -> None:
    """Each is answered; the instance is there afterwards."""
    channel = ScriptedChannel()
    async with fleet(channel) as (runtime, [bot]), serving(runtime, token=TOKEN) as endpoint:
        await bot.wait_status(S.CONNECTED)
        async with trio.open_nursery() as nursery:
            for _ in range(10):
                nursery.start_soon(lambda: endpoint.client.post(path("restart"), headers=BEARER))
        with trio.fail_after(10):
            await bot.wait_status(S.CONNECTED)
            assert (await endpoint.json("/instances/bot-0"))["status"] == "connected"


async def test_verbs_are_limited_to_a_burst_and_a_rate(mock_clock: MockClock) -> None:
    """429 after 20 at once, with the time after which there is one more: five a second."""
    async with served(token=TOKEN) as endpoint:
        for _ in range(20):
            answer = await endpoint.client.post(path("resume"), headers=BEARER)
            assert answer.status_code == 202
        answer = await endpoint.client.post(path("resume"), headers=BEARER)
        assert answer.status_code == 429
        assert answer.json() == {
            "error": "too_many",
            "detail": "too many verbs: try again in 0.2 s",
        }
        assert answer.headers["retry-after"] == "1"
        assert (await endpoint.get("/instances")).status_code == 200  # who reads is not limited
        mock_clock.jump(0.25)
        assert (await endpoint.client.post(path("resume"), headers=BEARER)).status_code == 202


async def test_a_verb_that_does_not_exist_is_refused_with_those_that_do() -> None:
    """404, also for other methods of an instance: only verbs can be called."""
    async with served(token=TOKEN) as endpoint:
        for verb in ("explode", "health", "__init__", "rotate", "report_failure"):
            status, error, detail = await endpoint.refusal(path(verb), "POST", headers=BEARER)
            assert (status, error) == (404, "verb_not_found")
            assert detail == f"there is no verb {verb!r}; there are {', '.join(VERBS)}"


async def test_a_verb_for_nobody_is_refused_and_costs_nothing() -> None:
    """404; it does not count against the rate."""
    async with served(token=TOKEN) as endpoint:
        for _ in range(25):
            answer = await endpoint.refusal(path("pause", "nobody"), "POST", headers=BEARER)
            assert answer[:2] == (404, "instance_not_found")
        assert (await endpoint.client.post(path("pause"), headers=BEARER)).status_code == 202


async def test_a_parameter_of_a_verb_is_refused() -> None:
    """None has one, so none is ignored."""
    async with served(token=TOKEN) as endpoint:
        answer = await endpoint.refusal(path("drain") + "?timeout=5", "POST", headers=BEARER)
    assert answer[:2] == (400, "bad_parameter")


async def test_a_verb_is_not_done_by_reading() -> None:
    """GET does nothing: 405 with the method that does."""
    async with served(token=TOKEN) as endpoint:
        answer = await endpoint.get(path("pause"), headers=BEARER)
        assert answer.status_code == 405
        assert answer.headers["allow"] == "POST"
        assert (await endpoint.json("/instances/bot-0"))["status"] == "connected"


@pytest.mark.parametrize("verb", VERBS)
async def test_a_verb_after_the_end_of_the_runtime_disturbs_nothing(verb: str) -> None:
    """The endpoint goes on, whatever is asked of instances that have ended."""
    async with trio.open_nursery() as nursery:
        async with fleet(ScriptedChannel(HANGS)) as (runtime, _):
            endpoint = await nursery.start(partial(serve, runtime, token=TOKEN))
        answer = await endpoint.client.post(path(verb), headers=BEARER)
        assert answer.status_code == 202
        assert answer.json()["status"] == "stopped"
        assert answer.json()["changed"] is False
        assert answer.json()["detail"] == "as it has stopped"
        assert (await endpoint.get("/livez")).status_code == 200
        endpoint.scope.cancel()
