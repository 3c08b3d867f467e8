"""``/instances`` and what is below it: snapshots, chosen by field, id and status."""

from __future__ import annotations

import json
import re

import pytest
import trio
from trio.testing import MockClock

from trio_instances import (
    BudgetPolicy,
    ConnectionBudget,
    HealthSnapshot,
    InstanceSpec,
    InstanceStatus,
    open_runtime,
)
from trio_instances.http.fleet import FIELDS
from trio_instances.telemetry import snapshot_from_dict, snapshot_to_dict

from ..instance.scripted import HANGS, STEADY, ScriptedChannel, fatal, lost
from .endpoints import fleet, served, serving

S = InstanceStatus


async def test_all_instances_are_given_in_start_order_with_everything_known(
    mock_clock: MockClock,
) -> None:
    """Each row is the wire form of its snapshot; with them the time and the feed's position."""
    channels = ScriptedChannel(), ScriptedChannel(lost()), ScriptedChannel(fatal())
    async with fleet(*channels) as (runtime, _), serving(runtime) as endpoint:
        await trio.testing.wait_all_tasks_blocked()
        told = await endpoint.json("/instances")
        assert told["instances"] == [snapshot_to_dict(h) for h in runtime.list_instance_health()]
        assert told["at"] == trio.current_time()
    assert told["schema"] == 1
    assert re.fullmatch(r"[0-9a-f]{8}-\d+", told["position"])
    assert told["budgets"] == []


async def test_a_row_can_be_read_back_as_a_snapshot(mock_clock: MockClock) -> None:
    """What programs get is the published wire form."""
    async with served() as endpoint:
        [row] = (await endpoint.json("/instances"))["instances"]
    snapshot = snapshot_from_dict(row)
    assert isinstance(snapshot, HealthSnapshot)
    assert snapshot.status is S.CONNECTED


async def test_no_instances_are_an_empty_list() -> None:
    """A page for an empty fleet is no special case."""
    async with fleet() as (runtime, _), serving(runtime) as endpoint:
        assert (await endpoint.json("/instances"))["instances"] == []


async def test_a_fleet_larger_than_a_slice_comes_whole() -> None:
    """Slices are joined into one list, whatever their number, and however many are left out."""
    channels = [ScriptedChannel(HANGS) for _ in range(120)]
    async with fleet(*channels) as (runtime, bots), serving(runtime) as endpoint:
        bots[3].pause()
        bots[110].pause()
        told = await endpoint.json("/instances?fields=instance_id")
        paused = await endpoint.json("/instances?fields=instance_id&status=paused")
    assert told["instances"] == [{"instance_id": bot.id} for bot in bots]
    assert paused["instances"] == [{"instance_id": "bot-3"}, {"instance_id": "bot-110"}]


@pytest.mark.parametrize("field", FIELDS)
async def test_each_field_can_be_asked_for_alone(field: str, mock_clock: MockClock) -> None:
    """Its value is that of the whole snapshot."""
    async with served() as endpoint:
        [whole] = (await endpoint.json("/instances"))["instances"]
        [row] = (await endpoint.json(f"/instances?fields={field}"))["instances"]
    assert row == {field: whole[field]}


async def test_instances_can_be_asked_for_by_id() -> None:
    """In the order asked for, each once; one that is gone does not hide the others."""
    channels = ScriptedChannel(), ScriptedChannel(), ScriptedChannel()
    async with served(*channels) as endpoint:
        ids = "&".join(f"id={name}" for name in ("bot-2", "gone", "bot-0", "bot-2"))
        told = await endpoint.json(f"/instances?fields=instance_id&{ids}")
        none = await endpoint.json("/instances?id=gone")
    assert told["instances"] == [{"instance_id": "bot-2"}, {"instance_id": "bot-0"}]
    assert none["instances"] == []


async def test_instances_can_be_asked_for_by_several_statuses() -> None:
    """A row for each that has one of them."""
    channels = ScriptedChannel(), ScriptedChannel(HANGS), ScriptedChannel(fatal())
    async with fleet(*channels) as (runtime, bots), serving(runtime) as endpoint:
        await bots[0].wait_status(S.CONNECTED)
        await bots[2].wait_status(S.FAILED)
        told = await endpoint.json("/instances?status=failed&status=connected&fields=status")
    assert told["instances"] == [{"status": "connected"}, {"status": "failed"}]


@pytest.mark.parametrize(
    ("query", "word"),
    [
        ("fields=status,colour", "there is no field 'colour'; there are instance_id, name"),
        ("fields=", "there is no field ''"),
        ("status=happy", "there is no status 'happy'; there are "),
        ("limit=3", "there is no parameter 'limit' here; known: fields, id, status"),
    ],
)
async def test_a_wrong_parameter_is_refused_with_those_there_are(query: str, word: str) -> None:
    """It is never ignored, as whoever asked would take the answer for another one."""
    async with fleet() as (runtime, _), serving(runtime) as endpoint:
        status, error, detail = await endpoint.refusal(f"/instances?{query}")
    assert (status, error) == (400, "bad_parameter")
    assert detail.startswith(word)


