"""The library does what the real OTP did, and the program that says so could say otherwise."""

from __future__ import annotations

import copy
import importlib.util
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

import trio_instances

PROGRAM = Path(__file__).with_name("otp.py")
RECORDINGS = Path(__file__).with_name("scenarios.jsonl")

Scenario = dict[str, Any]


def load_program() -> ModuleType:
    """Import the program, which is in no package."""
    spec = importlib.util.spec_from_file_location("otp_conformance", PROGRAM)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


otp = load_program()
SCENARIOS: list[Scenario] = [json.loads(line) for line in RECORDINGS.read_text().splitlines()]


def run_program(*arguments: object) -> subprocess.CompletedProcess[str]:
    """Run the program as a user does, on the same copy of the library as these tests."""
    return subprocess.run(
        [sys.executable, "-W", "error", str(PROGRAM), *map(str, arguments)],
        env={**os.environ, "PYTHONPATH": str(Path(trio_instances.__file__).parent.parent)},
        capture_output=True,
        text=True,
        timeout=50,
        check=False,
    )


def test_the_recordings_are_all_there() -> None:
    """All 300 recorded scenarios are played, with every strategy and every step among them."""
    assert len(SCENARIOS) == 300
    assert len({scenario["strategy"] for scenario in SCENARIOS}) == 3
    assert {step["op"] for scenario in SCENARIOS for step in scenario["steps"]} == set(otp.STEPS)


@pytest.mark.parametrize("first", range(0, 300, 50))
def test_the_library_does_in_every_recorded_scenario_what_otp_did(first: int) -> None:
    """Each step of each scenario leads to the events, and returns what, it did on OTP 25."""
    found = [each for scenario in SCENARIOS[first : first + 50] for each in otp.play(scenario)]

    assert found == [], "\n\n".join(map(str, found))


def test_the_order_of_events_does_not_depend_on_trio_s_choices() -> None:
    """Trio runs ready tasks in an order of its own; twenty plays of a scenario are the same."""
    longest = max(SCENARIOS, key=lambda scenario: len(json.dumps(scenario["steps"])))

    assert [otp.play(longest) for _ in range(20)] == [[]] * 20


# --- The program can fail


def alter_event(step: Scenario) -> Iterator[Scenario]:
    """Yield the step with each of its events made another one."""
    for index, event in enumerate(step["events"]):
        altered = copy.deepcopy(step)
        altered["events"][index] = f"{event}1" if "#" in event else f"not_{event}"
        yield altered


def drop_event(step: Scenario) -> Iterator[Scenario]:
    """Yield the step without each of its events."""
    for index in range(len(step["events"])):
        altered = copy.deepcopy(step)
        del altered["events"][index]
        yield altered


def add_event(step: Scenario) -> Iterator[Scenario]:
    """Yield the step with one more event."""
    yield {**step, "events": [*step["events"], "started z#1"]}


def swap_events(step: Scenario) -> Iterator[Scenario]:
    """Yield the step with each two neighbouring events in the other order."""
    for index in range(len(step["events"]) - 1):
        altered = copy.deepcopy(step)
        events = altered["events"]
        events[index], events[index + 1] = events[index + 1], events[index]
        yield altered


def alter_return(step: Scenario) -> Iterator[Scenario]:
    """Yield the step with another return."""
    if "returns" in step:
        returns = step["returns"]
        altered: object = "error running"
        if isinstance(returns, list):
            altered = [*returns, ["z", "undefined"]]
        elif isinstance(returns, dict):
            altered = {**returns, "active": returns["active"] + 1}
        elif returns == altered:
            altered = "ok"
        yield {**step, "returns": altered}


@pytest.mark.parametrize(
    "alteration", [alter_event, drop_event, add_event, swap_events, alter_return]
)
def test_an_altered_recording_diverges_at_the_altered_step_alone(
    alteration: Callable[[Scenario], Iterator[Scenario]],
) -> None:
    """Whatever is altered in a recording, the program finds it, and finds nothing else."""
    tried = 0
    for scenario in SCENARIOS[:25]:
        for number, step in enumerate(scenario["steps"], 1):
            for altered in alteration(step):
                steps = [*scenario["steps"][: number - 1], altered, *scenario["steps"][number:]]
                found = otp.play({**scenario, "steps": steps})
                tried += 1

                assert [(each.scenario, each.step) for each in found] == [
                    (scenario["name"], number)
                ]
    assert tried > 50


