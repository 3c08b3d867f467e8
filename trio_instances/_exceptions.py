"""Every error of the library, told apart by who is to blame.

::

    TrioInstancesError
    ├── InvalidSpec (ValueError)         you: a specification with mistakes, all of them listed
    ├── ChannelError                     the world: a channel states the cause of a failure itself
    ├── SupervisionError
    │   ├── ChildAlreadyStarted          you: the name is running
    │   ├── ChildAlreadyPresent          you: the name is known, and stopped or between two restarts
    │   ├── ChildNotFound (KeyError)     you: the name is not known
    │   ├── ChildRunning                 you: stop it first
    │   ├── ChildRestarting              you: it is between two restarts
    │   ├── MaxChildrenReached           you: stop one first, or allow more
    │   ├── SupervisorNotRunning         you: its block has ended, or is ending
    │   ├── ChildDeclined                the child: it has nothing to do
    │   ├── ChildStartFailed             the child: it ended before it was ready
    │   ├── StartTimedOut (TimeoutError) the child: it was not ready within its start_timeout
    │   └── Escalation                   the children: the supervisor gave up
    │       ├── RestartLimitExceeded     ... because of too many restarts within the period
    │       └── FatalChildFailure        ... because a restart cannot mend the failure
    └── InstanceError
        ├── InstanceNotFound (KeyError)  you: no instance has this id
        ├── InstanceAlreadyStarted       you: the id, or the channel object, is in use
        ├── InstanceFailed               the world: parked with a fatal cause
        └── InstanceStopped              you: it was stopped while somebody waited for it
"""

from __future__ import annotations

from itertools import groupby
from typing import TYPE_CHECKING, final

from attrs import field, frozen

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .policy.failures import Cause
    from .policy.intensity import RestartIntensity


class TrioInstancesError(Exception):
    """Base of every error that this library raises."""


_MAX_SHOWN = 200


def _shown(value: object) -> str:
    """Return a value as a message shows it: bounded, whatever its ``__repr__`` does."""
    try:
        text = repr(value)
    except Exception as broken:
        return f"<a {type(value).__qualname__} whose repr raised {type(broken).__qualname__}>"

    return text if len(text) <= _MAX_SHOWN else f"{text[: _MAX_SHOWN - 1]}…"


@final
@frozen
class Mistake:
    """One thing that is wrong with a specification."""

    place: str
    """Where: the field's name, or its path within a file such as ``instances[2].url``."""
    value: object
    """What was given."""
    expected: str
    """What is accepted there, and so the way out."""
    given: bool = field(default=True, kw_only=True)
    """False when the field is missing, so that `value` means nothing."""

    def __str__(self) -> str:
        place = f"{self.place}: " if self.place else ""
        value = f", not {_shown(self.value)}" if self.given else ""
        return f"{place}{self.expected}{value}"


@final
class InvalidSpec(TrioInstancesError, ValueError):
    """A specification has mistakes; nothing was started.

    Args:
        what: What was being specified, for instance ``ChildSpec 'reader'``.
        mistakes: Every mistake found, not only the first.
    """

    def __init__(self, what: str, mistakes: Sequence[Mistake]) -> None:
        self.what = what
        self.mistakes: tuple[Mistake, ...] = tuple(mistakes)
        super().__init__(what, self.mistakes)

    def __str__(self) -> str:
        if len(self.mistakes) == 1:
            return f"{self.what}: {self.mistakes[0]}"

        lines = "".join(f"\n  - {mistake}" for mistake in self.mistakes)
        return f"{self.what} has {len(self.mistakes)} mistakes:{lines}"


class ChannelError(TrioInstancesError):
    """A failure whose cause the raiser knows; no rule needs to guess it.

    Raise it from a channel's callbacks and children.

    Args:
        cause: The classified cause.
    """

    def __init__(self, cause: Cause) -> None:
        self.cause = cause
        super().__init__(cause)

    def __str__(self) -> str:
        return str(self.cause)


class SupervisionError(TrioInstancesError):
    """Base of the errors of supervisors."""


class ChildError(SupervisionError):
    """Base of the errors about one child of a supervisor.

    Args:
        path: The child's path in the tree, names joined by ``/``.
    """

    template = "{path}"

    def __init__(self, path: str) -> None:
        self.path = path
        super().__init__(path)

    def __str__(self) -> str:
        return self.template.format(path=self.path)


@final
class ChildAlreadyStarted(ChildError):
    """A running child has this name; choose another name, or terminate it first."""

    template = "child {path!r} is already running: choose another name, or terminate it first"


@final
class ChildAlreadyPresent(ChildError):
    """A stopped, parked or restarting child has this name; restart it, or delete it first."""

    template = "child {path!r} is already present: use restart_child, or delete_child first"


@final
class ChildNotFound(ChildError, KeyError):
    """No child has this name."""

    template = "no child {path!r}: see which_children(), or of an instance health().children"


@final
class ChildRunning(ChildError):
    """The child runs; terminate it first."""

    template = "child {path!r} is running: terminate_child first"


@final
class ChildRestarting(ChildError):
    """The child is between two restarts; terminate it first, or wait."""

    template = "child {path!r} is between two restarts: terminate_child first, or wait"


@final
class SupervisorNotRunning(SupervisionError):
    """The supervisor's block has ended or is ending.

    Args:
        path: The supervisor's path in the tree.
    """

    def __init__(self, path: str) -> None:
        self.path = path
        super().__init__(path)

    def __str__(self) -> str:
        return f"supervisor {self.path!r} is not running: its block has ended, or is ending"


