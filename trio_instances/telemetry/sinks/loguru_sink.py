"""Events as structured loguru records."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, final

import loguru
import trio

from ...abc import Sink
from ..codec import event_to_dict
from ..wording import level_of, one_line

if TYPE_CHECKING:
    from ..schema import Event


@final
class LoguruSink(Sink):
    """Logs each event: one readable line, its level, and every field in ``record["extra"]``.

    The fields in ``extra`` are those of the wire form, flat: a cause's class is
    ``extra["cause_failure_class"]``, so that a filter or a serializing handler finds it by one key.
    A handler of loguru's works in the task that logs; add one that may block, such as one that
    writes to a network, with loguru's ``enqueue=True``.

    Args:
        logger: The logger to use, for instance one that has more bound to it; loguru's own if None.
    """

    def __init__(self, logger: loguru.Logger | None = None) -> None:
        self._logger = loguru.logger if logger is None else logger

    async def write(self, events: Sequence[Event]) -> None:
        """Log the events; when cancelled, those that are left are not logged."""
        for event in events:
            extra = dict(_flat(event_to_dict(event)))
            self._logger.bind(**extra).log(level_of(event), one_line(event))
            # A burst of events must not keep every other task waiting until it is logged.
            await trio.lowlevel.checkpoint()


def _flat(data: Mapping[str, Any], prefix: str = "") -> list[tuple[str, Any]]:
    pairs: list[tuple[str, Any]] = []
    for key, value in data.items():
        if isinstance(value, Mapping):
            pairs += _flat(value, f"{prefix}{key}_")
        else:
            pairs.append((prefix + key, value))

    return pairs
