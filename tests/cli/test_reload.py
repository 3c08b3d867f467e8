"""``trio-instances run`` and SIGHUP: real processes, real signals, a real gateway."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import trio

from trio_instances.testing import Gateway, Refusal

from .processes import COMMAND, FOLDER, run, write

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="there is no SIGHUP on Windows")


def said(text: bytes) -> list[str]:
    """Return the lines that the command itself has said, without the events."""
    mark = "trio-instances: "
    return [line.removeprefix(mark) for line in text.decode().splitlines() if line.startswith(mark)]


async def test_a_changed_file_changes_what_runs_and_nothing_else(
    gateway: Gateway, tmp_path: Path
) -> None:
    """One goes, one is new, one differs; the one that is as it was keeps its connection."""
    async with run(write(tmp_path, gateway, "gone", "same", "differs")) as running:
        async with running.heard():
            clients = [await gateway.wait_client(f"/{name}") for name in ("same", "differs")]
            file = write(tmp_path, gateway, "same", "differs", "new")
            file.write_text(file.read_text().replace("/differs", "/other"))
            running.process.send_signal(signal.SIGHUP)
            for name in ("other", "new"):
                await gateway.wait_client(f"/{name}")
            await running.wait_said(b"unchanged")
            assert clients[0] in gateway.clients
            assert len(gateway.clients) == 3
            running.process.send_signal(signal.SIGTERM)

        assert await running.process.wait() == 0
    assert said(running.err) == [
        f"reading {file} again",
        "1 stopped, 1 restarted, 1 started, 1 unchanged",
        "SIGTERM: stopping in reverse start order; a second signal stops at once",
        "stopped",
    ]
    assert b"runtime.applied stopped=1 restarted=1 started=1 unchanged=1 failed=0" in running.err


async def test_a_broken_file_changes_nothing_and_says_why(gateway: Gateway, tmp_path: Path) -> None:
    """Every mistake with its place; the next file, which is right, is taken."""
    file = write(tmp_path, gateway, "a")
    right = file.read_text()
    async with run(file) as running:
        async with running.heard():
            client = await gateway.wait_client("/a")
            file.write_text(right + "prob = false\nreconnect.attempts = 0\n")
            running.process.send_signal(signal.SIGHUP)
            await running.wait_said(b"nothing was changed")
            file.unlink()
            running.process.send_signal(signal.SIGHUP)
            await running.wait_said(b"nothing was changed", times=2)
            assert client in gateway.clients

            file.write_text(right.replace("/a", "/b"))
            running.process.send_signal(signal.SIGHUP)
            await gateway.wait_client("/b")
            running.process.send_signal(signal.SIGTERM)

        assert await running.process.wait() == 0
    assert said(running.err)[:7] == [
        f"reading {file} again",
        f"{file}: 2 mistakes",
        "  instances[0].prob: is not known here; did you mean 'probe'?",
        "  instances[0].reconnect.attempts: must be a whole number of at least 1, not 0",
        "nothing was changed",
        f"reading {file} again",
        f"{file}: 1 mistake",
    ]


async def test_a_setting_that_cannot_change_is_named_and_the_rest_is_done(
    gateway: Gateway, tmp_path: Path
) -> None:
    """What holds for the whole runtime was decided when it was opened."""
    async with run(write(tmp_path, gateway, "a", more='[runtime]\nname = "bots"\n')) as running:
        async with running.heard():
            await gateway.wait_client("/a")
            write(
                tmp_path,
                gateway,
                "a",
                "b",
                more='[runtime]\nname = "robots"\nstop_order = "concurrent"\n',
            )
            running.process.send_signal(signal.SIGHUP)
            await gateway.wait_client("/b")
            running.process.send_signal(signal.SIGTERM)

        assert await running.process.wait() == 0
    assert said(running.err)[1:4] == [
        "runtime.name stays 'bots': 'robots' needs a restart",
        "runtime.stop_order stays 'reverse': 'concurrent' needs a restart",
        "1 started, 1 unchanged",
    ]


async def test_a_parked_instance_is_woken_by_what_mends_it(
    gateway: Gateway, tmp_path: Path
) -> None:
    """A file with the right token, in place of the one that was refused."""
    gateway.admit = lambda asked: (
        None if asked.headers.get("authorization") == "right" else Refusal(status=401)
    )
    headers = '[defaults]\nheaders.Authorization = "{}"\n'
    async with run(write(tmp_path, gateway, "a", more=headers.format("wrong"))) as running:
        async with running.heard():
            await running.wait_said(b"instance.failed a")
            write(tmp_path, gateway, "a", more=headers.format("right"))
            running.process.send_signal(signal.SIGHUP)
            await gateway.wait_client("/a")
            running.process.send_signal(signal.SIGTERM)

        assert await running.process.wait() == 0


async def test_a_policy_that_is_probably_not_meant_is_said_once(
    gateway: Gateway, tmp_path: Path
) -> None:
    """At the start, and again only if it is another one."""
    more = '[defaults]\nchild_backoff = {{ initial = {}, cap = 30, jitter = "none" }}\n'
    async with run(write(tmp_path, gateway, "a", more=more.format(1))) as running:
        async with running.heard():
            await gateway.wait_client("/a")
            running.process.send_signal(signal.SIGHUP)
            await running.wait_said(b": 1 unchanged")
            write(tmp_path, gateway, "a", more=more.format(2))
            running.process.send_signal(signal.SIGHUP)
            await running.wait_said(b"1 restarted")
            running.process.send_signal(signal.SIGTERM)

        assert await running.process.wait() == 0
    warnings = [line for line in said(running.err) if line.startswith("warning: ")]
    assert len(warnings) == 2
    assert "take 31 s at least" in warnings[0]
    assert "take 60 s at least" in warnings[1]


async def test_a_signal_during_the_stop_does_not_end_the_process(
    gateway: Gateway, tmp_path: Path
) -> None:
    """Else what closes in order would be cut short by a wish that has no meaning any more."""
    async with run(write(tmp_path, gateway, "a")) as running:
        async with running.heard():
            client = await gateway.wait_client("/a")
            client.answers_close = False
            running.process.send_signal(signal.SIGTERM)
            await running.wait_said(b"instance.stopping")
            running.process.send_signal(signal.SIGHUP)
            await trio.sleep(0.2)  # it is in another process: nothing tells when it has come
            client.reset()

        assert await running.process.wait() == 0


WITHOUT_SIGHUP = """
import signal, sys
del signal.SIGHUP
from trio_instances._cli import main
main(["run", sys.argv[1]])
"""


async def test_where_there_is_no_such_signal_all_else_works(
    gateway: Gateway, tmp_path: Path
) -> None:
    """As on Windows: it starts, runs, and stops in order."""
    file = write(tmp_path, gateway, "a")
    process = await trio.lowlevel.open_process(
        [sys.executable, "-W", "error", "-c", WITHOUT_SIGHUP, str(file)], cwd=FOLDER
    )
    await gateway.wait_client("/a")
    process.send_signal(signal.SIGTERM)
    assert await process.wait() == 0


ON_A_TERMINAL = """
import os, signal, sys
os.login_tty(int(sys.argv[1]))
if sys.argv[2] == "nohup":
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
os.execv(sys.argv[3], sys.argv[3:])
"""


@asynccontextmanager
async def terminal_closed(file: Path, gateway: Gateway, how: str) -> AsyncIterator[trio.Process]:
    """Run a file in the foreground of a terminal, which is closed when instance a is connected."""
    ours, theirs = os.openpty()
    process = await trio.lowlevel.open_process(
        [sys.executable, "-c", ON_A_TERMINAL, str(theirs), how, *COMMAND, str(file)],
        pass_fds=[theirs],
        cwd=FOLDER,
    )
    os.close(theirs)
    try:
        await gateway.wait_client("/a")
        os.close(ours)
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        with trio.CancelScope(shield=True):
            await process.wait()


async def test_a_terminal_that_is_closed_stops_what_runs_in_its_foreground(
    gateway: Gateway, tmp_path: Path
) -> None:
    """In order, as Ctrl-C does: nobody can see it any more, and it would run on unseen."""
    file = write(tmp_path, gateway, "a")
    async with terminal_closed(file, gateway, "plain") as process:
        assert await process.wait() == 0


async def test_who_says_nohup_goes_on_without_a_terminal(gateway: Gateway, tmp_path: Path) -> None:
    """Then the signal means what it means to a service, also if nothing can be said any more."""
    file = write(tmp_path, gateway, "a")
    async with terminal_closed(file, gateway, "nohup") as process:
        write(tmp_path, gateway, "a", "b")
        process.send_signal(signal.SIGHUP)
        await gateway.wait_client("/b")
        process.send_signal(signal.SIGTERM)
        assert await process.wait() == 0
