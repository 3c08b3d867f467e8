"""The configuration file: secrets stay secret, and nothing in a file is more than a mistake."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trio_instances._exceptions import InvalidSpec
from trio_instances._runtime.config import load_config
from trio_instances._runtime.tables import CHANNEL_FIELDS


def mistakes(folder: Path, text: str, **environ: str) -> list[str]:
    """Return the mistakes of a broken file as people see them."""
    file = folder / "bots.toml"
    file.write_text(text)
    with pytest.raises(InvalidSpec) as refused:
        load_config(file, environ=environ)
    return [str(mistake) for mistake in refused.value.mistakes]


def test_a_variable_that_is_not_set_is_a_mistake_with_its_place(tmp_path: Path) -> None:
    """It is named, and nothing else is said to be missing because of it."""
    found = mistakes(
        tmp_path,
        """
        [[instances]]
        id = "bot-1"
        url = { env = "URL" }
        headers = { Authorization = { env = "TOKEN" }, Cookie = { file = "x" } }
    """,
    )
    assert found == [
        "instances[0].url: needs the environment variable 'URL', and it is not set",
        (
            "instances[0].headers.Authorization: needs the environment variable 'TOKEN', "
            "and it is not set"
        ),
        'instances[0].headers.Cookie: must be a text, or { env = "NAME" }',
    ]


@pytest.mark.parametrize(
    "broken",
    [
        "url = { env = 'HIDDEN' }",
        "url = 'ws://user:hunter2@host/'",
        "url = 'ws://user:hunter2@host:port/'",
        "url = 'http://host/?token=hunter2'",
        "url = 'ws://h/'\nheaders = { A = { env = 'HIDDEN' } }",
        "url = 'ws://h/'\nheaders = { A = ' hunter2 ' }",
        "url = 'ws://h/'\nheaders = { A = ['hunter2'] }",
        "url = 'ws://h/'\nheaders = 'A: hunter2'",
        "url = 'ws://h/'\nheader = { A = 'hunter2' }",
    ],
)
def test_no_secret_is_repeated(tmp_path: Path, broken: str) -> None:
    """Headers, what comes from the environment, and a URL's credentials stay out of errors."""
    (found,) = mistakes(tmp_path, f"[[instances]]\nid = 'x'\n{broken}", HIDDEN="hunter2\n")
    assert "hunter2" not in found


# --- whatever a file holds


def toml(value: object) -> str:
    """Write a value as TOML, tables inline."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{json.dumps(key)} = {toml(v)}" for key, v in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(toml, value)) + "]"

    return json.dumps(value)


KEYS = st.sampled_from(
    [*CHANNEL_FIELDS, "id", "probe", "reconnect", "backoff", "cap", "env", "4004"]
)
VALUES = st.recursive(
    st.booleans() | st.integers(-5, 5) | st.floats(-5, 5) | st.sampled_from(["", "x", "ws://h/"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=5),
    max_leaves=20,
)


@given(runtime=VALUES, defaults=VALUES, instances=st.lists(VALUES, max_size=3) | VALUES)
def test_any_file_loads_or_is_refused_with_places(
    tmp_path_factory: pytest.TempPathFactory, runtime: object, defaults: object, instances: object
) -> None:
    """No file, however odd, makes loading fail in another way than with its mistakes."""
    file = tmp_path_factory.getbasetemp() / "any.toml"
    parts = {"runtime": runtime, "defaults": defaults, "instances": instances}
    file.write_text("".join(f"{key} = {toml(value)}\n" for key, value in parts.items()))
    places = ["none"]
    try:
        load_config(file, environ={})
    except InvalidSpec as exc:
        places = [mistake.place for mistake in exc.mistakes]
    assert places
    assert all(places)
