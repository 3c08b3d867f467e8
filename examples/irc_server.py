"""An IRC server for the examples, with the few commands that a bot needs."""

from contextlib import asynccontextmanager

import trio


class IRCServer:
    """One channel, and whoever joins it."""

    def __init__(self, password):
        self.password = password
        self.said = []
        self._streams = {}

    @asynccontextmanager
    async def open(self):
        """Serve on a free port of the loopback interface while the block runs; yield the port."""
        (listener,) = await trio.open_tcp_listeners(0, host="127.0.0.1")
        async with trio.open_nursery() as nursery:
            nursery.start_soon(trio.serve_listeners, self._client, [listener])
            yield listener.socket.getsockname()[1]
            nursery.cancel_scope.cancel()

    async def say(self, text):
        """Say something in the channel; wait until somebody has answered."""
        known = len(self.said)
        while not self._streams:
            await trio.sleep(0.01)
        await self._send(f":ann!ann@example PRIVMSG #lobby :{text}")
        while len(self.said) == known:
            await trio.sleep(0.01)

    async def kick_out(self, why):
        """Close the link of every client, as a server does that restarts."""
        await self._send(f"ERROR :Closing Link: {why}")
        for stream in self._streams.values():
            await stream.aclose()
        self._streams = {}

    async def _client(self, stream):
        try:
            async with stream:
                rest = b""
                async for data in stream:
                    *lines, rest = (rest + data).split(b"\r\n")
                    for line in lines:
                        await self._answer(stream, *line.decode().split(" ", 1))
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            pass
        finally:
            self._streams = {n: s for n, s in self._streams.items() if s is not stream}

    async def _send(self, line):
        for stream in list(self._streams.values()):
            await stream.send_all(f"{line}\r\n".encode())

    async def _answer(self, stream, command, rest=""):
        match command:
            case "PASS" if rest != self.password:
                await stream.send_all(b":irc 464 * :Password incorrect\r\n")
            case "NICK":
                await stream.send_all(f":irc 001 {rest} :Welcome\r\n".encode())
            case "JOIN":
                self._streams[id(stream)] = stream
            case "PING":
                await stream.send_all(f":irc PONG irc {rest}\r\n".encode())
            case "PRIVMSG":
                self.said.append(rest.partition(":")[2])
            case "QUIT":
                self.said.append(f"(quit: {rest.removeprefix(':')})")
