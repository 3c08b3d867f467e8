"""The specification: what an instance does about each fault of a server, and in what time."""

from __future__ import annotations

from collections.abc import Mapping
from typing import final

from attrs import evolve, frozen

from trio_instances import Backoff, ProbePolicy, ReconnectPolicy
from trio_instances.policy.backoff import Jitter
from trio_instances.policy.causes import DISCORD, RuleSet
from trio_instances.policy.failures import FailureClass, WhoMustAct

from .deeds import (
    Deed,
    ask_to_reconnect,
    freeze_and_thaw,
    kill_and_restart,
    let_it_probe,
    send_much,
    watch,
)

LIMIT = 1000
"""The instances' ``max_message_size``."""

PATIENT = ReconnectPolicy(
    attempts=3,
    backoff=Backoff(initial=0.02, factor=2.0, cap=0.1, jitter=Jitter.NONE),
    slow=Backoff(initial=0.2, factor=2.0, cap=0.4, jitter=Jitter.NONE),
    stable_after=30.0,
    connect_timeout=10.0,
    close_timeout=0.3,
)
"""For servers that do something: however busy the machine, an attempt has time for it."""
HASTY = evolve(PATIENT, connect_timeout=0.5)
"""For servers that keep attempts waiting."""
SOON_PROVEN = evolve(PATIENT, stable_after=0.1)
PROBE = ProbePolicy(interval=0.2, jitter=0.0, timeout=0.3, failures_to_fail=2)
GENTLE_PROBE = evolve(PROBE, interval=0.1, timeout=10.0)
"""For servers that answer."""


@final
@frozen
class Course:
    """What an instance goes through."""

    path: str
    """Its statuses; a regular expression."""
    told: tuple[str, ...]
    """What it tells, attempt by attempt, in the words of `story.STEPS`; regular expressions."""
    delays: tuple[float, ...] = ()
    """Seconds from the end of an attempt, or of its connection, to the next; the last repeats."""


NEVER_UP = Course(
    "connecting > reconnecting > degraded",
    (
        "connecting failed scheduled",
        "connecting failed scheduled",
        "connecting failed exhausted degraded scheduled",
        "connecting failed scheduled",
    ),
    (0.04, 0.08, 0.2, 0.4),
)
"""Three quick attempts, and then slow ones for ever, of which one is waited for."""

UP_AND_DOWN = Course(
    "connecting > connected > reconnecting > connected > reconnecting > connected > reconnecting"
    " > degraded",
    (
        "connecting connected disconnected scheduled",
        "connecting connected disconnected scheduled",
        "connecting connected disconnected exhausted degraded scheduled",
        "connecting connected disconnected scheduled",
    ),
    NEVER_UP.delays,
)
"""The same attempts at the same times, for being connected is not being proven."""

# Where the end comes with the beginning, chance decides whether the connection's children are ready
# before they learn of it, and so whether it was connected for a moment. Nothing else may depend on
# that.
_SHORT = "connecting (connected disconnected|failed)"
HARDLY_UP = Course(
    "connecting( > connected)?( > reconnecting > connected)*( > reconnecting)? > degraded",
    (
        f"{_SHORT} scheduled",
        f"{_SHORT} scheduled",
        f"{_SHORT} exhausted degraded scheduled",
        f"{_SHORT} scheduled",
    ),
    NEVER_UP.delays,
)

PARKED = Course("connecting > reconnecting > failed", ("connecting failed parked",))
FOUND_UNWELCOME = Course(
    "connecting > connected > reconnecting > failed", ("connecting connected disconnected parked",)
)
STAYS = Course("connecting > connected", ("connecting connected proven",))
LET_IN_LATER = Course(
    "connecting > reconnecting > connected",
    ("connecting failed scheduled", "connecting connected"),
    (1.0,),
)
FOUND_DEAD = Course(
    "connecting > connected > reconnecting > connected",
    ("connecting connected disconnected scheduled", "connecting connected"),
    (0.04,),
)
"""The probe has found out, twice; the next connection has the same before it."""
CLOSED_ALL = Course(
    FOUND_DEAD.path,
    ("connecting connected proven disconnected scheduled", "connecting connected proven"),
    (0.02,),
)
MADE_ANEW = Course(FOUND_DEAD.path, ("connecting connected disconnected", "connecting connected"))
"""Somebody wished it, so nothing has to be waited for."""
FROZEN = Course(
    FOUND_DEAD.path,
    (
        "connecting connected proven disconnected scheduled",
        "connecting failed scheduled",
        "connecting connected proven",
    ),
    (0.02, 0.04),
)
KILLED = Course(
    "connecting > connected > reconnecting > degraded > connected",
    (
        "connecting connected proven disconnected scheduled",
        "connecting failed scheduled",
        "connecting failed scheduled",
        "connecting failed exhausted degraded scheduled",
        "(connecting failed scheduled )*connecting connected proven recovered",
    ),
    (0.02, 0.04, 0.08, 0.2, 0.4),
)
"""How many slow attempts come in vain depends on how long a process takes to start."""


@final
@frozen(kw_only=True)
class Row:
    """One fault, and what comes of it."""

    server: str
    """Mode and arguments of `server.py`."""
    course: Course
    reasons: str = ""
    """Why attempts and connections ended, in order, repetitions left out."""
    failure_class: FailureClass = FailureClass.RECOVERABLE
    who_must_act: WhoMustAct = WhoMustAct.NOBODY
    after: float = 0.0
    """Seconds from the first attempt that have passed, at least, when the last one begins."""
    retry_after: float | None = None
    """What the server asked for."""
    bad_closes: int = 0
    """How often closing took longer than it may, and was given up."""
    policy: ReconnectPolicy = PATIENT
    probe: ProbePolicy = PROBE
    causes: RuleSet | None = None
    """What failures mean on the server's platform."""
    deed: Deed = watch
    """What the test does meanwhile."""
    tls: bool = False


