"""Who may ask the server: the browser that was given the token, from the server's own page.

The server listens on the loopback interface only, but every page that a browser has open and every
user of the machine can reach that. Hence:

- A request needs the token: in the address once, then in a cookie that other sites do not send.
- The Host header must be the server's: a name that an attacker points to 127.0.0.1 (DNS
  rebinding) is another one.
- A request that another site caused is refused (Origin and Sec-Fetch-Site headers).
- Answers forbid other sites to embed them, and the page to load anything from elsewhere.
"""

from __future__ import annotations

import secrets
import threading
from http.cookies import CookieError, SimpleCookie

from starlette.datastructures import Headers, MutableHeaders, QueryParams
from starlette.responses import HTMLResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from capgen.review_page.answers import error_answer

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
_HEADERS = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
}
_NO_TOKEN = (
    "<!doctype html><html lang='en'><meta charset='utf-8'><title>capgen review</title>"
    "<p>This page needs the whole address that <code>capgen review</code> printed, with "
    "<code>?token=…</code> at its end.</p></html>"
)
# After a link on another site, a redirect would arrive without the cookie; a page that goes on by
# itself has it.
_GO_ON = (
    "<!doctype html><html lang='en'><meta charset='utf-8'><title>capgen review</title>"
    "<meta http-equiv='refresh' content='0;url=/'><p><a href='/'>Go on</a></p></html>"
)


class Access:
    """The tokens of a server. Thread-safe.

    Attributes:
        token: Opens the page any number of times.
    """

    def __init__(self) -> None:
        self.token = secrets.token_urlsafe(24)
        self._once: set[str] = set()
        self._lock = threading.Lock()

    def once(self) -> str:
        """Return a token that opens the page once.

        It is for command lines, which other users of a machine can see: soon it is worthless.
        """
        token = secrets.token_urlsafe(24)
        with self._lock:
            self._once.add(token)
        return token

    def opens(self, token: str) -> bool:
        """Whether a token of an address opens the page."""
        with self._lock:
            used = [known for known in self._once if _same(known, token)]
            self._once.difference_update(used)
        return bool(used) or _same(self.token, token)

    def knows(self, cookie: str) -> bool:
        """Whether a cookie is one that this server gave."""
        return _same(self.token, cookie)


class Guard:
    """Middleware that lets only permitted requests through, and adds headers to all answers.

    Args:
        app: The application.
        access: The tokens.
        port: The port of the server.
    """

    def __init__(self, app: ASGIApp, access: Access, port: int) -> None:
        self._app = app
        self._access = access
        self._hosts = (f"127.0.0.1:{port}", f"localhost:{port}")
        # Cookies are shared by all ports of a host.
        self._cookie = f"capgen_review_{port}"

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request or pass it on."""
        if scope["type"] != "http":
            return

        async def send_guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in _HEADERS.items():
                    headers[name] = value
                headers.setdefault("Cache-Control", "no-store")
            await send(message)

        refusal = self._answer(scope)
        await (refusal or self._app)(scope, receive, send_guarded)

    def _answer(self, scope: Scope) -> Response | None:
        """Return the answer to a request that is not passed on, or None."""
        headers = Headers(scope=scope)
        host = headers.get("host", "").lower()
        if host not in self._hosts:
            return error_answer(403, "The address of this server is 127.0.0.1")
        origin = headers.get("origin")
        if origin is not None and origin.lower() != f"http://{host}":
            return error_answer(403, "Another site may not ask this server")
        elsewhere = headers.get("sec-fetch-site", "none") not in ("none", "same-origin")
        at_root = scope["path"] == "/" and scope["method"] in ("GET", "HEAD")
        if at_root:
            token = QueryParams(scope["query_string"]).get("token")
            if token is not None and self._access.opens(token):
                return self._let_in(elsewhere)
        elif elsewhere:
            return error_answer(403, "Another site may not ask this server")
        if self._access.knows(_cookie(headers, self._cookie)):
            return None
        if at_root:
            return HTMLResponse(_NO_TOKEN, 403)
        return error_answer(403, "No permission", "Open the address that capgen review printed.")

    def _let_in(self, elsewhere: bool) -> Response:
        answer = HTMLResponse(_GO_ON) if elsewhere else Response(status_code=303)
        if not elsewhere:
            answer.headers["Location"] = "/"
        answer.set_cookie(self._cookie, self._access.token, httponly=True, samesite="strict")
        return answer


def _cookie(headers: Headers, name: str) -> str:
    try:
        cookies: SimpleCookie = SimpleCookie("; ".join(headers.getlist("cookie")))
    except CookieError:
        return ""
    return cookies[name].value if name in cookies else ""


def _same(first: str, second: str) -> bool:
    """Compare in constant time, so that a token cannot be guessed letter by letter."""
    return secrets.compare_digest(first.encode(), second.encode("utf-8", "surrogatepass"))
