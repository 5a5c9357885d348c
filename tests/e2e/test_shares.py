"""Shares on several machines: whole processes, killed and repeated, and `capgen merge`."""

from __future__ import annotations

import signal
import time
from pathlib import Path

import pytest

from capgen.cli.main import main
from tests import commands
from tests.minis import draw


@pytest.fixture(autouse=True)
def workplace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def capgen(*arguments: str) -> tuple[int, str]:
    code, out, err = commands.capgen(*arguments)
    assert out == ""
    return code, err


def caption(number: int) -> tuple[str, ...]:
    share = ("--shard", f"{number}/4", "--part-size", "4", "--batch-size", "2")
    return ("caption", "photos", "-o", "captions", *share)


def stop_at_a_part(number: int, signal_number: int) -> tuple[int, str]:
    """Start a share, and send a signal once its first part is there."""
    process = commands.start(*caption(number))
    deadline = time.monotonic() + 60
    while process.poll() is None and time.monotonic() < deadline:
        if list(Path("captions", "_parts").glob(f"{number:02}-of-04-00000-*")):
            break
        time.sleep(0.002)
    process.send_signal(signal_number)
    err = process.communicate(timeout=60)[1].decode()
    assert "Traceback" not in err
    return process.returncode, err


def test_shares_that_are_killed_and_repeated_are_one_run() -> None:
    photos = Path("photos")
    photos.mkdir()
    for number in range(60):
        draw(number, (120, 90)).save(photos / f"photo{number}.jpg")
    (photos / "bad.jpg").write_bytes(b"\xff\xd8 no photo")
    killed = stop_at_a_part(1, signal.SIGKILL)[0]
    code, said = stop_at_a_part(2, signal.SIGINT)
    assert killed == -signal.SIGKILL
    assert code == 130
    assert "what is done is kept: the same command goes on" in said
    code, said = capgen("merge", "captions")
    assert code == 1
    assert "shares 1/4, 2/4, 3/4, 4/4 are missing or not complete" in said
    for number in (3, 1, 4):
        code, said = capgen(*caption(number))
        assert code in (0, 1)
        assert f"share {number}/4 is complete; when all are" in said
        assert ("from an earlier run" in said) == (number == 1)
    code, said = capgen("merge", "captions", "-o", "all.jsonl")
    assert code == 1
    assert "share 2/4 is missing" in said
    assert not Path("all.jsonl").exists()
    codes = [capgen(*caption(number))[0] for number in (2, 2)]
    assert len(set(codes)) == 1
    code, said = capgen("merge", "captions", "-o", "all.jsonl", "-o", "all.csv")
    assert code == 0
    assert "61 records in" in said
    assert "of 4 shares; 1 failed: 1 not_an_image; written to all.jsonl and all.csv" in said
    assert capgen("caption", "photos", "-o", "one.jsonl", "-o", "one.csv", "-q")[0] == 1
    assert Path("all.jsonl").read_bytes() == Path("one.jsonl").read_bytes()
    assert Path("all.csv").read_bytes() == Path("one.csv").read_bytes()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--shard", "3/16"), "--shard needs one output, a folder"),
        (("--shard", "3/16", "-o", "x.jsonl"), "--shard writes a folder of parts"),
        (("--shard", "17/16", "-o", "x"), "There is no share 17/16"),
        (("--shard", "x", "-o", "x"), "it must be a share such as 3/16"),
        (("--shard", "1/2", "-o", "x", "--format", "csv"), "parts are jsonl or parquet"),
        (("--shard", "1/2", "-o", "x", "--sidecar", ".txt"), "parts only"),
        (("--part-size", "0", "-o", "x"), "--part-size"),
        (("--shard", "1/2", "-o", "x", "--explain", "x.html"), "--explain is for one image"),
    ],
)
def test_what_shares_cannot_do(
    arguments: tuple[str, ...], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    code = main(("caption", "photo.jpg", *arguments))
    captured = capsys.readouterr()
    assert (code, captured.out) == (2, "")
    assert said in " ".join(captured.err.split())
    assert not list(Path.cwd().iterdir())
