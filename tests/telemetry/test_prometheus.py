"""The Prometheus collector, read by the real parser of the text format."""

from __future__ import annotations

import re
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Sequence
from functools import partial
from typing import Any

import attrs
import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry, generate_latest, start_http_server
from prometheus_client.parser import text_string_to_metric_families
from trio.testing import MockClock

from trio_instances import (
    BreakerPhase,
    BudgetHealth,
    BudgetPolicy,
    Cause,
    ChildState,
    ConnectionBudget,
    HealthSnapshot,
    Instance,
    InstanceSpec,
    InstanceStatus,
    InvalidSpec,
    LoopHealth,
    LoopShares,
    PressureLevel,
    ProbePolicy,
    ReconnectPolicy,
    WhoMustAct,
    open_runtime,
    telemetry,
    watch_stalls,
)
from trio_instances.channels import MemoryChannel, MemoryConnection, MemoryServer
from trio_instances.policy.health import ChildHealth, ProbeState, QueueHealth
from trio_instances.policy.status import DegradedReason
from trio_instances.telemetry.sinks.prometheus import PREFIX, PrometheusCollector
from trio_instances.telemetry.sinks.prometheus_families import FAMILIES
from trio_instances.telemetry.sinks.runtime_families import RUNTIME_FAMILIES

from .scripted_sinks import ScriptedSink, broken

S = InstanceStatus
CAUSE = Cause("degraded", "slow")
FULL = HealthSnapshot(
    instance_id="bot",
    name="bot",
    channel_type="memory",
    at=100.0,
    status=S.DEGRADED,
    since=90.0,
    connected=True,
    proven=False,
    generation=4,
    uptime=99.0,
    who_must_act=WhoMustAct.CREDENTIALS,
    attempt=2,
    next_retry_at=103.5,
    reconnect_attempts=7,
    reconnects=3,
    handovers=1,
    restarts=5,
    children=tuple(
        ChildHealth(name, state, 1, 0.0, essential=True, of_connection=True)
        for name, state in [
            ("a", ChildState.RUNNING),
            ("b", ChildState.RUNNING),
            ("c", ChildState.PARKED),
        ]
    ),
    probe=ProbeState(latency=0.25),
    since_frame=4.0,
    since_event=6.0,
    pressure=PressureLevel.WARN,
    queues=(QueueHealth("outbox", 3, 4.0, 0.75),),
    failures_in_a_row=8,
    degraded=(DegradedReason("probe", CAUSE, 91.0), DegradedReason("child:c", CAUSE, 92.0)),
)
BARE = HealthSnapshot(
    instance_id="new",
    name="new",
    channel_type="memory",
    at=100.0,
    status=S.CONNECTING,
    since=99.0,
    connected=False,
    proven=False,
    generation=1,
    uptime=1.0,
)

Samples = dict[tuple[str, frozenset[tuple[str, str]]], float]
UNWATCHED = LoopHealth(sleeps=0, slept=0.0, stalls=None, stalled=None, shares=None)
ASLEEP: Samples = {
    ("machine_sleeps_total", frozenset()): 0,
    ("machine_slept_seconds_total", frozenset()): 0,
}
BUDGET = BudgetHealth(
    key="token",
    attempts_per_second=0.2,
    granted=7,
    waited=30.5,
    left=1,
    left_today=990,
    in_flight=2,
    next_slot_at=101.0,
    waiting=4,
    place=None,
    breaker=BreakerPhase.OPEN,
    openings=3,
)


class Fleet:
    """Instances and sinks as a test says they are."""

    def __init__(self, *snapshots: HealthSnapshot) -> None:
        self.snapshots = list(snapshots)
        self.sinks: list[telemetry.SinkStatistics] = []
        self.budgets: list[BudgetHealth] = []
        self.loop = UNWATCHED

    def list_instances(self) -> Sequence[Any]:
        """Return something with a ``health`` for each snapshot."""
        return [Fixed(snapshot) for snapshot in self.snapshots]

    def sink_statistics(self) -> Sequence[telemetry.SinkStatistics]:
        """Return what the test says."""
        return self.sinks

    def list_budget_health(self) -> Sequence[BudgetHealth]:
        """Return what the test says."""
        return self.budgets

    def loop_health(self) -> LoopHealth:
        """Return what the test says."""
        return self.loop


@attrs.frozen
class Fixed:
    """An instance that does not change."""

    snapshot: HealthSnapshot

    def health(self) -> HealthSnapshot:
        """Return it."""
        return self.snapshot


