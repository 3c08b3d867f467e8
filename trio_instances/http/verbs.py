"""What an operator can do to an instance."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, final

import trio

from .._exceptions import TrioInstancesError
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

        if verb == RESTART:
            self._work.start_soon(self._restart, instance.id)
        else:
            getattr(instance, verb)()
        body = {"instance_id": instance.id, "verb": verb, "status": instance.status}
        return in_json(body, 202)

    async def _restart(self, instance_id: str) -> None:
        try:
            await self._runtime.restart_instance(instance_id)
        except TrioInstancesError as exc:
            # It is gone, it stops, or it failed to start: its status and the events tell that, too.
            logger.info("restart of instance %r: %s", instance_id, exc)
        except Exception:
            logger.exception("restart of instance %r has failed", instance_id)
