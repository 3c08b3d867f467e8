"""What a piece of code has left behind: tasks, threads, sockets, and what was not closed."""

from __future__ import annotations

import gc
import socket
import threading
import warnings
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from typing import final

import trio

from .lull import settle
from .rules import BrokenRule

_PAUSES = (0.01, 0.05, 0.2, 1.0)
"""Seconds between two looks. The far end may be in this process, and notices a moment later that
this end is gone; a look at all objects takes too long to be had all the time."""
_TRIOS_OWN = "Trio "
"""How the names of the threads begin that Trio keeps for later."""


@final
class Leftovers:
    """What there is now, to be compared with what there is later."""

    def __init__(self) -> None:
        self._tasks = set(_tasks())
        self._threads = set(threading.enumerate())
        self._sockets = {id(each) for each in _sockets()}

    def new(self) -> Sequence[str]:
        """Return whatever was not there before, each as a text."""
        tasks = [f"the task {each.name}" for each in _tasks() if each not in self._tasks]
        threads = [
            f"the thread {each.name!r}"
            for each in threading.enumerate()
            if each not in self._threads and not each.name.startswith(_TRIOS_OWN)
        ]
        sockets = [f"the socket {each}" for each in _sockets() if id(each) not in self._sockets]
        return [*tasks, *threads, *sockets]

    async def settled(self) -> Sequence[str]:
        """Return whatever is there for longer than a moment that was not there before."""
        left = self.new()
        for pause in _PAUSES:
            if not left:
                break
            gc.collect()  # only now, for it takes long: what is garbage is not left behind
            await trio.sleep(pause)
            left = self.new()
        return left


@contextmanager
def leaving_no_garbage(rule: str) -> Iterator[None]:
    """Run a block that must not leave to the garbage collector what it has not closed, or awaited.

    Other warnings go on.

    Args:
        rule: The rule that says so.

    Raises:
        BrokenRule: Python has warned of something. It is not told where the block raised.
    """
    noted = []
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", ResourceWarning)
        warnings.filterwarnings("always", ".*never awaited", RuntimeWarning)
        yield
        gc.collect()
    for each in caught:
        text = str(each.message)
        if issubclass(each.category, ResourceWarning) or "never awaited" in text:
            noted.append(text)
        else:
            warnings.warn_explicit(each.message, each.category, each.filename, each.lineno)
    if noted:
        raise BrokenRule(rule, "; ".join(dict.fromkeys(noted)))


@asynccontextmanager
async def leaving_nothing(rule: str, what: str) -> AsyncIterator[None]:
    """Run a block that must leave nothing behind.

    Args:
        rule: The rule that says so.
        what: What the block does, for people.

    Raises:
        BrokenRule: It did leave something. It is not looked for where the block raised.
    """
    # What the test itself has just begun, such as a server's tasks, is not to be taken for ours.
    await settle(_PAUSES[-1])
    before = Leftovers()
    yield
    if left := await before.settled():
        raise BrokenRule(rule, f"{what}, and left {'; '.join(left)}")


def _tasks() -> Iterator[trio.lowlevel.Task]:
    """Yield every task of this run."""
    root = trio.lowlevel.current_root_task()
    waiting = [] if root is None else [root]
    while waiting:
        task = waiting.pop()
        yield task
        for nursery in task.child_nurseries:
            waiting.extend(nursery.child_tasks)


def _sockets() -> Iterator[socket.socket]:
    for each in gc.get_objects():
        # By the type, as some objects make something up when they are asked for their class.
        if issubclass(type(each), socket.socket) and each.fileno() != -1:
            yield each
