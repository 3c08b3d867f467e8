"""Worlds on a real runtime: replayed event by event, and never broken by a sound library."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import trio
from attrs import evolve

from trio_instances._instance import acting
from trio_instances._instance.life import Life
from trio_instances.telemetry import InstanceDisconnected
from trio_instances.testing.simulate import stage as staging
from trio_instances.testing.simulate.__main__ import main
from trio_instances.testing.simulate.generating import generate
from trio_instances.testing.simulate.hunting import Tally, hunt
from trio_instances.testing.simulate.laws.base import Violation
from trio_instances.testing.simulate.report import report
from trio_instances.testing.simulate.stage import Outcome, Stage, play, weight
from trio_instances.testing.simulate.world import Happening, What, World, to_json

from .streams import DROP, GONE, PLAIN, world

HOURS = 1000.0
BUSY = 4
"""The seed of a world in which much happens, in little time."""


def events_of(seed: int, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Return all that is heard while a world is played."""
    heard: list[str] = []
    hear = Stage.hear

    def note(stage: Stage, happened: Any) -> None:
        heard.append(f"{type(happened).__name__} {happened.at} {happened.instance_id}")
        hear(stage, happened)

    with monkeypatch.context() as patch:
        patch.setattr(Stage, "hear", note)
        play(generate(seed))
    return heard


def test_a_world_is_played_the_same_way_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """The same seed leads to the same events in the same order: so a violation can be replayed."""
    first = events_of(BUSY, monkeypatch)

    assert len(first) > 200
    assert events_of(BUSY, monkeypatch) == first


