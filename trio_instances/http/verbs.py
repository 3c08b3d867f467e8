"""What an operator can do to an instance."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import TYPE_CHECKING, final

import trio

from .._exceptions import TrioInstancesError
from .._instance.handle import Instance
from ..policy.status import InstanceStatus
from ..telemetry import Event, InstanceAsked
from .access import Access
from .answers import Refusal, asked, in_json
from .door import too_many
from .fleet import find_instance
from .work import Work

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response

    from .._runtime.runtime import Runtime

RESTART = "restart"
VERBS = ("reconnect", "retry_now", "pause", "resume", "drain", RESTART)
"""Every verb there is: methods of `Instance` that do not wait, and one of the runtime."""

logger = logging.getLogger("trio_instances.http")


def what_would(verb: str, status: InstanceStatus, *, connected: bool) -> str:
    """Return why a verb has changed nothing, and what would."""
    if status in _WORDS:
        return _WORDS[status]
    if verb == "resume":
        return "as it is not paused"
    if connected:
        return "as it is connected: reconnect makes a new connection"

    return "as it is under way already"


_WORDS: Mapping[InstanceStatus, str] = {
    InstanceStatus.FAILED: "as it has failed: restart wakes it, once its cause is mended",
    InstanceStatus.PAUSED: "as it is paused: resume connects it again",
    InstanceStatus.STOPPING: "as it stops",
    InstanceStatus.STOPPED: "as it has stopped",
}
"""Of those that a verb finds at rest."""


@final
class Verbs:
    """The answers that do something.

    Each is given as soon as it is begun, and the events tell what came of it: a restart waits for
    an instance to stop, and must not end because the one who asked has gone.

    Args:
        runtime: Where the instances are.
        access: How often.
        work: Where a restart goes on.
    """

    def __init__(self, runtime: Runtime, access: Access, work: Work) -> None:
        self._runtime = runtime
        self._access = access
        self._work = work

    async def act(self, request: Request) -> Response:
        """Do it."""
        asked(request, ())
        verb = request.path_params["verb"]
        if verb not in VERBS:
            detail = f"there is no verb {verb[:80]!r}; there are {', '.join(VERBS)}"
            raise Refusal(404, "verb_not_found", detail)

        instance = find_instance(self._runtime, request.path_params["instance_id"])
        delay = self._access.verb_delay(trio.current_time())
        if delay > 0.0:
            raise too_many("verbs", delay)

        changed = self._do(instance, verb)
        status = instance.status
        body = {"instance_id": instance.id, "verb": verb, "status": status, "changed": changed}
        if not changed:
            body["detail"] = what_would(verb, status, connected=instance.connected)
        return in_json(body, 202)

    def _do(self, instance: Instance, verb: str) -> bool:
        """Do it, and return whether that changes anything."""
        if verb == RESTART:
            self._work.start_soon(self._restart, instance.id)
            return not self._runtime.ending.begun

        heard: list[Event] = []
        try:
            # The answer to a verb is an event, which comes before the verb returns.
            with self._runtime.events.listen(heard.append):
                getattr(instance, verb)()
        except trio.ClosedResourceError:
            return False  # the runtime has ended, and nothing can be changed any more

        return any(
            event.changed and event.instance_id == instance.id
            for event in heard
            if isinstance(event, InstanceAsked)
        )

    async def _restart(self, instance_id: str) -> None:
        try:
            await self._runtime.restart_instance(instance_id)
        except TrioInstancesError as exc:
            # It is gone, it stops, or it failed to start: its status and the events tell that, too.
            logger.info("restart of instance %r: %s", instance_id, exc)
        except Exception:
            logger.exception("restart of instance %r has failed", instance_id)
