"""What the platforms' rule sets say where it differs from what one would expect."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from trio_instances.policy.causes import (
    BINANCE,
    DEFAULTS,
    DISCORD,
    DISCORD_VOICE,
    ERRORS,
    HTTP,
    MATTERMOST,
    PLATFORMS,
    PUSHER,
    RFC_6455,
    SLACK,
    TELEGRAM,
    TWITCH,
    Rule,
    RuleSet,
)
from trio_instances.policy.failures import Cause, FailureClass, ProbeTimedOut, WhoMustAct

ALL = [RFC_6455, HTTP, ERRORS, *PLATFORMS.values()]
NAMED = {f"{rules.name}-{rule.kind}-{rule.key}": rule for rules in ALL for rule in rules.rules}


def rows(wanted: Callable[[Rule], bool]) -> pytest.MarkDecorator:
    """Run a test for each row that is wanted."""
    found = [pytest.param(rule, id=name) for name, rule in NAMED.items() if wanted(rule)]
    return pytest.mark.parametrize("rule", found)


again = FailureClass.RECOVERABLE
never = FailureClass.FATAL


def fields(cause: Cause, expected: dict[str, Any]) -> dict[str, Any]:
    """Return the fields of a cause that are expected to have some values."""
    return {name: getattr(cause, name) for name in expected}


# --- Every row


@rows(lambda _: True)
def test_a_row_has_a_source(rule: Rule) -> None:
    """Who reads it can look it up."""
    assert rule.source == "trio_instances" or "https://" in rule.source


@rows(lambda rule: rule.cause.failure_class is never)
def test_what_no_retry_mends_names_who_must_act(rule: Rule) -> None:
    """An instance is parked by it, and somebody has to be told."""
    assert rule.cause.who_must_act is not WhoMustAct.NOBODY


@rows(lambda rule: rule.cause.planned)
def test_a_planned_end_is_nobodys_task_and_mended_by_a_retry(rule: Rule) -> None:
    """Nothing has failed."""
    assert rule.cause.failure_class is again
    assert rule.cause.who_must_act is WhoMustAct.NOBODY


@rows(lambda rule: rule.kind != "error")
def test_what_ends_a_connection_says_that_it_is_lost(rule: Rule) -> None:
    """A code and a word do; a status comes before there was a connection."""
    assert rule.cause.lost is (rule.kind in {"close", "word"})


def test_a_platform_is_found_by_its_word() -> None:
    """The word in a configuration file is the set's own name."""
    assert {word: rules.name for word, rules in PLATFORMS.items()} == {
        word: word
        for word in (
            "binance",
            "discord",
            "discord_voice",
            "mattermost",
            "pusher",
            "slack",
            "telegram",
            "twitch",
        )
    }


def test_no_two_sets_have_one_name() -> None:
    """A name says which."""
    names = [rules.name for rules in ALL]

    assert sorted(set(names)) == sorted(names)


@pytest.mark.parametrize("platform", PLATFORMS.values(), ids=lambda rules: rules.name)
def test_a_platform_leaves_to_the_defaults_what_it_does_not_know(platform: RuleSet) -> None:
    """A platform's set is no whole one, and needs none."""
    known = {(rule.kind, rule.key) for rule in platform.rules}
    closes = [rule for rule in RFC_6455.rules if (rule.kind, rule.key) not in known]
    ranges = [rule.key for rule in platform.rules if isinstance(rule.key, range)]
    composed = platform | DEFAULTS

    for rule in closes:
        code: Any = rule.key
        if not any(code in numbers for numbers in ranges):
            assert composed.cause_of_close(code) == DEFAULTS.cause_of_close(code)
    assert composed.cause_of_error(EOFError()) == DEFAULTS.cause_of_error(EOFError())


