from __future__ import annotations

import hashlib
import json
import random
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from capgen.data.download.transfer import (
    StoppedError,
    TransferOptions,
    Watcher,
    arrived,
    part_of,
    state_of,
    transfer,
)
from capgen.errors import NetworkError, StorageError, UsageError
from tests.server import Served, serving

CONTENT = random.Random(1).randbytes(3_000_000)
QUICK = TransferOptions(attempts=4, timeout=0.4, first_wait=0.01, longest_wait=0.05)


@pytest.fixture
def server() -> Iterator[Served]:
    with serving(Served(files={"file.zip": CONTENT})) as served:
        yield served


class Watched:
    """Records what a transfer tells."""

    def __init__(self) -> None:
        self.progress: list[tuple[int, int | None]] = []
        self.notices: list[str] = []
        self.stop = threading.Event()
        self.watcher = Watcher(
            progress=lambda done, total: self.progress.append((done, total)),
            notice=self.notices.append,
            stop=self.stop,
        )


def fetch(server: Served, path: Path, name: str = "file.zip") -> Watched:
    watched = Watched()
    part = transfer(f"{server.address}/{name}", path, watched.watcher, QUICK)
    assert part == part_of(path)
    assert hashlib.sha256(part.read_bytes()).digest() == hashlib.sha256(CONTENT).digest()
    return watched


def test_whole_file(server: Served, tmp_path: Path):
    watched = fetch(server, tmp_path / "new" / "file.zip")
    assert watched.progress[-1] == (len(CONTENT), len(CONTENT))
    assert watched.notices == []


def test_broken_connections_resume_where_they_broke(server: Served, tmp_path: Path):
    server.cut = [1_000_000, 500_000, 7]
    watched = fetch(server, tmp_path / "file.zip")
    assert server.gets("file.zip") == [None, "bytes=1000000-", "bytes=1500000-", "bytes=1500007-"]
    assert server.sent["file.zip"] == len(CONTENT)  # not a byte twice
    assert "ended after 1000000 of 3000000 bytes" in watched.notices[0]


def test_a_part_left_by_another_run_is_continued(server: Served, tmp_path: Path):
    path = tmp_path / "file.zip"
    watched = Watched()
    watched.stop.set()
    with pytest.raises(StoppedError):
        transfer(f"{server.address}/file.zip", path, watched.watcher, QUICK)
    part_of(path).write_bytes(CONTENT[:123_456])
    fetch(server, path)
    assert server.gets("file.zip")[-1] == "bytes=123456-"
    before = len(server.requests)
    fetch(server, path)
    assert len(server.requests) == before  # complete: nothing to ask for


def test_a_file_that_changed_on_the_server_is_fetched_anew(server: Served, tmp_path: Path):
    path = tmp_path / "file.zip"
    server.files["file.zip"] = b"other" * 100_000
    server.cut = [300_000] * QUICK.attempts
    with pytest.raises(NetworkError):
        transfer(f"{server.address}/file.zip", path, Watched().watcher, _impatient())
    assert arrived(path) == 300_000
    server.cut = []
    server.files["file.zip"] = CONTENT
    watched = fetch(server, path)
    assert any("sends the whole file again" in notice for notice in watched.notices)


def _impatient() -> TransferOptions:
    return TransferOptions(attempts=1, timeout=0.4)


def test_a_change_is_seen_without_if_range(server: Served, tmp_path: Path):
    # A server that ignores If-Range answers 206 although the file is another one.
    path = tmp_path / "file.zip"
    part_of(path).write_bytes(b"old" * 1000)
    state = {"url": f"{server.address}/file.zip", "validator": "", "total": 5_000_000}
    state_of(path).write_text(json.dumps(state))
    watched = fetch(server, path)
    assert any("has changed on the server" in notice for notice in watched.notices)


def test_a_part_longer_than_the_file_is_thrown_away(server: Served, tmp_path: Path):
    path = tmp_path / "file.zip"
    part_of(path).write_bytes(b"x" * 4_000_000)
    state = f'{{"url": "{server.address}/file.zip", "validator": "", "total": null}}'
    state_of(path).write_text(state)
    watched = fetch(server, path)  # the server says 416
    assert any("starting again" in notice for notice in watched.notices)


def test_server_that_ignores_range(server: Served, tmp_path: Path):
    server.ranges = False
    server.cut = [1_000_000]
    watched = fetch(server, tmp_path / "file.zip")
    assert server.gets("file.zip") == [None, "bytes=1000000-"]
    assert any("sends the whole file again" in notice for notice in watched.notices)


