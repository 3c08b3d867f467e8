"""How an endpoint begins: where it listens, and what keeps it from that."""

from __future__ import annotations

import errno
import socket
import subprocess
import sys
from typing import Any

import httpx
import pytest
import trio

from trio_instances import open_runtime
from trio_instances.http import serve_operations

from .endpoints import serving


async def test_a_port_in_use_is_a_clear_error() -> None:
    """An `OSError` with the address, the reason, and the way out; nothing is left behind."""
    async with open_runtime() as runtime, serving(runtime) as endpoint:
        with pytest.raises(OSError, match=f"cannot listen on 127.0.0.1:{endpoint.port}") as raised:
            await serve_operations(runtime, port=endpoint.port)
        assert raised.value.errno == errno.EADDRINUSE
        assert "choose another port, or 0 for any" in str(raised.value)
        assert (await endpoint.get("/livez")).status_code == 200


@pytest.mark.parametrize("host", ["no-such-host.invalid", "192.0.2.77", "a..b", "x" * 70, "a\0b"])
async def test_an_address_that_is_not_ours_is_a_clear_error(host: str) -> None:
    """Also a name that nobody knows, or that is none."""
    token = "0123456789abcdef"  # noqa: S105 - it guards nothing
    async with open_runtime() as runtime:
        with pytest.raises(
            OSError, match=r"cannot listen on .*: choose an address of this machine"
        ):
            await serve_operations(runtime, host=host, port=0, token=token)


async def test_localhost_has_one_url_that_works() -> None:
    """Where the name has several addresses, one free port cannot be had on all of them."""
    async with open_runtime() as runtime, serving(runtime, host="localhost") as endpoint:
        assert endpoint.url.startswith("http://localhost:")
        assert (await endpoint.get("/livez")).status_code == 200


async def test_a_name_with_two_addresses_gets_one_free_port() -> None:
    """A free port of each would be two, and there is one URL to tell."""

    class TwoAddresses(trio.abc.HostnameResolver):
        async def getaddrinfo(self, host: Any, port: Any, *_: Any) -> Any:
            kind = (socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP, "")
            return [(*kind, (f"127.0.0.{number}", port or 0)) for number in (1, 2)]

        async def getnameinfo(self, sockaddr: Any, flags: int) -> tuple[str, str]:
            raise NotImplementedError

    async with open_runtime() as runtime:
        trio.socket.set_custom_hostname_resolver(TwoAddresses())
        async with serving(runtime, host="localhost") as endpoint:
            trio.socket.set_custom_hostname_resolver(None)
            stream = await trio.open_tcp_stream("127.0.0.1", endpoint.port)
            await stream.aclose()
            with pytest.raises(OSError, match="all attempts to connect"):
                await trio.open_tcp_stream("127.0.0.2", endpoint.port)


async def test_an_ipv6_address_stands_in_brackets() -> None:
    """As URLs have it."""
    async with open_runtime() as runtime:
        try:
            async with serving(runtime, host="::1") as endpoint:
                assert endpoint.url.startswith("http://[::1]:")
                assert (await endpoint.get("/livez")).status_code == 200
        except* OSError:
            pytest.skip("this machine has no IPv6")


async def test_it_is_ready_when_it_listens() -> None:
    """Whoever waited for it can ask at once."""
    async with open_runtime() as runtime, trio.open_nursery() as nursery:
        url = await nursery.start(lambda **kw: serve_operations(runtime, port=0, **kw))
        async with httpx.AsyncClient(trust_env=False) as client:
            assert (await client.get(f"{url}/livez")).status_code == 200
        nursery.cancel_scope.cancel()


@pytest.mark.parametrize("missing", ["hypercorn", "starlette"])
def test_a_missing_extra_is_named(missing: str) -> None:
    """`ImportError`, when it is served and not when it is imported, with what to install."""
    program = f"""
import sys
sys.modules[{missing!r}] = None
import trio
from trio_instances import open_runtime
from trio_instances.http import serve_operations

async def main():
    async with open_runtime() as runtime:
        try:
            await serve_operations(runtime, port=0)
        except ImportError as exc:
            print(exc)

trio.run(main)
"""
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", program], capture_output=True, text=True, check=True
    )
    assert done.stdout.startswith("serve_operations: ")
    assert "it comes with the extra: pip install 'trio-instances[http]'" in done.stdout


async def test_the_library_itself_does_not_import_the_extra() -> None:
    """Who never serves never pays for it."""
    program = (
        "import sys, trio_instances.http\n"
        "assert not {'starlette', 'hypercorn', 'prometheus_client'} & set(sys.modules)"
    )
    await trio.run_process([sys.executable, "-c", program])