# --- Rows that surprise


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        (1000, {"failure_class": again, "resumable": False, "planned": False}),
        (1001, {"resumable": True, "planned": True}),
        (1006, {"failure_class": again, "resumable": True}),
        (1008, {"failure_class": again, "resumable": True}),  # fatal elsewhere
        (4001, {"failure_class": again, "resumable": False, "who_must_act": "author"}),
        (4002, {"failure_class": again, "resumable": True, "who_must_act": "author"}),
        (4003, {"failure_class": again, "resumable": False}),
        (4004, {"failure_class": never, "who_must_act": "credentials"}),
        (4006, {"failure_class": again, "reason": "close_4006"}),  # not documented any more
        (4007, {"failure_class": again, "resumable": False}),
        (4008, {"failure_class": again, "resumable": True}),
        (4009, {"failure_class": again, "resumable": False}),
        (4014, {"failure_class": never, "who_must_act": "configuration"}),
    ],
)
def test_discord_closes(code: int, expected: dict[str, Any]) -> None:
    """Most mistakes of a client are forgiven; whether the session goes on is told apart."""
    assert fields((DISCORD | DEFAULTS).cause_of_close(code), expected) == expected


@pytest.mark.parametrize(
    ("word", "expected"),
    [
        ("op_7", {"planned": True, "resumable": True, "retry_after": 0.0, "reason": "reconnect"}),
        ("op_9_true", {"planned": False, "resumable": True, "reason": "invalid_session"}),
        ("op_9_false", {"planned": False, "resumable": False, "reason": "invalid_session"}),
    ],
)
def test_discord_says(word: str, expected: dict[str, Any]) -> None:
    """An opcode ends a connection before its close code does."""
    assert fields(DISCORD.cause_of_word(word), expected) == expected


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        (4006, {"failure_class": again, "resumable": False}),
        (4014, {"failure_class": never, "who_must_act": "operator"}),
        (4015, {"failure_class": again, "resumable": True}),
        (4021, {"failure_class": never}),  # a rate limit that forbids to come back
        (4022, {"failure_class": never}),
    ],
)
def test_discord_closes_voice(code: int, expected: dict[str, Any]) -> None:
    """The voice gateway's codes are not those of the gateway."""
    assert fields(DISCORD_VOICE.cause_of_close(code), expected) == expected


@pytest.mark.parametrize(
    ("word", "expected"),
    [
        ("warning", {"planned": True, "retry_after": 0.0}),
        ("refresh_requested", {"planned": True, "retry_after": 0.0, "lost": True}),
        ("too_many_websockets", {"failure_class": again, "who_must_act": "operator"}),
        ("link_disabled", {"failure_class": never, "who_must_act": "configuration"}),
        ("invalid_auth", {"failure_class": never, "who_must_act": "credentials"}),
        ("ratelimited", {"failure_class": again, "retry_after": 30.0}),
    ],
)
def test_slack_says(word: str, expected: dict[str, Any]) -> None:
    """Slack has words, and no close codes of its own."""
    assert fields(SLACK.cause_of_word(word), expected) == expected


@pytest.mark.parametrize(("asked", "seconds"), [(None, 30.0), (5.0, 5.0)])
def test_slack_is_waited_for_as_it_asks_or_as_its_sdk_does(
    asked: float | None, seconds: float
) -> None:
    """A header goes before the number that is used without one."""
    assert SLACK.cause_of_status(429, retry_after=asked).retry_after == seconds


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        (4001, {"failure_class": never, "who_must_act": "author"}),
        (4003, {"failure_class": never, "who_must_act": "author"}),  # it would be closed again
        (4004, {"failure_class": again, "planned": False, "resumable": False}),
        (4007, {"failure_class": again, "resumable": False}),
    ],
)
def test_twitch_closes(code: int, expected: dict[str, Any]) -> None:
    """A session that was not moved in time is lost, and a new one is welcome."""
    assert fields(TWITCH.cause_of_close(code), expected) == expected


def test_twitch_moves_its_clients() -> None:
    """What was subscribed goes along to the address that comes with the message."""
    cause = TWITCH.cause_of_word("session_reconnect")

    assert (cause.planned, cause.resumable, cause.retry_after) == (True, True, 0.0)


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        (1001, {"planned": True, "resumable": True}),
        (1002, {"failure_class": again, "resumable": True}),  # fatal elsewhere
        (1013, {"retry_after": 30.0, "resumable": True}),
        (1015, {"failure_class": never, "who_must_act": "configuration"}),
    ],
)
def test_mattermost_closes(code: int, expected: dict[str, Any]) -> None:
    """Everything but a failed TLS handshake is worth another attempt."""
    assert fields((MATTERMOST | DEFAULTS).cause_of_close(code), expected) == expected


