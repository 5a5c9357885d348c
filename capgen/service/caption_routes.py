"""`POST /v1/captions`: images in a form, in JSON or as they are; records out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from capgen.records import CaptionFailure, Record
from capgen.service.answers import RequestError, json_answer, status_of
from capgen.service.bodies import Bodies
from capgen.service.captioning import CaptionService, Incoming
from capgen.service.data_urls import image_at
from capgen.service.forms import read_form
from capgen.service.waiting import while_connected

MOST_IMAGES = 64


class CaptionRoutes:
    """Answers with records.

    Args:
        service: Captions the images.
        bodies: Reads the requests.
        seconds: How long an answer may take.
    """

    def __init__(self, service: CaptionService, bodies: Bodies, seconds: float) -> None:
        self._service = service
        self._bodies = bodies
        self._seconds = seconds
        self.routes = [Route("/v1/captions", self.caption, methods=["POST"])]

    async def caption(self, request: Request) -> Response:
        """Caption the images of a request."""
        self._service.check_room()
        async with self._bodies.body(request) as body:
            kind = request.headers.get("content-type", "")
            plain = kind.partition(";")[0].strip().lower()
            given: Mapping[str, Any] = _query(request)
            if plain == "multipart/form-data":
                form = await read_form(kind, body.parts(), MOST_IMAGES)
                images = [Incoming(name, data) for name, data in form.images]
                given = {**given, **form.options}
            elif plain == "application/json":
                images, options = _of_json(await body.json())
                given = {**given, **options}
            elif plain.startswith("image/") or plain == "application/octet-stream":
                images = [Incoming(data=await body.whole())]
            else:
                raise RequestError(
                    415,
                    f"Content-Type {plain[:100] or '(none)'} is not read",
                    "Send a form (multipart/form-data), JSON, or an image as it is (image/jpeg).",
                )
            if not images:
                raise RequestError(400, "There is no image", "Name the part of the form 'image'.")
            chosen = self._service.resolver.defaults.with_given(given)
            work = self._service.records(images, chosen)
            return _answer(await while_connected(request, work, self._seconds))


def _query(request: Request) -> dict[str, list[str]]:
    query = request.query_params
    return {name: query.getlist(name) for name in query}


def _of_json(content: Mapping[str, Any]) -> tuple[list[Incoming], Mapping[str, Any]]:
    """Return the images and options of `{"url": …, "options": {…}}`; `urls` are several."""
    for name in content:
        if name not in ("url", "urls", "options"):
            raise RequestError(
                400, f"Unknown field '{name[:100]}'", "There are url, urls and options."
            )
    options, several = content.get("options"), content.get("urls")
    if options is None:
        options = {}
    if not isinstance(options, Mapping):
        raise RequestError(400, "options must be an object")
    if several is None:
        several = [content["url"]] if "url" in content else []
    if not isinstance(several, list) or len(several) > MOST_IMAGES:
        raise RequestError(400, f"urls must be a list of up to {MOST_IMAGES} addresses")
    return [image_at(address) for address in several], options


def _answer(records: Sequence[Record]) -> Response:
    if len(records) > 1:
        return json_answer({"records": [record.to_dict() for record in records]})
    (record,) = records
    status = 200
    if isinstance(record, CaptionFailure):
        status = status_of(record, 422)
    return json_answer(record.to_dict(), status)
