"""How a test may end: what is found at its end, and what of it was expected."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import TypeGuard, final

from attrs import frozen

from .._instance.record import InstanceRecord
from .._runtime.runtime import Runtime
from .._supervision.tree import SupervisorTree
from ..policy.failures import CLOSE_TIMEOUT, Cause
from ..policy.restart import ChildState
from ..policy.signals import Phase
from ..policy.status import InstanceStatus
from ..telemetry.child_events import ChildStopped, ChildStuck
from ..telemetry.events import HookFailed, InstanceFailed
from ..telemetry.schema import Event

_UNDER_WAY = frozenset(
    {
        InstanceStatus.STARTING,
        InstanceStatus.CONNECTING,
        InstanceStatus.RECONNECTING,
        InstanceStatus.STOPPING,
    }
)
_AT_REST = frozenset({InstanceStatus.FAILED, InstanceStatus.STOPPED})
"""Where nothing of an instance runs, whatever its connection was about to do."""
_ATTEMPTING = frozenset({Phase.QUEUED, Phase.CONNECTING, Phase.WAITING})
_BETWEEN = frozenset({ChildState.STARTING, ChildState.RESTARTING, ChildState.STOPPING})


@final
@frozen
class LooseEnd:
    """Something that was not done with when a test ended."""

    path: str
    """Where it is in the tree: names joined by ``/``."""
    what: str
    """What is the matter with it, for people."""


@final
class Expectations:
    """What a test says may happen that would fail it otherwise.

    A name is an instance's id, a child's name, or the path of either in the tree; it stands for
    everything under it.
    """

    def __init__(self) -> None:
        self._failures: dict[str, str | None] = {}
        self._pending: set[str] = set()
        self._left: set[str] = set()

    def failure(self, instance_id: str, reason: str | None = None) -> None:
        """Expect that an instance fails for good. If it does not, the test fails.

        Args:
            instance_id: Which.
            reason: The reason of its cause; None: any.
        """
        self._failures[instance_id] = reason

    def may_be_pending(self, *names: str) -> None:
        """Allow work of these to be under way when the test ends.

        Args:
            names: Whose attempts, closings, restarts, and queues that are not empty.
        """
        self._pending.update(names)

    def may_be_left(self, *names: str) -> None:
        """Allow these not to end when they are asked to: children, and the closing of instances."""
        self._left.update(names)

    def unexpected(
        self, events: Iterable[Event], pending: Iterable[LooseEnd], left: Iterable[LooseEnd]
    ) -> Sequence[str]:
        """Return what is not as it was expected, each as a text.

        Args:
            events: What was told; at least what `matters`.
            pending: What was under way when the test ended.
            left: What did not end when it was asked to.
        """
        return [
            *self._failed(events),
            *(
                f"{end.path} {end.what} when the test ended: wait for it, or say"
                f" instance_expectations.may_be_pending({end.path.split('/')[-1]!r})"
                for end in pending
                if not _named(end.path, self._pending)
            ),
            *(
                f"{end.path} {end.what}: end it, or say"
                f" instance_expectations.may_be_left({end.path.split('/')[-1]!r})"
                for end in left
                if not _named(end.path, self._left)
            ),
        ]

    def _failed(self, events: Iterable[Event]) -> Iterator[str]:
        causes: dict[str, Cause] = {}
        for event in events:
            if isinstance(event, InstanceFailed) and event.instance_id is not None:
                causes[event.instance_id] = event.cause
        for name, cause in causes.items():
            expected = self._failures.get(name, cause.reason) or cause.reason
            if name not in self._failures:
                yield (
                    f"{name} failed for good: {cause}. If it should, say"
                    f" instance_expectations.failure({name!r})"
                )
            elif expected != cause.reason:
                yield f"{name} should fail with {expected!r}, and failed with {cause}"
        for name in self._failures:
            if name not in causes:
                yield f"{name} should fail for good, and did not"


def _named(path: str, names: set[str]) -> bool:
    return path in names or not names.isdisjoint(path.split("/"))


# --- what is found -------------------------------------------------------------------------------


def pending_of_runtime(runtime: Runtime) -> Sequence[LooseEnd]:
    """Return what is under way in a runtime's instances: attempts, closings, restarts, queues."""
    root = runtime.tree().path
    ends = []
    for health in runtime.list_instance_health():
        path = f"{root}/{health.instance_id}"
        record = runtime.instance(health.instance_id)._record  # noqa: SLF001 - no status says all
        if what := _work_of(record):
            ends.append(LooseEnd(path, what))
        ends += [
            LooseEnd(path, f"had {queue.used} messages in its queue {queue.name!r}")
            for queue in health.queues
            if queue.used
        ]
        ends += [
            LooseEnd(f"{path}/{child.name}", f"was {child.state}")
            for child in health.children
            if child.state in _BETWEEN
        ]
    return ends


def _work_of(record: InstanceRecord) -> str | None:
    """Return what an instance's connection is about, by its machine; None where that is nothing.

    The status alone does not tell: one that is degraded may be connected or not, and one that is
    paused may still be closing.
    """
    status, state = record.status.status, record.connection
    if status in _UNDER_WAY:
        return f"was {status}"
    if state.phase in _ATTEMPTING and status not in _AT_REST:
        return f"was {status}, and its connection {state.phase}"

    for life in record.lives:
        if life.generation == state.successor:
            return f"was making connection {life.generation}, to replace the present one"
        if life.generation != state.generation or not record.connected:
            return f"was closing connection {life.generation}"
    return None


def pending_of_tree(tree: SupervisorTree) -> Sequence[LooseEnd]:
    """Return the children under a supervisor that are between two states."""
    ends = []
    for child in tree.children:
        if child.state in _BETWEEN:
            ends.append(LooseEnd(child.path, f"was {child.state}"))
        for nested in child.supervisors:
            ends += pending_of_tree(nested)
    return ends


def left_running(events: Iterable[Event], root: str) -> Sequence[LooseEnd]:
    """Return what did not end in time when it was asked to, as the events say.

    Args:
        events: What was told; at least what `matters`.
        root: The path of the runtime.
    """
    ends = {}
    for event in events:
        if isinstance(event, ChildStuck):
            ends[event.path] = f"was left running: it ignored its cancellation, at {_at(event)}"
        elif isinstance(event, ChildStopped) and event.forced:
            seconds = f"{event.elapsed:g} s"
            ends.setdefault(event.path, f"was left running: it had to be cancelled after {seconds}")
        elif _is_hung_closing(event):
            path = f"{root}/{event.instance_id}"
            ends.setdefault(path, f"was left open: {event.cause.detail}")
    return [LooseEnd(path, what) for path, what in ends.items()]


def matters(event: Event) -> bool:
    """Tell whether the verdict on a test can depend on an event."""
    if isinstance(event, ChildStopped):
        return event.forced

    return isinstance(event, ChildStuck | InstanceFailed) or _is_hung_closing(event)


def _is_hung_closing(event: Event) -> TypeGuard[HookFailed]:
    if not isinstance(event, HookFailed) or event.hook != "close":
        return False

    return event.cause.reason == CLOSE_TIMEOUT


def _at(event: ChildStuck) -> str:
    return event.stack[-1].strip() if event.stack else "no known place"
