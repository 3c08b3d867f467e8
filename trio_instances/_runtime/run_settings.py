"""What ``trio-instances run`` does beside running the instances."""

from __future__ import annotations

from enum import StrEnum
from typing import cast, final

from attrs import field, frozen

from ..policy.listening import (
    Address,
    address_or_given,
    check_guarded,
    check_port,
    check_token,
)
from ..policy.mistakes import MistakeList, member_or_given
from ..policy.notices import InitPolicy
from ..policy.stalls import StallPolicy


class WhenAllDown(StrEnum):
    """What the process does when everything has been down for too long.

    - ``stay``: it goes on trying.
    - ``exit``: it stops in order and exits with a code of its own, so that whoever started it
      starts it anew.
    """

    STAY = "stay"
    EXIT = "exit"


def _when_all_down(value: WhenAllDown | str) -> WhenAllDown:
    return member_or_given(WhenAllDown, value)


def _address(value: Address | str | int | None) -> Address | None:
    return cast("Address | None", address_or_given(value))


@final
@frozen(kw_only=True)
class RunSettings:
    """The table ``run`` of a file."""

    when_all_down: WhenAllDown = field(default=WhenAllDown.STAY, converter=_when_all_down)
    """What follows when everything is down."""
    all_down_after: float = 300.0
    """Seconds without a steady connection after which everything is down; see `wait_all_down`.

    The slow attempts come at most that far apart, so each instance has had one more chance.
    """
    init: InitPolicy = InitPolicy()
    """When the init system is told that the process gets on."""
    stalls: StallPolicy | None = None
    """When the event loop counts as blocked; None: nobody looks."""
    http: Address | None = field(default=None, converter=_address)
    """Where the operations endpoint listens, as ``PORT`` or ``HOST:PORT``; None: nowhere."""
    http_token: str | None = field(default=None, repr=False)
    """What its requests must bring to do anything, and beyond loopback to see anything."""
    http_replay: int = 10_000
    """Events that it keeps; a fleet of thousands fills that many when it starts."""
    metrics_by_instance: bool = True
    """Whether the series of its ``/metrics`` bear an instance's id."""

    def __attrs_post_init__(self) -> None:
        wrong = MistakeList("RunSettings")
        wrong.member("when_all_down", self.when_all_down, WhenAllDown)
        wrong.number("all_down_after", self.all_down_after, above=0.0, finite=True)
        wrong.instance("init", self.init, InitPolicy)
        wrong.instance("stalls", self.stalls, StallPolicy, optional=True)
        check_token(wrong, "http_token", self.http_token)
        wrong.whole("http_replay", self.http_replay, at_least=1)
        wrong.boolean("metrics_by_instance", self.metrics_by_instance)
        if isinstance(self.http, Address):
            check_port(wrong, "http", self.http.port)
            check_guarded(wrong, "http", self.http.host, self.http_token)
        elif self.http is not None:
            wrong.add("http", self.http, "must be PORT or HOST:PORT, IPv6 addresses in brackets")
        wrong.raise_any()
