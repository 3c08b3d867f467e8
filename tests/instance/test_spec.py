"""What an instance is: refused with every mistake, before anything runs."""

from __future__ import annotations

from typing import Any

import pytest

from trio_instances import InstanceSpec, InvalidSpec, RestartIntensity, Strategy
from trio_instances.abc import Channel

from .scripted import ScriptedChannel

GOOD: dict[str, Any] = {"id": "bot", "channel": ScriptedChannel()}


def test_the_defaults_are_those_that_are_published() -> None:
    """Five restarts in thirty seconds, ten failures in a row."""
    spec = InstanceSpec(**GOOD)

    assert spec.intensity == RestartIntensity(max_restarts=5, period=30.0)
    assert spec.failures_to_degrade == 10
    assert spec.strategy is Strategy.ONE_FOR_ONE
    assert spec.probe is not None


def test_a_word_is_taken_for_an_enum() -> None:
    """Code and configuration files say the same."""
    assert InstanceSpec(**GOOD, strategy="rest_for_one").strategy is Strategy.REST_FOR_ONE


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("id", ""),
        ("id", "a/b"),
        ("id", 5),
        ("id", "a\nb"),
        ("channel", None),
        ("channel", ScriptedChannel),
        ("name", None),
        ("reconnect", None),
        ("probe", 30),
        ("pressure", None),
        ("strategy", "all"),
        ("intensity", 5),
        ("child_backoff", 1.0),
        ("failures_to_degrade", 0),
        ("failures_to_degrade", True),
    ],
)
def test_each_wrong_field_is_named(field: str, value: object) -> None:
    """With the value that was given."""
    with pytest.raises(InvalidSpec) as caught:
        InstanceSpec(**{**GOOD, field: value})

    (mistake,) = caught.value.mistakes
    assert (mistake.place, mistake.value) == (field, value)


def test_all_mistakes_are_listed() -> None:
    """Not only the first."""
    with pytest.raises(InvalidSpec, match="4 mistakes") as caught:
        InstanceSpec(id="", channel=None, strategy="all", probe="often")  # type: ignore[arg-type] # the point

    assert [m.place for m in caught.value.mistakes] == ["id", "channel", "probe", "strategy"]


def test_a_channel_without_a_type_is_refused() -> None:
    """Telemetry is keyed by it."""

    class Nameless(Channel[int]):
        def connect(self, instance: object) -> Any:
            """Be enough for a class that can be made."""

    with pytest.raises(InvalidSpec, match="channel_type"):
        InstanceSpec(id="bot", channel=Nameless())


def test_specs_are_frozen_values() -> None:
    """Two of the same are the same, so that a wanted state can be compared."""
    channel = ScriptedChannel()

    assert InstanceSpec(id="a", channel=channel) == InstanceSpec(id="a", channel=channel)
    assert InstanceSpec(id="a", channel=channel) != InstanceSpec(id="a", channel=ScriptedChannel())


def test_an_async_function_that_nobody_awaits_is_refused() -> None:
    """New credentials would be accepted, and never used."""

    class Waits(ScriptedChannel):
        async def update_credentials(self, credentials: object) -> None:  # type: ignore[override]  # one that is async, which is the mistake
            raise NotImplementedError

    with pytest.raises(InvalidSpec, match=r"channel.update_credentials.*plain function"):
        InstanceSpec(id="bot", channel=Waits())
