"""What can be asked of a runtime; each answer is made at once, without an await."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from contextlib import AbstractAsyncContextManager

from .._exceptions import InstanceNotFound
from .._instance.handle import Instance
from .._instance.record import InstanceRecord
from .._instance.snapshot import make_snapshot, make_standing
from .._supervision.core import Core
from .._supervision.dump import dump_tree
from .._supervision.stalls import present_watch
from .._supervision.tree import SupervisorTree, read_tree
from ..policy.health import BudgetHealth, HealthSnapshot
from ..policy.mistakes import check_key
from ..policy.stalls import LoopHealth
from ..policy.standing import Standing
from ..policy.status import InstanceStatus
from ..telemetry.bus import EventBus
from ..telemetry.sinks.feed import SinkFeed, SinkStatistics
from ..telemetry.subscription import Subscription
from .counts import InstanceCounts, count
from .services import Sleeps


class Questions:
    """The half of a `Runtime` that answers, and changes nothing.

    Args:
        core: The runtime's supervisor.
        feeds: What the sinks are fed by.
    """

    def __init__(self, core: Core, feeds: Sequence[SinkFeed]) -> None:
        self.events: EventBus = core.reporter.bus
        """The bus on which everything is told; for a listener that may lose nothing."""
        self.sleeps: Sleeps = Sleeps()
        """What the machine has slept; counted by the runtime's own services."""
        self._core = core
        self._feeds = feeds
        self._records: dict[str, InstanceRecord] = {}

    def instance(self, instance_id: str) -> Instance:
        """Return the handle of an instance.

        Raises:
            InstanceNotFound: There is none of this id.
        """
        return self._find(instance_id).handle

    def instance_status(self, instance_id: str) -> InstanceStatus:
        """Return what is said of an instance now.

        Raises:
            InstanceNotFound: There is none of this id.
        """
        return self._find(instance_id).status.status

    def instance_health(self, instance_id: str) -> HealthSnapshot:
        """Return everything there is to know about an instance now.

        Raises:
            InstanceNotFound: There is none of this id.
        """
        return make_snapshot(self._find(instance_id))

    def list_instances(self) -> list[Instance]:
        """Return all instances, in start order."""
        return [record.handle for record in self._records.values()]

    def count_instances(self) -> InstanceCounts:
        """Return how many instances there are, by status."""
        return count(record.status.status for record in self._records.values())

    def list_instance_health(self) -> list[HealthSnapshot]:
        """Return everything there is to know about every instance, in start order."""
        return [make_snapshot(record) for record in self._records.values()]

    def list_standings(self) -> list[Standing]:
        """Return how every instance stands, in start order; cheap enough for every second."""
        return [make_standing(record) for record in self._records.values()]

    def list_budget_health(self) -> list[BudgetHealth]:
        """Return how each connection budget stands that any instance uses, in start order."""
        budgets = (record.spec.counted_in for record in self._records.values())
        return [each.health() for each in dict.fromkeys(budgets) if each is not None]

    def loop_health(self) -> LoopHealth:
        """Return how the event loop fares, and what the machine has slept."""
        watch = present_watch()
        return LoopHealth(
            sleeps=self.sleeps.times,
            slept=self.sleeps.seconds,
            stalls=None if watch is None else watch.stalls,
            stalled=None if watch is None else watch.stalled,
            shares=None if watch is None else watch.loop_shares(),
        )

    def sink_statistics(self) -> list[SinkStatistics]:
        """Return how each sink fares, in the order in which they were given."""
        return [feed.statistics() for feed in self._feeds]

    def subscribe(self, max_buffer: int = 1000) -> AbstractAsyncContextManager[Subscription]:
        """Subscribe to everything that happens from now on.

        Args:
            max_buffer: Events that the subscriber may lag behind before it loses some.

        Returns:
            A context manager whose value is an async iterable of events.

        Raises:
            InvalidSpec: The buffer's size is not a whole number of at least 1.
            trio.ClosedResourceError: The bus is closed, as a runtime's own is once it has ended.
        """
        return self.events.subscribe(max_buffer=max_buffer)

    def tree(self, instance_ids: Collection[str] | None = None) -> SupervisorTree:
        """Return the live supervision tree: states, restarts, and where each child waits.

        It is made without an await, so a large fleet is better read in parts.

        Args:
            instance_ids: Which instances to read, where there are such; None reads all.
        """
        return read_tree(self._core, instance_ids)

    def dump(self, instance_ids: Collection[str] | None = None) -> str:
        """Return `tree` as text: a line for each child, as `Supervisor.dump` has it.

        Args:
            instance_ids: Which instances to show, where there are such; None shows all.
        """
        return dump_tree(self.tree(instance_ids))

    def _find(self, instance_id: str) -> InstanceRecord:
        check_key("instance_id", instance_id, "instance.id")
        try:
            return self._records[instance_id]
        except KeyError:
            raise InstanceNotFound(instance_id) from None
