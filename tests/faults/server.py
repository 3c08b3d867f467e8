"""A WebSocket server that misbehaves in one way, as a program of its own.

::

    python tests/faults/server.py MODE [ARGUMENT ...] [--port PORT] [--tls FILE]

It listens on 127.0.0.1, prints its port, and then a line for each connection that it takes. From
standard input it takes orders, ``close CODE`` for all connections, and it ends when that ends: so
it does not outlive whoever started it.

It has blocking sockets and a thread for each connection, because a fault is then written as it is
told: first this, then that, then nothing. What is correct is left to wsproto; what is wrong on
purpose goes to the socket past it.
"""

from __future__ import annotations

import argparse
import contextlib
import itertools
import os
import random
import socket
import ssl
import struct
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from email.utils import formatdate
from typing import NoReturn, final

from wsproto import ConnectionType, WSConnection
from wsproto.connection import ConnectionState
from wsproto.events import (
    AcceptConnection,
    CloseConnection,
    Event,
    Message,
    Ping,
    RejectConnection,
    Request,
    TextMessage,
)
from wsproto.utilities import ProtocolError

ADDRESS = "127.0.0.1"
_CHUNK = 65536
_HALF_FRAME = bytes([0x81, 100]) + b"half of the hundred bytes of text that were announced"
_GARBAGE = b"\xff" + random.Random(4).randbytes(1000)
"""The first byte is one that no frame and no HTTP answer begins with."""


@final
class Peer:
    """One connection, and the deeds that the modes are made of."""

    def __init__(self, sock: socket.socket, number: int) -> None:
        self.sock = sock
        self.number = number
        """Which connection of this program it is, counted from 1."""
        self._protocol = WSConnection(ConnectionType.SERVER)
        self._lock = threading.Lock()

    def read_request(self) -> None:
        """Take the client's handshake, and do not answer it."""
        next(event for event in self.events() if isinstance(event, Request))

    def accept(self) -> None:
        """Shake hands as one should."""
        self.read_request()
        self.say(AcceptConnection())

    def events(self) -> Iterator[Event]:
        """Yield what the client says, until the connection has ended."""
        while self._protocol.state is not ConnectionState.CLOSED:
            data = self.sock.recv(_CHUNK)
            if not data:
                return

            with self._lock:
                self._protocol.receive_data(data)
                events = list(self._protocol.events())
            yield from events

    def encode(self, *events: Event) -> bytes:
        """Return these events as bytes, for whoever sends them in a way of its own."""
        with self._lock:
            return b"".join(self._protocol.send(event) for event in events)

    def say(self, *events: Event) -> None:
        """Send these events at once."""
        self.sock.sendall(self.encode(*events))

    def converse(self, *, echo: bool = False) -> None:
        """Answer pings and a close, and messages where asked, until the connection has ended."""
        for event in self.events():
            if isinstance(event, Message) and echo:
                self.say(event)
            elif isinstance(event, Ping):
                self.say(event.response())
            elif isinstance(event, CloseConnection):
                # It may be the answer to a close of ours, and then there is nothing to say.
                with contextlib.suppress(ProtocolError):
                    self.say(event.response())

    def ignore(self) -> None:
        """Read whatever comes, until the client leaves, and say nothing."""
        while self.sock.recv(_CHUNK):
            pass

    def reset(self) -> None:
        """End the connection as a crashing host does."""
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.sock.close()


# --- the modes -----------------------------------------------------------------------------------


def echo(peer: Peer) -> None:
    """Do nothing wrong."""
    peer.accept()
    peer.converse(echo=True)


def quiet(peer: Peer) -> None:
    """Answer pings, and never send an event."""
    peer.accept()
    peer.converse()


def close(peer: Peer, code: str, when: str) -> None:
    """Accept, and close ``at_once``, in the same breath, or ``when_pinged``."""
    peer.read_request()
    farewell = CloseConnection(int(code))
    if when == "at_once":
        peer.say(AcceptConnection(), farewell)
    else:
        peer.say(AcceptConnection())
        next(event for event in peer.events() if isinstance(event, Ping))
        peer.say(farewell)
    peer.converse()


