"""Draws the page about the settings file from what reads the file, and from the classes behind it.

``python docs/draw_settings.py`` rewrites the page; a test says when that is due.
"""

from __future__ import annotations

import inspect
import math
import re
from collections.abc import Mapping, Sequence
from enum import StrEnum
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, get_args, get_origin

import attrs
from draw_events import said_of_fields

from trio_instances import (
    Backoff,
    BreakerPolicy,
    BudgetPolicy,
    Cause,
    ConnectionBudget,
    InitPolicy,
    InstanceSpec,
    PressurePolicy,
    ProbePolicy,
    ReconnectPolicy,
    RestartIntensity,
    RuntimeSettings,
)
from trio_instances._runtime import tables
from trio_instances._runtime.run_settings import RunSettings
from trio_instances.channels import WebSocketChannel
from trio_instances.policy.causes import PLATFORMS
from trio_instances.policy.listening import Address
from trio_instances.policy.stalls import StallPolicy

PAGE = Path(__file__).parent / "settings.md"

_PLACE = re.compile(r"<!-- drawn: (\w+) -->\n.*?<!-- end -->\n", re.DOTALL)


UNITS: Mapping[str, str] = {
    "attempts_per_second": "1/s",
    "degraded": "1",
    "factor": "1",
    "hysteresis": "1",
    "jitter": "1",
    "share": "1",
    "shed": "1",
    "warn": "1",
}
"""The unit of each key that can be a fraction and is no time; of all others it is the second."""

NAMES: Mapping[Any, str] = {
    ReconnectPolicy: "reconnect",
    Backoff: "backoff",
    ProbePolicy: "probe",
    PressurePolicy: "pressure",
    RestartIntensity: "intensity",
    BreakerPolicy: "breaker",
    InitPolicy: "init",
    StallPolicy: "stalls",
}
"""The tables within tables, by the word that heads their section."""

NOT_AS_IN_PYTHON: Mapping[str, str] = {
    "budget": "The key of a table in [budgets](#budgets): what its attempts are counted in, with "
    "those of all instances that name the same one.",
    "causes": f"What failures mean on a [platform](causes.md): {', '.join(PLATFORMS)}.",
    "close_causes": "What close codes mean, by the code. These go before the platform's rules.",
    "status_causes": "What the HTTP status of a refused handshake means, likewise.",
    "headers": "Sent with every handshake.",
    "tls": "How to speak TLS. Without it, by the system's certificate authorities.",
    "ca_file": "Certificate authorities to trust beside the system's, as PEM.",
    "cert_file": "The certificate to show to the server, with its chain, as PEM.",
    "key_file": "The key of `cert_file`; without it, it is looked for in that file.",
}
"""What is said of keys that a file has instead of objects."""

KINDS: Mapping[Any, str] = {
    str: "text",
    int: "whole number",
    float: "number",
    bool: "`true` or `false`",
    tuple: "list of texts",
    Address: '`PORT` or `"HOST:PORT"`',
    ConnectionBudget: "text",
    tables.Text: 'text, or `{ env = "NAME" }`',
    tables.Headers: 'table of texts, or of `{ env = "NAME" }`',
    tables.Tls: "table: [tls](#tls)",
    tables.Platform: "text",
    tables.CloseRules: "table of [tables](#close_causes-and-status_causes)",
    tables.StatusRules: "table of [tables](#close_causes-and-status_causes)",
}

MAY_BE_FALSE = (
    int | None,
    float | None,
    ProbePolicy | None,
    BreakerPolicy | None,
    StallPolicy | None,
)
"""What can be switched off; the rest that is nothing by default is left out."""


def drawn(page: str) -> str:
    """Return the text of the page with every table drawn anew."""
    return _PLACE.sub(
        lambda place: f"<!-- drawn: {place[1]} -->\n\n{_table(TABLES[place[1]])}\n<!-- end -->\n",
        page,
    )


Row = tuple[str, Any, object, str]
"""A key, the type that reads it, its default, and what is said of it."""


def _table(rows: Sequence[Row]) -> str:
    lines = ["| key | type | default | unit | meaning |", "| --- " * 5 + "|"]
    for key, kind, default, said in rows:
        unit = UNITS.get(key, "s") if float in (kind, *get_args(kind)) else ""
        meaning = said.replace("``", "`").replace("|", "\\|")
        lines.append(f"| `{key}` | {_in_words(kind)} | {_as_toml(default)} | {unit} | {meaning} |")
    return "".join(f"{line}\n" for line in lines)


