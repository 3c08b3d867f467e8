"""The supervisors of one instance: of its own children, and of those of one connection."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .._supervision.core import Core
from ..policy.options import SupervisorOptions
from .reporter import InstanceReporter
from .snapshot import CONNECTION

if TYPE_CHECKING:
    from .record import InstanceRecord


def own_core(record: InstanceRecord, path: str) -> Core:
    """Return the mechanism of an instance's own children.

    Args:
        record: The instance.
        path: Where the instance is in the tree.
    """
    spec = record.spec
    return Core(
        path=path,
        options=SupervisorOptions(
            intensity=spec.intensity, backoff=spec.child_backoff, classify=spec.channel.classify
        ),
        reporter=InstanceReporter(record),
        random=record.core.random,
    )


def connection_core(record: InstanceRecord, path: str, generation: int) -> Core:
    """Return the mechanism of the children of one connection.

    Args:
        record: The instance.
        path: Where the instance is in the tree.
        generation: Which connection it is.
    """
    spec = record.spec
    return Core(
        path=f"{path}/{CONNECTION}",
        options=SupervisorOptions(
            strategy=spec.strategy,
            intensity=spec.intensity,
            backoff=spec.child_backoff,
            classify=spec.channel.classify,
        ),
        reporter=InstanceReporter(record, generation),
        random=record.core.random,
    )