def refuse(peer: Peer, status: str, times: str = "inf", retry_after: str = "") -> None:
    """Refuse so many handshakes, with ``Retry-After`` as ``seconds=N`` or ``date=N``; then echo."""
    if peer.number > float(times):
        echo(peer)
        return

    now = time.time()
    headers = [(b"Date", formatdate(now, usegmt=True).encode())]
    form, _, seconds = retry_after.partition("=")
    if form:
        date = form == "date"
        value = formatdate(now + int(seconds), usegmt=True) if date else seconds
        headers.append((b"Retry-After", value.encode()))
    peer.read_request()
    peer.say(RejectConnection(int(status), headers))


def silent(peer: Peer) -> None:
    """Read the handshake, and never answer it."""
    peer.ignore()


def deaf(_: Peer) -> None:
    """Accept the connection, and never read from it."""
    _wait_for_ever()


def stall(peer: Peer) -> None:
    """Shake hands, and never read again."""
    peer.accept()
    _wait_for_ever()


def garble(peer: Peer, when: str) -> None:
    """Send garbage: ``first``, in place of the handshake, or ``later``, after it."""
    peer.read_request()
    if when == "later":
        peer.say(AcceptConnection())
    peer.sock.sendall(_GARBAGE)
    peer.ignore()


def exceed(peer: Peer, length: str) -> None:
    """Send one long message."""
    peer.accept()
    peer.say(TextMessage("x" * int(length)))
    peer.converse()


def halve(peer: Peer, then: str) -> None:
    """Send half a frame, and then ``nothing``, or the ``end`` of the stream."""
    peer.accept()
    peer.sock.sendall(_HALF_FRAME)
    if then == "end":
        peer.sock.shutdown(socket.SHUT_WR)
    peer.ignore()


def reset(peer: Peer, whose: str) -> None:
    """Reset in the middle of a closing handshake: of the ``client``, or ``ours``."""
    peer.accept()
    if whose == "ours":
        peer.say(CloseConnection(1012))
    for event in peer.events():
        if isinstance(event, CloseConnection):
            break
        if isinstance(event, Ping):
            peer.say(event.response())
    peer.reset()


def drip(peer: Peer, seconds: str) -> None:
    """Answer the handshake byte by byte, this far apart; then echo."""
    peer.read_request()
    for byte in peer.encode(AcceptConnection()):
        peer.sock.sendall(bytes([byte]))
        time.sleep(float(seconds))
    peer.converse(echo=True)


MODES: Mapping[str, Callable[..., None]] = {
    mode.__name__: mode
    for mode in (
        close, deaf, drip, echo, exceed, garble, halve, quiet, refuse, reset, silent, stall,
    )
}  # fmt: skip


# --- the program ---------------------------------------------------------------------------------


def _wait_for_ever() -> None:
    threading.Event().wait()


def _print(line: object) -> None:
    os.write(sys.stdout.fileno(), f"{line}\n".encode())  # in one piece, whatever else is printed


def _serve(
    peer: Peer, mode: Callable[..., None], arguments: list[str], tls: ssl.SSLContext | None
) -> None:
    with contextlib.suppress(OSError, ProtocolError, StopIteration):  # the client has had enough
        if tls is not None:
            peer.sock = tls.wrap_socket(peer.sock, server_side=True)
        with peer.sock:
            mode(peer, *arguments)


def _obey(peers: list[Peer]) -> NoReturn:
    for line in sys.stdin:
        order, code = line.split()
        assert order == "close"
        for peer in tuple(peers):
            with contextlib.suppress(OSError, ProtocolError):
                peer.say(CloseConnection(int(code)))
    os._exit(0)  # whatever the threads are at


def _listen(port: int) -> socket.socket:
    return socket.create_server((ADDRESS, port), backlog=128)  # on a port that was just in use, too


def main() -> NoReturn:
    """Run it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("mode", choices=MODES)
    parser.add_argument("arguments", nargs="*")
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--tls", help="a file with a private key and its certificates")
    given = parser.parse_args()
    tls = None
    if given.tls is not None:
        tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        tls.load_cert_chain(given.tls)
    listener = _listen(given.port)
    _print(listener.getsockname()[1])
    peers: list[Peer] = []
    threading.Thread(target=_obey, args=(peers,), daemon=True).start()
    for number in itertools.count(1):
        peer = Peer(listener.accept()[0], number)
        _print("connection")
        peers.append(peer)
        arguments = (peer, MODES[given.mode], given.arguments, tls)
        threading.Thread(target=_serve, args=arguments, daemon=True).start()
    raise AssertionError


if __name__ == "__main__":
    main()