# --- what the source says of them ----------------------------------------------------------------


def _of_class(cls: type, *, without: tuple[str, ...] = (), **kinds: Any) -> list[Row]:
    said = {**said_of_fields(cls), **NOT_AS_IN_PYTHON}
    fields = {each.name: each for each in attrs.fields(attrs.resolve_types(cls))}
    return [
        (name, kinds.get(name, each.type), each.default, said[name])
        for name, each in fields.items()
        if name not in without
    ]


def _of_channel() -> list[Row]:
    text = (inspect.getdoc(WebSocketChannel) or "").partition("\nArgs:\n")[2]
    arguments = re.findall(r"^    (\w+): (.*(?:\n        .*)*)", text, re.MULTILINE)
    said = {**{name: " ".join(words.split()) for name, words in arguments}, **NOT_AS_IN_PYTHON}
    known = inspect.signature(WebSocketChannel).parameters
    defaults = {name: each.default for name, each in known.items()} | {"headers": {}}
    return [
        (key, kind, defaults.get(key), said[key]) for key, kind in tables.CHANNEL_FIELDS.items()
    ]


def _of_tls() -> list[Row]:
    fields = tables._TLS_FIELDS  # noqa: SLF001 - the page tells what the reader keeps to itself
    return [(key, kind, None, NOT_AS_IN_PYTHON[key]) for key, kind in fields.items()]


def _of_causes() -> list[Row]:
    said, defaults = said_of_fields(Cause), attrs.fields_dict(Cause)
    fields = tables._CAUSE_FIELDS  # noqa: SLF001 - as above
    return [
        (key, kind, _NAMED if key == "reason" else defaults[key].default, said[key])
        for key, kind in fields.items()
    ]


_NAMED = "`close_CODE` or `http_CODE`"


def _of_intensity() -> list[Row]:
    # No place in a file has the default of the class, which is OTP's.
    return [(key, kind, _PLACED, said) for key, kind, _, said in _of_class(RestartIntensity)]


_PLACED = "as in that place"


# --- as a file has it ----------------------------------------------------------------------------


def _in_words(kind: Any) -> str:
    if kind in KINDS:
        return KINDS[kind]
    if isinstance(kind, UnionType):
        (other,) = (part for part in get_args(kind) if part is not NoneType)
        return f"{_in_words(other)}, or `false`" if kind in MAY_BE_FALSE else _in_words(other)
    if get_origin(kind) is tuple:
        return "list of texts"
    if issubclass(kind, StrEnum):
        return ", ".join(f'`"{word}"`' for word in kind)

    return f"table: [{NAMES[kind]}](#{NAMES[kind]})"


def _as_toml(default: object) -> str:
    if default is attrs.NOTHING or default is inspect.Parameter.empty:
        return "must be given"
    if default is None:
        return "none"

    return str(default) if default in (_NAMED, _PLACED) else f"`{_value(default)}`"


_LONG = 10_000
"""From here on a number is easier to read in groups of three."""


def _value(value: object) -> str:
    cls: Any = type(value)
    if attrs.has(cls):
        fields = attrs.asdict(cls(), recurse=False)
        differing = [name for name in fields if getattr(value, name) != fields[name]]
        pairs = ", ".join(f"{name} = {_value(getattr(value, name))}" for name in differing)
        return f"{{ {pairs} }}" if pairs else "{}"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int | float):
        return "inf" if value == math.inf else f"{value:_}" if value >= _LONG else str(value)
    if not value:
        return {str: '""', tuple: "[]", dict: "{}"}[cls]

    return f'"{value}"'


TABLES: Mapping[str, Sequence[Row]] = {
    "runtime": _of_class(RuntimeSettings),
    "run": _of_class(RunSettings, http_token=tables.Text),
    "budgets": _of_class(BudgetPolicy),
    "instances": [*_of_class(InstanceSpec, without=("channel",)), *_of_channel()],
    **{name: _of_class(cls) for cls, name in NAMES.items()},
    "intensity": _of_intensity(),
    "tls": _of_tls(),
    "causes": _of_causes(),
}

if __name__ == "__main__":
    PAGE.write_text(drawn(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
