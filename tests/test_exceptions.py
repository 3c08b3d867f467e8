"""Errors: what they say, and what they are."""

from __future__ import annotations

import pickle

import pytest

import trio_instances
from trio_instances import (
    Cause,
    ChannelError,
    ChildAlreadyPresent,
    ChildAlreadyStarted,
    ChildDeclined,
    ChildNotFound,
    ChildRestarting,
    ChildRunning,
    ChildStartFailed,
    FatalChildFailure,
    InstanceAlreadyStarted,
    InstanceFailed,
    InstanceNotFound,
    InstanceStopped,
    InvalidSpec,
    MaxChildrenReached,
    Mistake,
    RestartIntensity,
    RestartLimitExceeded,
    StartTimedOut,
    SupervisorNotRunning,
    TrioInstancesError,
)

CAUSE = Cause("fatal", "bad_token", "expired", "LoginError", who_must_act="credentials")

ERRORS: list[tuple[TrioInstancesError, list[str]]] = [
    (
        InvalidSpec("ChildSpec 'a'", [Mistake("shutdown", -1, "must be at least 0")]),
        ["ChildSpec 'a'", "shutdown", "-1", "must be at least 0"],
    ),
    (ChannelError(CAUSE), ["bad_token", "fatal", "expired"]),
    (ChildAlreadyStarted("s/a"), ["'s/a'", "another name", "terminate"]),
    (ChildAlreadyPresent("s/a"), ["'s/a'", "restart_child", "delete_child"]),
    (ChildNotFound("s/a"), ["'s/a'", "which_children()", "instance health().children"]),
    (ChildRunning("s/a"), ["'s/a'", "terminate_child"]),
    (ChildRestarting("s/a"), ["'s/a'", "wait"]),
    (SupervisorNotRunning("s"), ["'s'", "not running"]),
    (ChildDeclined("nothing to do"), ["nothing to do"]),
    (ChildStartFailed("s/a", CAUSE), ["'s/a'", "bad_token"]),
    (MaxChildrenReached("s", 7), ["'s'", "max_children=7", "stop a child"]),
    (StartTimedOut("s/a", 2.5), ["'s/a'", "2.5 s", "start_timeout"]),
    (
        RestartLimitExceeded("s", "s/a", CAUSE, RestartIntensity(3, 5.0)),
        ["'s'", "'s/a'", "restart 4", "5 s", "3 are"],
    ),
    (FatalChildFailure("s", "s/a", CAUSE), ["'s'", "'s/a'", "fatally", "bad_token"]),
    (InstanceNotFound("bot"), ["'bot'", "list_instances"]),
    (InstanceAlreadyStarted("bot"), ["'bot'", "another id", "stop it"]),
    (InstanceAlreadyStarted("bot", "channel"), ["'bot'", "channel of its own"]),
    (InstanceFailed("bot", CAUSE), ["'bot'", "bad_token", "credentials", "restart_instance"]),
    (InstanceStopped("bot"), ["'bot'", "stopped"]),
]


@pytest.mark.parametrize(("error", "parts"), ERRORS, ids=lambda part: type(part).__name__)
def test_an_error_names_the_thing_the_value_and_the_way_out(
    error: TrioInstancesError, parts: list[str]
) -> None:
    """Whoever reads the message alone knows what to do."""
    assert [part for part in parts if part not in str(error)] == []


@pytest.mark.parametrize(("error", "parts"), ERRORS, ids=lambda part: type(part).__name__)
def test_an_error_survives_pickling(error: TrioInstancesError, parts: list[str]) -> None:
    """It can be sent to another process, and says the same there."""
    copy = pickle.loads(pickle.dumps(error))  # noqa: S301 - it was pickled on the same line

    assert (type(copy), str(copy)) == (type(error), str(error))


def test_every_error_that_can_be_raised_is_listed_above() -> None:
    """A new error gets its row."""
    bases = {"TrioInstancesError", "SupervisionError", "ChildError", "Escalation", "InstanceError"}
    public = {
        name
        for name in trio_instances.__all__
        if isinstance(thing := getattr(trio_instances, name), type)
        and issubclass(thing, TrioInstancesError)
    }

    assert public - bases == {type(error).__name__ for error, _ in ERRORS}


@pytest.mark.parametrize(
    ("error", "builtin"),
    [
        (InvalidSpec("x", []), ValueError),
        (ChildNotFound("s/a"), KeyError),
        (InstanceNotFound("bot"), KeyError),
        (StartTimedOut("s/a", 1.0), TimeoutError),
    ],
    ids=lambda part: getattr(part, "__name__", type(part).__name__),
)
def test_an_error_is_also_what_python_calls_it(
    error: TrioInstancesError, builtin: type[Exception]
) -> None:
    """Code that knows only Python's own errors catches them too."""
    assert isinstance(error, builtin)


def test_several_mistakes_are_listed_one_a_line() -> None:
    """All of them are told, not only the first."""
    mistakes = [
        Mistake("id", "", "must be a text that is not empty"),
        Mistake("url", None, "is missing", given=False),
    ]

    assert str(InvalidSpec("InstanceSpec", mistakes)) == (
        "InstanceSpec has 2 mistakes:\n"
        "  - id: must be a text that is not empty, not ''\n"
        "  - url: is missing"
    )


def test_a_value_is_shown_bounded_whatever_its_repr_does() -> None:
    """A message is readable even when the value is enormous, or cannot say what it is."""

    class Mute:
        def __repr__(self) -> str:
            raise RuntimeError("no")

    assert str(Mistake("", 1, "must be 2")) == "must be 2, not 1"
    assert len(str(Mistake("x", "y" * 10_000, "must be short"))) < 300
    assert "Mute whose repr raised RuntimeError" in str(Mistake("x", Mute(), "must be loud"))
