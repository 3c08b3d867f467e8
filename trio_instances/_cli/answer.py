"""What an endpoint answers about instances, as values. Pure.

Statuses, levels and causes stay texts: a later version may have more of them, and what it says of
an instance is shown as it is.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, final

import attrs
import cattrs
from attrs import frozen

from ..policy.failures import WhoMustAct
from ..policy.pressure import PressureLevel

_converter = cattrs.Converter(detailed_validation=False)


class BadAnswer(ValueError):
    """An answer that does not have the fields that it must have."""


@final
@frozen
class Why:
    """A cause, as far as it is shown."""

    reason: str
    detail: str = ""
    error_type: str = ""


@final
@frozen
class Reason:
    """Why an instance is degraded."""

    what: str
    why: Why


@final
@frozen(kw_only=True)
class Turn:
    """The connection budget of an instance, and its place in the line there."""

    key: str
    place: int | None = None


@final
@frozen(kw_only=True)
class Row:
    """One instance: the fields of its snapshot that are asked for."""

    instance_id: str
    channel_type: str
    status: str
    since: float
    connected: bool
    proven: bool
    cause: Why | None = None
    who_must_act: str = WhoMustAct.NOBODY.value
    needs_attention: bool = False
    draining: bool = False
    attempt: int = 0
    next_retry_at: float | None = None
    reconnect_attempts: int = 0
    restarts: int = 0
    pressure: str = PressureLevel.NORMAL.value
    degraded: tuple[Reason, ...] = ()
    budget: Turn | None = None


FIELDS = ",".join(field.name for field in attrs.fields(Row))
"""What is asked for of each instance."""


@final
@frozen(kw_only=True)
class Budget:
    """One connection budget."""

    key: str
    attempts_per_second: float
    granted: int
    in_flight: int
    waiting: int
    left_today: int | None = None
    breaker: str | None = None


@final
@frozen(kw_only=True)
class Answer:
    """The answer of ``/instances``."""

    at: float
    position: str
    attempts_per_second: float
    budgets: tuple[Budget, ...]
    instances: tuple[Row, ...]

    @property
    def run(self) -> str:
        """Which run of the endpoint answers: the first part of its ids."""
        return self.position.rpartition("-")[0]


def read_answer(data: Mapping[str, Any]) -> Answer:
    """Return an answer as a value.

    Raises:
        BadAnswer: A field is missing, or is not what it must be.
    """
    try:
        return _converter.structure(data, Answer)
    except (KeyError, TypeError, ValueError, AttributeError) as exc:
        raise BadAnswer(f"{type(exc).__name__}: {exc}") from None
