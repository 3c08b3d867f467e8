"""The endpoint, asked by the real ``curl``, as the documentation shows it."""

from __future__ import annotations

import json
import shutil
import subprocess

import pytest
import trio

from .endpoints import TOKEN, served

CURL = shutil.which("curl")
pytestmark = pytest.mark.skipif(CURL is None, reason="curl is not installed")


async def curl(*arguments: str) -> str:
    """Return what curl prints; it must succeed."""
    assert CURL is not None
    command = [CURL, "--silent", "--show-error", "--noproxy", "*", *arguments]
    with trio.fail_after(20):
        return (await trio.run_process(command, capture_stdout=True)).stdout.decode()


async def test_curl_reads_lists_follows_and_acts() -> None:
    """JSON, text, a verb with its token, a large body that is refused, a stream to its end."""
    async with served(token=TOKEN) as endpoint:
        url, bearer = endpoint.url, f"Authorization: Bearer {TOKEN}"
        assert json.loads(await curl("--fail", f"{url}/livez"))["status"] == "alive"
        code = ("--output", "/dev/null", "--write-out", "%{http_code}")
        assert await curl(*code, f"{url}/readyz") == "503"
        assert "bot-0  running" in await curl("-H", "Accept: text/plain", f"{url}/tree")
        assert await curl(*code, "-X", "POST", f"{url}/instances/bot-0/pause") == "401"
        told = json.loads(await curl("-X", "POST", "-H", bearer, f"{url}/instances/bot-0/pause"))
        assert told["status"] == "paused"
        large = "x" * 100_000
        assert await curl(*code, "-H", bearer, "-d", large, f"{url}/instances/bot-0/pause") == "413"
        assert await curl(*code, "-I", f"{url}/events") == "200"

        lines: list[str] = []
        command = [str(CURL), "-sN", "--noproxy", "*", f"{url}/events?after=start"]
        async with trio.open_nursery() as nursery:
            process = await trio.lowlevel.open_process(command, stdout=subprocess.PIPE)

            async def read() -> None:
                assert process.stdout is not None
                async with process.stdout:
                    async for data in process.stdout:
                        lines.extend(data.decode().splitlines())
                        if "instance.paused" in data.decode():
                            endpoint.scope.cancel()

            nursery.start_soon(read)
            assert await process.wait() == 0
    assert lines[0] == "retry: 2000"
    assert "event: bye" in lines
