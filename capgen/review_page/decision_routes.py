"""The list of images, and decisions about them."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

from capgen.errors import UsageError
from capgen.records import Caption, Review
from capgen.review_page.answers import RequestError, json_answer, read_json
from capgen.review_page.changes import Change
from capgen.review_page.file_key import file_key
from capgen.review_page.items import Item
from capgen.review_page.session import ConflictError, ReviewSession
from capgen.review_page.windows import Windows

_LONGEST_WINDOW_NAME = 100


class DecisionRoutes:
    """Answers about records and decisions.

    Args:
        session: The review.
        windows: The open windows.
        records: The file of records.
    """

    def __init__(self, session: ReviewSession, windows: Windows, records: Path) -> None:
        self._session = session
        self._windows = windows
        self._records = records
        self.routes = [
            Route("/api/items", self.items),
            Route("/api/item/{id}", self.item),
            Route("/api/decide", self.decide, methods=["POST"]),
            Route("/api/undo", self.undo, methods=["POST"]),
            Route("/api/events", self.events),
        ]

    async def items(self, request: Request) -> Response:
        """All images, as rows."""
        return await run_in_threadpool(self._items)

    def _items(self) -> Response:
        return json_answer(
            {
                "name": self._records.name,
                "file": file_key(self._records),
                "by": self._session.by,
                "items": self._session.rows(),
                "random": self._session.items.sample,
            }
        )

    async def item(self, request: Request) -> Response:
        """One image, with all that is known about it."""
        return json_answer(details(self._session, item_of(self._session, request)))

    async def decide(self, request: Request) -> Response:
        """Decide about images."""
        content = await read_json(request)
        window, changes = _window(content), content.get("changes")
        if not isinstance(changes, list):
            raise RequestError(400, "'changes' must be a list")
        asked = [Change.from_dict(each) for each in changes]
        return await self._changed(window, self._session.decide, window, asked)

    async def undo(self, request: Request) -> Response:
        """Take back the last step of a window."""
        window = _window(await read_json(request))
        try:
            return await self._changed(window, self._session.undo, window)
        except LookupError as error:
            raise RequestError(404, "Nothing to undo in this window") from error

    async def events(self, request: Request) -> Response:
        """What other windows change, as server-sent events."""
        window = request.query_params.get("window", "")[:_LONGEST_WINDOW_NAME]
        return StreamingResponse(self._windows.listen(window), media_type="text/event-stream")

    async def _changed(self, window: str, change: Any, *arguments: Any) -> Response:
        """Make a change and answer with the rows that it changed; tell the other windows."""
        try:
            ids = await run_in_threadpool(change, *arguments)
        except ConflictError as error:
            return json_answer({"conflicts": self._session.rows(error.ids)}, 409)
        rows = self._session.rows(ids)
        if rows:
            self._windows.tell_others(window, {"items": rows})
        return json_answer({"items": rows})


def item_of(session: ReviewSession, request: Request) -> Item:
    """Return the image that a request's path names.

    Raises:
        RequestError: There is none.
    """
    try:  # not by a route of numbers, which stumbles over one of 5,000 digits
        return session.item(int(request.path_params["id"]))
    except (ValueError, KeyError) as error:
        raise RequestError(404, "There is no such image") from error


def details(session: ReviewSession, item: Item) -> dict[str, Any]:
    """Return an image's row with all that is known about it."""
    record, review = item.record, session.review(item)
    captioned = record if isinstance(record, Caption) else None
    return {
        **session.row(item),
        "model": record.model,
        "alternatives": [] if captioned is None else _alternatives(captioned),
        "words": [] if captioned is None else _words(captioned),
        "concepts": []
        if captioned is None
        else [dataclasses.asdict(c) for c in captioned.concepts],
        "prompt": None if captioned is None else captioned.prompt,
        "width": None if captioned is None else captioned.width,
        "height": None if captioned is None else captioned.height,
        "message": "" if captioned is not None else record.message,  # type: ignore[union-attr]
        "history": [_decision(each) for each in session.history(item)],
        "by": "" if review is None else review.by,
        "at": "" if review is None else review.at,
    }


def _alternatives(caption: Caption) -> list[dict[str, Any]]:
    return [{"caption": each.text, "score": each.score} for each in caption.alternatives]


def _words(caption: Caption) -> list[dict[str, Any]]:
    return [{"text": word.text, "probability": word.probability} for word in caption.words]


def _decision(review: Review | None) -> dict[str, Any]:
    if review is None:
        return {"verdict": None, "caption": None, "by": "", "at": ""}
    return {
        "verdict": review.verdict,
        "caption": review.caption,
        "by": review.by,
        "at": review.at,
    }


def _window(content: dict[str, Any]) -> str:
    window = content.get("window")
    if not isinstance(window, str) or not 0 < len(window) <= _LONGEST_WINDOW_NAME:
        raise UsageError("'window' must be the window's random id")
    return window
