"""``trio-instances top``: against a real endpoint, in processes and on terminals of its own."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from random import Random
from typing import final

import pytest
import trio
import trio.testing

from trio_instances import ReconnectPolicy
from trio_instances._cli.address import NotAnswered, read_address
from trio_instances._cli.exit_codes import AskedCode
from trio_instances._cli.following import Opened
from trio_instances._cli.overview import Overview
from trio_instances._cli.remote import Remote
from trio_instances._cli.top import Watch, refresh

from ..instance.scripted import fatal, lost
from .endpoints import answering, call, command, site, stranger
from .processes import FOLDER

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="the terminals are those of POSIX")

TOKEN = "a-token-that-is-long-enough"  # noqa: S105 - it opens nothing but the test's own
ENTER, LEAVE, SHOW = b"\x1b[?1049h", b"\x1b[?1049l", b"\x1b[?25h"


# --- what it asks for ----------------------------------------------------------------------------


async def test_only_those_who_were_named_are_asked_about_again() -> None:
    """All at first; then whom something has happened to; the budgets each time."""
    overview = Overview()
    async with site() as here, Remote(read_address(here.url, None)) as remote:
        await here.start("a")
        await here.start("b")
        await refresh(remote, overview)
        before = overview.rows["b"]
        here.runtime.instance("a").pause()
        here.runtime.instance("b").pause()
        await here.runtime.instance("b").wait_status("paused")
        overview.named = {"a"}
        await refresh(remote, overview)

    assert overview.rows["a"].status == "paused"
    assert overview.rows["b"] == before
    assert not overview.named


async def test_those_who_are_gone_are_gone() -> None:
    """Whatever their ids are made of; and however many there are, in requests of bounded size."""
    overview = Overview()
    names = [f"böt {number}?&=#+%" + "x" * 90 for number in range(60)]
    async with site() as here, Remote(read_address(here.url, None)) as remote:
        for name in names:
            await here.start(name)
        await refresh(remote, overview)
        await here.runtime.stop_instance(names[0])
        assert len(overview.rows) == 60
        overview.named = set(names)
        await refresh(remote, overview)

    assert sorted(overview.rows) == sorted(names[1:])


async def test_what_was_not_answered_is_asked_again() -> None:
    """Who was named stays named, and whole stays whole."""
    some, everybody = Overview(whole=False, named={"a"}), Overview()
    bad = '{"schema": 1, "instances": [{"instance_id": "a"}]}'
    async with (
        stranger(answering("200 OK", bad)) as url,
        Remote(read_address(url, None)) as remote,
    ):
        for overview in (some, everybody):
            with pytest.raises(NotAnswered, match="does not tell of instances as it should"):
                await refresh(remote, overview)

    assert (some.named, some.whole) == ({"a"}, False)
    assert everybody.whole


async def test_another_run_is_asked_for_whole_at_once() -> None:
    """An answer about some of its instances says nothing of those that were there before."""
    overview = Overview()
    async with site() as here:
        await here.start("old")
        port = int(here.url.rpartition(":")[2])
        async with Remote(read_address(here.url, None)) as remote:
            await refresh(remote, overview)
        here.stop()
        await here.runtime.stop_instance("old")
        async with site(port) as again, Remote(read_address(again.url, None)) as remote:
            await again.start("new")
            await refresh(remote, overview)

    assert set(overview.rows) == {"new"}
    assert not overview.whole


async def test_snapshots_are_asked_for_as_soon_as_the_stream_is_open_again() -> None:
    """Whoever hears events is not shown old snapshots until a wait of their own is over."""
    overview = Overview()
    async with site() as here, Remote(read_address(here.url, None)) as remote:
        await here.start("bot")
        watch = Watch(remote, overview, interval=1000.0, random=Random(1))
        async with trio.open_nursery() as nursery:
            nursery.start_soon(watch.keep_fresh)
            await trio.testing.wait_all_tasks_blocked()
            assert not overview.rows
            await watch.take([Opened()])
            while not overview.rows:  # noqa: ASYNC110 - the answer tells nobody else
                await trio.sleep(0.01)
            nursery.cancel_scope.cancel()


# --- once ----------------------------------------------------------------------------------------


async def test_once_prints_plain_text_and_says_by_its_code_how_all_are() -> None:
    """One that is not proven yet is not well, and nobody at all is not either."""
    async with site() as here:
        code, out, err = await call("top", here.url, "--once", FORCE_COLOR="1")
        assert (code, err) == (AskedCode.NOT_WELL, "")
        assert "there is no instance" in out
        await here.start("bot")
        code, out, err = await call("top", here.url, "--once")

    assert (code, err) == (AskedCode.NOT_WELL, "")
    assert "1 instance: 1 connected\n" in out
    assert re.search(r"\nbot +scripted +connected\? +\d+s\n$", out)
    assert out.replace("\n", "").isprintable()


async def test_once_is_well_where_all_that_are_shown_are_proven() -> None:
    """Those that were not asked for do not count."""
    async with site() as here:
        await here.start("fine", reconnect=ReconnectPolicy(stable_after=0.1))
        await here.start("bad", fatal("no_money"))
        await trio.sleep(0.3)
        well = await call("top", here.url, "--once", "--filter", "FINE")
        unwell = await call("top", here.url, "--once", "--status", "failed")

    assert well[0] == AskedCode.WELL
    assert unwell[0] == AskedCode.NOT_WELL
    assert "no_money" in unwell[1]
    assert "\nfine " not in unwell[1]


async def test_a_token_opens_it_and_is_never_shown() -> None:
    """By the option or by the variable."""
    async with site(token=TOKEN) as here:
        by_option = await call("top", here.url, "--once", "--token", TOKEN)
        by_variable = await call("top", here.url, "--once", TRIO_INSTANCES_TOKEN=TOKEN)
        wrong = await call("top", here.url, "--once", "--token", f"{TOKEN}\t")

    for code, out, err in (by_option, by_variable):
        assert code == AskedCode.NOT_WELL
        assert TOKEN not in out + err
    assert wrong == (
        AskedCode.REFUSED,
        "",
        "trio-instances: the token must be printable ASCII without spaces\n",
    )


async def test_where_nobody_is_it_is_one_line_and_a_code() -> None:
    """No traceback, and no picture."""
    code, out, err = await call("top", "http://127.0.0.1:9")

    assert (code, out) == (AskedCode.UNAVAILABLE, "")
    assert err.startswith("trio-instances: http://127.0.0.1:9 cannot be reached (")
    assert err.count("\n") == 1


# --- live ----------------------------------------------------------------------------------------


async def test_into_a_pipe_it_prints_one_picture_after_the_other() -> None:
    """Until it is interrupted, or nobody reads."""
    async with site() as here, command("top", here.url, "--interval", "0.1") as running:
        channel = await here.start("bot")
        async with running.heard():
            await running.wait_printed(b"bot ", times=3)
            channel.reader.end(lost("close_1006"))
            await running.wait_printed(b"close_1006")
            running.process.send_signal(signal.SIGINT)

    assert running.process.returncode == AskedCode.INTERRUPTED
    assert running.err == b""
    assert b"\x1b" not in running.out


async def test_a_reader_that_has_seen_enough_ends_it_in_peace() -> None:
    """As ``head`` does."""
    async with site() as here:
        words = [sys.executable, "-W", "error", "-m", "trio_instances", "top", here.url]
        line = f"{' '.join(words)} --interval 0.1 | head -n 1; exit ${{PIPESTATUS[0]}}"
        done = await trio.run_process(
            ["/bin/bash", "-c", line],
            capture_stdout=True,
            capture_stderr=True,
            check=False,
            cwd=FOLDER,
        )

    assert (done.returncode, done.stderr) == (AskedCode.WELL, b"")
    assert done.stdout.startswith(b"http://127.0.0.1:")


@final
class Terminal:
    """A terminal with a command in its foreground."""

    def __init__(self, process: trio.Process, master: int) -> None:
        self.process = process
        self.master = master
        self.shown = b""

    async def wait_shown(self, text: bytes) -> None:
        """Wait until it has shown something."""
        while text not in self.shown:
            await trio.lowlevel.wait_readable(self.master)
            self.shown += os.read(self.master, 65536)

    async def finish(self) -> int:
        """Read what it shows to its end; return the command's exit code."""
        with pytest.raises(OSError):  # EIO is the end of a terminal
            await self.wait_shown(b"never")
        return await self.process.wait()

    @property
    def last(self) -> list[str]:
        """The lines of the last picture, without colours."""
        picture = self.shown.rpartition(b"\x1b[H")[2].partition(b"\x1b[?")[0].decode()
        return re.sub(r"\x1b\[[\d;]*m", "", picture).replace("\r", "").split("\n")


