"""A TOML file of WebSocket instances, read into specifications, with every mistake and its place.

The file has up to four parts::

    [runtime]                    # RuntimeSettings
    name = "bots"

    [run]                        # RunSettings: what the process does beside running them
    when_all_down = "exit"

    [defaults]                   # merged under every instance, table by table
    url = "wss://gateway.example/socket"
    reconnect = { attempts = 8, backoff = { cap = 10 } }

    [budgets.gateway]            # ConnectionBudget: its key, and the fields of BudgetPolicy
    attempts_per_second = 2

    [[instances]]                # InstanceSpec, and beside its fields those of WebSocketChannel
    id = "bot-1"
    budget = "gateway"
    headers = { Authorization = { env = "BOT_1_TOKEN" } }

Fields have the names that they have in Python. A table within a table changes the default of its
place: ``slow = { cap = 600 }`` begins with 60 s as before. There are these additions:

- ``{ env = "NAME" }`` stands for the text of an environment variable, in ``url`` and in the values
  of ``headers``. No header's value, and no text from a variable, is repeated in a mistake.
- ``probe = false`` means that there are no probes, and a budget's ``breaker = false`` no breaker.
  In place of a number that may be off ``false`` means that it is off.
- ``budget`` is the key of a budget.
- ``tls`` holds ``ca_file``, ``cert_file`` and ``key_file``, relative to the file's folder.
- ``causes`` is the word for a platform's rules, such as ``"discord"``.
- ``close_causes`` and ``status_causes`` hold a table for each code, with the fields of a cause.
  They go before the platform's rules.

Places count from 0, as Python does: ``instances[2].reconnect.attempts`` is of the third instance.
"""

from __future__ import annotations

import os
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, final

from attrs import frozen

from .._exceptions import InvalidSpec, Mistake
from .._instance.budget import ConnectionBudget
from .._instance.spec import InstanceSpec
from .findings import Findings, refuse
from .run_settings import RunSettings
from .settings import RuntimeSettings
from .tables import TableReader


@final
@frozen
class Config:
    """What a file says."""

    settings: RuntimeSettings
    instances: tuple[InstanceSpec, ...]
    """In the order of the file, in which they are to be started."""
    budgets: tuple[ConnectionBudget, ...] = ()
    """Those that instances may share, used or not."""
    run: RunSettings = RunSettings()
    """What the process does beside running them."""


def load_config(
    path: str | os.PathLike[str],
    *,
    environ: Mapping[str, str] = os.environ,
    budgets: Iterable[ConnectionBudget] = (),
) -> Config:
    """Read a file. Each call makes new channel objects.

    Args:
        path: The TOML file.
        environ: Where ``{ env = "NAME" }`` looks; the process's environment by default.
        budgets: Those of an earlier reading. One of which the file still says the same is taken
            again, so that it goes on counting; one with another policy is followed by a new one,
            which goes on with its day.

    Raises:
        InvalidSpec: With every mistake in the file, and the place of each. Of a file that cannot be
            read, or is not TOML, only the first mistake is known.
    """
    file = Path(path)
    try:
        return _read_document(_parse(file), TableReader(file.parent, environ), budgets)
    except InvalidSpec as exc:
        raise InvalidSpec(str(file), exc.mistakes) from exc.__cause__


def _parse(file: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(file.read_bytes().decode())
    except OSError as exc:
        raise refuse(f"cannot be read ({exc.strerror})", "the file") from exc
    except UnicodeDecodeError as exc:
        line = exc.object[: exc.start].count(b"\n") + 1
        raise refuse("must be UTF-8", f"line {line}") from exc
    except RecursionError as exc:
        raise refuse("is nested too deeply", "the file") from exc
    except tomllib.TOMLDecodeError as exc:
        # The place is the end of the text, in parentheses: a line and a column, or the end.
        what, _, where = str(exc).removesuffix(")").rpartition(" (at ")
        raise refuse(f"{what} (this is TOML's syntax)", where) from exc


def _read_document(
    document: dict[str, Any], reader: TableReader, known: Iterable[ConnectionBudget]
) -> Config:
    found = Findings()
    found.add_unknown(document, ("runtime", "run", "defaults", "budgets", "instances"))
    settings = found.collect("runtime", reader.settings, document.get("runtime", {}))
    budgets = found.collect("budgets", reader.budgets, document.get("budgets", {}), known)
    run = found.collect("run", reader.run, document.get("run", {}))

    defaults = document.get("defaults", {})
    of_defaults = Findings()
    of_defaults.collect("", reader.defaults, defaults)
    found.extend("defaults", of_defaults.mistakes)

    tables = _tables(found, document.get("instances"))
    instances = []
    for index, table in enumerate(tables):
        own = Findings()
        instances.append(own.collect("", reader.instance, _merged(defaults, table)))
        # What is wrong with the defaults is said once, and not again for each instance.
        new = [mistake for mistake in own.mistakes if mistake not in of_defaults.mistakes]
        found.extend(f"instances[{index}]", new)

    found.mistakes += _repeated_ids(tables)
    if settings is not None:
        found.mistakes += _unknown_ids(settings.required or (), tables)
    found.raise_any()
    specs = tuple(spec for spec in instances if spec is not None)
    return Config(settings or RuntimeSettings(), specs, budgets or (), run or RunSettings())


def _tables(found: Findings, instances: object) -> list[Any]:
    if isinstance(instances, list) and instances:
        return instances

    given = instances is not None
    expected = "must be at least one table, each under [[instances]]"
    found.mistakes.append(Mistake("instances", instances, expected, given=given))
    return []


def _merged(below: Any, above: Any) -> Any:
    """Lay one table over another, and likewise the tables in them."""
    if not isinstance(below, dict) or not isinstance(above, dict):
        return above

    return below | {
        key: _merged(below[key], value) if key in below else value for key, value in above.items()
    }


def _unknown_ids(required: Iterable[str], tables: Iterable[Any]) -> Iterator[Mistake]:
    # A list: what is written as an id may be anything, and unhashable.
    known = [table.get("id") for table in tables if isinstance(table, dict)]
    for index, name in enumerate(required):
        if name not in known:
            yield Mistake(f"runtime.required[{index}]", name, "must be the id of an instance")


def _repeated_ids(tables: Iterable[Any]) -> Iterator[Mistake]:
    first: dict[str, int] = {}
    for index, table in enumerate(tables):
        name = table.get("id") if isinstance(table, dict) else None
        if not isinstance(name, str):
            continue

        earlier = first.setdefault(name, index)
        if earlier != index:
            yield Mistake(
                f"instances[{index}].id", name, f"must be unique (instances[{earlier}] has it)"
            )
