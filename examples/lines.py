"""Lines of text over a stream of bytes, for protocols that consist of them."""

import trio


class Lines:
    """The lines of one stream. Several tasks may send; one receives."""

    def __init__(self, stream, longest=8192):
        self._stream, self._longest = stream, longest
        self._rest = b""
        self._sending = trio.Lock()

    async def send(self, line):
        """Send a line; one that is cancelled halfway leaves a stream that nobody can use."""
        async with self._sending:
            await self._stream.send_all(f"{line}\r\n".encode())

    async def receive(self):
        """Return the next line; raise EOFError where there is none, or it is too long."""
        while b"\r\n" not in self._rest:
            if len(self._rest) > self._longest:
                raise EOFError(f"a line is longer than {self._longest} bytes")
            data = await self._stream.receive_some()
            if not data:
                raise EOFError("the other side has gone")
            self._rest += data
        line, _, self._rest = self._rest.partition(b"\r\n")
        return line.decode(errors="replace")