@pytest.mark.parametrize(
    ("cause", "expected"),
    [
        (BINANCE.cause_of_close(1000), {"failure_class": again}),
        (BINANCE.cause_of_close(1008), {"failure_class": again}),  # a missing pong; fatal elsewhere
        (BINANCE.cause_of_status(403), {"failure_class": again, "retry_after": 300.0}),
        (BINANCE.cause_of_status(418), {"failure_class": again, "retry_after": 120.0}),
        (BINANCE.cause_of_status(418, retry_after=7.0), {"retry_after": 7.0}),
        (BINANCE.cause_of_word("serverShutdown"), {"planned": True, "reason": "server_shutdown"}),
    ],
)
def test_binance_means(cause: Cause, expected: dict[str, Any]) -> None:
    """Nothing that its streams say is about credentials: they have none. It is about limits."""
    assert fields(cause, expected) == expected


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        (400, {"failure_class": again, "who_must_act": "author"}),
        (401, {"failure_class": never, "who_must_act": "credentials"}),
        (403, {"failure_class": again, "lost": False}),  # one chat, and not the bot
        (404, {"failure_class": never, "who_must_act": "credentials"}),  # the token is in the path
        (409, {"failure_class": again, "who_must_act": "operator", "retry_after": 30.0}),
        (502, {"failure_class": again}),
    ],
)
def test_telegram_answers(status: int, expected: dict[str, Any]) -> None:
    """Its answers are to calls, and few of them are about the bot."""
    assert fields((TELEGRAM | DEFAULTS).cause_of_status(status), expected) == expected


class NetworkError(Exception):
    """Stands for the exception of python-telegram-bot."""

    __module__ = "telegram.error"


class TimedOut(NetworkError):
    """Stands for the exception of python-telegram-bot."""

    __module__ = "telegram.error"


class RetryAfter(Exception):
    """Stands for the exception of python-telegram-bot."""

    __module__ = "telegram.error"
    retry_after = 12


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (NetworkError("x"), {"reason": "network", "lost": True}),
        (TimedOut("x"), {"reason": "timeout", "lost": False}),  # a poll's usual end
        (RetryAfter("x"), {"reason": "rate_limited", "retry_after": 12.0}),
    ],
)
def test_telegram_raises(error: Exception, expected: dict[str, Any]) -> None:
    """Its client's exceptions are known by name, and the wait in one of them is obeyed."""
    assert fields(TELEGRAM.cause_of_error(error), expected) == expected


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        (4000, {"failure_class": never, "who_must_act": "configuration", "reason": "close_4000"}),
        (4099, {"failure_class": never, "reason": "close_4099"}),
        (4100, {"failure_class": again, "retry_after": 1.0}),
        (4199, {"failure_class": again, "retry_after": 1.0}),
        (4200, {"failure_class": again, "retry_after": 0.0}),
        (4299, {"failure_class": again, "retry_after": 0.0}),
        (4300, {"failure_class": again, "retry_after": None}),
        (4400, {"failure_class": again, "detail": ""}),
    ],
)
def test_pusher_closes(code: int, expected: dict[str, Any]) -> None:
    """The hundred says what to do."""
    assert fields(PUSHER.cause_of_close(code), expected) == expected


@pytest.mark.parametrize(
    ("rules", "resumable"), [(DISCORD, True), (MATTERMOST, True), (PUSHER, False), (SLACK, False)]
)
def test_a_session_outlives_a_zombie_where_the_platform_says_so(
    rules: RuleSet, *, resumable: bool
) -> None:
    """A probe without an answer ends the connection, and not always what was said over it."""
    expected = {"failure_class": again, "reason": "probe_timeout", "resumable": resumable}

    assert fields((rules | DEFAULTS).cause_of_error(ProbeTimedOut(5.0)), expected) == expected
