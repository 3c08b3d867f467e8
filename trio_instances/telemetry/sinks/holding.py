"""Finding out for how long a coroutine holds the thread, and so lets no other task run."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Generator
from typing import Any, final


@final
class Holding:
    """Awaits a coroutine, and measures each stretch between two of its checkpoints.

    Trio's clock is no use for that: a virtual one stands still while the thread is held.

    Args:
        coroutine: What to await.
        clock: What tells real seconds.
    """

    def __init__(self, coroutine: Coroutine[Any, Any, object], clock: Callable[[], float]) -> None:
        self._coroutine = coroutine
        self._clock = clock
        self.longest = 0.0
        """Seconds of the longest stretch so far."""

    def __await__(self) -> Generator[Any, Any, None]:
        answer: object = None
        thrown: BaseException | None = None
        while True:
            began = self._clock()
            try:
                if thrown is None:
                    asked = self._coroutine.send(answer)
                else:
                    asked = self._coroutine.throw(thrown)
            except StopIteration:
                return
            finally:
                thrown = None  # its traceback holds this frame
                self.longest = max(self.longest, self._clock() - began)

            try:
                answer = yield asked
            except BaseException as exc:  # Cancelled and the like are meant for the coroutine
                thrown = exc
