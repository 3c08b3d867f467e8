"""The strategies: what each draws is valid, and what is printed of it makes it again."""

from __future__ import annotations

import math
import subprocess
import sys
from pathlib import Path
from random import Random
from typing import Any

import pytest
import trio
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from trio.testing import MockClock

from trio_instances import (
    Backoff,
    BreakerPolicy,
    BudgetPolicy,
    Cause,
    ChildSpec,
    InstanceSpec,
    PressurePolicy,
    ProbePolicy,
    ReconnectPolicy,
    RestartIntensity,
    RuntimeSettings,
    open_runtime,
)
from trio_instances.testing import (
    Attempt,
    FakeChannel,
    Fault,
    FaultKind,
    FaultSchedule,
    Script,
    draw_faults,
    strategies,
)

DRAWN: dict[str, type] = {
    "attempts": Attempt,
    "backoffs": Backoff,
    "breaker_policies": BreakerPolicy,
    "budget_policies": BudgetPolicy,
    "causes": Cause,
    "child_specs": ChildSpec,
    "fault_schedules": FaultSchedule,
    "faults": Fault,
    "instance_specs": InstanceSpec,
    "names": str,
    "pressure_policies": PressurePolicy,
    "probe_policies": ProbePolicy,
    "reconnect_policies": ReconnectPolicy,
    "restart_intensities": RestartIntensity,
    "runtime_settings": RuntimeSettings,
    "scripts": Script,
}

few = settings(max_examples=40, suppress_health_check=[HealthCheck.too_slow])


def test_each_strategy_is_drawn_below() -> None:
    """None is forgotten."""
    assert sorted(DRAWN) == strategies.__all__


@pytest.mark.parametrize("name", DRAWN)
@few
@given(data=st.data())
def test_what_is_drawn_is_valid(name: str, data: st.DataObject) -> None:
    """Its class has refused nothing."""
    value = data.draw(getattr(strategies, name)())

    assert isinstance(value, DRAWN[name])


NAMES: dict[str, Any] = {
    "Attempt": Attempt,
    "Cause": Cause,
    "Fault": Fault,
    "FaultSchedule": FaultSchedule,
    "Script": Script,
    "math": math,
}


@few
@given(strategies.scripts() | strategies.fault_schedules())
def test_what_is_printed_makes_the_value_again(value: Script | FaultSchedule) -> None:
    """So a counterexample can be pasted, whatever is in it."""
    assert eval(repr(value), NAMES) == value  # noqa: S307 - our own text


@few
@given(strategies.scripts(fatal=False))
def test_a_script_without_fatal_failures_has_none(script: Script) -> None:
    """So that the instance comes back."""
    for attempt in script.attempts:
        causes = [attempt.refused, attempt.ends, attempt.crash, attempt.close_fails]
        assert all(c.failure_class != "fatal" for c in causes if isinstance(c, Cause))


@few
@given(strategies.fault_schedules(seconds=100.0, kinds=st.just(FaultKind.OUTAGE)))
def test_a_schedule_is_over_in_time(faults: FaultSchedule) -> None:
    """Of the kinds that were asked for, in order."""
    assert faults.ends <= 100.0 + 1e-9
    assert {fault.kind for fault in faults.faults} <= {FaultKind.OUTAGE}
    assert [f.at for f in faults.faults] == sorted(f.at for f in faults.faults)


@given(st.integers())
def test_a_seed_draws_the_same_faults_again(seed: int) -> None:
    """Without hypothesis, for a test that has a seed alone; all of them end in time."""
    faults = draw_faults(Random(seed), seconds=1000.0, at_most=3)

    assert faults == draw_faults(Random(seed), seconds=1000.0, at_most=3)
    assert 1 <= len(faults.faults) <= 3
    assert faults.ends <= 1000.01
    assert "expire" not in {fault.kind for fault in faults.faults}


@settings(max_examples=60, suppress_health_check=[HealthCheck.too_slow])
@given(strategies.scripts(fatal=False), strategies.fault_schedules(seconds=300.0))
def test_no_script_and_no_schedule_makes_the_fake_misbehave(
    script: Script, faults: FaultSchedule
) -> None:
    """A fake has one generation at a time, ends when it is stopped, and lets time pass."""
    channel = FakeChannel(script, faults=faults, since=0.0)

    async def play() -> None:
        async with open_runtime(random=Random(1)) as runtime:
            await runtime.start_instance(InstanceSpec(id="bot", channel=channel))
            await trio.sleep(600.0)
            await runtime.stop_instance("bot")
        assert trio.current_time() < 600.0 + 60.0

    trio.run(play, clock=MockClock(autojump_threshold=0))

    assert channel.most_living == 1
    assert channel.living == 0


def test_without_hypothesis_it_is_said_what_is_missing(tmp_path: Path) -> None:
    """By the name under which it is installed."""
    (tmp_path / "hypothesis.py").write_text("raise ImportError('not there')")
    code = (
        f"import sys; sys.path.insert(0, {str(tmp_path)!r});"
        "from trio_instances.testing import strategies"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], check=False, capture_output=True, text=True, timeout=30
    )

    assert "needs hypothesis: pip install hypothesis" in done.stderr
