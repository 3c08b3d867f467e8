"""What holds for a whole runtime."""

from __future__ import annotations

from typing import Any

import pytest

from trio_instances import InvalidSpec, OnInstanceFailure, RestartIntensity, RuntimeSettings


def test_the_defaults_are_those_that_are_published() -> None:
    """Six restarts of an instance in thirty seconds; one that has failed is parked."""
    settings = RuntimeSettings()

    assert settings.instance_intensity == RestartIntensity(max_restarts=6, period=30.0)
    assert settings.on_instance_failure is OnInstanceFailure.PARK


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("name", ""),
        ("name", "a/b"),
        ("instance_intensity", 6),
        ("on_instance_failure", "panic"),
        ("probes_at_once", 0),
        ("required", "bot"),
        ("sink_buffer", 0),
        ("sink_timeout", -1.0),
        ("sink_timeout", float("inf")),
        ("sink_write_timeout", 0.0),
    ],
)
def test_each_wrong_field_is_named(field: str, value: Any) -> None:
    """With the value that was given."""
    with pytest.raises(InvalidSpec) as caught:
        RuntimeSettings(**{field: value})

    (mistake,) = caught.value.mistakes
    assert (mistake.place, mistake.value) == (field, value)