def parse(text: bytes) -> Samples:
    """Read the text format."""
    return {
        (sample.name.removeprefix(PREFIX), frozenset(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(text.decode())
        for sample in family.samples
    }


def labelled(**labels: str) -> frozenset[tuple[str, str]]:
    """Return labels as the parsed samples have them."""
    return frozenset(labels.items())


async def scrape(fleet: Fleet, **options: Any) -> Samples:
    """Scrape once."""
    return parse(await PrometheusCollector(fleet, **options).scrape())


async def test_a_snapshot_becomes_these_series() -> None:
    """Each with the instance and its channel type, counters with ``_total``, times in seconds."""
    bot = partial(labelled, instance_id="bot", channel_type="memory")

    assert await scrape(Fleet(FULL)) == {
        **ASLEEP,
        ("instances", bot(status="degraded")): 1,
        ("connected", bot()): 1,
        ("proven", bot()): 0,
        ("degraded", bot(reason="probe")): 1,
        ("degraded", bot(reason="child:c")): 1,
        ("action_needed", bot(who="credentials")): 1,
        ("children", bot(state="running")): 2,
        ("children", bot(state="parked")): 1,
        ("restarts_total", bot()): 5,
        ("reconnect_attempts_total", bot()): 7,
        ("reconnects_total", bot()): 3,
        ("handovers_total", bot()): 1,
        ("attempts_in_a_row", bot()): 2,
        ("next_retry_seconds", bot()): 3.5,
        ("status_age_seconds", bot()): 10,
        ("probe_duration_seconds", bot()): 0.25,
        ("last_frame_age_seconds", bot()): 4,
        ("last_event_age_seconds", bot()): 6,
        ("queue_occupancy_ratio", bot(queue="outbox")): 0.75,
        ("failures_in_a_row", bot()): 8,
    }


async def test_what_is_not_known_has_no_series() -> None:
    """Zero would be an answer."""
    names = {name for name, _ in await scrape(Fleet(BARE))}

    assert names.isdisjoint(
        {"probe_duration_seconds", "last_frame_age_seconds", "next_retry_seconds", "children"}
    )
    assert {"instances", "restarts_total"} <= names


async def test_without_the_instance_s_id_types_are_summed_up() -> None:
    """Or the highest is taken, where a sum has no meaning."""
    other = attrs.evolve(FULL, instance_id="other", restarts=1, attempt=9, since_frame=1.0)
    third = attrs.evolve(BARE, channel_type="websocket")
    samples = await scrape(Fleet(FULL, other, third), by_instance=False)
    memory = partial(labelled, channel_type="memory")

    assert samples["instances", memory(status="degraded")] == 2
    assert samples["instances", labelled(channel_type="websocket", status="connecting")] == 1
    assert samples["connected", memory()] == 2
    assert samples["children", memory(state="running")] == 4
    assert samples["restarts_total", memory()] == 6
    assert samples["attempts_in_a_row", memory()] == 9
    assert samples["last_frame_age_seconds", memory()] == 4
    assert all("instance_id" not in dict(labels) for _, labels in samples)


async def test_connection_budgets_are_seen() -> None:
    """What is allowed, spent and left, who waits, and where the breaker is."""
    fleet = Fleet()
    fleet.budgets = [BUDGET]
    token = partial(labelled, budget="token")

    assert await scrape(fleet) == {
        **ASLEEP,
        ("budget_limit_per_second", token()): 0.2,
        ("budget_attempts_total", token()): 7,
        ("budget_waited_seconds_total", token()): 30.5,
        ("budget_waiting", token()): 4,
        ("budget_in_flight", token()): 2,
        ("budget_left_today", token()): 990,
        ("budget_breaker", token(phase="closed")): 0,
        ("budget_breaker", token(phase="open")): 1,
        ("budget_breaker", token(phase="canary")): 0,
        ("budget_breaker_openings_total", token()): 3,
    }


async def test_a_budget_without_a_limit_has_no_series_for_it() -> None:
    """No day and no breaker; and two budgets of one key are two."""
    fleet = Fleet()
    plain = attrs.evolve(BUDGET, left_today=None, breaker=None)
    fleet.budgets = [plain, attrs.evolve(plain, granted=9)]
    samples = await scrape(fleet)

    names = {name for name, _ in samples}
    assert names.isdisjoint(
        {"budget_left_today", "budget_breaker", "budget_breaker_openings_total"}
    )
    assert samples["budget_attempts_total", labelled(budget="token")] == 7
    assert samples["budget_attempts_total", labelled(budget="token-2")] == 9


@pytest.mark.parametrize("by_instance", [True, False])
async def test_the_event_loop_and_the_machine_are_seen(*, by_instance: bool) -> None:
    """Stalls and shares where somebody watches; the shares of instances where these are wanted."""
    fleet = Fleet()
    shares = LoopShares(10.0, {"bot": 0.25, "other": 0.125}, 0.125)
    fleet.loop = LoopHealth(sleeps=2, slept=3600.5, stalls=3, stalled=1.5, shares=shares)
    each = {
        ("loop_share_ratio", labelled(instance_id="bot")): 0.25,
        ("loop_share_ratio", labelled(instance_id="other")): 0.125,
    }

    assert await scrape(fleet, by_instance=by_instance) == {
        ("machine_sleeps_total", labelled()): 2,
        ("machine_slept_seconds_total", labelled()): 3600.5,
        ("loop_stalls_total", labelled()): 3,
        ("loop_stalled_seconds_total", labelled()): 1.5,
        ("loop_busy_ratio", labelled()): 0.5,
        **(each if by_instance else {}),
    }


async def test_sums_do_not_go_back_when_an_instance_is_gone() -> None:
    """Or when another one takes its id, and begins to count from nothing."""
    fleet = Fleet(FULL, attrs.evolve(FULL, instance_id="other", restarts=10))
    collector = PrometheusCollector(fleet, by_instance=False)
    key = "restarts_total", labelled(channel_type="memory")
    seen = [parse(await collector.scrape())[key]]
    fleet.snapshots.pop()
    seen.append(parse(await collector.scrape())[key])
    fleet.snapshots = [attrs.evolve(FULL, restarts=2)]
    seen.append(parse(await collector.scrape())[key])
    fleet.snapshots = []
    seen.append(parse(await collector.scrape())[key])

    assert seen == [15, 15, 17, 17]


LIVES = st.lists(
    st.dictionaries(st.sampled_from("abc"), st.integers(0, 3)), min_size=1, max_size=10
)


@given(LIVES)
def test_sums_are_what_all_instances_ever_counted(lives: list[dict[str, int]]) -> None:
    """Whoever comes, counts and goes between two scrapes: nothing is lost, nothing is doubled."""

    async def main() -> None:
        fleet = Fleet()
        collector = PrometheusCollector(fleet, by_instance=False)
        counters: dict[str, int] = {}
        ever = 0
        for life in lives:
            counters = {name: counters.get(name, 0) + more for name, more in life.items()}
            ever += sum(life.values())
            fleet.snapshots = [
                attrs.evolve(FULL, instance_id=name, restarts=count)
                for name, count in counters.items()
            ]
            samples = parse(await collector.scrape())
            assert samples.get(("restarts_total", labelled(channel_type="memory")), 0) == ever

    trio.run(main)


async def test_an_older_scrape_that_comes_late_takes_nobody_for_gone() -> None:
    """Of two at once, either may be done first."""
    family = next(family for family in FAMILIES if family.name == "restarts")
    collector = PrometheusCollector(Fleet(), by_instance=False)
    totals = collector._totals["restarts"]  # noqa: SLF001 - there is no way to order two threads
    newer = [FULL, attrs.evolve(FULL, instance_id="other", restarts=10)]

    assert totals.take(family, newer, 2.0) == {("memory",): 15}
    assert totals.take(family, [attrs.evolve(FULL, restarts=4)], 1.0) == {("memory",): 15}
    assert totals.take(family, newer, 3.0) == {("memory",): 15}


async def test_sinks_are_seen_as_well() -> None:
    """What they took, what they lost, and whether they fail; two of a type are told apart."""
    fleet = Fleet()
    first = telemetry.SinkStatistics(
        sink="LoguruSink", written=9, lost=2, buffered=1, failures=3, blocked=4, failing=True
    )
    fleet.sinks = [first, attrs.evolve(first, written=1, failing=False)]

    samples = await scrape(fleet)

    assert samples["sink_events_total", labelled(sink="LoguruSink", outcome="written")] == 9
    assert samples["sink_events_total", labelled(sink="LoguruSink", outcome="lost")] == 2
    assert samples["sink_events_total", labelled(sink="LoguruSink-2", outcome="written")] == 1
    assert samples["sink_buffered", labelled(sink="LoguruSink")] == 1
    assert samples["sink_failures_total", labelled(sink="LoguruSink", how="raised")] == 3
    assert samples["sink_failures_total", labelled(sink="LoguruSink", how="cut_off")] == 4
    assert samples["sink_failing", labelled(sink="LoguruSink")] == 1
    assert samples["sink_failing", labelled(sink="LoguruSink-2")] == 0


@pytest.mark.parametrize("text", ['quo"te', "back\\slash", "line\nbreak", "ünï", "{a=b}"])
async def test_any_text_can_be_a_label(text: str) -> None:
    """It comes back as it was."""
    samples = await scrape(Fleet(attrs.evolve(FULL, instance_id=text)))

    assert dict(next(labels for name, labels in samples if name == "connected")) == {
        "instance_id": text,
        "channel_type": "memory",
    }


@pytest.mark.parametrize(
    ("name", "said"),
    [
        *((each.name, each.help) for each in FAMILIES),
        *((each.prometheus_name, each.help) for each in RUNTIME_FAMILIES),
    ],
)
def test_a_name_follows_the_conventions(name: str, said: str) -> None:
    """Small letters, base units, a help text that is a sentence; ``_total`` is the format's."""
    assert re.fullmatch(r"[a-z]+(_[a-z]+)*", name)
    assert not name.endswith("_total")
    assert not re.search(r"_(ms|milliseconds|percent|minutes)\b", name)
    assert re.fullmatch(r"[A-Z].*\.", said)


# --- in a runtime --------------------------------------------------------------------------------


async def test_a_runtime_is_scraped_in_its_own_thread(autojump_clock: MockClock) -> None:
    """Instances that come and go are there, and are gone, at the next scrape."""
    server = MemoryServer()
    sinks = [ScriptedSink(broken)]
    async with open_runtime(sinks=sinks) as runtime:
        collector = PrometheusCollector(runtime)
        bot = await runtime.start_instance(InstanceSpec(id="bot", channel=MemoryChannel(server)))
        await bot.wait_status("connected")
        await trio.sleep(2)
        before = parse(await collector.scrape())
        await runtime.stop_instance("bot")
        after = parse(await collector.scrape())

    bot_is = partial(labelled, instance_id="bot", channel_type="memory")
    assert before["instances", bot_is(status="connected")] == 1
    assert before["status_age_seconds", bot_is()] == pytest.approx(2)
    assert before["sink_failing", labelled(sink="ScriptedSink")] == 1
    assert not [name for name, labels in after if ("instance_id", "bot") in labels]


async def test_what_a_runtime_goes_through_is_counted(autojump_clock: MockClock) -> None:
    """A wait for the budget, a handover and a sleep of the machine."""
    asleep = 0.0
    budget = ConnectionBudget("token", BudgetPolicy(attempts_per_second=0.5))
    channel = MemoryChannel(MemoryServer())
    channel.overlaps = True
    async with open_runtime(wall_clock=lambda: trio.current_time() + asleep) as runtime:
        collector = PrometheusCollector(runtime)
        at_once = ReconnectPolicy(hint_floor=0.0)
        spec = InstanceSpec(id="bot", channel=channel, budget=budget, reconnect=at_once)
        bot = await runtime.start_instance(spec)
        await bot.wait_status("connected")
        bot.rotate()
        asleep = 3600.0
        await trio.sleep(10)
        samples = parse(await collector.scrape())

    assert samples["budget_attempts_total", labelled(budget="token")] == 2
    assert samples["budget_waited_seconds_total", labelled(budget="token")] == pytest.approx(2)
    bot_is = labelled(instance_id="bot", channel_type="memory")
    assert samples["handovers_total", bot_is] == 1
    assert samples["machine_sleeps_total", labelled()] == 1
    assert samples["machine_slept_seconds_total", labelled()] == pytest.approx(3600)
    assert ("loop_stalls_total", labelled()) not in samples


async def test_a_stall_that_is_watched_is_counted() -> None:
    """In real time: a step that blocks the loop, and whose time that was."""

    class Blocking(MemoryChannel):
        async def probe(self, instance: Instance, connection: MemoryConnection) -> None:
            time.sleep(0.05)  # noqa: ASYNC251 - that is what blocks

    probe = ProbePolicy(interval=0.02)
    async with open_runtime() as runtime:
        with watch_stalls(0.02, window=0.1):
            collector = PrometheusCollector(runtime)
            await runtime.start_instance(
                InstanceSpec(id="bot", channel=Blocking(MemoryServer()), probe=probe)
            )
            await trio.sleep(0.5)
            samples = parse(await collector.scrape())
        after = parse(await collector.scrape())

    stalls = samples["loop_stalls_total", labelled()]
    assert stalls >= 1
    assert samples["loop_stalled_seconds_total", labelled()] >= 0.05 * stalls
    assert 0 < samples["loop_share_ratio", labelled(instance_id="bot")] <= 1
    assert ("loop_stalls_total", labelled()) not in after


async def test_a_registry_takes_it(autojump_clock: MockClock) -> None:
    """In Trio's own thread as well, and it refuses a second one of the same names."""
    registry = CollectorRegistry(auto_describe=True)
    async with open_runtime() as runtime:
        registry.register(PrometheusCollector(runtime))
        channel = MemoryChannel(MemoryServer())
        await runtime.start_instance(InstanceSpec(id="bot", channel=channel))
        samples = parse(generate_latest(registry))
        with pytest.raises(ValueError, match="Duplicated timeseries"):
            registry.register(PrometheusCollector(runtime))

    assert [name for name, _ in samples if name == "connected"] == ["connected"]


def get(port: int) -> bytes:
    """Ask as Prometheus does."""
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=30) as answer:
        body: bytes = answer.read()
        return body


async def test_the_server_of_the_client_library_can_ask_from_its_own_thread() -> None:
    """A real scrape over HTTP; when the runtime is over, there is nothing and no error."""
    registry = CollectorRegistry()
    async with open_runtime() as runtime:
        registry.register(PrometheusCollector(runtime))
        server, thread = start_http_server(0, addr="127.0.0.1", registry=registry)
        try:
            for number in range(250):
                channel = MemoryChannel(MemoryServer())
                await runtime.start_instance(InstanceSpec(id=f"bot-{number}", channel=channel))
            text = await trio.to_thread.run_sync(get, server.server_port)
        finally:
            await trio.to_thread.run_sync(server.shutdown)
            server.server_close()
            thread.join(30)

    assert len([name for name, _ in parse(text) if name == "connected"]) == 250


def test_after_the_run_there_is_nothing_and_no_error() -> None:
    """The server's thread may outlive the runtime."""
    made: list[PrometheusCollector] = []

    async def main() -> None:
        async with open_runtime() as runtime:
            made.append(PrometheusCollector(runtime))

    trio.run(main)
    registry = CollectorRegistry()
    registry.register(made[0])

    assert generate_latest(registry) == b""


async def test_others_get_their_turns_while_snapshots_are_made(nursery: trio.Nursery) -> None:
    """A large fleet does not hold the loop until it is through."""
    turns = 0

    async def other() -> None:
        nonlocal turns
        while True:
            turns += 1
            await trio.lowlevel.checkpoint()

    nursery.start_soon(other)
    collector = PrometheusCollector(
        Fleet(*(attrs.evolve(BARE, instance_id=str(number)) for number in range(1000)))
    )
    await collector._take_in_turns()  # noqa: SLF001 - the thread after it would give turns, too

    assert turns >= 5
    nursery.cancel_scope.cancel()


async def test_scrapes_at_once_from_several_threads_agree() -> None:
    """None doubles what another one has counted."""
    fleet = Fleet(FULL)
    collector = PrometheusCollector(fleet, by_instance=False)
    registry = CollectorRegistry()
    registry.register(collector)
    texts: list[bytes] = []
    async with trio.open_nursery() as nursery:
        for _ in range(5):
            nursery.start_soon(
                trio.to_thread.run_sync, lambda: texts.append(generate_latest(registry))
            )
            nursery.start_soon(collector.scrape)

    key = "restarts_total", labelled(channel_type="memory")
    assert [parse(text)[key] for text in texts] == [5] * 5
    assert threading.active_count() >= 1


async def test_a_cancelled_scrape_changes_nothing() -> None:
    """The next one is as if it had not been."""
    collector = PrometheusCollector(Fleet(FULL), by_instance=False)
    with trio.CancelScope() as scope:
        scope.cancel()
        await collector.scrape()

    key = "restarts_total", labelled(channel_type="memory")
    assert scope.cancelled_caught
    assert parse(await collector.scrape())[key] == 5


async def test_a_switch_that_is_none_is_refused() -> None:
    """At the door."""
    with pytest.raises(InvalidSpec, match="by_instance"):
        PrometheusCollector(Fleet(), by_instance=1)  # type: ignore[arg-type]  # that is the mistake


def test_without_the_package_the_extra_is_named() -> None:
    """And everything else goes on without it."""
    program = """
import sys
sys.modules["prometheus_client"] = None
import trio_instances.telemetry
try:
    import trio_instances.telemetry.sinks.prometheus
except ModuleNotFoundError as exc:
    print(exc)
"""
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", program], capture_output=True, text=True, check=True
    )

    assert done.stdout.startswith("PrometheusCollector: ")
    assert done.stdout.endswith("the extra: pip install 'trio-instances[prometheus]'\n")