@asynccontextmanager
async def terminal(*arguments: str, width: int, height: int) -> AsyncIterator[Terminal]:
    """Run ``top`` on a terminal of this size."""
    import fcntl  # noqa: PLC0415 - not everywhere
    import pty  # noqa: PLC0415
    import struct  # noqa: PLC0415
    import termios  # noqa: PLC0415

    master, slave = pty.openpty()
    fcntl.ioctl(master, termios.TIOCSWINSZ, struct.pack("HHHH", height, width, 0, 0))
    environ = {**os.environ, "TERM": "xterm-256color"}
    for name in ("COLUMNS", "LINES", "NO_COLOR"):
        environ.pop(name, None)
    process = await trio.lowlevel.open_process(
        [sys.executable, "-m", "trio_instances", "top", *arguments],
        stdin=slave,
        stdout=slave,
        stderr=subprocess.STDOUT,
        cwd=FOLDER,
        env=environ,
    )
    os.close(slave)
    try:
        yield Terminal(process, master)
    finally:
        if process.returncode is None:
            process.kill()
        with trio.CancelScope(shield=True):
            await process.wait()
        os.close(master)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
async def test_a_terminal_is_filled_and_left_as_it_was(number: signal.Signals) -> None:
    """A screen of its own, within its size; the old one and the cursor come back at a signal."""
    async with site() as here:
        for count in range(40):
            await here.start(f"bot-{count}", *([fatal("no_money")] if count == 7 else []))
        async with terminal(here.url, width=70, height=20) as seen:
            await seen.wait_shown(b"more")
            seen.process.send_signal(number)
            assert await seen.finish() == AskedCode.INTERRUPTED

    assert seen.shown.startswith(ENTER) or ENTER in seen.shown[:50]
    assert LEAVE in seen.shown[-30:]
    assert SHOW in seen.shown[-30:]
    assert len(seen.last) == 20
    assert max(map(len, seen.last)) <= 70
    assert any(line.startswith("bot-7 ") for line in seen.last[:8])
    assert "more" in "".join(seen.last[-1:])


