"""The operations endpoint of ``run`` and of ``demo``: real processes, asked over HTTP."""

from __future__ import annotations

import re
import signal
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import httpx
import pytest
import trio

from trio_instances.testing import Gateway

from .processes import FOLDER, Running, run, write

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="the signals are those of POSIX")

TOKEN = "a-token-for-this-test"  # noqa: S105 - it guards nothing
FILE = '[run]\nhttp = "127.0.0.1:0"\nhttp_token = { env = "OPERATIONS_TOKEN" }\n'
URL = re.compile(rb"http://127\.0\.0\.1:\d+")
DEMO = [sys.executable, "-W", "error", "-m", "trio_instances", "demo", "--fast", "--instances", "5"]


async def url_of(running: Running) -> str:
    """Wait until a run has told where its endpoint is."""
    await running.wait_said(b"the operations endpoint is at ")
    found = URL.search(running.err)
    assert found is not None
    return found[0].decode()


async def ask(url: str, method: str = "GET", **options: Any) -> httpx.Response:
    """Ask an endpoint for something."""
    async with httpx.AsyncClient(trust_env=False) as client:
        return await client.request(method, url, **options)


async def test_the_option_serves_a_run_from_its_first_moment_to_its_end(
    gateway: Gateway, tmp_path: Path
) -> None:
    """It tells where; it is alive before an instance is up; it is there while they stop."""
    file = write(tmp_path, gateway, "a", more="defaults.reconnect.close_timeout = 600\n")
    async with run(file, "--http", "0") as running, running.heard():
        url = await url_of(running)
        assert (await ask(f"{url}/livez")).status_code == 200
        client = await gateway.wait_client("/a")
        client.answers_close = False  # so that the stop takes its time
        [row] = (await ask(f"{url}/instances")).json()["instances"]
        assert row["instance_id"] == "a"
        running.process.send_signal(signal.SIGTERM)
        await running.wait_said(b"stopping in reverse")
        while (await ask(f"{url}/instances/a")).json()["status"] != "stopping":  # noqa: ASYNC110
            await trio.sleep(0.01)
        assert (await ask(f"{url}/readyz")).json()["detail"] == "the runtime stops"
        client.reset()
        assert await running.process.wait() == 0


async def test_a_file_names_the_address_and_where_the_token_is(
    gateway: Gateway, tmp_path: Path
) -> None:
    """Verbs need that token; it is never told."""
    file = write(tmp_path, gateway, "a", more=FILE)
    async with run(file, OPERATIONS_TOKEN=TOKEN) as running, running.heard():
        url = await url_of(running)
        await gateway.wait_client("/a")
        assert (await ask(f"{url}/instances/a/pause", "POST")).status_code == 401
        bearer = {"authorization": f"Bearer {TOKEN}"}
        assert (await ask(f"{url}/instances/a/pause", "POST", headers=bearer)).status_code == 202
        await running.wait_said(b"instance.paused")
        running.process.send_signal(signal.SIGTERM)
        assert await running.process.wait() == 0
    assert TOKEN.encode() not in running.err


async def test_the_option_wins_over_the_file(gateway: Gateway, tmp_path: Path) -> None:
    """Its token is that of the file all the same."""
    file = write(tmp_path, gateway, "a", more=FILE.replace(":0", ":1"))
    async with (
        run(file, "--http", "127.0.0.1:0", OPERATIONS_TOKEN=TOKEN) as running,
        running.heard(),
    ):
        url = await url_of(running)
        assert (await ask(f"{url}/instances/x/pause", "POST")).status_code == 401
        running.process.send_signal(signal.SIGHUP)
        await running.wait_said(b": 1 unchanged")
        running.process.send_signal(signal.SIGTERM)
        assert await running.process.wait() == 0
    assert b"needs a restart" not in running.err


