"""Play recordings of the real OTP on `open_supervisor`, and show where it behaves differently.

Use::

    python tests/conformance/otp.py FILE.jsonl

Each line of the file is one scenario: a supervisor, its children, and steps. Each step runs until
nothing moves any more; then what happened meanwhile, and what the call returned, is compared with
what OTP did. Only public events and exceptions of the library are looked at. The last line says
``scenarios=N divergences=M``, where a divergence is a step that differs. The exit code is 0 where M
is 0, 1 where it is not, and 2 where the file is no recording.
"""

from __future__ import annotations

import json
import sys
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from difflib import SequenceMatcher
from functools import partial
from pathlib import Path
from typing import Any, final

import trio
import trio.testing
from attrs import asdict, define, field, frozen

from trio_instances import (
    AutoShutdown,
    Child,
    ChildAlreadyPresent,
    ChildAlreadyStarted,
    ChildDeclined,
    ChildInfo,
    ChildNotFound,
    ChildRestarting,
    ChildRunning,
    ChildSpec,
    ChildStartFailed,
    ChildState,
    RestartIntensity,
    RestartLimitExceeded,
    RestartType,
    Strategy,
    SupervisionError,
    Supervisor,
    SupervisorNotRunning,
    open_supervisor,
    telemetry,
)
from trio_instances.telemetry import EventBus

Recording = Mapping[str, Any]
"""One scenario, or one step or child of it, as JSON has it."""

SCENARIO = ("strategy", "intensity", "period", "auto_shutdown", "children", "steps")
"""What a scenario must have."""

STEPS: Mapping[str, Sequence[str]] = {
    "start": (),
    "crash": ("child", "how"),
    "start_child": ("spec",),
    "restart_child": ("child",),
    "terminate_child": ("child",),
    "delete_child": ("child",),
    "which_children": (),
    "count_children": (),
    "stop": (),
}
"""What each step must have."""

CHILD = ("id", "restart", "significant", "start")
"""What each child must have."""

WORDS: Mapping[str, Sequence[object]] = {
    "strategy": [*Strategy],
    "auto_shutdown": [*AutoShutdown],
    "restart": [*RestartType],
    "significant": [True, False],
    "start": ["ok", "error", "ignore"],
    "how": ["error", "normal"],
}
"""What may stand there."""

ERRORS: Mapping[type[Exception], str] = {
    ChildRunning: "error running",
    ChildRestarting: "error restarting",
    ChildNotFound: "error not_found",
    ChildAlreadyPresent: "error already_present",
    ChildAlreadyStarted: "error already_started",
    ChildStartFailed: "error start_failed",
    SupervisorNotRunning: "error not_running",
}
"""What OTP returns where the library raises."""


class NotARecording(Exception):
    """The file does not hold what it should."""


# --- What differs --------------------------------------------------------------------------------


@final
@frozen
class Divergence:
    """One step at which the library did not do what OTP did."""

    scenario: str
    """Its name."""
    step: int
    """Counted from 1."""
    what: str
    """What was done in that step."""
    expected: Sequence[str]
    """What OTP did: the events in order, then what was returned."""
    actual: Sequence[str]
    """What the library did."""

    def __str__(self) -> str:
        width = max(map(len, ["expected", *self.expected]))
        lines = [f"{self.scenario}, step {self.step}: {self.what}"]
        lines.append(f"    {'expected':{width}} | actual")
        for mark, left, right in _side_by_side(self.expected, self.actual):
            lines.append(f"  {mark} {left:{width}} | {right}".rstrip())
        return "\n".join(lines)


def _side_by_side(left: Sequence[str], right: Sequence[str]) -> Iterator[tuple[str, str, str]]:
    matcher = SequenceMatcher(None, left, right, autojunk=False)
    for tag, left_from, left_to, right_from, right_to in matcher.get_opcodes():
        mark = " " if tag == "equal" else "!"
        for offset in range(max(left_to - left_from, right_to - right_from)):
            at_left, at_right = left_from + offset, right_from + offset
            yield (
                mark,
                left[at_left] if at_left < left_to else "",
                right[at_right] if at_right < right_to else "",
            )


def _compare(name: str, number: int, step: Recording, actual: Recording) -> Divergence | None:
    """Compare one step; what a recording says nothing of is not compared."""
    if all(step[key] == actual[key] for key in ("events", "returns") if key in step):
        return None

    told = {key: value for key, value in step.items() if key not in ("op", "events", "returns")}
    return Divergence(
        scenario=name,
        step=number,
        what=" ".join([step["op"], *(f"{key}={value}" for key, value in told.items())]),
        expected=_lines(step),
        actual=_lines({key: actual[key] for key in actual if key in step}),
    )


