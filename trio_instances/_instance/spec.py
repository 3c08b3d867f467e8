"""What one instance is, and how it is to be treated."""

from __future__ import annotations

import inspect
from typing import Any, final

from attrs import field, frozen

from ..abc import Channel
from ..policy.backoff import Backoff
from ..policy.health import ProbePolicy
from ..policy.intensity import RestartIntensity
from ..policy.mistakes import MistakeList, member_or_given
from ..policy.pressure import PressurePolicy
from ..policy.reconnect import ReconnectPolicy
from ..policy.strategies import Strategy
from .budget import ConnectionBudget


def _strategy(value: Strategy | str) -> Strategy:
    return member_or_given(Strategy, value)


@final
@frozen(kw_only=True)
class InstanceSpec:
    """One channel instance: what it talks to, and the policies it lives under."""

    id: str
    """Unique within the runtime, and a part of every path; so without ``/``."""
    channel: Channel[Any]
    """What it talks to. The object serves this instance alone."""
    name: str = ""
    """What people call it; the id where nothing is given."""
    reconnect: ReconnectPolicy = ReconnectPolicy()
    """How its connection is made again."""
    budget: ConnectionBudget | None = None
    """What its attempts are counted in, with those of all instances that have the same one; None
    takes that of its channel, if the channel has one."""
    probe: ProbePolicy | None = ProbePolicy()
    """When its connection is probed; None: never."""
    pressure: PressurePolicy = PressurePolicy()
    """When its queues are too full."""
    strategy: Strategy = field(default=Strategy.ONE_FOR_ONE, converter=_strategy)
    """How the children of its connection are restarted."""
    intensity: RestartIntensity = RestartIntensity(max_restarts=5, period=30.0)
    """Restarts that its own children, and those of one connection, may need.

    More than OTP's 1 in 5 s, for what they talk to fails by nature.
    """
    child_backoff: Backoff | None = None
    """Delays between restarts of its children; None: at once, as OTP."""
    failures_to_degrade: int = 10
    """Failures reported in a row that degrade it: too many for chance."""

    def __attrs_post_init__(self) -> None:
        wrong = MistakeList(f"InstanceSpec {self.id!r}")
        wrong.name("id", self.id)
        wrong.instance("channel", self.channel, Channel)
        channel_type = getattr(type(self.channel), "channel_type", None)
        if isinstance(self.channel, Channel) and not isinstance(channel_type, str):
            wrong.add("channel.channel_type", channel_type, "must be a text on the channel's class")
        if inspect.iscoroutinefunction(getattr(self.channel, "update_credentials", None)):
            expected = "must be a plain function: nobody awaits it"
            wrong.add("channel.update_credentials", self.channel.update_credentials, expected)
        wrong.instance("name", self.name, str)
        wrong.instance("reconnect", self.reconnect, ReconnectPolicy)
        wrong.instance("budget", self.budget, ConnectionBudget, optional=True)
        if isinstance(self.channel, Channel):
            of_channel: object = self.channel.budget
            wrong.instance("channel.budget", of_channel, ConnectionBudget, optional=True)
        wrong.instance("probe", self.probe, ProbePolicy, optional=True)
        wrong.instance("pressure", self.pressure, PressurePolicy)
        wrong.member("strategy", self.strategy, Strategy)
        wrong.instance("intensity", self.intensity, RestartIntensity)
        wrong.instance("child_backoff", self.child_backoff, Backoff, optional=True)
        wrong.whole("failures_to_degrade", self.failures_to_degrade, at_least=1)
        wrong.raise_any()

    @property
    def counted_in(self) -> ConnectionBudget | None:
        """The budget that its attempts are counted in: its own, or else that of its channel."""
        return self.channel.budget if self.budget is None else self.budget
