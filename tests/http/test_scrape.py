"""``/metrics``: what Prometheus gets, read by its own parser."""

from __future__ import annotations

import trio
from prometheus_client.parser import text_string_to_metric_families

from trio_instances import InstanceStatus

from ..instance.scripted import ScriptedChannel, fatal
from .endpoints import fleet, serving

S = InstanceStatus


async def test_the_metrics_are_those_of_the_instances() -> None:
    """In the text format, with its content type; each instance has its series."""
    async with (
        fleet(ScriptedChannel(), ScriptedChannel(fatal())) as (runtime, bots),
        serving(runtime) as endpoint,
    ):
        await bots[0].wait_status(S.CONNECTED)
        await bots[1].wait_status(S.FAILED)
        answer = await endpoint.get("/metrics")
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/plain")
    families = {each.name: each for each in text_string_to_metric_families(answer.text)}
    up = {s.labels["instance_id"]: s.value for s in families["trio_instances_connected"].samples}
    assert up == {"bot-0": 1.0, "bot-1": 0.0}


async def test_a_large_fleet_can_be_scraped_without_the_ids() -> None:
    """One series for each channel type, instead of one for each instance."""
    async with (
        fleet(ScriptedChannel(), ScriptedChannel()) as (runtime, bots),
        serving(runtime, metrics_by_instance=False) as endpoint,
    ):
        for bot in bots:
            await bot.wait_status(S.CONNECTED)
        text = (await endpoint.get("/metrics")).text
    families = {each.name: each for each in text_string_to_metric_families(text)}
    [sample] = families["trio_instances_connected"].samples
    assert (sample.labels, sample.value) == ({"channel_type": "scripted"}, 2.0)


async def test_a_scrape_takes_no_parameters() -> None:
    """What has no meaning here is refused, as everywhere."""
    async with fleet() as (runtime, _), serving(runtime) as endpoint:
        assert (await endpoint.refusal("/metrics?name[]=x"))[:2] == (400, "bad_parameter")


async def test_two_scrapes_at_once_are_both_answered() -> None:
    """Two servers may watch one process."""
    async with (
        fleet(*[ScriptedChannel() for _ in range(300)]) as (runtime, _),
        serving(runtime) as endpoint,
    ):
        texts: list[str] = []

        async def scrape() -> None:
            texts.append((await endpoint.get("/metrics")).text)

        async with trio.open_nursery() as nursery:
            for _ in range(4):
                nursery.start_soon(scrape)
    for text in texts:
        families = {each.name: each for each in text_string_to_metric_families(text)}
        assert len(families["trio_instances_connected"].samples) == 300
