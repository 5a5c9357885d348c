"""`POST /v1/chat/completions`: the OpenAI protocol, so that existing clients work."""

from __future__ import annotations

from dataclasses import replace

from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

from capgen.models.folder import ModelFolder
from capgen.records import CaptionFailure
from capgen.service.answers import RequestError, json_answer, status_of
from capgen.service.bodies import Bodies
from capgen.service.captioning import CaptionService
from capgen.service.chat import read_chat, within
from capgen.service.chat_answers import completion, events
from capgen.service.waiting import while_connected


class ChatRoutes:
    """Answers with captions in the form of the OpenAI protocol.

    Args:
        service: Captions the images.
        bodies: Reads the requests.
        seconds: How long an answer may take.
    """

    def __init__(self, service: CaptionService, bodies: Bodies, seconds: float) -> None:
        self._service = service
        self._bodies = bodies
        self._seconds = seconds
        self.routes = [Route("/v1/chat/completions", self.complete, methods=["POST"])]

    async def complete(self, request: Request) -> Response:
        """Caption the image of the messages."""
        self._service.check_room()
        resolver = self._service.resolver
        answers, model = resolver.captioner.runtime.answers, resolver.captioner.model
        async with self._bodies.body(request) as body:
            content = await body.json()
            asked = read_chat(content, resolver.defaults, answers=answers)
            del content
            most = resolver.caps.tokens
            if isinstance(model, ModelFolder) and not answers:
                most = min(most, model.positions or most)
            asked = within(asked, most)
            work = self._service.records([asked.image], asked.options)
            (record,) = await while_connected(request, work, self._seconds)
        if isinstance(record, CaptionFailure):
            status = status_of(record, 400)
            raise RequestError(status, record.message, record.hint, code=record.code)
        record = replace(record, notes=(*asked.notes, *record.notes))
        if not asked.stream:
            return json_answer(completion(record, asked))
        headers = {"Cache-Control": "no-store"}
        return StreamingResponse(
            iter([*events(record, asked)]), media_type="text/event-stream", headers=headers
        )
