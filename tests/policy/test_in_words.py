"""A snapshot as one line."""

from __future__ import annotations

from typing import Any

import pytest
from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st

from trio_instances.policy.failures import Cause, WhoMustAct
from trio_instances.policy.health import HealthSnapshot
from trio_instances.policy.status import DegradedReason, InstanceStatus

GONE = Cause("recoverable", "gone", "no route")
DEAF = Cause("degraded", "deaf")
BANNED = Cause("fatal", "banned", who_must_act="credentials")
CONNECTED = HealthSnapshot(
    instance_id="bot-1",
    name="Bot",
    channel_type="websocket",
    at=20.0,
    status=InstanceStatus.CONNECTED,
    since=7.96,
    connected=True,
    proven=False,
    generation=3,
    uptime=12.0,
    cause=GONE,
    children_total=2,
    children_running=1,
)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        (
            {},
            (
                "connected for 12.0 s, connection not proven yet, generation 3, "
                "1 of 2 children running"
            ),
        ),
        (
            {"proven": True, "children_total": 0},
            "connected for 12.0 s, connection proven, generation 3",
        ),
        (
            {
                "status": InstanceStatus.DEGRADED,
                "degraded": (DegradedReason("reconnect", GONE, 0.0),),
                "connected": False,
                "children_total": 0,
                "attempt": 6,
                "next_retry_at": 31.0,
            },
            (
                "degraded by reconnect for 12.0 s, not connected, generation 3, "
                "attempt 7 in 11.0 s, last failure: gone (recoverable): no route"
            ),
        ),
        (
            {
                "status": InstanceStatus.DEGRADED,
                "degraded": (
                    DegradedReason("reconnect", GONE, 0.0),
                    DegradedReason("probe", DEAF, 1.0),
                ),
                "children_total": 0,
                "who_must_act": WhoMustAct.OPERATOR,
            },
            (
                "degraded by reconnect and probe for 12.0 s, connection not proven yet, "
                "generation 3, to act: operator, last failure: deaf (degraded)"
            ),
        ),
        (
            {
                "status": InstanceStatus.FAILED,
                "connected": False,
                "generation": 0,
                "children_total": 0,
                "cause": BANNED,
                "who_must_act": WhoMustAct.CREDENTIALS,
            },
            "failed for 12.0 s, to act: credentials, last failure: banned (fatal)",
        ),
        (
            {
                "status": InstanceStatus.RECONNECTING,
                "connected": False,
                "children_total": 0,
                "next_retry_at": 19.0,
            },
            (
                "reconnecting for 12.0 s, generation 3, attempt 1 in 0.0 s, "
                "last failure: gone (recoverable): no route"
            ),
        ),
        (
            {
                "status": InstanceStatus.CONNECTING,
                "connected": False,
                "children_total": 0,
                "cause": None,
            },
            "connecting for 12.0 s, generation 3",
        ),
    ],
)
def test_a_snapshot_as_text_is_what_matters_most(changes: dict[str, Any], said: str) -> None:
    """How it is and since when, what there is of it, and why where it is not well."""
    assert str(evolve(CONNECTED, **changes)) == f"bot-1 (websocket): {said}"


@given(st.text())
def test_a_snapshot_as_text_is_one_printable_line(text: str) -> None:
    """Though some of it comes from the other side of the connection."""
    cause = Cause("recoverable", "gone", text)
    line = str(evolve(CONNECTED, connected=False, channel_type=text, cause=cause))

    assert line.isprintable()


def test_a_snapshot_keeps_the_repr_that_has_everything() -> None:
    """For whoever debugs."""
    assert repr(CONNECTED).startswith("HealthSnapshot(instance_id='bot-1', name='Bot', ")
