"""A stand-in for the Hub on 127.0.0.1: serves folders as repositories, for downloads only."""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import unquote, urlsplit


@dataclass
class Hub:
    """Repositories by id, each a folder by revision; discussions by id.

    Attributes:
        asked: Paths that were asked for, in order.
        failing: Answer everything but the front page with this status; -1 hangs up.
    """

    repositories: dict[str, dict[str, Path]] = field(default_factory=dict)
    discussions: dict[str, list[dict[str, object]]] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    failing: int = 0
    url: str = ""


def commit_of(repository: str, revision: str) -> str:
    return hashlib.sha1(f"{repository}@{revision}".encode()).hexdigest()


@contextmanager
def serving() -> Iterator[Hub]:
    """Run a Hub while the block lasts."""
    hub = Hub()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, format: str, *arguments: object) -> None:
            pass

        def do_HEAD(self) -> None:
            self._answer(with_body=False)

        def do_GET(self) -> None:
            self._answer(with_body=True)

        def _answer(self, *, with_body: bool) -> None:
            status, headers, body = answer(hub, unquote(urlsplit(self.path).path))
            if status < 0:
                self.close_connection = True
                return
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            if with_body:
                self.wfile.write(body)

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    hub.url = f"http://127.0.0.1:{server.server_port}"
    try:
        yield hub
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


Answer = tuple[int, dict[str, str], bytes]


def answer(hub: Hub, path: str) -> Answer:
    hub.asked.append(path)
    if path == "/":
        return 200, {}, b"hub"
    if hub.failing:
        return hub.failing, {}, b""
    if path.startswith("/api/models/"):
        name, _, rest = split_name(path.removeprefix("/api/models/"))
        if name not in hub.repositories:
            return 404, {"X-Error-Code": "RepoNotFound"}, b"{}"
        if rest == "discussions":
            found = hub.discussions.get(name, [])
            return as_json({"discussions": found, "count": len(found), "start": 0})
        revision = rest.removeprefix("revision/").removeprefix("tree/") or "main"
        folder, commit = find(hub, name, revision)
        if folder is None:
            return 404, {"X-Error-Code": "RevisionNotFound"}, b"{}"
        if rest.startswith("tree/"):
            return as_json([entry(file) for file in sorted(folder.iterdir())])
        files = [{"rfilename": file.name} for file in sorted(folder.iterdir())]
        return as_json({"id": name, "modelId": name, "sha": commit, "siblings": files})
    name, _, rest = split_name(path.removeprefix("/"))
    if not rest.startswith("resolve/"):
        return 404, {}, b""
    revision, _, file_name = rest.removeprefix("resolve/").rpartition("/")
    folder, commit = find(hub, name, revision)
    if folder is None or not (folder / file_name).is_file():
        return 404, {"X-Error-Code": "EntryNotFound", "X-Repo-Commit": commit}, b""
    content = (folder / file_name).read_bytes()
    etag = f'"{hashlib.sha256(content).hexdigest()}"'
    return 200, {"X-Repo-Commit": commit, "ETag": etag}, content


def entry(file: Path) -> dict[str, object]:
    content = file.read_bytes()
    oid = hashlib.sha1(content).hexdigest()
    return {"type": "file", "path": file.name, "size": len(content), "oid": oid}


def split_name(path: str) -> tuple[str, str, str]:
    """Return the repository's id, a slash, and the rest."""
    owner, _, rest = path.partition("/")
    name, slash, rest = rest.partition("/")
    return f"{owner}/{name}", slash, rest


def find(hub: Hub, name: str, revision: str) -> tuple[Path | None, str]:
    for known, folder in hub.repositories.get(name, {}).items():
        commit = commit_of(name, known)
        if revision in (known, commit):
            return folder, commit
    return None, ""


def as_json(value: object) -> Answer:
    return 200, {"Content-Type": "application/json"}, json.dumps(value).encode()