def _lines(outcome: Recording) -> list[str]:
    lines = list(outcome.get("events", []))
    if "returns" in outcome:
        lines.append(f"returns {outcome['returns']}")
    return lines


# --- Playing one scenario ------------------------------------------------------------------------


@final
@define
class Puppet:
    """All incarnations made from one specification: each starts as scripted, then waits."""

    name: str
    starts: Sequence[str]
    """What each attempt to start does, the last one for ever."""
    attempts: Counter[str]
    """How many attempts each name has had; OTP's recorder counted on through deletions."""
    on_stage: dict[str, Puppet]
    """Who runs now, by name."""
    fails: bool = False
    """Whether the running incarnation is to end by raising."""
    end: trio.Event = field(factory=trio.Event)
    """Set to let the running incarnation end by itself."""

    async def run(self, *, task_status: trio.TaskStatus[None]) -> None:
        """Be one incarnation."""
        start = self.starts[min(self.attempts[self.name], len(self.starts) - 1)]
        self.attempts[self.name] += 1
        if start == "error":
            raise RuntimeError("the script says that this start fails")
        if start == "ignore":
            raise ChildDeclined

        self.end = trio.Event()
        self.on_stage[self.name] = self
        task_status.started()
        try:
            await self.end.wait()
        finally:
            del self.on_stage[self.name]
        if self.fails:
            raise RuntimeError("the script says that it crashes")

    def crash(self, how: str) -> None:
        """Let the running incarnation end by itself."""
        self.fails = how == "error"
        self.end.set()


@final
@define
class Theatre:
    """One scenario being played."""

    scenario: Recording
    happened: list[str] = field(factory=list)
    """What has happened in this step."""
    supervisor: Supervisor | None = None
    """There while its block is."""
    _leave: trio.Event = field(factory=trio.Event)
    _on_stage: dict[str, Puppet] = field(factory=dict)
    _attempts: Counter[str] = field(factory=Counter)
    # The library numbers the attempts of one registration; OTP's recorder numbered the starts of a
    # name that succeeded, again through deletions.
    _starts: Counter[str] = field(factory=Counter)
    _labels: dict[tuple[str, int], str] = field(factory=dict)

    def hear(self, event: telemetry.Event) -> None:
        """Write down an event in the recorder's words; those that OTP has no word for are left."""
        if not isinstance(event, telemetry.ChildEvent):
            return

        match event:
            case telemetry.ChildStarted():
                self._starts[event.child] += 1
                label = f"{event.child}#{self._starts[event.child]}"
                self._labels[event.child, event.incarnation] = label
                self.happened.append(f"started {label}")
            case telemetry.ChildStartFailed():
                self.happened.append(f"start_failed {event.child}")
            case telemetry.ChildDeclined():
                self.happened.append(f"start_ignored {event.child}")
            case telemetry.ChildExited():
                how = "returned" if event.cause is None else "crashed"
                self.happened.append(f"exited {self._label(event)} {how}")
            case telemetry.ChildStopping():
                self.happened.append(f"stop {self._label(event)}")
            case telemetry.ChildStopped():
                self.happened.append(f"exited {self._label(event)} stopped")

    def _label(self, event: telemetry.ChildEvent) -> str:
        return self._labels.get((event.child, event.incarnation), f"{event.child}#unknown")

    async def supervise(self, returned: list[object]) -> None:
        """Be whoever holds the supervisor: the step ``start``, and the wait for its end."""
        scenario = self.scenario
        bus = EventBus()
        bus.listen(self.hear)
        try:
            async with open_supervisor(
                strategy=scenario["strategy"],
                intensity=RestartIntensity(scenario["intensity"], scenario["period"]),
                auto_shutdown=scenario["auto_shutdown"],
                events=bus,
            ) as self.supervisor:
                specs = [self._spec(child) for child in scenario["children"]]
                await self.supervisor.start_children(specs)
                returned.append("ok")
                await self._leave.wait()
        except ChildStartFailed:
            returned.append(ERRORS[ChildStartFailed])
        except RestartLimitExceeded:
            pass  # OTP ends with the same reason as it does for an automatic shutdown
        self.supervisor = None
        self.happened.append("supervisor_exited")

    async def perform(self, step: Recording, returned: list[object]) -> None:
        """Do what any other step says, and append what the call gave to `returned`."""
        try:
            if self.supervisor is None:
                returned.append(ERRORS[SupervisorNotRunning])
            else:
                returned.append(await self._call(self.supervisor, step))
        except SupervisionError as exc:
            returned.append(ERRORS.get(type(exc), f"error {exc!r}"))

    async def _call(self, supervisor: Supervisor, step: Recording) -> object:
        match step["op"]:
            case "crash":
                puppet = self._on_stage.get(step["child"])
                if puppet is None:
                    return ERRORS[SupervisorNotRunning]
                puppet.crash(step["how"])
            case "start_child":
                return self._given(await supervisor.start_child(self._spec(step["spec"])))
            case "restart_child":
                return self._given(await supervisor.restart_child(step["child"]))
            case "terminate_child":
                await supervisor.terminate_child(step["child"])
            case "delete_child":
                await supervisor.delete_child(step["child"])
            case "stop":
                await supervisor.stop()
                self._leave.set()
            case "which_children":
                return [[child.name, self._where(child)] for child in supervisor.which_children()]
            case "count_children":
                return asdict(supervisor.count_children())
        return "ok"

    def _spec(self, child: Recording) -> ChildSpec:
        return ChildSpec(
            name=child["id"],
            run=Puppet(child["id"], child["start"], self._attempts, self._on_stage).run,
            restart=child["restart"],
            significant=child["significant"],
        )

    def _given(self, child: Child) -> str:
        if child.state is ChildState.RUNNING:
            return f"ok {self._labels[child.name, child.incarnation]}"

        return "ok ignored"

    def _where(self, child: ChildInfo) -> str:
        match child.state:
            case ChildState.RUNNING:
                return self._labels[child.name, child.incarnation]
            case ChildState.RESTARTING:
                return "restarting"
            case ChildState.STOPPED:
                return "undefined"
        return str(child.state)


