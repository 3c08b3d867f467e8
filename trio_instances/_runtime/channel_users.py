"""Whose a channel object is: it serves one instance, of one runtime."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, final
from weakref import WeakValueDictionary

from .._exceptions import InstanceAlreadyStarted

if TYPE_CHECKING:
    from .._supervision.core import Core
    from ..abc import Channel

_OF_ALL: WeakValueDictionary[int, ChannelUsers] = WeakValueDictionary()
"""Those of every runtime of the process, also of runtimes in other threads, by their identity."""


@final
class ChannelUsers:
    """The instances of one runtime, by the channel object that each has.

    Channels are known by identity: one that equals another is another, and may have no hash. That
    holds while the runtime has the instance, which holds the channel.

    Args:
        core: The runtime's supervisor. When it has ended, the channels are free for others.
    """

    __slots__ = ("__weakref__", "_core", "_ids")

    def __init__(self, core: Core) -> None:
        self._core = core
        self._ids: dict[int, tuple[str, ...]] = {}
        """Of the instances of each; two while one is lent."""
        _OF_ALL[id(self)] = self

    @property
    def in_force(self) -> bool:
        """Whether anything may run of what is noted."""
        return self._core.nursery is not None

    def of(self, channel: Channel[Any]) -> tuple[str, ...]:
        """Return the ids of the instances that have a channel object."""
        return self._ids.get(id(channel), ())

    def take(self, channel: Channel[Any], instance_id: str) -> None:
        """Take note that an instance has a channel object."""
        self._ids[id(channel)] = (*self.of(channel), instance_id)

    def leave(self, channel: Channel[Any], instance_id: str) -> None:
        """Take note that an instance has it no more."""
        users = tuple(user for user in self._ids.pop(id(channel)) if user != instance_id)
        if users:
            self._ids[id(channel)] = users

    def check_elsewhere(self, channel: Channel[Any]) -> None:
        """Refuse a channel object that an instance of another runtime has.

        Raises:
            InstanceAlreadyStarted: One has, and its runtime has not ended.
        """
        for reference in _OF_ALL.valuerefs():  # a list: another thread may open a runtime meanwhile
            other = reference()
            if other is not None and other is not self and other.in_force:
                for user in other.of(channel):
                    raise InstanceAlreadyStarted(user, "channel")
