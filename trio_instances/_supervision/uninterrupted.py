"""Async context managers that Ctrl-C cannot tear apart."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from functools import wraps
from types import TracebackType
from typing import Generic, NoReturn, ParamSpec, TypeVar, final

from trio.lowlevel import enable_ki_protection

P = ParamSpec("P")
T = TypeVar("T")


def uninterrupted(
    function: Callable[P, AsyncIterator[T]],
) -> Callable[P, AbstractAsyncContextManager[T]]:
    """Make an async context manager of a generator, as `asynccontextmanager` does, and protect it.

    Protecting the generator is not enough: between the ``async with`` and the generator there are
    frames of `contextlib`, and a `KeyboardInterrupt` that is raised in these leaves the generator
    suspended, its nursery open and its children lost. The block itself is not protected.

    Args:
        function: An async generator function that yields once.
    """
    manager = asynccontextmanager(function)

    @wraps(function)
    def make(*args: P.args, **kwargs: P.kwargs) -> AbstractAsyncContextManager[T]:
        return _Protected(manager(*args, **kwargs), function.__name__)

    return make


class AsyncOnly:
    """A block that is opened by ``async with``, and says so to who has forgotten the ``async``."""

    __slots__ = ()

    opener: str
    """What the user has called to get it."""

    def __enter__(self) -> NoReturn:
        """Refuse.

        Raises:
            RuntimeError: Always, as Trio's nurseries do.
        """
        raise RuntimeError(f"use 'async with {self.opener}(...)', not 'with {self.opener}(...)'")

    def __exit__(self, *_: object) -> None:
        """Do nothing: it is looked for before `__enter__` is called."""


@final
class _Protected(AbstractAsyncContextManager[T], AsyncOnly, Generic[T]):
    __slots__ = ("_inner", "opener")

    def __init__(self, inner: AbstractAsyncContextManager[T], opener: str) -> None:
        self._inner = inner
        self.opener = opener

    @enable_ki_protection
    async def __aenter__(self) -> T:
        return await self._inner.__aenter__()

    @enable_ki_protection
    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> bool | None:
        return await self._inner.__aexit__(exc_type, exc, traceback)