async def _play(scenario: Recording) -> list[Divergence]:
    divergences = []
    theatre = Theatre(scenario)
    async with trio.open_nursery() as nursery:
        for number, step in enumerate(scenario["steps"], 1):
            theatre.happened.clear()
            returned: list[object] = []
            if step["op"] == "start":
                nursery.start_soon(theatre.supervise, returned)
            else:
                nursery.start_soon(theatre.perform, step, returned)
            await trio.testing.wait_all_tasks_blocked()

            given = returned[0] if returned else "(nothing yet)"
            actual = {"events": list(theatre.happened), "returns": given}
            divergence = _compare(scenario.get("name", "?"), number, step, actual)
            if divergence is not None:
                divergences.append(divergence)
        nursery.cancel_scope.cancel()
    return divergences


def play(scenario: Recording) -> list[Divergence]:
    """Play one scenario on the library, in a Trio run of its own, and compare."""
    return trio.run(partial(_play, scenario), clock=trio.testing.MockClock())


# --- The program ---------------------------------------------------------------------------------


def read(path: Path) -> list[Recording]:
    """Read a file of scenarios.

    Raises:
        NotARecording: The file cannot be read, or a line is no scenario.
    """
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as exc:
        raise NotARecording(f"{path}: {exc}") from exc

    scenarios = []
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue

        try:
            scenario = json.loads(line)
            _check(scenario)
        except (ValueError, TypeError, AttributeError) as exc:
            raise NotARecording(f"{path}:{number}: {exc}") from exc
        scenarios.append(scenario)
    return scenarios


def _check(scenario: Recording) -> None:
    _check_part(scenario, "", SCENARIO)
    for number, child in enumerate(scenario["children"], 1):
        _check_part(child, f" of child {number}", CHILD)
    for number, step in enumerate(scenario["steps"], 1):
        op = step.get("op")
        if op not in STEPS:
            raise ValueError(f"step {number}: unknown op {op!r}")
        _check_part(step, f" of step {number}", (*STEPS[op], "events"))
        if "spec" in step:
            _check_part(step["spec"], f" of the spec of step {number}", CHILD)


def _check_part(part: Recording, place: str, needed: Sequence[str]) -> None:
    missing = [key for key in needed if key not in part]
    if missing:
        raise ValueError(f"missing: {', '.join(missing)}{place}")
    for key in WORDS.keys() & part.keys():
        given, words = part[key], WORDS[key]
        each = given if key == "start" else [given]
        if not each or not all(word in words for word in each):
            raise ValueError(f"{key}{place} must be of {', '.join(map(str, words))}, not {given!r}")


def main(arguments: Sequence[str]) -> int:
    """Run the program.

    Args:
        arguments: What follows its name on the command line.

    Returns:
        The exit code.
    """
    if len(arguments) != 1:
        print("usage: python tests/conformance/otp.py FILE.jsonl", file=sys.stderr)
        return 2

    try:
        scenarios = read(Path(arguments[0]))
    except NotARecording as exc:
        print(exc, file=sys.stderr)
        return 2

    divergences = [each for scenario in scenarios for each in play(scenario)]
    for divergence in divergences:
        print(divergence, end="\n\n")
    print(f"scenarios={len(scenarios)} divergences={len(divergences)}")
    return 1 if divergences else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