async def test_a_new_address_or_token_needs_a_restart(gateway: Gateway, tmp_path: Path) -> None:
    """SIGHUP says so, without the token."""
    file = write(tmp_path, gateway, "a", more=FILE)
    async with run(file, OPERATIONS_TOKEN=TOKEN) as running, running.heard():
        await url_of(running)
        write(
            tmp_path,
            gateway,
            "a",
            more='[run]\nhttp = 1234\nhttp_token = "another-secret-of-ours"\n',
        )
        running.process.send_signal(signal.SIGHUP)
        await running.wait_said(b": 1 unchanged")
        running.process.send_signal(signal.SIGTERM)
        assert await running.process.wait() == 0
    text = running.err.decode()
    assert "run.http stays 127.0.0.1:0: 127.0.0.1:1234 needs a restart" in text
    assert "run.http_token stays what it was: another one needs a restart" in text
    assert "secret" not in text
    assert TOKEN not in text


@pytest.mark.parametrize(
    ("address", "told"),
    [
        ("0.0.0.0:0", "needs a token, as others than this machine's users can reach it"),
        ("host", "must be PORT or HOST:PORT, IPv6 addresses in brackets, not 'host'"),
        ("70000", "must be a whole number of 0 to 65535, not 70000"),
    ],
)
async def test_an_address_that_cannot_be_is_refused(
    gateway: Gateway, tmp_path: Path, address: str, told: str
) -> None:
    """Exit 2, and nothing was started."""
    async with run(write(tmp_path, gateway, "a"), "--http", address) as running:
        assert await running.finish() == 2
    assert f"  --http: {told}" in running.err.decode()
    assert gateway.statistics().accepted == 0


async def test_a_port_in_use_is_refused(gateway: Gateway, tmp_path: Path) -> None:
    """Exit 2 with the reason and no traceback, and no instance was started."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        async with run(write(tmp_path, gateway, "a"), "--http", port) as running:
            assert await running.finish() == 2
    *_, line = running.err.decode().splitlines()
    assert "Traceback" not in running.err.decode()
    assert line.startswith(f"trio-instances: cannot listen on 127.0.0.1:{port} (")
    assert line.endswith(": choose another port, or 0 for any")
    assert gateway.statistics().accepted == 0


@pytest.mark.parametrize("command", ["run", "demo"])
async def test_the_missing_extra_is_named(gateway: Gateway, tmp_path: Path, command: str) -> None:
    """Exit 2, with what to install."""
    file = write(tmp_path, gateway, "a")
    arguments = ["run", str(file), "--http", "0"] if command == "run" else ["demo", "--http", "0"]
    program = (
        "import sys; sys.modules['hypercorn'] = None\n"
        f"from trio_instances._cli import main; main({arguments!r})"
    )
    done = await trio.run_process(
        [sys.executable, "-c", program], capture_stderr=True, capture_stdout=True, check=False
    )
    assert done.returncode == 2
    assert b"pip install 'trio-instances[http]'" in done.stderr
    assert b"Traceback" not in done.stderr


async def test_the_demo_serves_its_page_and_plays_on_until_somebody_stops_it() -> None:
    """Its URL is the first it tells; after the story it goes on, and Ctrl-C is a good end."""
    text, url = b"", ""
    with trio.fail_after(50):
        process = await trio.lowlevel.open_process(
            [*DEMO, "--http", "0"], stdout=subprocess.PIPE, cwd=FOLDER
        )
        assert process.stdout is not None
        async with process.stdout:
            async for data in process.stdout:
                text += data
                found = URL.search(text)
                if found is not None and not url and b"is played again" in text:
                    url = found[0].decode()
                    assert (await ask(url)).headers["content-type"].startswith("text/html")
                    rows = (await ask(f"{url}/instances")).json()["instances"]
                    assert len(rows) == 5
                    process.send_signal(signal.SIGINT)
        assert await process.wait() == 0
    assert re.search(rb"seed 1: played \d times\n$", text)
    assert text.index(b"the operations page is at") < text.index(b"instances are connected")


async def test_a_demo_that_cannot_serve_says_why() -> None:
    """Exit 2, without a traceback, and nothing was played."""
    with socket.create_server(("127.0.0.1", 0)) as taken, trio.fail_after(50):
        command = [*DEMO, "--http", str(taken.getsockname()[1])]
        done = await trio.run_process(
            command, capture_stdout=True, capture_stderr=True, check=False, cwd=FOLDER
        )
    assert done.returncode == 2
    assert b"cannot listen on 127.0.0.1:" in done.stderr
    assert b"Traceback" not in done.stderr
    assert b"connected" not in done.stdout
