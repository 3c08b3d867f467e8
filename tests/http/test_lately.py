"""``/lately``: what has happened in the whole fleet, as far as it is kept."""

from __future__ import annotations

import pytest

from trio_instances.telemetry import LoopStalled

from ..instance.scripted import ScriptedChannel, fatal
from ..runtime.instances import spec_of
from .endpoints import fleet, served, serving


def stalled(at: float) -> LoopStalled:
    """Return an event that is about no instance."""
    return LoopStalled(at=at, elapsed=0.3, path=None, task="main", stack=())


async def test_what_happened_before_one_looked_can_still_be_asked_for() -> None:
    """By names, or by all of a kind; oldest first, with the position of the newest event."""
    async with fleet() as (runtime, _), serving(runtime) as endpoint:
        bad = await runtime.start_instance(spec_of("bad", ScriptedChannel(fatal())))
        await bad.wait_status("failed")
        for at in (1.0, 2.0):
            runtime.events.publish(stalled(at))
        both = await endpoint.json("/lately?event=instance.failed&event=loop.*")
        last = await endpoint.json("/lately?event=instance.failed&event=loop.*&limit=1")
        position = (await endpoint.json("/instances"))["position"]

    names = [event["event"] for event in both["events"]]
    assert names == ["instance.failed", "loop.stalled", "loop.stalled"]
    assert [event["at"] for event in both["events"]][1:] == [1.0, 2.0]
    assert both["events"][-1]["level"] == "WARNING"
    assert last["events"] == both["events"][-1:]
    assert set(both) == {"at", "position", "events"}
    assert both["position"] == position


async def test_without_a_name_it_is_every_event() -> None:
    """The last two hundred."""
    async with served() as endpoint:
        of_all = (await endpoint.json("/lately"))["events"]
        of_one = (await endpoint.json("/instances/bot-0/events"))["events"]
    assert [event for event in of_all if event["instance_id"] == "bot-0"] == of_one


@pytest.mark.parametrize("query", ["event=loop", "event=x.*", "limit=0", "limit=1001", "name=x"])
async def test_what_has_no_meaning_is_refused(query: str) -> None:
    """A name that is misspelt would else look like peace."""
    async with served() as endpoint:
        assert (await endpoint.refusal(f"/lately?{query}"))[:2] == (400, "bad_parameter")
