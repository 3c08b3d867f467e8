"""The demo's instances: what each does, and which of them has which part in the story."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random
from typing import TYPE_CHECKING, final

import trio
from attrs import frozen

from .._exceptions import ChannelError
from .._instance.budget import ConnectionBudget
from .._instance.spec import InstanceSpec
from ..channels.websocket import WebSocketChannel, WebSocketConnection
from ..policy.backoff import Backoff
from ..policy.budget import BudgetPolicy
from ..policy.failures import Cause, FailureClass, WhoMustAct
from ..policy.health import ProbePolicy
from ..policy.reconnect import ReconnectPolicy
from ..policy.specs import ChildSpec
from ..testing.gateway import Refusal
from ..testing.gateway_client import Handshake
from .chart import Allowance

if TYPE_CHECKING:
    from .._instance.handle import Instance

WORKER = "worker"
"""The child of each connection that sends something now and then, and can be made to crash."""
OPTIONAL = "translator"
"""The child of each instance that is not essential, and can be made to fail."""

_TOKEN = "let-me-in"  # noqa: S105 - it opens nothing but the demo's own gateway
_NO_DICTIONARY = Cause(
    FailureClass.DEGRADED,
    "no_dictionary",
    who_must_act=WhoMustAct.OPERATOR,
    detail="as the story goes",
)
_MESSAGES_A_SECOND = 100.0
"""What the whole fleet sends, so that a larger one is not busier."""

# The gateway comes back soon, so no attempt may be late; and so many of them may be in vain.
_RECONNECT = ReconnectPolicy(
    attempts=1000, backoff=Backoff(initial=0.1, factor=2.0, cap=0.5), stable_after=1.0
)
_CALM = ProbePolicy(interval=2.0, timeout=10.0)
"""For those that must not be taken for silent, however slow the machine is."""
_ALERT = ProbePolicy(interval=0.2, timeout=0.3)
"""For the one that falls silent, so that it is noticed soon."""


class DemoChannel(WebSocketChannel):
    """A WebSocket channel with a child that can crash, and one that it can do without.

    Args:
        url: Where the gateway is.
        token: What the gateway is shown.
        period: Seconds between two messages.
    """

    channel_type = "demo"

    def __init__(self, url: str, token: str, period: float) -> None:
        super().__init__(url, headers={"Authorization": f"Bearer {token}"})
        self._period = period
        self._crash = trio.Event()
        self._failing = trio.Event()

    def crash_worker(self) -> None:
        """Make the worker crash, once."""
        self._crash.set()

    def fail_translator(self) -> None:
        """Make the optional child fail, so that it is parked."""
        self._failing.set()

    def children(self, instance: Instance, connection: WebSocketConnection) -> Sequence[ChildSpec]:
        """Return those of every WebSocket, and the worker."""
        return (*super().children(instance, connection), ChildSpec(WORKER, self._work))

    def instance_children(self, instance: Instance) -> Sequence[ChildSpec]:  # noqa: ARG002 - the contract
        """Return the child that it can do without."""
        return (ChildSpec(OPTIONAL, self._translate, essential=False),)

    async def _work(self) -> None:
        while True:
            with trio.move_on_after(self._period):
                await self._crash.wait()
                self._crash = trio.Event()
                raise RuntimeError("a bug, as the story goes")
            await self.send("tick")

    async def _translate(self) -> None:
        await self._failing.wait()
        self._failing = trio.Event()
        raise ChannelError(_NO_DICTIONARY)


@final
@frozen
class Cast:
    """Who has which part; the ids of instances. Everybody else is a bystander."""

    crashing: str
    refused: str
    silent: str
    degraded: str

    @property
    def parts(self) -> dict[str, str]:
        """The part of each, by id."""
        return {
            self.refused: "bad credentials",
            self.crashing: "child crashes",
            self.silent: "gets no pongs",
            self.degraded: "loses a child",
        }


MINIMUM = 5
"""Instances: one for each part, and one or more that only lose the gateway."""


def cast_parts(ids: Sequence[str], random: Random) -> Cast:
    """Choose who has which part."""
    return Cast(*random.sample(ids, 4))


def names(instances: int) -> list[str]:
    """Return the ids of a fleet, in start order."""
    width = len(str(instances))
    return [f"bot-{number:0{width}}" for number in range(1, instances + 1)]


def allowance(instances: int) -> Allowance:
    """Return what the budget of a fleet allows: to be back within about a second, and no faster."""
    return Allowance(a_second=max(20.0, float(instances)), burst=5)


def make_fleet(url: str, ids: Sequence[str], cast: Cast) -> list[InstanceSpec]:
    """Return what to start, in order."""
    allowed = allowance(len(ids))
    # Without a breaker, which would let one go first and the others not try at all.
    policy = BudgetPolicy(
        attempts_per_second=allowed.a_second,
        burst=allowed.burst,
        attempts_per_day=None,
        in_flight=None,
        breaker=None,
    )
    budget = ConnectionBudget("gateway", policy)
    period = max(0.5, len(ids) / _MESSAGES_A_SECOND)
    return [
        InstanceSpec(
            id=name,
            channel=DemoChannel(
                f"{url}/{name}", "expired" if name == cast.refused else _TOKEN, period
            ),
            reconnect=_RECONNECT,
            budget=budget,
            probe=_ALERT if name == cast.silent else _CALM,
        )
        for name in ids
    ]


def admit(handshake: Handshake) -> Refusal | None:
    """Decide for the gateway: who has no valid token is refused."""
    valid = handshake.headers.get("authorization") == f"Bearer {_TOKEN}"
    return None if valid else Refusal(status=401)
