"""``trio-instances run`` under an init system: a real process, a real socket, real time."""

from __future__ import annotations

import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import trio

from trio_instances.testing import Gateway, Refusal

from ..runtime.init_socket import InitSocket, open_init_socket
from .processes import run, write

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="there are no such sockets")

QUICK = "[defaults]\nreconnect.stable_after = 0.2\n"


@pytest.fixture
def heard(tmp_path: Path) -> Iterator[InitSocket]:
    """Listen as an init system does."""
    with open_init_socket(tmp_path / "notify") as opened:
        yield opened


async def test_a_whole_life_is_told(gateway: Gateway, tmp_path: Path, heard: InitSocket) -> None:
    """Ready when proven, alive meanwhile, reloading and ready again, and stopping at the end."""
    file = write(tmp_path, gateway, "a", "b", more=QUICK)
    variables = {"NOTIFY_SOCKET": heard.address, "WATCHDOG_USEC": "400000"}
    async with (
        run(file, **variables) as running,
        running.heard(),
        trio.open_nursery() as nursery,
    ):
        nursery.start_soon(heard.listen)
        await heard.wait("READY=1")
        assert "STATUS=2 instances: 2 connected" in heard.lines
        assert any(line.startswith("EXTEND_TIMEOUT_USEC=") for line in heard.lines)
        heard.forget()
        await heard.wait("WATCHDOG=1")

        heard.forget()
        running.process.send_signal(signal.SIGHUP)
        await heard.wait("READY=1")
        at = heard.lines.index("RELOADING=1")
        assert heard.lines[at + 1].startswith("MONOTONIC_USEC=")

        heard.forget()
        running.process.send_signal(signal.SIGTERM)
        await heard.wait("STOPPING=1")
        assert await running.process.wait() == 0
        nursery.cancel_scope.cancel()

    assert "READY=1" not in heard.lines


async def test_without_the_variable_nothing_of_it_runs(gateway: Gateway, tmp_path: Path) -> None:
    """No service is there that would have to be told of, or could fail."""
    async with run(write(tmp_path, gateway, "a"), NOTIFY_SOCKET="") as running:
        assert await running.finish_after(b"instance.connected", signal.SIGTERM) == 0

    assert b"init system" not in running.err


async def test_an_init_system_that_is_not_there_keeps_nobody_from_running_or_ending(
    gateway: Gateway, tmp_path: Path
) -> None:
    """It is tried again and again; each failure is told as that of any child."""
    environ = {"NOTIFY_SOCKET": str(tmp_path / "nobody")}
    async with run(write(tmp_path, gateway, "a"), **environ) as running, running.heard():
        await gateway.wait_client("/a")
        await running.wait_said(b"child.restarting run/init system", 3)
        running.process.send_signal(signal.SIGTERM)
        with trio.fail_after(3):  # and not the 4 s after which it would be tried again
            assert await running.process.wait() == 0


async def test_a_required_instance_that_has_failed_is_never_called_ready(
    gateway: Gateway, tmp_path: Path, heard: InitSocket
) -> None:
    """The status says who must act; the other instance runs."""
    gateway.admit = lambda asked: Refusal(status=401) if asked.path == "/a" else None
    more = '[runtime]\nrequired = ["a"]\n' + QUICK
    file = write(tmp_path, gateway, "a", "b", more=more)
    async with (
        run(file, NOTIFY_SOCKET=heard.address) as running,
        running.heard(),
        trio.open_nursery() as nursery,
    ):
        nursery.start_soon(heard.listen)
        await running.wait_said(b"instance.proven b")
        await heard.wait("STATUS=2 instances: 1 connected, 1 failed; to be mended: a by credential")
        running.process.send_signal(signal.SIGTERM)
        await running.process.wait()
        nursery.cancel_scope.cancel()

    assert "READY=1" not in heard.lines


async def test_a_process_that_is_held_up_gives_no_sign_of_life(
    gateway: Gateway, tmp_path: Path, heard: InitSocket
) -> None:
    """By SIGSTOP, here; once it goes on, it says so."""
    file = write(tmp_path, gateway, "a", more=QUICK)
    variables = {"NOTIFY_SOCKET": heard.address, "WATCHDOG_USEC": "200000"}
    async with (
        run(file, **variables) as running,
        running.heard(),
        trio.open_nursery() as nursery,
    ):
        nursery.start_soon(heard.listen)
        await heard.wait("READY=1")
        running.process.send_signal(signal.SIGSTOP)
        await trio.sleep(0.2)
        heard.forget()
        await trio.sleep(1.0)
        silent = list(heard.lines)
        running.process.send_signal(signal.SIGCONT)
        await heard.wait("WATCHDOG=1")
        running.process.send_signal(signal.SIGTERM)
        await running.process.wait()
        nursery.cancel_scope.cancel()

    assert silent == []


async def test_a_file_can_have_the_event_loop_watched(gateway: Gateway, tmp_path: Path) -> None:
    """To start all that a file names takes more than a millisecond, which is too long here."""
    more = "[run]\nstalls = { threshold = 0.001 }\n"
    file = write(tmp_path, gateway, *[f"bot-{number}" for number in range(10)], more=more)
    async with run(file) as running:
        assert await running.finish_after(b"WARNING  loop.stalled", signal.SIGTERM) == 0
