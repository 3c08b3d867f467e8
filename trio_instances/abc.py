"""What a user implements: a `Channel`, and perhaps a `Sink`.

`Instance` is named here for type checkers only; a channel is handed one and never makes one.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from typing import TYPE_CHECKING, Any, ClassVar, Generic, TypeVar

from .policy.causes.defaults import classify_failure
from .policy.failures import Cause
from .policy.specs import ChildSpec

if TYPE_CHECKING:
    from ._instance.budget import ConnectionBudget
    from ._instance.handle import Instance
    from .telemetry.schema import Event

C = TypeVar("C")

__all__ = ["Channel", "Sink"]


class Channel(ABC, Generic[C]):
    """One kind of thing an instance talks to, and how.

    Only `connect` must be implemented. An exception from any of these methods is an event and a
    classified cause, never the end of the runtime; each has a time budget where it can take time.
    One channel object serves one instance, of one runtime at a time.

    `Runtime.apply` asks by ``==`` whether a channel is what it was, and restarts its instance where
    it is not. By default it is the same only if it is the same object. A class whose objects are
    made anew from the same options may have an ``__eq__`` (and a ``__hash__``) that says better.
    """

    channel_type: ClassVar[str]
    """A short, stable word for the kind, which telemetry is keyed by."""
    overlaps: bool = False
    """Whether a planned replacement opens the new connection before it leaves the old one.

    Only for a kind whose other side allows two connections of one instance for a while; then
    `connect` and the children must bear that the old ones are still there.
    """
    budget: ConnectionBudget | None = None
    """What the connection attempts of all channels that have the same one are counted in, unless
    the instance's specification says otherwise; None: nothing."""

    @abstractmethod
    def connect(self, instance: Instance) -> AbstractAsyncContextManager[C]:
        """Open one connection: a *generation*.

        Entering the context manager connects, within the instance's ``connect_timeout``; leaving it
        closes, within its ``close_timeout``. Everything made for the connection is made inside, so
        that nothing of a dead connection reaches the next one. Both may be cancelled.

        Args:
            instance: The instance that wants it, to report frames, events and failures to.
        """

    def children(self, instance: Instance, connection: C) -> Sequence[ChildSpec]:
        """Return what runs as long as this connection, in start order.

        A child whose failure `classify` says has ``lost`` the connection ends the connection; every
        other one is restarted on it, by the crash-or-degrade table.
        """
        return ()

    def instance_children(self, instance: Instance) -> Sequence[ChildSpec]:
        """Return what runs as long as the instance, in start order, through every reconnect.

        One that says itself when it is ready has 30 s for that, where its spec has no finite
        ``start_timeout``: the start of the instance waits for it, and so does an ``apply``.
        """
        return ()

    async def probe(self, instance: Instance, connection: C) -> None:
        """Check the connection actively; raise when it is not healthy.

        What it returns is not looked at: False is no verdict.

        It is cancelled when its budget is used up, which counts as a failure at once, whatever it
        does then; the next one waits until it has ended, and so does the end of the connection. It
        reports and never acts: what a failure leads to is decided by the instance's probe policy. A
        check that blocks goes through `thread_probe`.
        """

    def classify(self, exc: Exception) -> Cause:
        """Return the cause of a failure of this channel; must not block.

        What it raises itself is reported, and the library's own rules are used instead.
        """
        return classify_failure(exc)

    def update_credentials(self, credentials: Any) -> None:
        """Take in new credentials, for the connections to come; must not block.

        `Runtime.update_credentials` calls it, and then sees to it that they are used.

        Args:
            credentials: Whatever this kind of channel takes.

        Raises:
            TypeError: This kind of channel takes none.
        """
        kind = type(self).__qualname__
        raise TypeError(
            f"{kind} takes no credentials: implement {kind}.update_credentials, or apply a new spec"
        )


class Sink(ABC):
    """Somewhere telemetry goes.

    Each sink has a task and a bounded buffer of its own: one that is slow loses events, which are
    counted, and one that fails or blocks is reported, and tried again later; neither delays an
    instance.
    """

    @abstractmethod
    async def write(self, events: Sequence[Event]) -> None:
        """Take in what has happened since the last call, oldest first; never empty.

        It is cancelled when it does not come back in time, and when the runtime has ended and the
        sink's time is used up. It must let others run: what blocks belongs into a thread.
        """

    async def aclose(self) -> None:
        """Release what the sink holds. Called once, after the last `write`.

        It is cancelled when the sink's time is used up. Where it was before, this is called all the
        same, and gets as far as its first checkpoint. What it raises is reported.
        """
        return
