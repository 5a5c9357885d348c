"""A stand-in for the Hub on 127.0.0.1: serves folders as repositories, and takes pushes.

It speaks the protocol of the real client for both (`tests.hub_writes` has what writes), checks
what it is sent, and does as little as the client can do with.
"""

from __future__ import annotations

import hashlib
import json
import re
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest
from huggingface_hub import constants, hf_api

LARGE = (".safetensors", ".onnx", ".parquet")
DATASETS = "datasets/"


@dataclass
class Fault:
    """An answer given instead of the right one.

    Attributes:
        method: Of the requests it is for.
        path: Regular expression that their paths contain.
        status: What is answered; -1 hangs up.
        times: How often.
        headers: Sent along.
        after: Bytes of the body to read before hanging up.
    """

    method: str
    path: str
    status: int
    times: int = 1
    headers: dict[str, str] = field(default_factory=dict)
    after: int | None = None


@dataclass
class Written:
    """A repository that was pushed to.

    Attributes:
        private: Whether it is seen with a token only.
        branches: Branch → commit.
        commits: Commit → path → sha256 of the content.
        messages: Commit → message.
    """

    private: bool
    branches: dict[str, str] = field(default_factory=dict)
    commits: dict[str, dict[str, str]] = field(default_factory=dict)
    messages: dict[str, str] = field(default_factory=dict)


@dataclass
class Hub:
    """Repositories by id (`datasets/ID` for data sets), each a folder by
    revision; discussions by id.

    Attributes:
        asked: Paths that were asked for, in order.
        requests: Method and path of every request.
        failing: Answer everything but the front page with this status; -1 hangs up.
        faults: Answers to give instead of the right ones.
        users: Token → user. Without any, nobody is asked for a token.
        readers: Tokens that may not write.
        written: Repositories that were pushed to.
        store: Folder of the contents pushed, by sha256.
        received: Body bytes of each upload of a large file, by path.
        names: Names to give files in listings, for what no folder can hold.
        sizes: Sizes to give files in listings.
        altered: Files whose content is served with another last byte.
        part_size: Larger files are uploaded in parts of so many bytes.
    """

    repositories: dict[str, dict[str, Path]] = field(default_factory=dict)
    discussions: dict[str, list[dict[str, object]]] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    requests: list[tuple[str, str]] = field(default_factory=list)
    failing: int = 0
    faults: list[Fault] = field(default_factory=list)
    users: dict[str, str] = field(default_factory=dict)
    readers: set[str] = field(default_factory=set)
    written: dict[str, Written] = field(default_factory=dict)
    store: Path = Path()
    received: list[tuple[str, int]] = field(default_factory=list)
    names: dict[str, str] = field(default_factory=dict)
    sizes: dict[str, int] = field(default_factory=dict)
    altered: set[str] = field(default_factory=set)
    part_size: int = 1 << 30
    url: str = ""


@dataclass(frozen=True)
class Request:
    """What a client asks."""

    method: str
    path: str
    token: str
    body: bytes = b""


Answer = tuple[int, dict[str, str], bytes]


def commit_of(repository: str, revision: str) -> str:
    return hashlib.sha1(f"{repository}@{revision}".encode()).hexdigest()


@contextmanager
def serving() -> Iterator[Hub]:
    """Run a Hub while the block lasts."""
    hub = Hub()
    lock = threading.Lock()

    class Handler(_Handler):
        served = hub
        alone = lock

    with tempfile.TemporaryDirectory(prefix="hub-") as store:
        hub.store = Path(store)
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


