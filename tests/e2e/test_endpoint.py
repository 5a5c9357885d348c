"""`capgen caption --endpoint`: whole processes against a scripted server."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from tests.chat_server import (
    ChatServer,
    Reply,
    caption_of,
    chatting,
    garbage,
    gigabyte,
    half,
    nothing,
    says,
)
from tests.commands import ROOT, capgen, start
from tests.e2e.test_batch import problems

KEY = "sk-never-written-anywhere"


@pytest.fixture(autouse=True)
def workplace(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path_factory.mktemp("workplace"))
    monkeypatch.setenv("CAPGEN_ENDPOINT_KEY", KEY)


@pytest.fixture
def server() -> Iterator[ChatServer]:
    with chatting() as state:
        yield state


def make(folder: Path, count: int) -> list[str]:
    """Write different images, and return their captions."""
    folder.mkdir()
    captions = []
    for number in range(count):
        path = folder / f"{number:03}.png"
        Image.new("RGB", (64, 48), (number % 256, number // 256, 7)).save(path)
        captions.append(caption_of(path.read_bytes()))
    return captions


def until(condition: Callable[[], bool], process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + 60
    while not condition() and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.005)


def records(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()]


def test_records_fit_the_schema(server: ChatServer, tmp_path: Path) -> None:
    schema = json.loads((ROOT / "docs" / "record.schema.json").read_text(encoding="utf-8"))
    captions = make(tmp_path / "in", 3)
    for log_probabilities in (True, False):
        server.log_probabilities = log_probabilities
        output = tmp_path / f"{log_probabilities}.jsonl"
        code, _, _ = capgen("caption", tmp_path / "in", "--endpoint", server.url, "-o", output)
        assert code == 0
        for record in records(output):
            assert problems(record, schema, schema) == []
            assert ("score" in record) == log_probabilities
        assert [record["caption"] for record in records(output)] == captions


@pytest.mark.parametrize("suffix", ["csv", "html", "txt", "json", "parquet"])
def test_every_format_without_log_probabilities(
    server: ChatServer, tmp_path: Path, suffix: str
) -> None:
    if suffix == "parquet":
        pytest.importorskip("pyarrow")
    server.log_probabilities = False
    captions = make(tmp_path / "in", 2)
    output = tmp_path / f"out.{suffix}"
    code, _, err = capgen("caption", tmp_path / "in", "--endpoint", server.url, "-o", output)
    assert code == 0, err
    assert captions[0].encode() in output.read_bytes()
    code, out, _ = capgen("caption", tmp_path / "in" / "000.png", "--scores", "-m", server.url)
    assert (code, out) == (0, f"{captions[0]}\t-\t-\n")


def test_killed_again_and_again(server: ChatServer, tmp_path: Path) -> None:
    captions = make(tmp_path / "in", 180)
    output = tmp_path / "out.jsonl"
    journal = tmp_path / "out.jsonl.journal"
    chance = random.Random(18)
    faults: list[Reply] = [says(429, Retry_After="0"), says(500), garbage, half, nothing]

    def refuses(content: dict[str, Any]) -> Reply | None:
        time.sleep(chance.uniform(0.0, 0.1))
        return chance.choice(faults) if chance.random() < 0.1 else None

    server.refuses = refuses
    command = ("caption", tmp_path / "in", "--endpoint", server.url, "-o", output, "-q")
    kept = killed = 0
    while killed < 12:
        process = start(*command)
        wanted = kept + chance.randrange(1, 5)
        until(lambda: journal.exists() and journal.read_bytes().count(b"\n") >= wanted, process)  # noqa: B023
        process.send_signal(signal.SIGKILL)
        process.communicate()
        assert process.returncode == -signal.SIGKILL
        kept_now = journal.read_bytes().count(b"\n")
        assert kept_now >= kept
        kept, killed = kept_now, killed + 1
    code, _, err = capgen(*command)
    assert code == 0, err
    assert [record["caption"] for record in records(output)] == captions
    assert not journal.exists()
    # What was in flight at a kill is asked for again, and nothing else is.
    assert server.answered.total() <= len(captions) + killed * 8


def test_faults_of_single_images(server: ChatServer, tmp_path: Path) -> None:
    captions = make(tmp_path / "in", 5)
    server.script = [gigabyte, says(400, "bad picture")]
    output = tmp_path / "out.jsonl"
    command = ("caption", tmp_path / "in", "--endpoint", server.url, "-o", output)
    code, _, err = capgen(*command, "--concurrency", "1")
    assert code == 1
    done = records(output)
    # Requests come in any order, and records in that of the images.
    failed = [number for number, record in enumerate(done) if record["caption"] is None]
    assert [done[number]["error"]["code"] for number in failed] == ["endpoint", "endpoint"]
    kept = [number for number in range(5) if number not in failed]
    assert [done[number]["caption"] for number in kept] == [captions[number] for number in kept]
    assert "too large" in err
    assert capgen(*command, "--retry-failed")[0] == 0
    assert [record["caption"] for record in records(output)] == captions
    assert set(server.answered.values()) == {1}


@pytest.mark.parametrize("target", ["one", "many"])
def test_ctrl_c_ends_within_a_second(server: ChatServer, tmp_path: Path, target: str) -> None:
    import threading

    make(tmp_path / "in", 20)
    server.held = threading.Event()  # the server does not answer
    images = tmp_path / "in" / "000.png" if target == "one" else tmp_path / "in"
    process = start("caption", images, "--endpoint", server.url)
    assert server.arrived.wait(60)
    if target == "many":
        until(lambda: server.busy[0] == 8, process)
    began = time.monotonic()
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=30)
    assert time.monotonic() - began < 1.0
    assert process.returncode == 130
    assert b"Traceback" not in err


def test_ctrl_c_while_the_server_asks_to_wait(server: ChatServer, tmp_path: Path) -> None:
    make(tmp_path / "in", 20)
    server.refuses = lambda content: says(429, Retry_After="500")
    process = start("caption", tmp_path / "in", "--endpoint", server.url)
    assert server.arrived.wait(60)
    until(lambda: server.busy[0] == 0, process)
    began = time.monotonic()
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=30)
    assert time.monotonic() - began < 1.0
    assert process.returncode == 130


def test_the_key_is_in_no_file_and_no_message(server: ChatServer, tmp_path: Path) -> None:
    make(tmp_path / "in", 3)
    home = Path(os.environ["CAPGEN_HOME"]) if "CAPGEN_HOME" in os.environ else tmp_path
    secret = server.url.replace("http://", "http://user:hunter2@")
    said = ""
    server.script = [says(500, "wrong"), says(400, "bad")]
    for suffix in ("jsonl", "csv", "html"):
        output = tmp_path / f"out.{suffix}"
        command = ("caption", tmp_path / "in", "--endpoint", secret, "-o", output)
        said += "".join(
            capgen("--log-level", "debug", "--log-file", tmp_path / "log.txt", *command)[1:]
        )
    server.refuses = lambda content: says(401, "wrong key")
    said += "".join(capgen("caption", tmp_path / "in" / "000.png", "--endpoint", secret)[1:])
    assert all(seen["Authorization"] == f"Bearer {KEY}" for seen in server.headers)
    places = {tmp_path, home, Path.cwd()}
    written = [path for place in places for path in place.rglob("*") if path.is_file()]
    assert len(written) > 3
    for text in (said.encode(), *(path.read_bytes() for path in written)):
        assert KEY.encode() not in text
        assert b"hunter2" not in text


def test_a_dry_run_counts_and_sends_nothing(server: ChatServer, tmp_path: Path) -> None:
    make(tmp_path / "in", 4)
    (tmp_path / "in" / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\nbroken")
    command = ("caption", tmp_path / "in", "--model", "tiny", "--endpoint", server.url)
    code, out, err = capgen(*command, "--dry-run", "--json")
    counted = json.loads(out)
    assert code == 1
    assert counted["images"] == 4
    assert counted["unreadable"] == 1
    assert "broken.png" in err
    assert "broken.png" not in capgen(*command, "--dry-run", "-q")[2]
    assert counted["endpoint"] == server.url
    assert not server.headers
    capgen(*command, "-q")
    sent = [len(json.dumps(content).encode()) for content in server.requests]
    assert counted["bytes"] == sum(sent)


def test_a_dry_run_leaves_out_what_is_done(server: ChatServer, tmp_path: Path) -> None:
    make(tmp_path / "in", 4)
    output = tmp_path / "out.jsonl"
    command = ("caption", tmp_path / "in", "-m", "tiny", "--endpoint", server.url, "-o", output)
    assert capgen(*command)[0] == 0
    Image.new("RGB", (64, 48), "red").save(tmp_path / "in" / "new.png")
    code, out, err = capgen(*command, "--dry-run")
    assert code == 0
    assert out.startswith(f"1 image would be sent to {server.url}")
    assert "4 are done already" in err
    assert len(server.requests) == 4


def test_images_do_not_leave_the_network_without_a_yes(tmp_path: Path) -> None:
    make(tmp_path / "in", 1)
    # An address of the block for benchmarks would not be public; this one is nobody's server.
    command = ("caption", tmp_path / "in", "--endpoint", "https://192.0.43.1:9/v1")
    code, out, err = capgen(*command)
    assert (code, out) == (2, "")
    assert "outside your network" in err
    assert "--yes" in err


@pytest.mark.parametrize(
    ("arguments", "hint"),
    [(("--explain", "looked.html"), "attention"), (("--debug",), "attention"), (("-b", "3"), "-")],
)
def test_what_a_server_cannot_do_is_said(
    server: ChatServer, tmp_path: Path, arguments: tuple[str, ...], hint: str
) -> None:
    make(tmp_path / "in", 1)
    code, out, err = capgen(
        "caption", tmp_path / "in" / "000.png", "--endpoint", server.url, *arguments
    )
    assert code in (1, 2)
    assert out == ""
    assert hint in err
    assert not server.requests


def test_a_caption_of_several_lines_is_one_line_of_many(server: ChatServer, tmp_path: Path) -> None:
    captions = make(tmp_path / "in", 2)
    server.prefix = "one\ntwo \x1b[31m"
    _, out, _ = capgen("caption", tmp_path / "in", "--endpoint", server.url)
    assert [line.split("\t")[1] for line in out.splitlines()] == [
        rf"one\ntwo [31m{caption}" for caption in captions
    ]
    _, out, _ = capgen("caption", tmp_path / "in" / "000.png", "--endpoint", server.url)
    assert out == f"one\ntwo [31m{captions[0]}\n"
