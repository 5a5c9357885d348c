"""A server of the OpenAI chat protocol on the loopback interface, whose answers a test scripts."""

from __future__ import annotations

import base64
import hashlib
import json
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from io import BytesIO
from typing import Any

from PIL import Image

Reply = Callable[["Handler"], None]


def colour_of(data: bytes) -> tuple[int, int, int]:
    """Return the colour in the middle of an image file."""
    with Image.open(BytesIO(data)) as image:
        pixel = image.convert("RGB").getpixel((image.width // 2, image.height // 2))
    assert isinstance(pixel, tuple)
    return int(pixel[0]), int(pixel[1]), int(pixel[2])


def caption_of(data: bytes) -> str:
    """Return the caption that the server gives an image."""
    return "a picture of {} {} {}".format(*colour_of(data))


@dataclass
class ChatServer:
    """What the server does, and what it saw.

    Attributes:
        models: The names it lists; None answers 404.
        script: Replies to the first requests for captions, in turn; then it captions.
        refuses: Replies to a request's content, before anything else; None for what is fine.
        log_probabilities: Give the log-probability of each token.
        most: Choices per answer, whatever was asked for.
        prefix: What the model thinks before its caption.
        held: Captions are not sent before this is set.
        requests: The content of each request for captions.
        headers: The headers of each request.
        images: Each image that was sent.
        answered: How often each image got its caption, by hash.
        busy: Requests at the moment, and the most at one moment.
    """

    models: list[str] | None = field(default_factory=lambda: ["tiny"])
    script: list[Reply] = field(default_factory=list)
    refuses: Callable[[dict[str, Any]], Reply | None] = lambda content: None
    log_probabilities: bool = True
    most: int = 64
    prefix: str = ""
    held: threading.Event | None = None
    requests: list[dict[str, Any]] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    images: list[bytes] = field(default_factory=list)
    answered: Counter[str] = field(default_factory=Counter)
    busy: list[int] = field(default_factory=lambda: [0, 0])
    arrived: threading.Event = field(default_factory=threading.Event)
    lock: threading.Lock = field(default_factory=threading.Lock)
    address: str = ""

    @property
    def url(self) -> str:
        return f"{self.address}/v1"


@contextmanager
def chatting(state: ChatServer | None = None) -> Iterator[ChatServer]:
    """Run the server on a free port; `url` is what `--endpoint` takes."""
    shared = state or ChatServer()

    class Bound(Handler):
        server_state = shared

    server = _Server(("127.0.0.1", 0), Bound)
    shared.address = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield shared
    finally:
        if shared.held is not None:
            shared.held.set()
        server.shutdown()
        server.server_close()


class _Server(ThreadingHTTPServer):
    request_queue_size = 256
    daemon_threads = True
    block_on_close = False


class Handler(BaseHTTPRequestHandler):
    server_state: ChatServer
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def log_message(self, *_: object) -> None:
        return

    def handle(self) -> None:
        try:
            super().handle()
        except OSError:
            self.close_connection = True  # the client has gone

    def do_GET(self) -> None:
        state = self.server_state
        state.headers.append(dict(self.headers))
        if self.path == "/v1/models" and state.models is not None:
            self.send_json({"data": [{"id": name, "object": "model"} for name in state.models]})
        else:
            self.send_json({"error": {"message": "not found"}}, 404)

    def do_POST(self) -> None:
        state = self.server_state
        content = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        with state.lock:
            state.busy[0] += 1
            state.busy[1] = max(state.busy)
            state.requests.append(content)
            state.headers.append(dict(self.headers))
            scripted = state.script.pop(0) if state.script else None
        state.arrived.set()
        try:
            if state.held is not None:
                state.held.wait(60)
            reply = scripted or state.refuses(content)
            if reply is not None:
                reply(self)
            elif self.path.split("?")[0] != "/v1/chat/completions":
                self.send_json({"error": {"message": f"no {self.path}"}}, 404)
            elif state.models is not None and content["model"] not in state.models:
                self.send_json({"error": {"message": f"no model {content['model']}"}}, 404)
            else:
                self.caption(content)
        finally:
            with state.lock:
                state.busy[0] -= 1

    def caption(self, content: dict[str, Any]) -> None:
        state = self.server_state
        picture = next(p for p in content["messages"][-1]["content"] if p["type"] == "image_url")
        data = base64.b64decode(picture["image_url"]["url"].partition(",")[2])
        text = caption_of(data)
        count = min(content.get("n", 1), state.most)
        seed = content.get("seed", 0)
        texts = [text if seed + n == 0 else f"{text} ({seed + n})" for n in range(count)]
        with state.lock:
            state.images.append(data)
            state.answered[hashlib.sha256(data).hexdigest()] += 1
        asks = state.log_probabilities and content.get("logprobs")
        self.send_json(answer(*(state.prefix + each for each in texts), tokens=bool(asks)))

    def send_json(self, value: Any, status: int = 200, **headers: str) -> None:
        self.send(json.dumps(value).encode(), status, **headers)

    def send(self, body: bytes, status: int = 200, *, promise: int = 0, **headers: str) -> None:
        """Send a body; `promise` announces more bytes than there are."""
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body) + promise))
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        self.wfile.write(body)
        if promise:
            self.close_connection = True


def answer(*texts: str, tokens: bool = False, ended: str = "stop") -> dict[str, Any]:
    """Return an answer with these captions; with `tokens`, each word has the log-probability -½."""
    choices = []
    for number, text in enumerate(texts):
        choice: dict[str, Any] = {
            "index": number,
            "message": {"role": "assistant", "content": text},
            "finish_reason": ended,
            "logprobs": None,
        }
        if tokens:
            first, *rest = text.split(" ")
            words = [first, *(f" {word}" for word in rest)]
            content = [
                {"token": word, "logprob": -0.5, "bytes": list(word.encode())} for word in words
            ]
            choice["logprobs"] = {"content": content}
        choices.append(choice)
    usage = {"prompt_tokens": 100, "completion_tokens": 10 * len(texts), "total_tokens": 0}
    return {"object": "chat.completion", "choices": choices, "usage": usage}


def says(status: int, message: str = "", **headers: str) -> Reply:
    """Return a reply with an error."""
    return lambda handler: handler.send_json({"error": {"message": message}}, status, **headers)


def sends(value: Any) -> Reply:
    """Return a reply with a JSON value."""
    return lambda handler: handler.send_json(value)


def garbage(handler: Handler) -> None:
    """Answer with a page that a proxy might send."""
    handler.send(b"<html>Bad gateway</html>")


def half(handler: Handler) -> None:
    """Announce an answer, and send half of it."""
    body = json.dumps(answer("a picture")).encode()
    handler.send(body[: len(body) // 2], promise=len(body) - len(body) // 2)


def nothing(handler: Handler) -> None:
    """Close the connection without an answer."""
    handler.close_connection = True


def gigabyte(handler: Handler) -> None:
    """Answer without end: up to 1 GB, in chunks."""
    handler.send_response(200)
    handler.send_header("Transfer-Encoding", "chunked")
    handler.end_headers()
    block = b"x" * (1 << 20)
    for _ in range(1024):
        handler.wfile.write(b"%x\r\n%b\r\n" % (len(block), block))
    handler.wfile.write(b"0\r\n\r\n")