def point_at(hub: Hub, monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    """Let huggingface_hub, which read its settings when it was imported, talk to a stand-in."""
    monkeypatch.setattr(constants, "ENDPOINT", hub.url)
    monkeypatch.setattr(hf_api.api, "endpoint", hub.url)
    template = hub.url + "/{repo_id}/resolve/{revision}/{filename}"
    monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", template)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(folder / "cache"))
    monkeypatch.setattr(constants, "HF_TOKEN_PATH", str(folder / "token"))
    monkeypatch.setattr(constants, "HF_STORED_TOKENS_PATH", str(folder / "stored_tokens"))


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    served: Hub
    alone: threading.Lock

    def log_message(self, format: str, *arguments: object) -> None:
        pass

    def do_HEAD(self) -> None:
        self._answer(with_body=False)

    def do_GET(self) -> None:
        self._answer(with_body=True)

    do_POST = do_PUT = do_GET  # noqa: N815

    def _answer(self, *, with_body: bool) -> None:
        hub, path = self.served, unquote(urlsplit(self.path).path)
        with self.alone:
            hub.requests.append((self.command, path))
            fault = self._fault(path)
        if fault is not None and fault.after is not None:
            self.rfile.read(fault.after)
        if fault is not None and fault.status < 0:
            self.close_connection = True
            return
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        if fault is not None:
            self._send(fault.status, fault.headers, b"{}", with_body=with_body)
            return
        token = (self.headers.get("Authorization") or "").removeprefix("Bearer ")
        with self.alone:
            answered = respond(hub, Request(self.command, path, token, body))
        if answered[0] < 0:
            self.close_connection = True
            return
        self._send(*answered, with_body=with_body)

    def _fault(self, path: str) -> Fault | None:
        for fault in self.served.faults:
            if fault.times and fault.method == self.command and re.search(fault.path, path):
                fault.times -= 1
                return fault
        return None

    def _send(self, status: int, headers: dict[str, str], body: bytes, *, with_body: bool) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if with_body:
            self.wfile.write(body)


def respond(hub: Hub, request: Request) -> Answer:
    """Answer one request."""
    from tests.hub_writes import write

    if request.method in ("POST", "PUT"):
        return (hub.failing, {}, b"") if hub.failing else write(hub, request)
    return answer(hub, request.path, request.token)


def answer(hub: Hub, path: str, token: str = "") -> Answer:
    """Answer a request that only reads."""
    hub.asked.append(path)
    if path == "/":
        return 200, {}, b"hub"
    if hub.failing:
        return hub.failing, {}, b""
    if path == "/api/whoami-v2":
        if token not in hub.users:
            return 401, {"X-Error-Message": "Invalid credentials in Authorization header"}, b"{}"
        access = {"accessToken": {"displayName": "mine", "role": "write"}}
        return as_json({"name": hub.users[token], "type": "user", "auth": access, "orgs": []})
    if path.startswith("/api/models/"):
        return _about(hub, path.removeprefix("/api/models/"), token)
    if path.startswith("/api/datasets/"):
        return _about(hub, path.removeprefix("/api/datasets/"), token, kind=DATASETS)
    kind = DATASETS if path.startswith(f"/{DATASETS}") else ""
    name, _, rest = split_name(path.removeprefix(f"/{kind}"))
    name = kind + name
    if not rest.startswith("resolve/"):
        return 404, {}, b""
    if not visible(hub, name, token):
        return 401, {"X-Error-Code": "RepoNotFound"}, b""
    files, commit, file_name = _resolved(hub, name, rest.removeprefix("resolve/"))
    if file_name not in files:
        return 404, {"X-Error-Code": "EntryNotFound", "X-Repo-Commit": commit}, b""
    content = files[file_name].read_bytes()
    if file_name in hub.altered:
        content = content[:-1] + bytes([content[-1] ^ 1])
    etag = f'"{hashlib.sha256(content).hexdigest()}"'
    return 200, {"X-Repo-Commit": commit, "ETag": etag}, content


def _about(hub: Hub, path: str, token: str, kind: str = "") -> Answer:
    """Answer what the API says about a repository."""
    name, _, rest = split_name(path)
    name = kind + name
    if not visible(hub, name, token):
        return 404, {"X-Error-Code": "RepoNotFound"}, b"{}"
    if rest == "discussions":
        found = hub.discussions.get(name, [])
        return as_json({"discussions": found, "count": len(found), "start": 0})
    kind, _, revision = rest.partition("/")
    files, commit = find(hub, name, revision or "main")
    if not commit and kind == "tree" and _resolved(hub, name, revision)[1]:
        return 404, {"X-Error-Code": "EntryNotFound"}, b"{}"  # a folder that is not there
    if not commit:
        return 404, {"X-Error-Code": "RevisionNotFound"}, b"{}"
    if kind == "tree":
        return as_json([entry(hub, path, file) for path, file in sorted(files.items())])
    siblings = [sibling(entry(hub, path, file)) for path, file in sorted(files.items())]
    private = name in hub.written and hub.written[name].private
    record = {"id": name, "modelId": name, "sha": commit, "private": private}
    return as_json({**record, "siblings": siblings})


def _resolved(hub: Hub, name: str, rest: str) -> tuple[dict[str, Path], str, str]:
    """Return files, commit and file name of what follows `resolve/`."""
    parts = rest.split("/")
    for count in range(1, len(parts)):  # revisions such as refs/pr/3 have slashes
        files, commit = find(hub, name, "/".join(parts[:count]))
        if commit:
            return files, commit, "/".join(parts[count:])
    return {}, "", rest


def visible(hub: Hub, name: str, token: str) -> bool:
    """Whether a repository is there for who has this token."""
    if name in hub.written:
        return not hub.written[name].private or token in hub.users
    return name in hub.repositories


def entry(hub: Hub, path: str, file: Path) -> dict[str, object]:
    """Return what a listing says about a file."""
    content = file.read_bytes()
    named = {"type": "file", "path": hub.names.get(path, path)}
    size = hub.sizes.get(path, len(content))
    if path.endswith(LARGE):
        digest = hashlib.sha256(content).hexdigest()
        large = {"oid": digest, "size": size, "pointerSize": 134}
        return {**named, "size": size, "oid": hashlib.sha1(content).hexdigest(), "lfs": large}
    return {**named, "size": size, "oid": blob_id(content)}


def sibling(listed: dict[str, object]) -> dict[str, object]:
    """Return a listing's entry as `model_info` has it."""
    found = {"rfilename": listed["path"], "size": listed["size"], "blobId": listed["oid"]}
    large = listed.get("lfs")
    if isinstance(large, dict):
        found["lfs"] = {"sha256": large["oid"], "size": large["size"], "pointerSize": 134}
    return found


def blob_id(content: bytes) -> str:
    """Return git's name of a content."""
    return hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()


def split_name(path: str) -> tuple[str, str, str]:
    """Return the repository's id, a slash, and the rest; ids of old models have no owner."""
    owner, slash, rest = path.partition("/")
    name, slash_behind, behind = rest.partition("/")
    if name in ("", "resolve", "revision", "tree", "discussions"):
        return owner, slash, rest
    return f"{owner}/{name}", slash_behind, behind


def find(hub: Hub, name: str, revision: str) -> tuple[dict[str, Path], str]:
    """Return the files and the commit of a revision; no commit if there is no such revision."""
    if name in hub.written:
        repository = hub.written[name]
        commit = repository.branches.get(revision, revision)
        if commit not in repository.commits:
            return {}, ""
        return {p: hub.store / h for p, h in repository.commits[commit].items()}, commit
    for known, folder in hub.repositories.get(name, {}).items():
        commit = commit_of(name, known)
        if revision in (known, commit):
            return files_of(folder), commit
    return {}, ""


def files_of(folder: Path) -> dict[str, Path]:
    """Return path within the folder → file."""
    found = (file for file in folder.rglob("*") if file.is_file())
    return {file.relative_to(folder).as_posix(): file for file in found}


def as_json(value: object) -> Answer:
    return 200, {"Content-Type": "application/json"}, json.dumps(value).encode()
