"""A world: a fleet, and the schedule of what happens to it. Values, to and from JSON."""

from __future__ import annotations

import json
from enum import StrEnum
from typing import final

import cattrs
from attrs import evolve, frozen

from ...policy.backoff import Backoff
from ...policy.budget import BudgetPolicy
from ...policy.failures import Cause
from ...policy.health import ProbePolicy
from ...policy.intensity import RestartIntensity
from ...policy.reconnect import ReconnectPolicy
from ...policy.restart import RestartType
from ...policy.strategies import StopOrder, Strategy


class What(StrEnum):
    """What can happen.

    Faults of the other side, of a provider or of one instance, by the words of `FaultKind`:
    ``outage``, ``drop``, ``refuse``, ``hang``, ``deaf``, ``mute``, ``crash``, ``expire``,
    ``slow_close``.

    What one worker does: ``fail`` raises, ``finish`` returns, ``stumble`` raises before it is
    ready, for as long as that lasts.

    What an operator asks: ``reconnect``, ``retry_now``, ``pause``, ``resume``, ``drain``,
    ``rotate``, ``revive`` (a child), ``credentials``, ``report`` (ten failures), ``succeed``,
    ``start``, ``stop``, ``restart``, ``apply``, ``give_up`` (cancels the last call that goes on),
    ``cancel`` (the whole runtime; another one is opened then).
    """

    OUTAGE = "outage"
    DROP = "drop"
    REFUSE = "refuse"
    HANG = "hang"
    DEAF = "deaf"
    MUTE = "mute"
    CRASH = "crash"
    EXPIRE = "expire"
    SLOW_CLOSE = "slow_close"
    FAIL = "fail"
    FINISH = "finish"
    STUMBLE = "stumble"
    RECONNECT = "reconnect"
    RETRY_NOW = "retry_now"
    PAUSE = "pause"
    RESUME = "resume"
    DRAIN = "drain"
    ROTATE = "rotate"
    REVIVE = "revive"
    CREDENTIALS = "credentials"
    REPORT = "report"
    SUCCEED = "succeed"
    START = "start"
    STOP = "stop"
    RESTART = "restart"
    APPLY = "apply"
    GIVE_UP = "give_up"
    CANCEL = "cancel"


REPORTS = 10
"""How many failures ``report`` reports."""
FAULTS = frozenset(list(What)[: list(What).index(What.FAIL)])
"""What the other side does."""
MISHAPS = frozenset({What.FAIL, What.FINISH, What.STUMBLE})
"""What a worker does."""


@final
@frozen(kw_only=True)
class Happening:
    """One thing that happens."""

    number: int
    """Its number, which is a part of the reason of every cause that it leads to."""
    at: float
    """When, in seconds from the beginning."""
    what: What
    target: str = ""
    """An instance's id, or a provider's name."""
    child: str = ""
    """The child that it happens to."""
    lasts: float = 0.0
    """For how long."""
    cause: Cause | None = None
    """What is raised."""
    ids: tuple[str, ...] = ()
    """The instances that are wanted, of ``apply``."""

    @property
    def ends(self) -> float:
        """When it is over."""
        return self.at + self.lasts


@final
@frozen(kw_only=True)
class Worker:
    """One child of an instance, or of its connection."""

    name: str
    restart: RestartType = RestartType.PERMANENT
    essential: bool = True
    soft: bool = False
    """Whether it waits inside `until_stopped`."""
    starts_in: float = 0.0
    """Seconds until it is ready."""
    cleanup: float = 0.0
    """Seconds that its cleanup takes, shielded."""


@final
@frozen(kw_only=True)
class Member:
    """One instance of the fleet."""

    id: str
    provider: str
    overlaps: bool = False
    takes: float = 0.0
    """Seconds that an attempt takes."""
    close_takes: float = 0.0
    """Seconds that a closing takes."""
    reconnect: ReconnectPolicy = ReconnectPolicy()
    probe: ProbePolicy | None = None
    intensity: RestartIntensity = RestartIntensity(max_restarts=5, period=30.0)
    strategy: Strategy = Strategy.ONE_FOR_ONE
    child_backoff: Backoff | None = None
    own: tuple[Worker, ...] = ()
    """Its own children."""
    workers: tuple[Worker, ...] = ()
    """The children of its connection."""


@final
@frozen(kw_only=True)
class Provider:
    """What some instances talk to."""

    name: str
    budget: BudgetPolicy | None = None
    """What they may ask of it, all together."""


@final
@frozen(kw_only=True)
class World:
    """All that a run is made of; the same world is played the same way, event by event."""

    seed: int
    """Where the order of tasks and the jitter come from."""
    seconds: float
    """How long the runtime is up."""
    stop_order: StopOrder = StopOrder.REVERSE
    instance_intensity: RestartIntensity = RestartIntensity(max_restarts=6, period=30.0)
    providers: tuple[Provider, ...] = ()
    members: tuple[Member, ...] = ()
    schedule: tuple[Happening, ...] = ()
    """In order of time."""

    def hits(self, happening: Happening, member: Member) -> bool:
        """Tell whether something happens to a member, itself or its provider."""
        return happening.target in (member.id, member.provider)

    def with_schedule(self, schedule: tuple[Happening, ...]) -> World:
        """Return the same world with another schedule."""
        return evolve(self, schedule=schedule)

    def with_members(self, members: tuple[Member, ...]) -> World:
        """Return the same world with fewer members; nothing happens to the others any more."""
        gone = {each.id for each in self.members} - {each.id for each in members}
        kept = tuple(
            evolve(each, ids=tuple(who for who in each.ids if who not in gone))
            for each in self.schedule
            if each.target not in gone
        )
        return evolve(self, members=members, schedule=kept)

    def lasting(self, seconds: float) -> World:
        """Return the same world for another time."""
        return evolve(self, seconds=seconds)


_CONVERTER = cattrs.Converter(omit_if_default=True, forbid_extra_keys=True)


def to_json(world: World) -> str:
    """Return a world as a text: a line for each thing that happens, so that it can be edited."""
    fields = _CONVERTER.unstructure(world)
    schedule = fields.pop("schedule", [])
    head = json.dumps(fields)[:-1]
    lines = ",\n  ".join(map(json.dumps, schedule))
    return f'{head}, "schedule": [\n  {lines}\n]}}'


def from_json(text: str) -> World:
    """Return the world that a text tells of.

    Raises:
        ValueError: It is no such text.
    """
    fields = json.loads(text)
    if not isinstance(fields, dict):
        raise ValueError("it must be an object")  # noqa: TRY004 - of the text, and not of a type

    try:
        return _CONVERTER.structure(fields, World)
    except (cattrs.BaseValidationError, cattrs.StructureHandlerNotFoundError) as exc:
        raise ValueError("; ".join(cattrs.transform_error(exc))) from exc
