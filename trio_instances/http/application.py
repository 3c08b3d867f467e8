"""Which path is answered by what."""

from __future__ import annotations

from typing import TYPE_CHECKING

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from .access import Access
from .answers import Refusal
from .door import Door
from .feed import Feed
from .fleet import Fleet
from .metrics import Metrics
from .page import Page
from .settings import Settings
from .slices import Turns
from .stream import Stream
from .trees import Trees
from .verbs import Verbs
from .work import Work

if TYPE_CHECKING:
    from starlette.types import ASGIApp

    from .._runtime.runtime import Runtime


def make_application(runtime: Runtime, settings: Settings, feed: Feed, work: Work) -> ASGIApp:
    """Return the whole endpoint as an ASGI application.

    Args:
        runtime: What it shows.
        settings: What it was asked to be.
        feed: What happens.
        work: Where what it begins goes on.
    """
    turns, access = Turns(), Access(settings)
    fleet = Fleet(runtime, feed, turns)
    routes = [
        Route("/", Page(runtime, access).page),
        Route("/livez", fleet.livez),
        Route("/readyz", fleet.readyz),
        Route("/metrics", Metrics(runtime, settings).metrics),
        Route("/tree", Trees(runtime, turns).tree),
        Route("/events", Stream(runtime, feed, settings.max_readers).events),
        Route("/lately", fleet.lately),
        Route("/instances", fleet.instances),
        Route("/instances/{instance_id}", fleet.instance),
        Route("/instances/{instance_id}/events", fleet.recent_events),
        Route(
            "/instances/{instance_id}/{verb}",
            Verbs(runtime, access, work).act,
            methods=["POST"],
        ),
    ]
    handlers = {Refusal: _refused, HTTPException: _not_found, Exception: _failed}
    application = Starlette(routes=routes, exception_handlers=handlers)
    # A path that is not quite right is told so; where a proxy is in front, it could lead anywhere.
    application.router.redirect_slashes = False
    return Door(application, access)


async def _refused(_: Request, exc: Exception) -> Response:
    assert isinstance(exc, Refusal)
    return exc.answer()


async def _not_found(request: Request, exc: Exception) -> Response:
    assert isinstance(exc, HTTPException)
    path = request.url.path[:80]
    if exc.status_code == 405:  # noqa: PLR2004 - the number is its name
        detail = f"{path} does not take {request.method}"
        return Refusal(405, "bad_method", detail, headers=exc.headers).answer()

    return Refusal(exc.status_code, "not_found", f"there is nothing at {path}").answer()


async def _failed(_: Request, __: Exception) -> Response:
    # Starlette raises it again afterwards, and Hypercorn logs it.
    return Refusal(500, "failed", "this is a mistake of ours: the log has its traceback").answer()
