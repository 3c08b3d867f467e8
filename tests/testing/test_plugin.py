"""The pytest plugin, as users have it: in sessions of their own, in both modes of pytest-trio."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from collections.abc import Callable
from pathlib import Path

import pytest

pytest_plugins = ["pytester"]

ROOT = Path(__file__).parents[2]

PLUGIN = ("-p", "pytest_trio_instances", "-p", "no:cacheprovider")

IMPORTS = """
import math
import os
import random

import pytest
import trio
import trio.testing
from trio_instances import *
from trio_instances.testing import *
"""

Run = Callable[..., pytest.RunResult]


@pytest.fixture(params=["trio_mode", "marker"])
def run(request: pytest.FixtureRequest, pytester: pytest.Pytester) -> Run:
    """Return what runs a test file in a session of its own, in one of the modes."""
    marked = request.param == "marker"
    if not marked:
        pytester.makeini("[pytest]\ntrio_mode = true")

    def run(source: str, *args: str) -> pytest.RunResult:
        mark = "pytestmark = pytest.mark.trio\n" if marked else ""
        pytester.makepyfile(IMPORTS + mark + source)
        return pytester.runpytest_inprocess(*PLUGIN, *args)

    return run


# --- what costs nobody anything ------------------------------------------------------------------


def test_importing_the_plugin_imports_nothing_else() -> None:
    """It is loaded in every session of every user: pytest itself, and no module more."""
    code = (
        "import sys, pytest, random; before = set(sys.modules); import pytest_trio_instances;"
        "print(*sorted(set(sys.modules) - before))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], check=True, capture_output=True, text=True, timeout=30
    )

    assert done.stdout.split() == ["pytest_trio_instances"]


def test_the_test_kit_is_imported_without_hypothesis() -> None:
    """Who wants its strategies imports them by their own name."""
    code = "import sys, trio_instances.testing; print(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", code], check=True, capture_output=True, text=True, timeout=30
    )

    unasked = {"hypothesis", "pytest", "trio_websocket", "trio_instances.testing.strategies"}
    assert unasked.isdisjoint(done.stdout.split())


def test_a_session_that_uses_no_fixture_does_not_import_the_library(
    pytester: pytest.Pytester,
) -> None:
    """Neither does it pay, nor can it be broken by it."""
    pytester.makepyfile("import sys\ndef test(): assert 'trio_instances' not in sys.modules")

    pytester.runpytest_subprocess(*PLUGIN).assert_outcomes(passed=1)


def test_the_plugin_is_an_entry_point_and_in_the_wheel() -> None:
    """Under its own name, so that ``-p`` with it is no second registration."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))

    declared = project["project"]["entry-points"]["pytest11"]
    assert declared == {"pytest_trio_instances": "pytest_trio_instances"}
    wheel = project["tool"]["hatch"]["build"]["targets"]["wheel"]
    assert "pytest_trio_instances.py" in wheel["only-include"]


# --- a test that is right ------------------------------------------------------------------------

RIGHT = """
async def test_an_instance(instance_runtime, event_recorder, fake_channel, autojump_clock):
    fake_channel.script = 3 * Attempt(refused=503) + Attempt(holds=90.0, ends=4004)
    spec = InstanceSpec(id="bot", channel=fake_channel)
    bot = await instance_runtime.start_instance(spec)
    await event_recorder.wait_for("instance.connected", times=2)
    event_recorder.assert_sequence(
        event("instance.disconnected", reason="close_4004"), "instance.connected", instance="bot"
    )
    assert trio.current_time() > 90.0

async def test_a_supervisor(supervisor, event_recorder, autojump_clock):
    await supervisor.start_child(ChildSpec("worker", trio.sleep_forever))
    event_recorder.assert_sequence("child.started", exact=True)

async def test_both(supervisor, instance_runtime, event_recorder, fault_schedule, seeded_random):
    await trio.sleep(0)

def test_no_trio(fake_channel, event_recorder, seeded_random, fault_schedule):
    assert fault_schedule.faults

@pytest.mark.parametrize("fake_channel", [2 * Attempt()], indirect=True)
def test_a_scripted_channel(fake_channel):
    assert fake_channel.script == 2 * Attempt()

@pytest.mark.parametrize("fault_schedule", [FaultSchedule()])
def test_a_given_schedule(fault_schedule):
    assert not fault_schedule.faults
"""


def test_a_test_that_leaves_nothing_undone_passes(run: Run) -> None:
    """With a runtime or a supervisor, under the clock that it has asked for."""
    source = RIGHT.replace("\ndef test", "\nasync def test")

    run(source).assert_outcomes(passed=6)