@pytest.mark.timeout(180)
def test_a_thousand_hours_break_no_law() -> None:
    """Some hundred worlds, each with a fleet and a hard time of its own."""
    done = subprocess.run(
        [
            *(sys.executable, "-m", "trio_instances.testing.simulate"),
            *("--hours", str(HOURS), "--seed", "1"),
        ],
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 0, done.stdout + done.stderr
    assert "violations                   0" in done.stdout


def test_a_runtime_that_is_cancelled_is_followed_by_another_one() -> None:
    """The whole fleet comes up again, and what was before it is over."""
    cancel = Happening(number=1, at=1000.0, what=What.CANCEL)
    outcome = play(evolve(world(PLAIN, schedule=(cancel,)), seconds=8000.0))

    assert outcome.violations == ()
    assert outcome.instance_hours == pytest.approx(1.0)  # looked at once an hour


def test_a_world_that_hangs_is_broken_off(monkeypatch: pytest.MonkeyPatch) -> None:
    """What never ends is told of as a violation, and does not hold up the hunt."""

    async def hang(*_: object) -> None:
        with trio.CancelScope(shield=True):
            await trio.sleep_forever()

    monkeypatch.setattr(Stage, "_play", hang)
    outcome = play(world(schedule=()))

    assert [each.text for each in outcome.violations] == ["it does not come to its end"]


def test_what_goes_round_and_round_is_broken_off(monkeypatch: pytest.MonkeyPatch) -> None:
    """Events without end at one moment are a violation."""
    monkeypatch.setattr(staging, "AT_ONCE", 5)
    outcome = play(world(schedule=()))

    assert outcome.violations[0].text == "5 events at one moment"


def test_what_the_runtime_raises_is_a_violation(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing comes out of a runtime whose body raises nothing."""

    async def fail(*_: object) -> None:
        raise KeyError("lost")

    monkeypatch.setattr(Stage, "_play", fail)

    assert play(world(schedule=())).violations[0].text == "KeyError: 'lost'"


# --- the command ---------------------------------------------------------------------------------


def test_a_violation_is_printed_with_what_replays_it(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """The seed, the law, and the schedule, shrunk to what is needed; the exit code tells it."""
    monkeypatch.setattr(
        "trio_instances.testing.simulate.laws.lives.NothingStale.hears", _hears_drops
    )

    code = main(["--hours", "1", "--seed", str(BUSY)])
    out = capsys.readouterr().out

    assert code == 1
    assert f"seed {BUSY} breaks a law: nothing stale: at" in out
    printed = tmp_path / "schedule.json"
    printed.write_text(out[out.rindex('{"seed"') :], encoding="utf-8")
    assert printed.read_text(encoding="utf-8").count('"number"') == 1

    assert main(["--replay", str(printed)]) == 1
    assert "nothing stale" in capsys.readouterr().out
    assert main(["--replay", printed.read_text(encoding="utf-8")]) == 1


def _hears_drops(law: Any) -> Any:
    """Return what a law hears that takes every loss of a connection for a mistake."""

    def lost(event: InstanceDisconnected) -> None:
        law.require("#" not in event.cause.reason, event.at, "a connection was lost")

    return {InstanceDisconnected: lost}


def test_a_world_that_keeps_the_laws_is_replayed(capsys: pytest.CaptureFixture[str]) -> None:
    """The exit code is 0, and the number of events is told."""
    code = main(["--replay", to_json(evolve(world(), seconds=2000.0))])

    assert code == 0
    assert capsys.readouterr().out.endswith("events, 0 violations\n")


def test_what_is_no_schedule_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    """The message says what was given."""
    assert main(["--replay", "{}"]) == 2
    assert "holds no schedule" in capsys.readouterr().err


def test_progress_is_told_where_it_is_asked_for(capsys: pytest.CaptureFixture[str]) -> None:
    """On the other stream, so that the report can be kept."""
    assert main(["--hours", "0.1", "--seed", str(BUSY), "--progress"]) == 0
    assert "1 worlds" in capsys.readouterr().err


def test_a_hunt_ends_after_a_few_violations(monkeypatch: pytest.MonkeyPatch) -> None:
    """A library that is broken is not hunted for ever."""
    violation = Violation("a law", 1.0, "broken")

    def broken(played: Any) -> Any:
        return evolve(play(played), violations=(violation,))

    monkeypatch.setattr("trio_instances.testing.simulate.hunting.play", broken)
    tally = hunt(1e9, BUSY, most_violations=1)

    assert [found for _, found in tally.violations] == [violation]


def test_what_a_world_leaves_behind_is_a_violation(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing of a runtime that has ended is kept by anybody."""
    monkeypatch.setattr("trio_instances.testing.simulate.hunting.weight", lambda: 3)
    monkeypatch.setattr("trio_instances.testing.simulate.hunting.shrink", lambda played, _: played)
    tally = hunt(0.1, BUSY)

    assert tally.violations[0][1].text == "3 objects are left of the world"


def _keep_what_is_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let whoever hears of a loss keep something for ever."""
    kept: list[Any] = []
    disconnect = acting._disconnect  # noqa: SLF001 - a bug is planted there

    def leak(record: Any, action: Any, *given: Any) -> None:
        disconnect(record, action, *given)
        if "#" in str(action.cause):
            kept.append(Life(0, 0.0))

    monkeypatch.setattr(acting, "_disconnect", leak)


def test_what_leaves_something_behind_is_shrunk_and_replayed(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """One function says what is wrong with a world, whoever asks."""
    _keep_what_is_lost(monkeypatch)
    drops = tuple(
        evolve(DROP, number=n, at=100.0 * n, cause=evolve(GONE, reason=f"drop#{n}"))
        for n in range(1, 5)
    )
    monkeypatch.setattr(
        "trio_instances.testing.simulate.hunting.generate",
        lambda _: evolve(world(PLAIN, schedule=drops), seconds=2000.0),
    )

    tally = hunt(0.1, 1)
    small, violation = tally.violations[0]
    assert violation.law == "flat memory"
    assert len(small.schedule) == 1
    assert main(["--replay", to_json(small)]) == 1
    assert "flat memory" in capsys.readouterr().out


# --- Ctrl-C, and what takes long -----------------------------------------------------------------


def test_an_interrupt_breaks_no_law(monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where a nursery has put something else beside it."""

    async def interrupt(*_: object) -> None:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(trio.sleep_forever)
            raise KeyboardInterrupt

    monkeypatch.setattr(Stage, "_play", interrupt)

    with pytest.raises(KeyboardInterrupt):
        play(world(schedule=()))


def test_a_hunt_that_is_interrupted_says_what_came_until_then(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The figures are there; the exit code is that of Ctrl-C."""
    played: list[World] = []

    def interrupt(each: World) -> Outcome:
        played.append(each)
        if len(played) == 3:
            raise KeyboardInterrupt
        return Outcome(world=each, violations=(), events=5, instance_hours=1.0)

    monkeypatch.setattr("trio_instances.testing.simulate.hunting.play", interrupt)

    assert main(["--hours", "1e9"]) == 130
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split() == ["worlds", "2"]
    assert lines[-1].startswith("interrupted")


def test_a_violation_is_told_before_it_is_shrunk_and_kept_where_that_is_interrupted(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Shrinking takes long; what has broken a law is not to be lost by it."""
    monkeypatch.setattr(
        "trio_instances.testing.simulate.laws.lives.NothingStale.hears", _hears_drops
    )

    def interrupt(*_: object) -> World:
        assert f"seed {BUSY} breaks a law: nothing stale" in capsys.readouterr().err
        raise KeyboardInterrupt

    monkeypatch.setattr("trio_instances.testing.simulate.hunting.shrink", interrupt)

    assert main(["--hours", "1", "--seed", str(BUSY)]) == 1
    out = capsys.readouterr().out
    assert to_json(generate(BUSY)) in out


def test_shrinking_is_bounded_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is played any more when the time for it is over."""
    violation = Violation("a law", 1.0, "broken")
    played: list[World] = []

    def broken(each: World) -> Outcome:
        played.append(each)
        return Outcome(world=each, violations=(violation,), events=5, instance_hours=1.0)

    monkeypatch.setattr("trio_instances.testing.simulate.hunting.play", broken)
    monkeypatch.setattr("trio_instances.testing.simulate.hunting.SHRINKING", -1.0)
    tally = hunt(1e9, BUSY, most_violations=1)

    assert len(played) == 1
    assert tally.violations == [(generate(BUSY), violation)]


def test_a_file_that_is_not_there_is_told_of(capsys: pytest.CaptureFixture[str]) -> None:
    """By its name, and without a traceback."""
    assert main(["--replay", "nofile.json"]) == 2
    assert capsys.readouterr().err == "'nofile.json' cannot be read: No such file or directory\n"


def test_the_report_has_every_figure() -> None:
    """Hours of both kinds, faults, events, violations, and the time it took."""
    lines = report(Tally(worlds=2, hours=3.0, instance_hours=40.0), 1.5).splitlines()

    assert [line.split()[0] for line in lines] == [
        *("worlds", "runtime", "instance", "faults", "operators'", "cancellations", "events"),
        *("violations", "seconds"),
    ]


def test_objects_of_any_class_can_be_told_apart() -> None:
    """Those of a class whose module is no text, too; any library may have one."""

    class Odd:
        @property
        def __module__(self) -> str:  # type: ignore[override]  # a property in its place, which raises
            return "odd"

    odd = [Odd() for _ in range(3)]
    before = weight()
    del odd
    assert weight() == before
