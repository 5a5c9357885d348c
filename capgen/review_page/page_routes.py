"""The page: its HTML, style sheet and scripts."""

from __future__ import annotations

from pathlib import Path

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from capgen.review_page.answers import RequestError

_FOLDER = Path(__file__).parent / "static"
_PAGE = "index.html"
_KINDS = {
    ".html": "text/html",
    ".css": "text/css",
    ".js": "text/javascript",
    ".svg": "image/svg+xml",
}


class PageRoutes:
    """Answers with the files of the page, which are read once."""

    def __init__(self) -> None:
        self._files = {
            path.name: path.read_bytes() for path in _FOLDER.iterdir() if path.suffix in _KINDS
        }
        self.routes = [Route("/", self.page), Route("/static/{name}", self.file)]

    async def page(self, request: Request) -> Response:
        """The page."""
        return self._answer(_PAGE)

    async def file(self, request: Request) -> Response:
        """A file that belongs to it."""
        return self._answer(request.path_params["name"])

    def _answer(self, name: str) -> Response:
        if name not in self._files:
            raise RequestError(404, "There is no such file")
        return Response(self._files[name], media_type=_KINDS[Path(name).suffix])
