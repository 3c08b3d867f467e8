"""``/metrics``: the fleet in Prometheus' text format, read when it is asked for."""

from __future__ import annotations

from typing import TYPE_CHECKING, final

from starlette.responses import Response

from ..telemetry.sinks.prometheus import PrometheusCollector
from .answers import asked

if TYPE_CHECKING:
    from starlette.requests import Request

    from .._runtime.runtime import Runtime
    from .settings import Settings


@final
class Metrics:
    """The answer to a scrape.

    Args:
        runtime: Whose instances are shown.
        settings: Whether they are shown one by one.
    """

    def __init__(self, runtime: Runtime, settings: Settings) -> None:
        self._collector = PrometheusCollector(runtime, by_instance=settings.metrics_by_instance)

    async def metrics(self, request: Request) -> Response:
        """Give every metric."""
        asked(request, ())
        return Response(await self._collector.scrape(), media_type=self._collector.content_type)
