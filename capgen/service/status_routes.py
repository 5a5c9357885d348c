"""`/healthz`, `/metrics` and `/v1/models`: is it alive, how does it do, what does it run."""

from __future__ import annotations

import time

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

import capgen
from capgen.service.activity import Activity
from capgen.service.answers import json_answer
from capgen.service.captioning import CaptionService

_METRICS = "text/plain; version=0.0.4; charset=utf-8"


class StatusRoutes:
    """Tells about the service.

    Args:
        service: What captions.

    Attributes:
        activity: Knows whether the service stops.
    """

    activity: Activity | None = None

    def __init__(self, service: CaptionService) -> None:
        self._service = service
        self._begun = int(time.time())
        self.routes = [
            Route("/healthz", self.health),
            Route("/metrics", self.metrics),
            Route("/v1/models", self.models),
        ]

    async def health(self, request: Request) -> Response:
        """Tell the model, and whether the service takes work."""
        stopping = self.activity is not None and self.activity.stopping
        resolver = self._service.resolver
        content = {
            "status": "stopping" if stopping else "ok",
            "model": resolver.name,
            "revision": resolver.revision,
            "version": capgen.__version__,
        }
        return json_answer(content, 503 if stopping else 200)

    async def metrics(self, request: Request) -> Response:
        """Tell what was counted and timed."""
        return Response(self._service.measures.text(), headers={"Content-Type": _METRICS})

    async def models(self, request: Request) -> Response:
        """List the one model, as the OpenAI protocol does."""
        model = {"id": self._service.resolver.name, "object": "model", "created": self._begun}
        return json_answer({"object": "list", "data": [{**model, "owned_by": "capgen"}]})
