"""`capgen review` as a process: folders, signals, kills, many records."""

from __future__ import annotations

import json
import random
import re
import signal
import subprocess
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path

import httpx
import pytest

from capgen.cli.main import main
from capgen.records import Caption, Concept, Token
from capgen.reviews.journal import reviews_path
from capgen.reviews.reviewed_records import read_reviewed
from tests.fakes import draw_image, write_records
from tests.review_servers import Process, change, decide
from tests.unit.reviews.made import caption

LEFT = re.compile(r"(\d+) of (\d+) images reviewed: (.*); (\d+) left")


def folder_of(tmp_path: Path, count: int) -> Path:
    folder = tmp_path / "holiday"
    folder.mkdir()
    for number in range(count):
        draw_image(number, (160, 120)).save(folder / f"{number}.jpg")
    return folder


def test_a_folder_is_captioned_once_and_reviewed(tmp_path: Path) -> None:
    folder = folder_of(tmp_path, 3)
    (folder / "broken.jpg").write_bytes(b"\xff\xd8\xff\xe0nothing")
    first = Process("holiday", "--by", "ann", folder=tmp_path)
    client = first.client()
    assert "3 captions written to holiday-captions.jsonl" in first.said
    rows = {row["path"]: row for row in client.get("/api/items").json()["items"]}
    assert len(rows) == 4
    assert all(row["confidence"] is not None for row in rows.values() if not row["error"])
    broken = rows[str(Path("holiday/broken.jpg"))]
    typed = change(broken["id"], verdict="edited", caption="a broken photo")
    kept = rows[str(Path("holiday/0.jpg"))]
    assert decide(client, typed, change(kept["id"])).status_code == 200
    code, said = first.end()
    assert code == 0
    found = LEFT.search(said)
    assert found is not None and found.groups() == (
        "2",
        "4",
        "1 accepted, 1 edited, 0 rejected",
        "2",
    )
    assert "capgen apply holiday-captions.jsonl --sidecar .txt" in said
    assert "confidence of those left" in said

    draw_image(9, (160, 120)).save(folder / "9.jpg")
    again = Process("holiday", folder=tmp_path)
    rows = {row["path"]: row for row in again.client().get("/api/items").json()["items"]}
    assert "from an earlier run" in again.said
    assert "3 of them" in again.said or "4 records" in again.said
    verdicts = [
        rows[str(Path("holiday") / name)]["verdict"] for name in ("0.jpg", "broken.jpg", "9.jpg")
    ]
    assert verdicts == ["accepted", "edited", None]
    assert again.end(signal.SIGTERM)[0] == 0
    texts = {record.path: record for record in read_reviewed(tmp_path / "holiday-captions.jsonl")}
    edited = texts[str(Path("holiday/broken.jpg"))]
    assert isinstance(edited, Caption) and edited.text == "a broken photo"


def test_records_may_have_been_moved_with_their_images(tmp_path: Path) -> None:
    moved = tmp_path / "moved"
    moved.mkdir()
    draw_image(0, (160, 120)).save(moved / "0.jpg")
    write_records(moved / "captions.jsonl", [caption(0), caption(1)])
    process = Process("moved/captions.jsonl", folder=tmp_path)
    client = process.client()
    assert client.get("/thumb/0").status_code == 200
    assert "1 of 2 images are missing: 1.jpg" in process.said
    assert process.end()[0] == 0
    assert not reviews_path(moved / "captions.jsonl").exists()  # nothing was decided


def test_a_second_review_of_a_file_is_refused(tmp_path: Path) -> None:
    write_records(tmp_path / "captions.jsonl", [caption(0)])
    first = Process("captions.jsonl", folder=tmp_path)
    client = first.client()
    code, said = Process("captions.jsonl", folder=tmp_path).end(0)
    assert code == 1
    assert "Another process is writing captions.jsonl.reviews" in said
    assert "Close the other review first" in said
    assert decide(client, change(0)).status_code == 200
    assert first.end()[0] == 0


def test_the_token_is_in_no_log(tmp_path: Path) -> None:
    write_records(tmp_path / "captions.jsonl", [caption(0)])
    log = tmp_path / "log.txt"
    process = Process("captions.jsonl", "--log-level", "debug", "--log-file", log, folder=tmp_path)
    client = process.client()
    client.get("/api/items")
    token = re.search(r"token=(\S+)", process.said)
    code, said = process.end()
    assert code == 0 and token is not None
    assert said.count(token[1]) == 1  # the address for the user
    assert token[1] not in log.read_text()


