"""Doing what a file says: once, and again whenever somebody asks to have it read again."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import nullcontext
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar, cast, final

import attrs
import trio

from .._exceptions import InvalidSpec
from .._runtime.config import Config, load_config
from .wording import mistakes_in_words, warnings_in_words

if TYPE_CHECKING:
    from .._runtime.applying import Applied
    from .._runtime.init_system import InitSystem
    from .._runtime.runtime import Runtime

T = TypeVar("T")


@final
class Reloads:
    """The wish to have the file read again; several at once are one.

    Args:
        say: Tells people what is going on.
        init: The init system that is told of it, if any.
    """

    def __init__(self, say: Callable[[str], None], init: InitSystem | None = None) -> None:
        self._say = say
        self._init = init
        self._wanted = trio.Event()
        self._warned: set[str] = set()

    def ask(self) -> None:
        """Ask for it."""
        self._wanted.set()

    async def begin(self, runtime: Runtime, config: Config) -> None:
        """Start the instances that a file names, for the first time.

        Cancelling it leaves those that are started as they are, but for the one that is being
        started; see `Runtime.apply`.

        Raises:
            SupervisorNotRunning: The runtime has ended.
        """
        self._warn(config)
        self._tell_failed(await runtime.apply(config.instances))

    async def follow(self, runtime: Runtime, file: Path, config: Config) -> None:
        """Make a runtime do what a file says whenever that is asked for, for ever.

        A file with mistakes changes nothing. Cancelling it leaves the instances as they are, but
        for the one that is being started or stopped; see `Runtime.apply`.

        Args:
            runtime: Where the instances are.
            file: The file.
            config: What it said when the runtime was opened.

        Raises:
            SupervisorNotRunning: The runtime has ended.
        """
        while True:
            await self._wanted.wait()
            self._wanted = trio.Event()
            async with nullcontext() if self._init is None else self._init.reloading():
                config = await self._reload(runtime, file, config)

    async def _reload(self, runtime: Runtime, file: Path, config: Config) -> Config:
        self._say(f"reading {file} again")
        again = await self._read(file, config)
        if again is None:
            return config

        self._warn(again)
        for line in (
            *_unchangeable("runtime", runtime.settings, again.settings),
            *_unchangeable("run", config.run, again.run),
        ):
            self._say(line)
        applied = await runtime.apply(again.instances)
        self._tell_failed(applied)
        self._say(_summary(applied))
        return attrs.evolve(again, run=config.run)

    async def _read(self, file: Path, before: Config) -> Config | None:
        """Read the file beside what runs, for its disk may be slow, or gone."""
        read = partial(load_config, file, budgets=before.budgets)
        try:
            return await trio.to_thread.run_sync(read, abandon_on_cancel=True)
        except InvalidSpec as exc:
            for line in mistakes_in_words(exc):
                self._say(line)
        except Exception as exc:
            # Whatever it is, it is no reason to stop what runs; its text may hold a secret.
            self._say(f"{file} could not be read: {type(exc).__name__}")
        self._say("nothing was changed")
        return None

    def _warn(self, config: Config) -> None:
        for line in warnings_in_words(config):
            if line not in self._warned:
                self._warned.add(line)
                self._say(line)

    def _tell_failed(self, applied: Applied) -> None:
        for instance_id, error in applied.failed.items():
            self._say(f"{instance_id} could not be started: {error}")


def _summary(applied: Applied) -> str:
    counts = {
        "stopped": applied.stopped,
        "restarted": applied.restarted,
        "started": applied.started,
        "unchanged": applied.unchanged,
        "failed": applied.failed,
    }
    return ", ".join(f"{len(ids)} {what}" for what, ids in counts.items() if ids) or "no instances"


def _unchangeable(table: str, old: T, new: T) -> Iterator[str]:
    """Say which settings of a table differ from those that the process was started with."""
    for field in attrs.fields(cast("type[attrs.AttrsInstance]", type(old))):
        before, after = getattr(old, field.name), getattr(new, field.name)
        if before == after:
            continue
        if field.repr:
            words = f"stays {_text(before)}: {_text(after)} needs a restart"
        else:
            words = "stays what it was: another one needs a restart"  # it is a secret
        yield f"{table}.{field.name} {words}"


def _text(value: object) -> str:
    return repr(str(value)) if isinstance(value, str) else str(value)
