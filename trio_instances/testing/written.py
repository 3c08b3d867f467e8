"""Values as the Python that makes them, so that what a failing test prints can be pasted."""

from __future__ import annotations

import math
from enum import Enum

import attrs


def written(value: object) -> str:
    """Return an expression for a value: frozen attrs classes by name, what is default left out."""
    if isinstance(value, Enum):
        return repr(value.value)
    if isinstance(value, float) and math.isinf(value):
        return "math.inf" if value > 0 else "-math.inf"
    if isinstance(value, tuple):
        inner = ", ".join(written(part) for part in value)
        return f"({inner},)" if len(value) == 1 else f"({inner})"
    if attrs.has(type(value)):
        return written_fields(value)

    return repr(value)


def written_fields(value: object) -> str:
    """Return the call that makes an attrs object, whatever its own ``__repr__`` is."""
    fields = [
        f"{field.name}={written(getattr(value, field.name))}"
        for field in attrs.fields(type(value))  # type: ignore[arg-type]  # it is one
        if field.init and not _is_default(field, getattr(value, field.name))
    ]
    return f"{type(value).__qualname__}({', '.join(fields)})"


def _is_default(field: attrs.Attribute[object], value: object) -> bool:
    return field.default is not attrs.NOTHING and bool(field.default == value)
