"""The page: its HTML, style sheet and scripts."""

from __future__ import annotations

import hashlib
from pathlib import Path

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from capgen import pages
from capgen.review_page.answers import RequestError

_FOLDER = Path(__file__).parent / "static"
_PAGE = "index.html"
# The style of all pages, which the page's own adds to.
_STYLE = Path(pages.__file__).parent / "templates" / "page.css"
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
            path.name: path.read_bytes()
            for path in (*_FOLDER.iterdir(), _STYLE)
            if path.suffix in _KINDS
        }
        self.routes = [Route("/", self.page), Route("/static/{name}", self.file)]

    async def page(self, request: Request) -> Response:
        """The page."""
        return self._answer(request, _PAGE)

    async def file(self, request: Request) -> Response:
        """A file that belongs to it."""
        return self._answer(request, request.path_params["name"])

    def _answer(self, request: Request, name: str) -> Response:
        if name not in self._files:
            raise RequestError(404, "There is no such file")
        data = self._files[name]
        # Asked for each time: scripts of two versions of capgen do not work together.
        tag = f'"{hashlib.sha256(data).hexdigest()[:16]}"'
        headers = {"ETag": tag, "Cache-Control": "no-cache"}
        if request.headers.get("if-none-match") == tag:
            return Response(status_code=304, headers=headers)
        return Response(data, media_type=_KINDS[Path(name).suffix], headers=headers)
