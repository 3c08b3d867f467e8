"""What a log line says of the child that wrote it: looked up when it is written, and only then.

loguru's ``contextualize`` around every child was rejected for it: that would cost each incarnation
something, whether it logs or not, and would name the incarnation that began it and not the one that
runs. A child knows its record anyway, for `until_stopped`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .context import current

if TYPE_CHECKING:
    from loguru import Record


def log_context() -> dict[str, Any]:
    """Return where in the tree this is called, with the names that the events have for it.

    ``path``, ``child`` and ``incarnation`` of the child that this task belongs to, and
    ``instance_id``, ``channel_type`` and ``generation`` where it belongs to an instance, or to a
    connection of one. It is empty outside of any child. It is for any way of logging::

        logging.getLogger().addFilter(lambda record: vars(record).update(log_context()) or True)

    Returns:
        A new dict, which has no key whose value would be None.
    """
    record = current.get(None)
    if record is None:
        return {}

    reporter = record.core.reporter
    instance_id, channel_type = reporter.labels(record)
    known = {
        "instance_id": instance_id,
        "channel_type": channel_type,
        "path": record.path,
        "child": record.spec.name,
        "incarnation": record.incarnation,
        "generation": reporter.generation,
    }
    return {key: value for key, value in known.items() if value is not None}


def add_log_context(record: Record) -> None:
    """Add `log_context` to a record of loguru's; what it has in ``extra`` by itself stays.

    Let loguru call it for every record, once for the whole process::

        logger.configure(patcher=add_log_context)

    Args:
        record: The record, which is changed.
    """
    record["extra"] = {**log_context(), **record["extra"]}