TABLE: Mapping[str, Row] = {
    "accepts and closes with 4004 at once, always": Row(
        server="close 4004 at_once",
        course=HARDLY_UP,
        reasons="close_4004",
        after=0.32,
    ),
    "accepts and closes with 4004 a moment later, always": Row(
        server="close 4004 when_pinged",
        course=UP_AND_DOWN,
        reasons="close_4004",
        after=0.32,
        probe=evolve(PROBE, interval=0.02, timeout=10.0),
    ),
    "accepts and closes with 4004, and is Discord's": Row(
        server="close 4004 when_pinged",
        course=FOUND_UNWELCOME,
        reasons="close_4004",
        failure_class=FailureClass.FATAL,
        who_must_act=WhoMustAct.CREDENTIALS,
        causes=DISCORD,
    ),
    "is stopped in mid-stream, and goes on later": Row(
        server="echo",
        course=FROZEN,
        reasons="probe_timeout > connect_timeout",
        after=0.1 + 0.6 + 0.3 + 0.8,
        bad_closes=1,
        policy=evolve(SOON_PROVEN, connect_timeout=0.8),
        deed=freeze_and_thaw,
    ),
    "refuses with 429 and Retry-After in seconds": Row(
        server="refuse 429 1 seconds=1",
        course=LET_IN_LATER,
        reasons="http_429",
        after=1.0,
        retry_after=1.0,
    ),
    "refuses with 429 and Retry-After as a date": Row(
        server="refuse 429 1 date=1",
        course=LET_IN_LATER,
        reasons="http_429",
        after=1.0,
        retry_after=1.0,
    ),
    "refuses with 401": Row(
        server="refuse 401",
        course=PARKED,
        reasons="http_401",
        failure_class=FailureClass.FATAL,
        who_must_act=WhoMustAct.CREDENTIALS,
    ),
    "refuses with 503": Row(
        server="refuse 503",
        course=NEVER_UP,
        reasons="http_503",
        after=0.32,
    ),
    "never answers the handshake": Row(
        server="silent",
        course=NEVER_UP,
        reasons="connect_timeout",
        after=3 * 0.5 + 0.32,
        policy=HASTY,
    ),
    "accepts TCP and never reads": Row(
        server="deaf",
        course=NEVER_UP,
        reasons="connect_timeout",
        after=3 * 0.5 + 0.32,
        policy=HASTY,
    ),
    "stops reading after the handshake": Row(
        server="stall",
        course=FOUND_DEAD,
        reasons="probe_timeout",
        after=0.6,
        deed=send_much,
    ),
    "answers the handshake byte by byte": Row(
        server="drip 0.002",
        course=STAYS,
        policy=SOON_PROVEN,
        probe=GENTLE_PROBE,
    ),
    "answers the handshake byte by byte, too slowly": Row(
        server="drip 0.02",
        course=NEVER_UP,
        reasons="connect_timeout",
        after=3 * 0.5 + 0.32,
        policy=HASTY,
    ),
    "answers the handshake with garbage": Row(
        server="garble first",
        course=NEVER_UP,
        reasons="handshake_invalid",
        after=0.32,
    ),
    "sends garbage": Row(
        server="garble later",
        course=HARDLY_UP,
        reasons="bad_data",
        after=0.32,
    ),
    "sends a message over the limit": Row(
        server=f"exceed {LIMIT + 1}",
        course=HARDLY_UP,
        reasons="message_too_big",
        who_must_act=WhoMustAct.CONFIGURATION,
        after=0.32,
    ),
    "sends half a frame and then nothing": Row(
        server="halve nothing",
        course=FOUND_DEAD,
        reasons="probe_timeout",
        after=0.6 + 0.3,
        bad_closes=1,
    ),
    "sends half a frame and then the end of the stream": Row(
        server="halve end",
        course=HARDLY_UP,
        reasons="close_1006",
        after=0.32,
    ),
    "closes with 1012 and resets in mid-close": Row(
        server="reset ours",
        course=HARDLY_UP,
        reasons="close_1012",
        after=0.32,
    ),
    "resets while the instance closes": Row(
        server="reset client",
        course=MADE_ANEW,
        reasons="reconnect_requested",
        policy=evolve(PATIENT, hint_floor=0.0),
        deed=ask_to_reconnect,
    ),
    "is killed and restarts on the same port": Row(
        server="echo",
        course=KILLED,
        reasons="close_1006 > connection_refused",
        after=0.1 + 0.34,
        policy=SOON_PROVEN,
        deed=kill_and_restart,
    ),
    "answers pings and sends no events": Row(
        server="quiet",
        course=STAYS,
        policy=SOON_PROVEN,
        probe=GENTLE_PROBE,
        deed=let_it_probe,
    ),
    "has a certificate that nobody knows": Row(
        server="echo",
        course=PARKED,
        reasons="tls_certificate",
        failure_class=FailureClass.FATAL,
        who_must_act=WhoMustAct.CONFIGURATION,
        tls=True,
    ),
}

CLOSES_ALL = Row(
    server="echo",
    course=CLOSED_ALL,
    reasons="close_1012",
    after=0.12,
    policy=SOON_PROVEN,
)
"""A server that closes all its connections with 1012 at once: the row of each of them."""
