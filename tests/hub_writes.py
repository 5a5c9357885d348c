"""What the Hub's stand-in does with requests that write: create, upload, commit."""

from __future__ import annotations

import base64
import hashlib
import json
import math
from typing import Any

from tests.hub_stand_in import LARGE, Answer, Hub, Request, Written, as_json, blob_id, split_name

Record = dict[str, Any]


def write(hub: Hub, request: Request) -> Answer:
    """Answer a POST or PUT."""
    path = request.path
    if path.startswith("/lfs/"):  # an address of its own: no token goes there
        return _lfs(hub, request)
    if path == "/api/validate-yaml":
        return as_json({"errors": [], "warnings": []})
    if hub.users and request.token not in hub.users:
        return 401, {"X-Error-Message": "Invalid credentials in Authorization header"}, b"{}"
    if request.token in hub.readers:
        return 403, {"X-Error-Message": "You have a read token"}, b"{}"
    if path == "/api/repos/create":
        return _create(hub, request)
    if path.endswith(".git/info/lfs/objects/batch"):
        return _batch(hub, json.loads(request.body))
    name, _, rest = split_name(path.removeprefix("/api/models/"))
    if name not in hub.written:
        return 404, {"X-Error-Code": "RepoNotFound"}, b"{}"
    kind, _, revision = rest.partition("/")
    if kind == "branch":
        return _branch(hub.written[name], revision, request)
    if revision not in hub.written[name].branches:
        return 404, {"X-Error-Code": "RevisionNotFound"}, b"{}"
    if kind == "preupload":
        return _preupload(hub, name, revision, json.loads(request.body))
    if kind == "commit":
        return _commit(hub, name, revision, request)
    return 404, {}, b"{}"


def _create(hub: Hub, request: Request) -> Answer:
    asked = json.loads(request.body)
    user = hub.users.get(request.token, "somebody")
    owner = asked["organization"] or user
    name = f"{owner}/{asked['name']}"
    address = {"url": f"{hub.url}/{name}", "name": name}
    if hub.users and owner != user:
        return 403, {"X-Error-Message": f"You cannot write to {owner}"}, b"{}"
    if name in hub.written:
        return 409, {}, json.dumps({"error": "You already created it", **address}).encode()
    made = Written(private=asked.get("visibility") == "private" or asked.get("private") is True)
    _store_commit(hub, made, "main", {".gitattributes": _keep(hub, b"lfs\n")}, "initial commit")
    hub.written[name] = made
    return as_json(address)


def _branch(repository: Written, branch: str, request: Request) -> Answer:
    if branch in repository.branches:
        return 409, {}, b'{"error": "branch exists"}'
    start = json.loads(request.body or b"{}").get("startingPoint", "main")
    repository.branches[branch] = repository.branches[start]
    return as_json({})


def _preupload(hub: Hub, name: str, revision: str, asked: Record) -> Answer:
    repository = hub.written[name]
    there = repository.commits[repository.branches[revision]]
    files = []
    for file in asked["files"]:
        mode = "lfs" if file["path"].endswith(LARGE) else "regular"
        record: Record = {"path": file["path"], "uploadMode": mode, "shouldIgnore": False}
        if file["path"] in there:
            digest = there[file["path"]]
            content = (hub.store / digest).read_bytes()
            record["oid"] = digest if mode == "lfs" else blob_id(content)
        files.append(record)
    return as_json({"files": files})


def _batch(hub: Hub, asked: Record) -> Answer:
    return as_json({"transfer": "basic", "objects": [_actions(hub, o) for o in asked["objects"]]})


def _actions(hub: Hub, asked: Record) -> Record:
    digest, size = asked["oid"], asked["size"]
    if (hub.store / digest).is_file():
        return asked
    upload: Record = {"href": f"{hub.url}/lfs/{digest}"}
    if size > hub.part_size:
        parts = range(1, math.ceil(size / hub.part_size) + 1)
        urls = {f"{number:05}": f"{hub.url}/lfs/{digest}/{number}" for number in parts}
        upload = {
            "href": f"{hub.url}/lfs/{digest}/complete",
            "header": {"chunk_size": str(hub.part_size), **urls},
        }
    verify = {"href": f"{hub.url}/lfs/{digest}/verify"}
    return {**asked, "actions": {"upload": upload, "verify": verify}}


def _lfs(hub: Hub, request: Request) -> Answer:
    """Take a large file, whole or in parts, and check that it is what was announced."""
    digest, _, step = request.path.removeprefix("/lfs/").partition("/")
    place = hub.store / digest
    if step == "verify":
        asked = json.loads(request.body)
        good = place.is_file() and place.stat().st_size == asked["size"]
        return (200, {}, b"{}") if good else (404, {}, b"{}")
    if step == "complete":
        parts = json.loads(request.body)["parts"]
        names = [f"{digest}.{part['partNumber']}" for part in parts]
        content = b"".join((hub.store / name).read_bytes() for name in names)
        return _accept(hub, digest, content)
    hub.received.append((request.path, len(request.body)))
    if step:
        (hub.store / f"{digest}.{step}").write_bytes(request.body)
        return 200, {"ETag": f'"{hashlib.md5(request.body).hexdigest()}"'}, b""
    return _accept(hub, digest, request.body)


def _accept(hub: Hub, digest: str, content: bytes) -> Answer:
    if hashlib.sha256(content).hexdigest() != digest:
        return 400, {}, b"{}"
    _keep(hub, content)
    return 200, {}, b"{}"


def _commit(hub: Hub, name: str, revision: str, request: Request) -> Answer:
    repository = hub.written[name]
    head = repository.branches[revision]
    files = dict(repository.commits[head])
    message = ""
    for line in request.body.splitlines():
        operation = json.loads(line)
        key, value = operation["key"], operation["value"]
        if key == "header":
            message = value["summary"]
            if value.get("parentCommit", head) != head:
                return 412, {"X-Error-Message": "A commit has happened since"}, b"{}"
        elif key == "file":
            files[value["path"]] = _keep(hub, base64.b64decode(value["content"]))
        elif key == "lfsFile":
            if not (hub.store / value["oid"]).is_file():
                return 400, {"X-Error-Message": f"{value['path']} was not uploaded"}, b"{}"
            files[value["path"]] = value["oid"]
        elif key == "deletedFile":
            if files.pop(value["path"], None) is None:
                return 404, {"X-Error-Code": "EntryNotFound"}, b"{}"
        else:
            return 400, {}, b"{}"
    commit = _store_commit(hub, repository, revision, files, message)
    return as_json({"commitUrl": f"{hub.url}/{name}/commit/{commit}", "commitOid": commit})


def _store_commit(
    hub: Hub, repository: Written, branch: str, files: dict[str, str], message: str
) -> str:
    parents = sorted(repository.branches.values())
    commit = hashlib.sha1(json.dumps([files, message, parents]).encode()).hexdigest()
    repository.commits[commit] = files
    repository.messages[commit] = message
    repository.branches[branch] = commit
    return commit


def _keep(hub: Hub, content: bytes) -> str:
    digest = hashlib.sha256(content).hexdigest()
    (hub.store / digest).write_bytes(content)
    return digest