def test_it_works_in_several_processes(pytester: pytest.Pytester) -> None:
    """Each worker of xdist loads it."""
    pytester.makeini("[pytest]\ntrio_mode = true")
    pytester.makepyfile(IMPORTS + RIGHT)

    pytester.runpytest_subprocess(*PLUGIN, "-n", "2").assert_outcomes(passed=6)


def test_it_works_without_hypothesis(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Which is an extra, and somebody else's choice."""
    pytester.makeini("[pytest]\ntrio_mode = true")
    pytester.makepyfile(
        IMPORTS
        + RIGHT
        + "def test_it_is_not_there():\n with pytest.raises(ImportError): import hypothesis\n"
    )
    blocked = pytester.mkdir("blocked")
    (blocked / "hypothesis.py").write_text("raise ImportError('it is not installed')")
    monkeypatch.setenv("PYTHONPATH", str(blocked), prepend=":")

    done = pytester.runpytest_subprocess(*PLUGIN, "-p", "no:hypothesispytest")
    done.assert_outcomes(passed=7)


@pytest.mark.parametrize("fixture", ["instance_runtime", "supervisor"])
def test_without_pytest_trio_it_says_what_is_missing(
    pytester: pytest.Pytester, fixture: str
) -> None:
    """Which pytest itself cannot know."""
    pytester.makepyfile(f"async def test({fixture}):\n    pass\n")

    done = pytester.runpytest_inprocess(*PLUGIN, "-p", "no:trio")
    done.stdout.fnmatch_lines([f"*the fixture '{fixture}' needs pytest-trio: pip install*"])
    done.assert_outcomes(errors=1)


def test_settings_and_options_are_overridden_as_fixtures_are(run: Run) -> None:
    """By a fixture of the same name, nearer to the test."""
    done = run(
        """
@pytest.fixture
def instance_runtime_settings():
    return RuntimeSettings(name="mine")

@pytest.fixture
def supervisor_options():
    return {"name": "other", "strategy": "one_for_all"}

async def test(instance_runtime, supervisor):
    assert instance_runtime.settings.name == "mine"
    assert supervisor.tree().path == "other"
    assert supervisor.tree().strategy == "one_for_all"
"""
    )

    done.assert_outcomes(passed=1)


# --- a test that passed, but ---------------------------------------------------------------------

FAILING = """
async def test(instance_runtime, instance_expectations, fake_channel, autojump_clock):
    {expected}
    fake_channel.script = Script(then=Attempt(refused=Cause("{severity}", "banned")))
    bot = await instance_runtime.start_instance(InstanceSpec(id="bot", channel=fake_channel))
    await trio.sleep(100.0)
"""


def test_an_instance_that_fails_fails_the_test(run: Run) -> None:
    """With the cause, the tree and the last events."""
    done = run(FAILING.format(expected="", severity="fatal"))

    done.assert_outcomes(failed=1)
    done.stdout.fnmatch_lines(
        [
            "the test passed, but bot failed for good: banned (fatal)*expectations.failure('bot')",
            "*trio_instances: the tree*",
            "*bot*parked*",
            "*trio_instances: the last events*",
            "*instance.failed bot: banned (fatal)*",
            "*trio_instances: chance*",
            "to have it again: --instances-seed=*",
        ]
    )


@pytest.mark.parametrize(
    ("expected", "outcome"), [("", "failed"), ("instance_expectations.failure('bot')", "passed")]
)
def test_the_verdict_is_the_same_when_the_recorder_was_cleared(
    run: Run, expected: str, outcome: str
) -> None:
    """What a test forgets for its own sake has happened all the same."""
    source = FAILING.format(expected=expected, severity="fatal").replace(
        "async def test(", "async def test(event_recorder, "
    )
    done = run(source + "    event_recorder.clear()")

    done.assert_outcomes(**{outcome: 1})


@pytest.mark.parametrize("call", ["failure('bot')", "failure('bot', 'banned')"])
def test_a_failure_can_be_expected(run: Run, call: str) -> None:
    """By its instance, and by its reason."""
    source = FAILING.format(expected=f"instance_expectations.{call}", severity="fatal")

    run(source).assert_outcomes(passed=1)


def test_a_failure_for_another_reason_is_not_what_was_expected(run: Run) -> None:
    """The test says both."""
    call = "instance_expectations.failure('bot', 'expired')"
    done = run(FAILING.format(expected=call, severity="fatal"))

    done.assert_outcomes(failed=1)
    done.stdout.fnmatch_lines(["*bot should fail with 'expired', and failed with banned*"])


def test_an_expected_failure_must_come(run: Run) -> None:
    """Or the test would go on passing when it tests nothing any more."""
    call = "instance_expectations.failure('bot')"
    done = run(FAILING.format(expected=call, severity="recoverable"))

    done.assert_outcomes(failed=1)
    done.stdout.fnmatch_lines(["*bot should fail for good, and did not*"])


PENDING = """
async def wait(task_status):
    await trio.sleep_forever()

async def test(instance_runtime, supervisor, instance_expectations, autojump_clock):
    {expected}
    channel = FakeChannel(Attempt(takes=10.0))
    bot = await instance_runtime.start_instance(InstanceSpec(id="bot", channel=channel))
    send, _ = trio.open_memory_channel(8)
    bot.watch_queue("outbox", send)
    send.send_nowait("unsent")
    supervisor.start_soon(supervise, [ChildSpec("starter", wait)], name="group")
    await trio.testing.wait_all_tasks_blocked()
"""


def test_work_that_is_under_way_fails_the_test(run: Run) -> None:
    """Attempts, queues that are not empty, children that are not ready: each with the way out."""
    done = run(PENDING.format(expected=""))

    done.assert_outcomes(failed=1)
    done.stdout.fnmatch_lines(
        [
            "the test passed, but 4 things are not as they should be:",
            "  - runtime/bot was connecting when the test ended: *may_be_pending('bot')",
            "  - runtime/bot had 1 messages in its queue 'outbox' when the test ended: *",
            "  - supervisor/group was starting when the test ended: *",
            "  - supervisor/group/starter was starting when the test ended: *",
        ]
    )


def test_work_may_be_under_way_where_the_test_says_so(run: Run) -> None:
    """By the name of an instance, or of a child."""
    call = "instance_expectations.may_be_pending('bot', 'group')"

    run(PENDING.format(expected=call)).assert_outcomes(passed=1)


@pytest.mark.parametrize(
    ("script", "deed", "told"),
    [
        ("Script(then=Attempt(refused=503))", "", "was degraded, and its connection waiting"),
        ("Script(then=Attempt(takes=25.0))", "", "was degraded, and its connection connecting"),
        ("1 * Attempt(close_takes=5.0)", "bot.pause()", "was closing connection 1"),
        ("1 * Attempt(close_takes=5.0)", "bot.rotate()", "was closing connection 1"),
        ("Attempt() + Attempt(takes=5.0)", "bot.rotate()", "was making connection 2, *"),
    ],
)
def test_an_attempt_or_a_closing_is_under_way_whatever_the_status_says(
    run: Run, script: str, deed: str, told: str
) -> None:
    """One that is degraded has no connection, one that is paused or connected closes another."""
    done = run(
        f"""
QUICK = ReconnectPolicy(attempts=1, connect_timeout=20.0, slow=Backoff(cap=10.0, jitter="none"))

async def test(instance_runtime, autojump_clock):
    channel = FakeChannel({script}, overlaps=True)
    spec = InstanceSpec(id="bot", channel=channel, reconnect=QUICK, probe=None)
    bot = await instance_runtime.start_instance(spec)
    await trio.sleep(28.0)
    {deed or "pass"}
"""
    )

    done.assert_outcomes(failed=1)
    done.stdout.fnmatch_lines([f"the test passed, but runtime/bot {told} when the test ended: *"])


def test_what_needs_no_time_is_not_under_way(run: Run) -> None:
    """Or chance would decide whether an instance that was paused has ended its children."""
    done = run(
        """
async def test(instance_runtime, autojump_clock):
    for number in range(50):
        spec = InstanceSpec(id=f"bot-{number}", channel=FakeChannel(), probe=None)
        bot = await instance_runtime.start_instance(spec)
        await bot.wait_status("connected")
    await trio.sleep(1)
    for bot in instance_runtime.list_instances():
        bot.reconnect()
"""
    )

    done.assert_outcomes(passed=1)


LEFT = """
async def stubborn():
    try:
        await trio.sleep_forever()
    finally:
        with trio.CancelScope(shield=True):
            await trio.sleep(1000.0)

async def slow():
    with until_stopped():
        await trio.sleep_forever()
    await trio.sleep(100.0)

async def test(supervisor, instance_expectations, autojump_clock):
    {expected}
    await supervisor.start_child(ChildSpec("stubborn", stubborn))
    await supervisor.start_child(ChildSpec("slow", slow))
    await trio.testing.wait_all_tasks_blocked()
"""


def test_what_does_not_end_fails_the_test(run: Run) -> None:
    """A child that ignores its cancellation, and one that had to be cancelled."""
    done = run(LEFT.format(expected=""))

    done.assert_outcomes(failed=1)
    done.stdout.fnmatch_lines(
        [
            "*supervisor/slow was left running: it had to be cancelled after * s: *",
            "*supervisor/stubborn was left running: it ignored its cancellation, at *: *",
        ]
    )


def test_what_does_not_end_may_be_left_where_the_test_says_so(run: Run) -> None:
    """By the name of the child."""
    call = "instance_expectations.may_be_left('slow', 'supervisor/stubborn')"

    run(LEFT.format(expected=call)).assert_outcomes(passed=1)


HUNG = """
async def test(instance_runtime, instance_expectations, fake_channel, autojump_clock):
    {expected}
    fake_channel.script = 1 * Attempt(close_takes=math.inf)
    bot = await instance_runtime.start_instance(InstanceSpec(id="bot", channel=fake_channel))
    await bot.wait_status("connected")
    {end}
"""


@pytest.mark.parametrize("end", ["", "await instance_runtime.stop_instance('bot')"])
def test_a_closing_that_does_not_end_fails_the_test(run: Run, end: str) -> None:
    """Whether it is the test that stops the instance, or its end."""
    done = run(HUNG.format(expected="", end=end))

    done.assert_outcomes(failed=1)
    told = "*runtime/bot was left open: *did not close within 10 s: *may_be_left('bot')"
    done.stdout.fnmatch_lines([told])


@pytest.mark.parametrize("name", ["bot", "runtime/bot"])
def test_a_closing_may_hang_where_the_test_says_so(run: Run, name: str) -> None:
    """By the id of the instance, or its path."""
    call = f"instance_expectations.may_be_left({name!r})"

    run(HUNG.format(expected=call, end="")).assert_outcomes(passed=1)


# --- a test that failed --------------------------------------------------------------------------


def test_a_failure_of_the_test_is_all_that_is_told_and_what_helps_is_shown(run: Run) -> None:
    """What it left behind is no wonder then; the tree and the events are there to look at."""
    done = run(
        """
async def test(instance_runtime, fake_channel, autojump_clock):
    fake_channel.script = Script(then=Attempt(refused=Cause("fatal", "banned")))
    bot = await instance_runtime.start_instance(InstanceSpec(id="bot", channel=fake_channel))
    await trio.testing.wait_all_tasks_blocked()
    assert bot.status == "connected"
"""
    )

    done.assert_outcomes(failed=1)
    assert "the test passed, but" not in done.stdout.str()
    done.stdout.fnmatch_lines(
        ["*assert *'failed'* == 'connected'*", "*the tree*", "*the last events*"]
    )


def test_a_supervisor_that_gives_up_fails_the_test(run: Run) -> None:
    """The test is cancelled, and the escalation is what it fails with."""
    done = run(
        """
async def crash():
    raise ValueError("bug")

async def test(supervisor, autojump_clock):
    supervisor.start_soon(crash)
    await trio.sleep(1.0)
"""
    )

    done.assert_outcomes(failed=1)
    done.stdout.fnmatch_lines(["*RestartLimitExceeded*", "*trio_instances: the tree*"])


# --- chance --------------------------------------------------------------------------------------

CHANCE = """
async def test_one(seeded_random):
    print("one", seeded_random.random())
    assert False

async def test_two(seeded_random):
    print("two", seeded_random.random())
"""


def numbers(done: pytest.RunResult) -> list[str]:
    """Return what the tests have drawn."""
    return sorted(re.findall(r"(?:one|two) 0\.\d+", done.stdout.str()))


def test_chance_can_be_had_again(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """By the option or the variable that a failing test prints; the session's seed is drawn."""
    by_chance, again = (numbers(run(CHANCE, "-s")) for _ in range(2))
    assert by_chance != again

    by_option = run(CHANCE, "-s", "--instances-seed=5")
    by_option.stdout.fnmatch_lines(["*--instances-seed=5, or TRIO_INSTANCES_SEED=5*"])
    monkeypatch.setenv("TRIO_INSTANCES_SEED", "5")
    by_variable = run(CHANCE, "-s")
    assert len(numbers(by_option)) == 2
    assert numbers(by_option) == numbers(by_variable)


def test_each_test_has_a_chance_of_its_own(run: Run) -> None:
    """Whichever tests run before it, so that one alone draws the same."""
    both = numbers(run(CHANCE, "-s", "--instances-seed=5"))
    alone = numbers(run(CHANCE, "-s", "--instances-seed=5", "-k", "two"))

    assert alone == both[1:]
    assert both[0].split()[1] != both[1].split()[1]


def test_a_drawn_schedule_is_printed(run: Run) -> None:
    """As the Python that makes it."""
    done = run("async def test(fault_schedule): assert False", "--instances-seed=5")

    done.stdout.fnmatch_lines(["*the faults*", "FaultSchedule((Fault(kind=*"])