async def test_q_ends_it_and_leaves_the_terminal_as_it_was() -> None:
    """Without Enter, and without a trace of the keys that were pressed; others do nothing."""
    import termios  # noqa: PLC0415 - not everywhere

    async with site() as here:
        await here.start("bot")
        async with terminal(here.url, width=70, height=20) as seen:
            before = termios.tcgetattr(seen.master)
            await seen.wait_shown(b"bot ")
            os.write(seen.master, b"xyz")
            await seen.wait_shown(b"live ")
            seen.shown = b""
            await seen.wait_shown(b"live ")
            os.write(seen.master, b"q")
            with suppress(OSError):  # EIO is the end of a terminal
                await seen.wait_shown(b"never")
            assert await seen.process.wait() == AskedCode.WELL

            after = termios.tcgetattr(seen.master)

    assert after == before
    assert LEAVE in seen.shown[-30:]
    assert b"xyz" not in seen.shown


async def test_a_lost_endpoint_is_told_and_found_again() -> None:
    """By another process even: all is asked for anew."""
    async with site() as here:
        await here.start("old")
        port = int(here.url.rpartition(":")[2])
        url = here.url
        async with terminal(url, "--interval", "0.1", width=100, height=30) as seen:
            await seen.wait_shown(b"old ")
            # The endpoint's end is the end of its block: the rest goes on in another one.
            await here.runtime.stop_instance("old")
            here.stop()
            await seen.wait_shown(b"LOST since")
            async with site(port) as again:
                await again.start("new")
                seen.shown = b""
                await seen.wait_shown(b"new ")
                await seen.wait_shown(b"live ")
            seen.process.send_signal(signal.SIGINT)
            await seen.finish()
