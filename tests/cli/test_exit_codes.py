"""Each way in which ``trio-instances run`` can end has its code: real processes, real endings.

The other endings are in `test_run`: an order to stop, a second signal, an escalation, and a broken
file.
"""

from __future__ import annotations

import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import trio

from trio_instances._cli.exit_codes import AskedCode, ExitCode
from trio_instances.testing import Gateway, Refusal

from .processes import COMMAND, FOLDER, run, write

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="the signals are those of POSIX")

WHEN_DOWN = '[run]\nwhen_all_down = "exit"\nall_down_after = 0.5\n'
PAGE = FOLDER / "docs" / "command-line.md"


async def test_all_down_for_too_long_is_a_code_of_its_own(gateway: Gateway, tmp_path: Path) -> None:
    """One was refused for good, and one finds nobody: the ordered stop, and 69."""
    gateway.admit = lambda asked: Refusal(status=401) if asked.path == "/a" else Refusal(status=503)
    async with run(write(tmp_path, gateway, "a", "b", more=WHEN_DOWN)) as running:
        assert await running.finish() == ExitCode.ALL_DOWN

    text = running.err.decode()
    assert "everything has been down for 0.5 s: stopping in reverse start order" in text
    assert re.findall(r"instance.stopped (\w)", text)[0] == "b"
    assert text.endswith("trio-instances: stopped\n")


async def test_by_default_it_stays_whatever_is_down(gateway: Gateway, tmp_path: Path) -> None:
    """It goes on until somebody asks it to stop."""
    gateway.admit = lambda _: Refusal(status=401)
    more = "[run]\nall_down_after = 0.1\n"
    async with run(write(tmp_path, gateway, "a", more=more)) as running, running.heard():
        await running.wait_said(b"instance.failed a")
        with trio.move_on_after(2):  # several looks, each of which would end it
            await running.process.wait()
        assert running.process.returncode is None
        running.process.send_signal(signal.SIGTERM)

    assert running.process.returncode == ExitCode.STOPPED


async def test_one_that_is_connected_keeps_it(gateway: Gateway, tmp_path: Path) -> None:
    """Not everything is down then."""
    gateway.admit = lambda asked: Refusal(status=401) if asked.path == "/a" else None
    # Long enough for the other one to connect, also on a machine that is busy.
    more = WHEN_DOWN.replace("0.5", "3")
    async with run(write(tmp_path, gateway, "a", "b", more=more)) as running, running.heard():
        await running.wait_said(b"instance.connected b")
        with trio.move_on_after(4):
            await running.process.wait()
        assert running.process.returncode is None
        running.process.send_signal(signal.SIGTERM)

    assert running.process.returncode == ExitCode.STOPPED


@pytest.mark.parametrize(
    "run_table",
    ["http = 0\n", 'when_all_down = "exit"\nall_down_after = 3600\n'],
    ids=["it serves its endpoint", "it looks whether all are down"],
)
async def test_giving_up_ends_the_process_whatever_stood_around_the_runtime(
    gateway: Gateway, tmp_path: Path, run_table: str
) -> None:
    """A service has nothing to serve any more then: it is stopped, and the code is 1."""
    gateway.admit = lambda _: Refusal(status=401)
    more = f'[runtime]\non_instance_failure = "escalate"\n[run]\n{run_table}'
    async with run(write(tmp_path, gateway, "a", more=more)) as running:
        assert await running.finish() == ExitCode.GAVE_UP

    assert b"the runtime has given up" in running.err


async def test_a_failure_that_nothing_is_prepared_for_shows_its_traceback(
    gateway: Gateway, tmp_path: Path
) -> None:
    """Here the system lets it open no more files, so that not even Trio can begin."""
    file = write(tmp_path, gateway, "a")
    limited = ["/bin/sh", "-c", 'ulimit -n 6; exec "$@"', "sh", *COMMAND, str(file)]
    done = await trio.run_process(limited, check=False, capture_stderr=True, cwd=FOLDER)

    assert done.returncode == ExitCode.BROKEN
    assert b"Traceback" in done.stderr
    assert b"Too many open files" in done.stderr


@pytest.mark.parametrize("variables", [{"NOTIFY_SOCKET": "here"}, {"WATCHDOG_USEC": "soon"}])
async def test_a_wrong_environment_is_refused_as_a_wrong_file_is(
    gateway: Gateway, tmp_path: Path, variables: dict[str, str]
) -> None:
    """Before anything is started; the variable is named."""
    environ = {"NOTIFY_SOCKET": "/nowhere", **variables}
    async with run(write(tmp_path, gateway, "a"), **environ) as running:
        assert await running.finish() == ExitCode.REFUSED

    assert running.err.startswith(b"the environment: 1 mistake\n")
    assert next(iter(variables)).encode() in running.err
    assert gateway.statistics().accepted == 0


async def test_wrong_arguments_are_refused_alike() -> None:
    """Click has the same code for them."""
    async with run("--jsom", "x.toml") as running:
        assert await running.finish() == ExitCode.REFUSED


async def test_an_interrupt_before_anything_is_started_has_the_code_of_a_shell(
    gateway: Gateway, tmp_path: Path
) -> None:
    """The file is one that lets itself be waited for: a pipe that nobody writes to."""
    import os  # noqa: PLC0415 - mkfifo is not everywhere

    pipe = tmp_path / "bots.toml"
    os.mkfifo(pipe)
    async with run(pipe) as running, running.heard():
        # Opened for writing as soon as the process has opened it for reading, and so waits.
        writer = await trio.to_thread.run_sync(lambda: os.open(pipe, os.O_WRONLY))
        running.process.send_signal(signal.SIGINT)
        code = await running.process.wait()
        os.close(writer)

    assert code == ExitCode.INTERRUPTED


async def test_the_signal_of_a_watchdog_shows_where_it_was(
    gateway: Gateway, tmp_path: Path
) -> None:
    """SIGABRT ends it as ever, after the stack of every thread."""
    async with run(write(tmp_path, gateway, "a")) as running:
        assert await running.finish_after(b"instance.connected", signal.SIGABRT) == -signal.SIGABRT

    assert b"Fatal Python error: Aborted" in running.err
    assert b"trio/_core/_run.py" in running.err


def test_every_code_is_on_the_page() -> None:
    """The table is the contract."""
    rows = re.findall(r"^\| ([\d, ]+) \| ", PAGE.read_text(encoding="utf-8"), re.MULTILINE)
    listed = {int(code) for row in rows for code in row.split(", ")}

    assert {*map(int, ExitCode), *map(int, AskedCode)} <= listed


def test_the_codes_are_those_of_the_command_line_as_a_whole() -> None:
    """``check`` refuses by the same code as ``run``."""
    done = subprocess.run(
        [sys.executable, "-m", "trio_instances", "check", "/nowhere.toml"],
        check=False,
        capture_output=True,
        timeout=30,
        cwd=FOLDER,
    )

    assert done.returncode == ExitCode.REFUSED
