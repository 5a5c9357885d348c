"""The application: who may ask, and who answers what."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp

from capgen.config import ImageLimits
from capgen.errors import CapgenError
from capgen.review_page.answers import RequestError, capgen_error, error_answer, request_error
from capgen.review_page.decision_routes import DecisionRoutes
from capgen.review_page.model import ReviewModel
from capgen.review_page.page_routes import PageRoutes
from capgen.review_page.picture_routes import PictureRoutes
from capgen.review_page.pictures import Pictures
from capgen.review_page.security import Access, Guard
from capgen.review_page.session import ReviewSession
from capgen.review_page.study_routes import StudyRoutes
from capgen.review_page.windows import Windows
from capgen.reviews.places import ImagePlaces


@dataclass(frozen=True, kw_only=True)
class Reviewing:
    """What the page shows.

    Attributes:
        session: The review.
        places: Finds the images' files.
        limits: The largest image to decode. JPEGs whose end is missing are shown, too.
        model: The model to ask again.
        records: The file of records.
    """

    session: ReviewSession
    places: ImagePlaces
    limits: ImageLimits
    model: ReviewModel
    records: Path


def make_app(review: Reviewing, access: Access, windows: Windows, port: int) -> ASGIApp:
    """Return the application.

    Args:
        review: What it shows.
        access: The tokens that open it.
        windows: The open windows.
        port: The port on which it is reached.
    """
    session = review.session
    limits = replace(review.limits, accept_truncated=True)
    app = Starlette(
        routes=[
            *PageRoutes().routes,
            *DecisionRoutes(session, windows, review.records).routes,
            *PictureRoutes(session, review.places, Pictures(limits)).routes,
            *StudyRoutes(session, review.places, review.model).routes,
        ],
        exception_handlers={
            RequestError: request_error,
            CapgenError: capgen_error,
            HTTPException: _http_error,
            Exception: _bug,
        },
    )
    return Guard(app, access, port)


async def _http_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    return error_answer(error.status_code, error.detail)


async def _bug(request: Request, error: Exception) -> Response:
    hint = "Please report it, with what the terminal says."
    return error_answer(500, f"{type(error).__name__}: this is a bug in capgen", hint)