class Deciders:
    """Three windows that decide about images until the server is gone."""

    def __init__(self, client: httpx.Client, life: int, enough: int) -> None:
        self._client = client
        self._life = life
        self._enough = enough
        self._lock = threading.Lock()
        rows = client.get("/api/items").json()["items"]
        self._waiting = [row for row in rows if row["verdict"] is None]
        self.rows = rows
        self.answered: dict[int, str] = {}
        self.sent: set[str] = set()
        self.has_enough = threading.Event()
        self._threads = [threading.Thread(target=self._work, args=(name,)) for name in "abc"]
        for thread in self._threads:
            thread.start()

    def join(self) -> None:
        for thread in self._threads:
            thread.join(60)

    def _work(self, window: str) -> None:
        with httpx.Client(base_url=self._client.base_url, cookies=self._client.cookies) as client:
            while True:
                with self._lock:
                    row = self._waiting.pop()
                    text = f"life {self._life} image {row['id']}"
                    self.sent.add(text)
                asked = change(row["id"], row["version"], "edited", caption=text)
                try:
                    answer = decide(client, asked, window=window)
                except httpx.TransportError:
                    return
                assert answer.json()["items"][0]["caption"] == text
                with self._lock:
                    self.answered[row["id"]] = text
                    if len(self.answered) >= self._enough:
                        self.has_enough.set()


def test_a_server_that_is_killed_loses_nothing_that_it_answered(tmp_path: Path) -> None:
    """Ten kills while three windows decide: what was answered is in the file, and once."""
    write_records(tmp_path / "captions.jsonl", [caption(number) for number in range(1000)])
    chance = random.Random(20)
    answered: dict[int, str] = {}
    sent: set[str] = set()
    for life in range(10):
        process = Process("captions.jsonl", folder=tmp_path)
        deciders = Deciders(process.client(), life, enough=chance.randrange(3, 40))
        for number, text in answered.items():
            assert deciders.rows[number]["caption"] == text
        assert deciders.has_enough.wait(60)
        process.process.kill()
        process.process.communicate()
        deciders.join()
        answered |= deciders.answered
        sent |= deciders.sent
    lines = reviews_path(tmp_path / "captions.jsonl").read_bytes().split(b"\n")
    saved = [json.loads(line)["caption"] for line in lines[:-1]]
    assert len(saved) == len(set(saved))
    assert set(answered.values()) <= set(saved) <= sent
    texts = [record.text for record in read_reviewed(tmp_path / "captions.jsonl")]  # type: ignore
    assert all(texts[number] == text for number, text in answered.items())


@pytest.mark.slow
def test_twenty_thousand_records(tmp_path: Path) -> None:
    """Loose bounds: what they guard against is work that grows with the square of the records."""
    tokens = tuple(Token(id=place, text=" word", log_probability=-0.5) for place in range(10))
    concepts = tuple(Concept(name, 0.5) for name in ("dog", "grass", "street", "sky", "man"))
    full = replace(caption(0), tokens=tokens, concepts=concepts, settings={"beams": 3})
    records = (
        replace(full, path=f"{n}.jpg", sha256=f"{n:064x}", text=f"a dog on street {n % 500}")
        for n in range(20_000)
    )
    write_records(tmp_path / "captions.jsonl", records)
    started = time.monotonic()
    process = Process("captions.jsonl", folder=tmp_path)
    client = process.client()
    assert time.monotonic() - started < 20
    paths = ("/api/items", "/api/item/19999", "/api/gain", "/api/like/7", "/api/agreement")
    for path in paths:
        started = time.monotonic()
        assert client.get(path).status_code == 200
        assert time.monotonic() - started < 10, path
    started = time.monotonic()
    changes = [change(number, verdict="rejected") for number in range(20_000)]
    assert decide(client, *changes).status_code == 200
    assert client.post("/api/undo", json={"window": "one"}).status_code == 200
    assert time.monotonic() - started < 30
    if sys.platform == "linux":
        status = Path(f"/proc/{process.process.pid}/status").read_text()
        used = re.search(r"VmRSS:\s+(\d+) kB", status)
        assert used is not None and int(used[1]) < 350_000
    assert process.end()[0] == 0


def test_mistakes_are_told_before_any_work(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    write_records(tmp_path / "captions.jsonl", [caption(0)])
    (tmp_path / "empty").mkdir()
    folder_of(tmp_path, 1)
    (tmp_path / "notes.jsonl").write_text("{}\n")
    for arguments, code, message in (
        (("nothing.jsonl",), 1, "Cannot read nothing.jsonl"),
        (("captions.jsonl", "-o", "x.jsonl"), 2, "-o is for the captions of a folder"),
        (("captions.jsonl", "--port", "70000"), 2, "--port is 70000"),
        (("captions.jsonl", "--by", "a\nb"), 2, "--by"),
        (("empty",), 1, "no images in this folder"),
        (("holiday", "-o", "x.csv"), 2, "records are .jsonl or .json"),
        (("holiday", "-o", "holiday/0.jpg"), 2, "is not one of"),
    ):
        assert main(["review", *arguments, "--no-open"]) == code
        shown = capsys.readouterr()
        assert message in shown.err, arguments
        assert shown.out == ""
    assert not list(tmp_path.glob("*.reviews"))


def test_help_loads_no_server() -> None:
    code = "import sys; from capgen.cli.main import main; main(['--help']); print(*sys.modules)"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    heavy = {"starlette", "uvicorn", "anyio", "numpy", "PIL"}
    assert not {name.split(".")[0] for name in found.stdout.split()} & heavy
