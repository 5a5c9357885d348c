"""The application: who may ask, and who answers what."""

from __future__ import annotations

import logging

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp

from capgen.config import ServeOptions
from capgen.errors import CapgenError
from capgen.service.activity import Activity
from capgen.service.answers import (
    ClientGoneError,
    RequestError,
    answer_of,
    answer_of_capgen,
    error_answer,
)
from capgen.service.bodies import Bodies
from capgen.service.caption_routes import CaptionRoutes
from capgen.service.captioning import CaptionService
from capgen.service.chat_routes import ChatRoutes
from capgen.service.draining import Draining
from capgen.service.security import Guard
from capgen.service.status_routes import StatusRoutes

logger = logging.getLogger(__name__)


def make_app(service: CaptionService, options: ServeOptions, token: str) -> Activity:
    """Return the application, to be run in the event loop that calls this.

    Args:
        service: Captions images.
        options: What it takes on.
        token: What requests must have, or "".
    """
    bodies, seconds = Bodies(options), options.seconds_to_answer
    status = StatusRoutes(service)
    app: ASGIApp = Starlette(
        routes=[
            *CaptionRoutes(service, bodies, seconds).routes,
            *ChatRoutes(service, bodies, seconds).routes,
            *status.routes,
        ],
        exception_handlers={
            RequestError: _request_error,
            CapgenError: _capgen_error,
            ClientGoneError: _gone,
            HTTPException: _http_error,
            Exception: _bug,
        },
    )
    app = Guard(app, token, options.allow_origin)
    if options.allow_origin:
        app = CORSMiddleware(
            app,
            allow_origins=options.allow_origin,
            allow_methods=("GET", "POST"),
            allow_headers=("Authorization", "Content-Type"),
            expose_headers=("Retry-After",),
        )
    activity = Activity(Draining(app), service.measures)
    status.activity = activity
    return activity


async def _request_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestError)
    return answer_of(error)


async def _capgen_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, CapgenError)
    answer = answer_of_capgen(error)
    if answer.status_code >= 500:
        logger.error("%s", error.message)
    return answer


async def _gone(request: Request, error: Exception) -> Response:
    return Response(status_code=400)  # which nobody reads


async def _http_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    return error_answer(error.status_code, error.detail, headers=error.headers)


async def _bug(request: Request, error: Exception) -> Response:
    logger.error("a bug in capgen", exc_info=error)
    return error_answer(
        500, f"{type(error).__name__}: this is a bug in capgen", "Please report it."
    )
