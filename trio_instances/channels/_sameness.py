"""When a channel that was made anew is the one that was there before."""

from __future__ import annotations

from collections.abc import Hashable


class SameByOptions:
    """Objects of one class are equal when they were given the same options.

    A subclass may have options of its own. So its objects equal none but themselves, unless it has
    an ``__eq__`` (and a ``__hash__``) that compares those, and calls `same_options` for the rest.
    """

    _options: tuple[type, Hashable, object]
    """The class that these are all the options of, a few of them, and the others."""

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, SameByOptions):
            return NotImplemented
        if type(self) is not self._options[0]:
            return self is other

        return type(other) is type(self) and self.same_options(other)

    def __hash__(self) -> int:
        return hash(self._options[:2])

    def same_options(self, other: SameByOptions) -> bool:
        """Return whether both were given the same options; those of a subclass are not compared.

        Handlers and TLS contexts are the same when they are equal; most equal only themselves.
        """
        return self._options == other._options
