"""The images themselves, by id: a client never names a path."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from capgen.captioning.runtimes.cores import usable_cores
from capgen.errors import ImageError
from capgen.review_page.answers import RequestError
from capgen.review_page.decision_routes import item_of
from capgen.review_page.items import Item
from capgen.review_page.pictures import LARGEST_SIDE, THUMBNAIL_SIDE, Pictures, State
from capgen.review_page.session import ReviewSession
from capgen.reviews.places import ImagePlaces

_LEAST_SIDE = 16
_MOST_THREADS = 4


class PictureRoutes:
    """Answers with images.

    Args:
        session: The review.
        places: Finds the images' files.
        pictures: Makes the copies.
    """

    def __init__(self, session: ReviewSession, places: ImagePlaces, pictures: Pictures) -> None:
        self._session = session
        self._places = places
        self._pictures = pictures
        # Large images that are decoded side by side would take the memory of all of them.
        self._threads = asyncio.Semaphore(min(_MOST_THREADS, usable_cores()))
        self.routes = [
            Route("/thumb/{id}", self.thumbnail),
            Route("/image/{id}", self.image),
        ]

    async def thumbnail(self, request: Request) -> Response:
        """A small copy."""
        make = self._pictures.thumbnail
        return await self._answer(request, THUMBNAIL_SIDE, "image/webp", make)

    async def image(self, request: Request) -> Response:
        """A large copy, of at most `size` pixels."""
        try:
            side = int(request.query_params.get("size", LARGEST_SIDE))
        except ValueError as error:
            raise RequestError(400, "'size' must be a number of pixels") from error
        side = min(max(side, _LEAST_SIDE), LARGEST_SIDE)

        def make(state: State) -> bytes:
            return self._pictures.large(state.path, side)

        return await self._answer(request, side, "image/jpeg", make)

    async def _answer(
        self, request: Request, side: int, kind: str, make: Callable[[State], bytes]
    ) -> Response:
        item = item_of(self._session, request)
        state = await run_in_threadpool(self._state, item)
        headers = {"ETag": f"{state.tag(side)}", "Cache-Control": "private, no-cache"}
        if headers["ETag"] in request.headers.get("if-none-match", ""):
            return Response(status_code=304, headers=headers)
        async with self._threads:
            # A page that is scrolled fast asks for images and forgets them.
            if await request.is_disconnected():
                return Response(status_code=499)
            try:
                data = await run_in_threadpool(make, state)
            except ImageError as error:
                raise RequestError(404, error.message, error.hint) from error
        return Response(data, media_type=kind, headers=headers)

    def _state(self, item: Item) -> State:
        path = self._places.find(item.key.path)
        try:
            if path is not None:
                return State.of(path)
        except OSError:
            pass
        raise RequestError(404, f"{item.key.path}: no such file")
