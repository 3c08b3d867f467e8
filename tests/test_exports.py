"""The public names: each has one home, is documented, and says where its home is."""

from __future__ import annotations

import inspect
import pkgutil
import subprocess
import sys
from importlib import import_module
from types import ModuleType

import pytest

import trio_instances


def public_modules() -> list[ModuleType]:
    """Return the modules that have no underscored part in their path and list what they export."""
    below = pkgutil.walk_packages(trio_instances.__path__, "trio_instances.")
    plain = [found.name for found in below if "._" not in found.name]
    modules = map(import_module, ["trio_instances", *plain])
    return [module for module in modules if hasattr(module, "__all__")]


PUBLIC = [(module, name) for module in public_modules() for name in module.__all__]
OBJECTS = [
    pytest.param(module, getattr(module, name), id=f"{module.__name__}.{name}")
    for module, name in PUBLIC
    if inspect.isclass(getattr(module, name)) or inspect.isroutine(getattr(module, name))
]


def test_the_list_of_public_names_is_sorted_and_has_none_twice() -> None:
    """A reader finds a name where the alphabet has it."""
    names = trio_instances.__all__

    assert list(names) == sorted(set(names))


def test_the_list_of_public_names_is_complete() -> None:
    """What the package shows without an underscore is public, and it shows nothing else."""
    shown = {
        name
        for name, value in vars(trio_instances).items()
        if not name.startswith("_") and not isinstance(value, ModuleType) and name != "annotations"
    }

    assert shown == set(trio_instances.__all__)


def test_a_public_name_has_one_home() -> None:
    """There is one place to import a thing from, so that there is one way to write it."""
    homes: dict[tuple[str, int], list[str]] = {}
    for module, name in PUBLIC:
        thing = name, id(getattr(module, name))
        homes.setdefault(thing, []).append(f"{module.__name__}.{name}")

    assert [places for places in homes.values() if len(places) > 1] == []


@pytest.mark.parametrize(("module", "thing"), OBJECTS)
def test_a_public_name_is_documented(module: ModuleType, thing: object) -> None:
    """What a user may use has a docstring of its own, not that of a base class."""
    own = vars(thing).get("__doc__") if inspect.isclass(thing) else thing.__doc__

    assert own, f"{module.__name__} exports it undocumented"


@pytest.mark.parametrize(("module", "thing"), OBJECTS)
def test_a_public_name_says_where_its_home_is(module: ModuleType, thing: object) -> None:
    """Tracebacks and reprs show the path that a user imports from."""
    assert thing.__module__ == module.__name__


def test_importing_the_package_imports_neither_its_command_line_nor_its_test_kit() -> None:
    """An application pays only for what it uses."""
    code = "import sys, trio_instances; print(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code],
        check=True,
        capture_output=True,
        text=True,
        timeout=30,
    )
    unasked = {
        "click",
        "opentelemetry",
        "prometheus_client",
        "pytest",
        "rich",
        "trio_instances._cli",
        "trio_instances.testing",
    }

    assert unasked.isdisjoint(done.stdout.split())