async def test_one_instance_is_its_snapshot(mock_clock: MockClock) -> None:
    """The same row as in the list."""
    async with served() as endpoint:
        told = await endpoint.json("/instances/bot-0")
        assert [told] == (await endpoint.json("/instances"))["instances"]


@pytest.mark.parametrize(
    "path", ["/instances/nobody", "/instances/nobody/events", "/tree?instance=nobody"]
)
async def test_an_id_that_nobody_has_is_not_found(path: str) -> None:
    """404, with the way to those there are."""
    async with served() as endpoint:
        assert await endpoint.refusal(path) == (
            404,
            "instance_not_found",
            "there is no instance 'nobody': /instances lists those there are",
        )


async def test_an_endless_id_is_quoted_in_part() -> None:
    """A refusal never grows with what was asked."""
    async with served() as endpoint:
        status, _, detail = await endpoint.refusal("/instances/" + 5000 * "x")
    assert status == 404
    assert len(detail) < 200


async def test_an_id_of_any_letters_can_be_asked_for() -> None:
    """In a path, and as a parameter, quoted as URLs are."""
    name = "böt #1 ?&%/"[:-1] + "+ä"
    spec = InstanceSpec(id=name, channel=ScriptedChannel(), reconnect=STEADY, probe=None)
    async with open_runtime() as runtime, serving(runtime) as endpoint:
        await runtime.start_instance(spec)
        quoted = "b%C3%B6t%20%231%20%3F%26%25%2B%C3%A4"
        assert (await endpoint.json(f"/instances/{quoted}"))["instance_id"] == name
        [row] = (await endpoint.json(f"/instances?id={quoted}"))["instances"]
    assert row["instance_id"] == name


async def test_the_last_events_of_an_instance_are_given_oldest_first(
    mock_clock: MockClock,
) -> None:
    """Those that are still kept, of it alone, each with its level and a line for people."""
    async with fleet(ScriptedChannel()) as (runtime, _), serving(runtime) as endpoint:
        for name in ("one", "two"):
            spec = InstanceSpec(id=name, channel=ScriptedChannel(), reconnect=STEADY, probe=None)
            bot = await runtime.start_instance(spec)
            await bot.wait_status(S.CONNECTED)
        await trio.testing.wait_all_tasks_blocked()
        told = await endpoint.json("/instances/one/events")
        last = await endpoint.json("/instances/one/events?limit=1")
    assert {event["instance_id"] for event in told["events"]} == {"one"}
    names = [event["event"] for event in told["events"]]
    assert names.index("instance.connecting") < names.index("instance.connected")
    assert last["events"] == told["events"][-1:]
    assert all(event["line"] and event["level"] for event in told["events"])


@pytest.mark.parametrize("limit", ["0", "-1", "1001", "ten", "", "1e2", "9" * 5000, "²"])
async def test_a_limit_that_is_no_number_within_bounds_is_refused(limit: str) -> None:
    """400, with the bounds."""
    async with served() as endpoint:
        answer = await endpoint.client.get("/instances/bot-0/events", params={"limit": limit})
    assert answer.status_code == 400
    assert answer.json()["detail"].startswith("limit must be 1 to 1000, not ")


async def test_the_budgets_and_the_rate_of_attempts_are_told(mock_clock: MockClock) -> None:
    """How each connection budget stands, and how many attempts there were a second, lately."""
    budget = ConnectionBudget(
        "shared", BudgetPolicy(attempts_per_second=0.5, burst=9, breaker=None)
    )
    async with open_runtime() as runtime, serving(runtime) as endpoint:
        for number in range(5):
            spec = InstanceSpec(
                id=str(number), channel=ScriptedChannel(), reconnect=STEADY, budget=budget
            )
            bot = await runtime.start_instance(spec)
            await bot.wait_status(S.CONNECTED)
        told = await endpoint.json("/instances")
        mock_clock.jump(11)
        later = await endpoint.json("/instances")
    assert told["budgets"][0]["key"] == "shared"
    assert told["budgets"][0]["attempts_per_second"] == 0.5
    assert told["attempts_per_second"] == pytest.approx(0.5)
    assert later["attempts_per_second"] == 0.0


async def test_answers_are_not_to_be_kept_by_anybody() -> None:
    """No cache, no guessing of types, no page may run anything in them."""
    async with served() as endpoint:
        headers = (await endpoint.get("/instances")).headers
    assert headers["cache-control"] == "no-store"
    assert headers["content-type"] == "application/json"
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["content-security-policy"] == "default-src 'none'"
    assert headers["referrer-policy"] == "no-referrer"
    assert "server" not in headers


async def test_json_has_no_numbers_that_json_does_not_have(mock_clock: MockClock) -> None:
    """Infinite times are texts, as in the wire form."""

    def refuse(word: str) -> None:
        raise AssertionError(word)

    async with served(ScriptedChannel()) as endpoint:
        for path in ("/instances", "/instances/bot-0", "/tree", "/instances/bot-0/events"):
            json.loads((await endpoint.get(path)).text, parse_constant=refuse)
