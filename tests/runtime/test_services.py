"""The runtime's own services: supervised like everything else, with an intensity of their own."""

from __future__ import annotations

import pytest
import trio
from trio.testing import MockClock

from trio_instances import (
    ChildSpec,
    InstanceSpec,
    ProbePolicy,
    RestartLimitExceeded,
    open_runtime,
    telemetry,
)
from trio_instances._instance.probe_schedule import ProbeSchedule
from trio_instances.testing import EventRecorder

from ..instance.scripted import STEADY, ScriptedChannel, Worker, always
from .instances import slow_to_stop, spec_of

SERVICES = ("probes", "sleep", "lookout")


class Planted(Exception):
    """A bug of the library, put there by a test."""


@pytest.fixture
def plant(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Return the times at which the schedule of probes is to fail; the next one comes first."""
    times: list[float] = []
    look = ProbeSchedule._do_what_is_due  # noqa: SLF001 - where the bug is planted

    def fail_at_times(self: ProbeSchedule, now: float) -> None:
        if times and now >= times[0]:
            del times[0]
            raise Planted

        look(self, now)

    monkeypatch.setattr(ProbeSchedule, "_do_what_is_due", fail_at_times)
    return times


async def test_a_service_that_fails_is_restarted_and_told(
    autojump_clock: MockClock, plant: list[float]
) -> None:
    """Each connection goes on to be probed, also the one at whose probe it failed."""
    plant += [100.0]
    log = EventRecorder()
    channel = ScriptedChannel()
    probes = ProbePolicy(interval=10.0, jitter=0.0)
    async with open_runtime(events=log.bus) as runtime:
        spec = InstanceSpec(id="a", channel=channel, reconnect=STEADY, probe=probes)
        await runtime.start_instance(spec)
        await trio.sleep(200)
        assert runtime.instance_health("a").connected
    (restarted,) = log.of(telemetry.ChildRestarting)
    assert restarted.path == "runtime:services/probes"
    assert restarted.cause.error_type == "Planted"
    probed = [event.at for event in log.of(telemetry.ProbeCompleted)]
    assert len([at for at in probed if at < 100.0]) in (9, 10)
    assert len([at for at in probed if at > 100.0]) in (9, 10)


async def test_services_that_fail_again_and_again_end_the_runtime_in_order(
    autojump_clock: MockClock, plant: list[float]
) -> None:
    """Three restarts in ten seconds, and no more: then it says so, and nothing is left behind."""
    plant += [100.0] * 4
    log = EventRecorder()
    probes = ProbePolicy(interval=10.0)
    probed = InstanceSpec(id="c", channel=ScriptedChannel(), reconnect=STEADY, probe=probes)

    async def run() -> None:
        async with open_runtime(events=log.bus) as runtime:
            for name in "ab":
                await runtime.start_instance(spec_of(name, slow_to_stop()))
            await runtime.start_instance(probed)
            await trio.sleep_forever()

    with pytest.raises(RestartLimitExceeded, match="runtime:services"):
        await run()
    stopped = [event.instance_id for event in log.of(telemetry.InstanceStopped)]
    assert stopped == ["c", "b", "a"]


async def test_no_child_of_an_instance_shares_its_path_with_a_service(
    autojump_clock: MockClock,
) -> None:
    """Whatever the instance is called: logs and events would take one for the other."""
    log = EventRecorder()
    channel = ScriptedChannel()
    channel.give_own = always(*(ChildSpec(name, Worker().run) for name in SERVICES))
    async with open_runtime(events=log.bus) as runtime:
        await runtime.start_instance(spec_of("services", channel))
        await trio.sleep(1)
    started = log.of(telemetry.ChildStarted)
    of_runtime = {event.path for event in started if event.instance_id is None}
    of_instance = {event.path for event in started if event.instance_id == "services"}
    assert of_runtime == {f"runtime:services/{name}" for name in SERVICES}
    assert of_instance >= {f"runtime/services/{name}" for name in SERVICES}
