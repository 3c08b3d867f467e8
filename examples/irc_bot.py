"""An IRC bot over plain TCP: a protocol of one's own, with nothing but Trio underneath."""

from contextlib import asynccontextmanager

import trio
from irc_server import IRCServer
from lines import Lines
from process import open_process
from trio_instances import Backoff, Cause, ChannelError, ChildSpec, InstanceSpec
from trio_instances import ReconnectPolicy, open_runtime
from trio_instances.abc import Channel

QUICK = ReconnectPolicy(backoff=Backoff(initial=0.05, cap=0.5))


class IRC(Channel):
    channel_type = "irc"

    def __init__(self, port, password):
        self.port, self.password, self.pong = port, password, trio.Event()

    @asynccontextmanager
    async def connect(self, instance):
        async with await trio.open_tcp_stream("127.0.0.1", self.port) as stream:
            link = Lines(stream)  # all that belongs to a connection is made with it
            for line in (f"PASS {self.password}", "NICK bot", "USER bot 0 * :A bot"):
                await link.send(line)
            while not (await self.hear(instance, link)).startswith("001 "):
                pass
            await link.send("JOIN #lobby")
            yield link
            await link.send("QUIT :bye")  # after a loss this fails, and nobody minds

    def children(self, instance, link):
        return [ChildSpec("reader", self.read, (instance, link))]

    async def probe(self, instance, link):
        self.pong = trio.Event()
        await link.send("PING :alive?")
        await self.pong.wait()  # the probe policy has the timeout

    async def hear(self, instance, link):
        line = await link.receive()
        instance.saw_frame()
        if line.startswith(":"):  # who says it
            line = line.partition(" ")[2]
        match line.split(" ", 1):
            case ["464", _]:
                raise ChannelError(Cause("fatal", "password", line, who_must_act="credentials"))
            case ["ERROR", why]:
                raise ChannelError(Cause("recoverable", "closing_link", why[1:], lost=True))
        return line

    async def read(self, instance, link):
        while True:
            line = await self.hear(instance, link)
            if line.startswith("PING "):
                await link.send(line.replace("PING", "PONG", 1))
            elif line.startswith("PONG "):
                self.pong.set()
            elif line.startswith("PRIVMSG #lobby :"):
                instance.saw_event()
                await link.send(f"PRIVMSG #lobby :you said {line.split(' :', 1)[1]}")


async def main():
    server = IRCServer(password="secret")
    async with open_process() as log, server.open() as port, open_runtime(sinks=[log]) as runtime:
        spec = InstanceSpec(id="irc", channel=IRC(port, "secret"), reconnect=QUICK)
        bot = await runtime.start_instance(spec)
        await server.say("hello")
        await server.kick_out("the server restarts")
        await server.say("again")
        print(bot.health().generation, "connections")
    print(server.said)


trio.run(main)