def test_a_divergence_shows_both_sides_line_by_line() -> None:
    """Equal lines stand side by side, and those that differ are marked."""
    step = {"op": "crash", "child": "a", "how": "error", "events": ["one", "two", "three"]}
    shown = str(otp.Divergence("s", 2, "crash", step["events"], ["one", "three", "four"]))

    assert shown.splitlines() == [
        "s, step 2: crash",
        "    expected | actual",
        "    one      | one",
        "  ! two      |",
        "    three    | three",
        "  !          | four",
    ]


# --- The program as a program


def test_the_program_ends_with_the_counts_and_exits_0_where_all_holds() -> None:
    """The recordings of the project hold, and the last line says so."""
    done = run_program(RECORDINGS)

    assert (done.stdout, done.stderr, done.returncode) == ("scenarios=300 divergences=0\n", "", 0)


def test_the_program_prints_each_divergence_and_exits_1(tmp_path: Path) -> None:
    """Two altered steps are two divergences, each with its scenario and its step."""
    altered = copy.deepcopy(SCENARIOS[0])
    altered["steps"][0]["events"] = ["started b#1"]
    altered["steps"][1]["returns"] = "error running"
    path = tmp_path / "altered.jsonl"
    path.write_text(f"{json.dumps(altered)}\n\n{json.dumps(SCENARIOS[1])}\n")

    done = run_program(path)

    assert "otp-0000, step 1: start\n    expected" in done.stdout
    assert "! started b#1 | started a#1" in done.stdout
    assert "otp-0000, step 2: start_child spec=" in done.stdout
    assert done.stdout.endswith("\nscenarios=2 divergences=2\n")
    assert done.returncode == 1


def broken(**parts: object) -> str:
    """Return a recording of which some parts are replaced."""
    child = {"id": "a", "restart": "permanent", "significant": False, "start": ["ok"]}
    whole = {**SCENARIOS[0], "children": [child], "steps": [{"op": "start", "events": []}]}
    if "child" in parts:
        parts = {"children": [{**child, **parts.pop("child")}]}  # type: ignore[dict-item]  # it is one
    return json.dumps({**whole, **parts})


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("not json", "recording.jsonl:1: Expecting value"),
        ("[]", "recording.jsonl:1: "),
        ('{"steps": []}', "missing: strategy, intensity"),
        (broken(strategy="two_for_one"), "strategy must be of one_for_one, one_for_all"),
        (broken(children=[{"id": "a"}]), "missing: restart, significant, start of child 1"),
        (broken(child={"restart": "often"}), "restart of child 1 must be of permanent"),
        (broken(child={"start": ["hang"]}), "start of child 1 must be of ok, error, ignore"),
        (broken(child={"start": []}), "start of child 1 must be of ok, error, ignore"),
        (broken(steps=[{"op": "explode"}]), "step 1: unknown op 'explode'"),
        (broken(steps=[{"op": "crash", "child": "a"}]), "missing: how, events of step 1"),
        (
            broken(steps=[{"op": "crash", "child": "a", "how": "loudly", "events": []}]),
            "how of step 1 must be of error, normal, not 'loudly'",
        ),
        (
            broken(steps=[{"op": "start_child", "spec": {"id": "b"}, "events": []}]),
            "missing: restart, significant, start of the spec of step 1",
        ),
    ],
)
def test_what_is_no_recording_is_refused_with_its_place(
    text: str, complaint: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A broken file is neither conformance nor a divergence: the exit code is 2."""
    path = tmp_path / "recording.jsonl"
    path.write_text(text)

    assert otp.main([str(path)]) == 2
    assert complaint in capsys.readouterr().err


@pytest.mark.parametrize("arguments", [[], ["a", "b"], ["no-such-file.jsonl"]])
def test_the_program_needs_one_file_that_exists(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    """Wrong use is explained, with exit code 2."""
    assert otp.main(arguments) == 2
    assert capsys.readouterr().err
