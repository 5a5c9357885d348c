"""What helps to decide: other captions, where the model looked, orders, find and replace."""

from __future__ import annotations

import threading
from functools import cached_property
from pathlib import Path
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from capgen.errors import ImageError
from capgen.review_page.answers import RequestError, json_answer, read_json
from capgen.review_page.decision_routes import item_of
from capgen.review_page.items import Item
from capgen.review_page.model import KINDS, ReviewModel
from capgen.review_page.orders import Likeness, by_gain
from capgen.review_page.replacing import Replacement, preview
from capgen.review_page.session import ReviewSession
from capgen.reviews.confidence_agreement import agreement
from capgen.reviews.places import ImagePlaces


class StudyRoutes:
    """Answers about alternatives, likeness, gain and agreement.

    Args:
        session: The review.
        places: Finds the images' files.
        model: The model to ask.
    """

    def __init__(self, session: ReviewSession, places: ImagePlaces, model: ReviewModel) -> None:
        self._session = session
        self._places = places
        self._model = model
        self._lock = threading.Lock()
        self.routes = [
            Route("/api/alternatives/{id}", self.alternatives, methods=["POST"]),
            Route("/looked/{id}", self.looked),
            Route("/api/like/{id}", self.like),
            Route("/api/gain", self.gain),
            Route("/api/replace", self.replace, methods=["POST"]),
            Route("/api/agreement", self.agreement),
        ]

    async def alternatives(self, request: Request) -> Response:
        """Other captions of an image, from the model."""
        item, kind = item_of(self._session, request), (await read_json(request)).get("kind")
        if not isinstance(kind, str) or kind not in KINDS:
            raise RequestError(400, f"'kind' must be one of {', '.join(KINDS)}")

        def find() -> list[dict[str, Any]]:
            return self._model.alternatives(item.record, self._file(item), kind)

        return json_answer({"captions": await run_in_threadpool(find)})

    async def looked(self, request: Request) -> Response:
        """A drawing of where the model looked."""
        item = item_of(self._session, request)
        data = await run_in_threadpool(lambda: self._model.looked(item.record, self._file(item)))
        return Response(data, media_type="image/png")

    async def like(self, request: Request) -> Response:
        """All ids, most alike first."""
        item = item_of(self._session, request)
        return json_answer({"ids": await run_in_threadpool(lambda: self._likeness.order(item.id))})

    async def gain(self, request: Request) -> Response:
        """All ids, most gained first."""
        return json_answer({"ids": await run_in_threadpool(by_gain, self._session)})

    async def replace(self, request: Request) -> Response:
        """What a replacement would change."""
        content = await read_json(request)
        replacement = Replacement.from_dict(content)
        ids = content.get("ids")
        if not isinstance(ids, list):
            raise RequestError(400, "'ids' must be a list")
        known = self._session.items.by_id
        captions = [
            (number, self._session.caption(known[number]))
            for number in ids
            if type(number) is int and number in known
        ]
        return json_answer({"changes": await run_in_threadpool(preview, replacement, captions)})

    async def agreement(self, request: Request) -> Response:
        """How far confidence and decisions agree."""
        found = await run_in_threadpool(lambda: agreement(self._session.judged()))
        return json_answer(found.to_dict())

    @cached_property
    def _likeness_once(self) -> Likeness:
        return Likeness(self._session.items.by_id)

    @property
    def _likeness(self) -> Likeness:
        with self._lock:  # it takes a second, and two windows may ask at once
            return self._likeness_once

    def _file(self, item: Item) -> Path:
        path = self._places.find(item.key.path)
        if path is None:
            raise ImageError(f"{item.key.path}: no such file", code="missing")
        return path
