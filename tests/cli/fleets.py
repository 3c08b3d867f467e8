"""Fleets as an endpoint tells of them, for what is pure."""

from __future__ import annotations

from typing import Any

from trio_instances._cli.address import NotAnswered
from trio_instances._cli.answer import Answer, Budget, Reason, Row, Why
from trio_instances._cli.following import Happened, Lost, Pulse


def row(name: str = "bot", status: str = "connected", **fields: Any) -> Row:
    """Return an instance; one that is connected is proven, unless told otherwise."""
    up = status == "connected"
    given = {"channel_type": "scripted", "since": 0.0, "connected": up, "proven": up, **fields}
    return Row(instance_id=name, status=status, **given)


def failed(name: str = "bot", **fields: Any) -> Row:
    """Return an instance that was refused for its credentials."""
    given = {"cause": Why("bad_credentials"), "who_must_act": "credentials", **fields}
    return row(name, "failed", needs_attention=True, **given)


def degraded(name: str = "bot", what: str = "probe", **fields: Any) -> Row:
    """Return an instance that goes on with less."""
    given = {"connected": True, "degraded": (Reason(what, Why("meh")),), **fields}
    return row(name, "degraded", **given)


def budget(key: str = "gateway", **fields: Any) -> Budget:
    """Return a budget that nobody uses."""
    given = {"attempts_per_second": 5.0, "granted": 0, "in_flight": 0, "waiting": 0, **fields}
    return Budget(key=key, **given)


def answer(
    *rows: Row, at: float = 1000.0, budgets: tuple[Budget, ...] = (), run: str = "run"
) -> Answer:
    """Return an answer about some instances."""
    return Answer(
        at=at, position=f"{run}-1", attempts_per_second=0.5, budgets=budgets, instances=rows
    )


def happened(name: str | None, level: str = "INFO", at: float = 1000.0, **fields: Any) -> Happened:
    """Return an event."""
    data = {"at": at, "instance_id": name, "level": level, "line": f"it {name}", **fields}
    return Happened("run-2", data)


def lost(why: str = "gone", wait: float = 3.0) -> Lost:
    """Return the loss of the stream."""
    return Lost(NotAnswered(why), wait)


def pulse(at: float) -> Pulse:
    """Return a sign of life."""
    return Pulse(at)