@final
class MaxChildrenReached(SupervisionError):
    """The supervisor has as many children up as ``max_children`` allows; nothing was started.

    Args:
        path: The supervisor's path in the tree.
        limit: Its ``max_children``.
    """

    def __init__(self, path: str, limit: int) -> None:
        self.path = path
        self.limit = limit
        super().__init__(path, limit)

    def __str__(self) -> str:
        return (
            f"supervisor {self.path!r} has reached max_children={self.limit}: "
            "stop a child first, or allow more"
        )


class ChildDeclined(SupervisionError):
    """Raised by a child before it is ready: it has nothing to do, and that is no failure.

    The child is kept, stopped; a temporary one is forgotten. Elsewhere, and after
    ``task_status.started()``, it is an error like any other. OTP calls it ``ignore``.
    """


@final
class StartTimedOut(SupervisionError, TimeoutError):
    """A child was not ready within its ``start_timeout``; what it had begun was cancelled.

    Args:
        path: The child's path in the tree.
        seconds: The budget it had.
    """

    def __init__(self, path: str, seconds: float) -> None:
        self.path = path
        self.seconds = seconds
        super().__init__(path, seconds)

    def __str__(self) -> str:
        return (
            f"child {self.path!r} did not call task_status.started() within {self.seconds:g} s: "
            "make it ready sooner, or raise its start_timeout"
        )


@final
class ChildStartFailed(SupervisionError):
    """A child ended before it was ready; ``__cause__`` is what it raised.

    Args:
        path: The child's path in the tree.
        cause: The classified cause.
    """

    def __init__(self, path: str, cause: Cause) -> None:
        self.path = path
        self.cause = cause
        super().__init__(path, cause)

    def __str__(self) -> str:
        return f"child {self.path!r} failed to start: {self.cause}"


class Escalation(SupervisionError):
    """A supervisor gave up: it stopped its children in order and fails to its parent.

    ``__cause__`` is the exception that the last child raised.

    Args:
        path: The supervisor's path in the tree.
        child: The path of the child whose exit was one too many.
        cause: The classified cause of that exit.
    """

    def __init__(self, path: str, child: str, cause: Cause) -> None:
        self.path = path
        self.child = child
        self.cause = cause
        super().__init__(path, child, cause)


@final
class RestartLimitExceeded(Escalation):
    """More restarts were due than the restart intensity allows.

    Args:
        path: The supervisor's path in the tree.
        child: The path of the child whose exit was one too many.
        cause: The classified cause of that exit.
        intensity: How many restarts are allowed, and within how many seconds.
        before: The last restarts before it, oldest first: each a child's path and the cause.
    """

    def __init__(
        self,
        path: str,
        child: str,
        cause: Cause,
        intensity: RestartIntensity,
        before: Sequence[tuple[str, Cause]] = (),
    ) -> None:
        super().__init__(path, child, cause)
        self.intensity = intensity
        self.before: tuple[tuple[str, Cause], ...] = tuple(before)
        self.args = (path, child, cause, intensity, self.before)

    def __str__(self) -> str:
        limit, period = self.intensity.max_restarts, self.intensity.period
        allowed = f"{limit} {'is' if limit == 1 else 'are'} allowed"
        said = (
            f"supervisor {self.path!r} gave up: {self.child!r} would have been restart "
            f"{limit + 1} within {period:g} s, and {allowed}; its last exit: {self.cause}"
        )
        lines = [said]
        for (child, cause), alike in groupby(self.before):
            count = len(list(alike))
            times = f" ({count} times)" if count > 1 else ""
            lines.append(f"  restarted before: {child!r}, {cause}{times}")
        if self.before and (unnamed := limit - len(self.before)) > 0:
            lines.append(f"  ... and before these: {unnamed} restart{'s' * (unnamed > 1)} more")
        return "\n".join(lines)


@final
class FatalChildFailure(Escalation):
    """An essential child failed in a way that no restart can mend."""

    def __str__(self) -> str:
        return f"supervisor {self.path!r} gave up: {self.child!r} failed fatally: {self.cause}"


class InstanceError(TrioInstancesError):
    """Base of the errors about one instance.

    Args:
        instance_id: The id of the instance.
    """

    template = "{instance_id}"

    def __init__(self, instance_id: str) -> None:
        self.instance_id = instance_id
        super().__init__(instance_id)

    def __str__(self) -> str:
        return self.template.format(instance_id=self.instance_id)


@final
class InstanceNotFound(InstanceError, KeyError):
    """No instance of this runtime has the id."""

    template = "no instance {instance_id!r}: list_instances() tells which there are"


@final
class InstanceAlreadyStarted(InstanceError):
    """The id is in use, or the channel object serves another instance.

    Args:
        instance_id: The id of the instance that holds what was asked for.
        what: What is in use: ``id`` or ``channel``.
    """

    def __init__(self, instance_id: str, what: str = "id") -> None:
        super().__init__(instance_id)
        self.what = what
        self.args = (instance_id, what)

    def __str__(self) -> str:
        if self.what == "channel":
            return (
                f"the channel object already serves instance {self.instance_id!r}: "
                "give each instance a channel of its own"
            )

        return f"instance {self.instance_id!r} is already started: choose another id, or stop it"


@final
class InstanceFailed(InstanceError):
    """The instance is parked: a fatal cause, or its own restart intensity exceeded.

    Args:
        instance_id: The id of the instance.
        cause: Why, and who must act.
    """

    def __init__(self, instance_id: str, cause: Cause) -> None:
        super().__init__(instance_id)
        self.cause = cause
        self.args = (instance_id, cause)

    def __str__(self) -> str:
        return (
            f"instance {self.instance_id!r} failed: {self.cause}; "
            f"to act: {self.cause.who_must_act}; restart_instance wakes it"
        )


@final
class InstanceStopped(InstanceError):
    """The instance was stopped, so what was waited for cannot come."""

    template = "instance {instance_id!r} was stopped"
