"""Arguments, and the commands that start nothing."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

import trio_instances
from trio_instances._cli import main
from trio_instances._cli.wording import warnings_in_words
from trio_instances._runtime.config import load_config

INSTANCE = '[[instances]]\nid = "{}"\nurl = "ws://127.0.0.1:9/"\n'


def call(*arguments: str) -> Result:
    """Call the command line in this process."""
    return CliRunner().invoke(main, arguments)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """Return the path of a file that is not there yet."""
    return tmp_path / "bots.toml"


def test_the_version_is_that_of_the_package() -> None:
    """``--version`` says it and nothing more."""
    result = call("--version")
    assert (result.exit_code, result.output) == (
        0,
        f"trio-instances, version {trio_instances.__version__}\n",
    )


@pytest.mark.parametrize("command", ["demo", "run", "check", "plan", "top", "tree", "events"])
def test_every_command_documents_its_exit_codes(command: str) -> None:
    """Whoever scripts it finds them in the help."""
    result = call(command, "--help")
    assert result.exit_code == 0
    assert "Exit codes: 0 " in result.output
    if command in {"check", "plan", "top", "tree", "events"}:
        assert "74 standard output" in " ".join(result.output.split())


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (("demo", "--instances", "4"), "4 is not in the range x>=5"),
        (("demo", "--instances", "many"), "'many' is not a valid integer"),
        (("demo", "--seed", "x"), "'x' is not a valid integer"),
        (("demo", "--slow"), "No such option"),
        (("run",), "Missing argument 'FILE'"),
        (("check",), "Missing argument 'FILE'"),
        (("check", "a", "b"), "Got unexpected extra argument (b)"),
        (("plan",), "Missing argument 'FILE'"),
        (("top", "--interval", "0"), "0.0 is not in the range x>=0.1"),
        (("top", "--status", "lost"), "'lost' is not one of 'starting', "),
        (("events", "--level", "LOUD"), "'LOUD' is not one of 'DEBUG', "),
        (("tree", "a", "b"), "Got unexpected extra argument (b)"),
        (("start",), "No such command 'start'"),
    ],
)
def test_a_wrong_argument_is_named(arguments: tuple[str, ...], complaint: str) -> None:
    """Exit 2, and the argument with what is wrong about it."""
    result = call(*arguments)
    assert result.exit_code == 2
    assert complaint in result.output


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no full disk to write to")
@pytest.mark.parametrize("command", ["check", "plan"])
def test_a_full_disk_has_a_code_and_a_line(command: str, file: Path) -> None:
    """And no traceback; nor is it a word about the file."""
    file.write_text(INSTANCE.format("one"), encoding="utf-8")
    with Path("/dev/full").open("wb") as full:
        done = subprocess.run(
            [sys.executable, "-m", "trio_instances", command, file],
            check=False,
            stdout=full,
            stderr=subprocess.PIPE,
            timeout=30,
        )

    said = b"trio-instances: standard output: No space left on device\n"
    assert (done.returncode, done.stderr) == (74, said)


def test_check_says_what_a_file_has(file: Path) -> None:
    """A right file: how many instances, and which."""
    file.write_text("".join(INSTANCE.format(name) for name in ("a", "b", "c")))
    result = call("check", str(file))
    assert (result.exit_code, result.stdout) == (0, "3 instances: a, b, c\n")


def test_check_names_the_first_of_many(file: Path) -> None:
    """A large file does not fill the screen."""
    file.write_text("".join(INSTANCE.format(f"bot-{number}") for number in range(12)))
    assert call("check", str(file)).stdout.endswith("bot-8, bot-9 and 2 more\n")


def test_check_lists_every_mistake_with_its_place(file: Path) -> None:
    """A broken file: exit 2, standard output empty, each mistake a line on standard error."""
    file.write_text(INSTANCE.format("a") + "prob = false\nreconnect.attempts = 0\n")
    result = call("check", str(file))
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr.splitlines() == [
        f"{file}: 2 mistakes",
        "  instances[0].prob: is not known here; did you mean 'probe'?",
        "  instances[0].reconnect.attempts: must be a whole number of at least 1, not 0",
    ]


@pytest.mark.parametrize("command", ["run", "check", "plan"])
def test_a_file_that_is_not_there_is_a_mistake(file: Path, command: str) -> None:
    """Exit 2, and what the system says."""
    result = call(command, str(file))
    assert result.exit_code == 2
    assert "the file: cannot be read (No such file or directory)" in result.stderr


def test_plan_has_a_table_for_each_kind_of_instance_and_one_for_all(file: Path) -> None:
    """Those with the same numbers share one; a fleet of one needs none for all."""
    other = INSTANCE.format("b") + "reconnect.attempts = 1\n"
    file.write_text(INSTANCE.format("a") + other + INSTANCE.format("c"))
    result = call("plan", str(file))
    assert result.exit_code == 0
    titles = [line for line in result.stdout.splitlines() if line in ("a, c", "b", "a", "b, c")]
    assert titles == ["a, c", "b"]
    assert result.stdout.count(" outage ") == 3
    assert "all 3 instances together" in result.stdout

    file.write_text(INSTANCE.format("a"))
    assert call("plan", str(file)).stdout.count(" outage ") == 1


def test_a_start_warns_of_the_day_and_not_of_the_rate(file: Path) -> None:
    """That the rate decides in an outage is what a budget is for; a day that is used up is not."""
    fleet = "".join(INSTANCE.format(f"bot-{n}") + 'budget = "login"\n' for n in range(300))

    file.write_text("[budgets.login]\n" + fleet)
    assert list(warnings_in_words(load_config(file))) == []
    assert "warning: budget 'login': an outage of 60 s" in call("plan", str(file)).stdout

    file.write_text("[budgets.login]\nattempts_per_day = 900\n" + fleet)
    (warning,) = [w for w in warnings_in_words(load_config(file)) if "uses the day up" in w]
    assert warning.startswith("warning: budget 'login': ")


def test_plan_shows_what_is_allowed_and_warns_of_what_is_not(file: Path) -> None:
    """Beside what is wanted; and it refuses nothing."""
    budget = "[budgets.login]\nattempts_per_day = 700\n"
    members = "".join(INSTANCE.format(name) + 'budget = "login"\n' for name in "ab")
    file.write_text(budget + members + INSTANCE.format("c") + INSTANCE.format("d"))
    result = call("plan", str(file))
    lines = result.stdout.splitlines()
    allowed, free = (line.split() for line in lines if "1,164" in line)
    assert allowed[:6] == ["1", "day", "780", "588", "1,164", "700"]
    assert free == ["1", "day", "780", "588", "1,164", "112", "s", "5", "min"]
    assert "2 instances of budget 'login' together" in lines
    assert "2 instances without a budget together" in lines
    assert result.stdout.count("warning: budget 'login': ") == 2
    assert result.exit_code == 0


def test_plan_has_a_table_for_the_budget_of_a_single_instance(file: Path) -> None:
    """As that may be what limits it."""
    file.write_text("[budgets.login]\n" + INSTANCE.format("a") + 'budget = "login"\n')
    result = call("plan", str(file))
    assert result.stdout.count(" outage ") == 2
    assert "1 instance of budget 'login' together" in result.stdout


def test_plan_says_never_where_somebody_gives_up_and_no_limit_where_there_is_none(
    file: Path,
) -> None:
    """Infinity is a number that nobody wants to read."""
    resigned = INSTANCE.format("a") + 'reconnect = { exhausted = "escalate" }\n'
    hasty = INSTANCE.format("b") + "reconnect = { slow = { initial = 0 } }\n"
    patient = INSTANCE.format("c") + 'child_backoff = { initial = 9, cap = 9, jitter = "none" }\n'
    file.write_text(resigned + hasty + patient)
    text = call("plan", str(file)).stdout
    assert text.split()[:20].count("never") == 2
    assert "no limit" in text
    assert "never exceeds 5 restarts in 30 s (they take 45 s)" in text
    assert "b: in an outage attempts follow each other without any delay" in text
    assert "inf" not in text


@pytest.mark.skipif(sys.platform == "win32", reason="there is no limit of open files there")
def test_a_fleet_that_the_system_cannot_hold_is_refused_before_anything_starts() -> None:
    """The demo needs two open files for each instance, and says how many instances there can be."""
    limited = "import resource, sys; resource.setrlimit(resource.RLIMIT_NOFILE, (264, 264)); "
    program = limited + "from trio_instances._cli import main; main(sys.argv[1:])"
    done = subprocess.run(
        [sys.executable, "-c", program, "demo", "--instances", "200"],
        cwd=Path(trio_instances.__file__).parents[1],
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert done.returncode == 2
    assert "allows --instances 100" in done.stderr
