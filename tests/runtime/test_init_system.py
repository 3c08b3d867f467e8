"""The way to the init system: its address, its watchdog, one datagram for each message."""

from __future__ import annotations

import os
import socket
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
import trio
from trio.testing import MockClock

from trio_instances import InitSystem, InvalidSpec

from .init_socket import InitSocket, open_init_socket

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="there are no such sockets")


@pytest.fixture
def heard(tmp_path: Path) -> Iterator[InitSocket]:
    """Listen as an init system does."""
    with open_init_socket(tmp_path / "notify") as opened:
        yield opened


def environment(**more: str) -> dict[str, str]:
    """Return variables, the address among them."""
    return {"NOTIFY_SOCKET": "/run/notify", **more}


async def test_a_message_is_one_datagram_of_lines(heard: InitSocket) -> None:
    """In the order given."""
    await InitSystem(heard.address).tell("READY=1", "STATUS=well")

    assert heard.take() == ["READY=1", "STATUS=well"]


async def test_an_address_with_an_at_sign_is_of_the_abstract_namespace() -> None:
    """No file is there for it."""
    if sys.platform != "linux":
        pytest.skip("only Linux has one")
    with open_init_socket(f"@trio-instances-test-{os.getpid()}") as heard:
        await InitSystem(heard.address).tell("READY=1")

        assert heard.take() == ["READY=1"]


async def test_what_would_break_a_line_is_replaced(heard: InitSocket) -> None:
    """A text from the other side of a connection can assign nothing."""
    await InitSystem(heard.address).tell("STATUS=bad\nMAINPID=1\x1b[2J", "READY=1")

    assert heard.take() == ["STATUS=bad MAINPID=1 [2J", "READY=1"]


async def test_nobody_at_the_address_is_an_error(tmp_path: Path) -> None:
    """It is for the supervisor of whoever tells."""
    with pytest.raises(FileNotFoundError):
        await InitSystem(str(tmp_path / "nobody")).tell("READY=1")


async def test_one_that_takes_nothing_is_waited_for_with_patience(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    """Five seconds, in which the event loop runs; so it cannot keep a process from ending."""
    with open_init_socket(tmp_path / "notify") as heard:
        init = InitSystem(heard.address)
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as filler:
            filler.setblocking(False)
            filler.connect(heard.address)
            with suppress(BlockingIOError):
                while True:
                    filler.send(b"x")
        began = trio.current_time()
        with pytest.raises(trio.TooSlowError):
            await init.tell("READY=1")
        assert trio.current_time() - began == pytest.approx(5.0)

        heard.take()
        await init.tell("READY=1")
        assert heard.take() == ["READY=1"]


@pytest.mark.parametrize("variables", [{}, {"NOTIFY_SOCKET": ""}])
def test_without_an_address_there_is_none(variables: dict[str, str]) -> None:
    """Nobody listens, so nothing is told."""
    assert InitSystem.from_environment(variables) is None


@pytest.mark.parametrize(
    ("more", "watchdog"),
    [
        ({}, None),
        ({"WATCHDOG_USEC": ""}, None),
        ({"WATCHDOG_USEC": "2500000"}, 2.5),
        ({"WATCHDOG_USEC": "2500000", "WATCHDOG_PID": "7"}, 2.5),
        ({"WATCHDOG_USEC": "2500000", "WATCHDOG_PID": "8"}, None),
    ],
)
def test_the_watchdog_is_the_one_that_is_meant_for_this_process(
    more: dict[str, str], watchdog: float | None
) -> None:
    """Variables are inherited: another process's watchdog is none of ours."""
    init = InitSystem.from_environment(environment(**more), pid=7)

    assert init is not None
    assert init.watchdog == watchdog
    assert "/run/notify" in repr(init)


@pytest.mark.parametrize("address", ["notify", "vsock:2:1", "/", "@"])
def test_another_kind_of_address_is_refused(address: str) -> None:
    """With the variable's name, and what it holds."""
    with pytest.raises(InvalidSpec, match="NOTIFY_SOCKET") as caught:
        InitSystem.from_environment({"NOTIFY_SOCKET": address})

    assert repr(address) in str(caught.value)


@pytest.mark.parametrize("usec", ["0", "-1", "1.5", "soon", "٣"])
def test_a_watchdog_that_is_no_number_is_refused(usec: str) -> None:
    """Also one in digits that are not ASCII's."""
    with pytest.raises(InvalidSpec, match="WATCHDOG_USEC"):
        InitSystem.from_environment(environment(WATCHDOG_USEC=usec))


# --- reloading


async def test_a_reload_is_told_with_its_time_and_its_end(heard: InitSocket) -> None:
    """The time is that of the monotonic clock, by which a late message is known."""
    init = InitSystem(heard.address)
    init.ready = True
    before = time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000
    async with init.reloading():
        first, second = heard.take()
        assert first == "RELOADING=1"
        name, _, usec = second.partition("=")
        assert name == "MONOTONIC_USEC"
        assert before <= int(usec) <= time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000

    assert heard.take() == ["READY=1"]


async def test_a_reload_that_fails_is_over_as_well(heard: InitSocket) -> None:
    """What ran goes on, so the service is ready; the failure is not swallowed."""
    init = InitSystem(heard.address)
    init.ready = True
    with pytest.raises(KeyError):
        async with init.reloading():
            raise KeyError

    assert heard.take()[-1] == "READY=1"


async def test_a_reload_before_it_was_ready_is_not_told(heard: InitSocket) -> None:
    """Its end would say "ready" of what is not."""
    async with InitSystem(heard.address).reloading():
        pass

    assert heard.take() == []


async def test_a_reload_goes_on_where_nobody_can_be_told(tmp_path: Path) -> None:
    """The configuration matters more than the news of it."""
    init = InitSystem(str(tmp_path / "nobody"))
    init.ready = True
    done = False
    async with init.reloading():
        done = True

    assert done


async def test_a_reload_that_is_cancelled_leaves_its_end_untold(heard: InitSocket) -> None:
    """What cancels it is the stop, which is told by itself."""
    init = InitSystem(heard.address)
    init.ready = True
    with trio.CancelScope() as scope:
        async with init.reloading():
            scope.cancel()
            await trio.sleep_forever()

    assert heard.take()[0] == "RELOADING=1"
    assert heard.take() == []