def test_server_that_ignores_range_and_always_breaks_off_is_given_up(
    server: Served, tmp_path: Path
):
    server.ranges = False
    server.cut = [1_000_000] * 50
    with pytest.raises(NetworkError, match=r"ended after 1000000 of 3000000 bytes; gave up"):
        fetch(server, tmp_path / "file.zip")
    assert len(server.gets("file.zip")) == QUICK.attempts


def test_stalled_socket(server: Served, tmp_path: Path):
    server.stall = [200_000]
    watched = fetch(server, tmp_path / "file.zip")
    assert server.gets("file.zip") == [None, "bytes=200000-"]
    assert "the server stopped sending" in watched.notices[0]


def test_503_then_success_and_retry_after(server: Served, tmp_path: Path):
    server.failures["file.zip"] = [503, 500, 429]
    watched = fetch(server, tmp_path / "file.zip")
    assert len(watched.notices) == 3
    assert "503" in watched.notices[0]


def test_503_for_ever(server: Served, tmp_path: Path):
    server.failures["file.zip"] = [503] * 50
    with pytest.raises(NetworkError, match=r"503 Service Unavailable; gave up after 4 tries"):
        fetch(server, tmp_path / "file.zip")


def test_404_is_not_retried(server: Served, tmp_path: Path):
    with pytest.raises(NetworkError, match="404 Not Found") as caught:
        fetch(server, tmp_path / "x.zip", "absent.zip")
    assert "--mirror" in caught.value.hint
    assert len(server.requests) == 1
    assert list(tmp_path.glob("*.zip*")) == []


def test_without_etag_and_without_length(server: Served, tmp_path: Path):
    server.etags = server.announce = False
    watched = fetch(server, tmp_path / "file.zip")
    assert watched.progress[-1] == (len(CONTENT), None)


def test_redirects_are_followed(server: Served, tmp_path: Path):
    server.redirects["old.zip"] = "file.zip"
    server.cut = [1_000_000]
    fetch(server, tmp_path / "old.zip", "old.zip")
    assert server.gets("file.zip") == [None, "bytes=1000000-"]


def test_no_server(tmp_path: Path):
    refused = r"cannot reach the server .*refused.*; gave up"
    with pytest.raises(NetworkError, match=refused) as caught:
        transfer("http://127.0.0.1:9/file.zip", tmp_path / "f", Watched().watcher, QUICK)
    assert "`capgen data import` takes their folder" in caught.value.hint
    with pytest.raises(NetworkError, match=r"cannot reach the server .*; gave up"):
        transfer("http://nowhere.invalid/file.zip", tmp_path / "f", Watched().watcher, QUICK)


@pytest.mark.parametrize("url", ["file:///etc/passwd", "ftp://127.0.0.1/x", "nonsense"])
def test_only_http(url: str, tmp_path: Path):
    with pytest.raises(UsageError, match="not an http or https address"):
        transfer(url, tmp_path / "f", Watched().watcher, QUICK)


@pytest.mark.parametrize(
    "url", ["http://[::1/x", "http://127.0.0.1:port/x", "http://:1/x", "http://127.0.0.1/a b"]
)
def test_only_valid_addresses(url: str, tmp_path: Path):
    with pytest.raises(UsageError, match="not a valid address"):
        transfer(url, tmp_path / "f", Watched().watcher, QUICK)


@pytest.mark.parametrize(
    "place",
    [
        "http://[::1",
        "http://127.0.0.1:port/",
        "http://a b/",
        f"http://{64 * 'a'}/",
        "file:///x",
        "x",
    ],
)
def test_redirects_that_lead_nowhere(place: str, server: Served, tmp_path: Path):
    server.redirects["x"] = place
    watched = Watched()
    with pytest.raises(NetworkError) as caught:
        transfer(f"{server.address}/x", tmp_path / "f", watched.watcher, QUICK)
    assert "\n" not in caught.value.message
    assert f"{server.address}/x: " in caught.value.message
    assert watched.notices == []  # asking again would not help


def test_folder_that_cannot_be_made(server: Served, tmp_path: Path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(StorageError, match="Cannot write"):
        fetch(server, tmp_path / "file" / "file.zip")


def test_token_does_not_follow_a_redirect(server: Served, tmp_path: Path):
    with serving(Served(redirects={"f": f"{server.address}/file.zip"})) as front:
        url = f"{front.address}/f"
        transfer(url, tmp_path / "f", Watched().watcher, QUICK, token="secret")
    assert front.tokens == ["Bearer secret"]
    assert server.tokens == [None]
