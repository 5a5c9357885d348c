"""Temporary files: those of killed processes go, those of living ones and of others stay."""

from __future__ import annotations

import errno
import fcntl
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from capgen import paths, temporary_files
from capgen.temporary_files import remove_leftovers, temporary_file

ROOT = Path(__file__).parents[2]
LEFT = """
import os, signal, sys
from pathlib import Path
from capgen.paths import writing
with writing(Path(sys.argv[1])) as temporary:
    temporary.write_text("half")
    print("writing", flush=True)
    sys.stdin.read()
"""


def start_writing(path: Path) -> subprocess.Popen[bytes]:
    """Start a process that is in the middle of writing a file."""
    process = subprocess.Popen(
        [sys.executable, "-c", LEFT, str(path)],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == b"writing\n"
    return process


def names(folder: Path) -> list[str]:
    return sorted(entry.name for entry in folder.iterdir())


def test_a_later_run_removes_what_a_killed_one_left(tmp_path: Path) -> None:
    process = start_writing(tmp_path / "a.csv")
    (left,) = names(tmp_path)
    assert left.startswith(".a.csv.") and left.endswith(".capgen.tmp")
    # As long as it is being written, it stays, whoever writes beside it.
    assert remove_leftovers(tmp_path) == 0
    paths.write_text(tmp_path / "b.txt", "b")
    assert names(tmp_path) == [left, "b.txt"]
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert names(tmp_path) == [left, "b.txt"]
    paths.write_text(tmp_path / "c.txt", "c")
    assert names(tmp_path) == ["b.txt", "c.txt"]


def test_only_its_own_are_removed(tmp_path: Path) -> None:
    mine = ".a.jpg.0123456789ab.capgen.tmp"
    others = [
        *(".a.jpg.0123456789ab.tmp", "a.jpg.0123456789ab.capgen.tmp", ".a.jpg.capgen.tmp"),
        *(".a.jpg.0123456789AB.capgen.tmp", ".a.jpg.0123456789ab.capgen.tmp~", "a.tmp"),
    ]
    for name in (mine, *others):
        (tmp_path / name).write_text("x")
    (tmp_path / f".folder{mine}").mkdir()
    (tmp_path / f".link{mine}").symlink_to("a.tmp")
    os.mkfifo(tmp_path / f".pipe{mine}")
    others += [f".{kind}{mine}" for kind in ("folder", "link", "pipe")]
    assert remove_leftovers(tmp_path) == 1
    assert names(tmp_path) == sorted(others)
    assert remove_leftovers(tmp_path / "missing") == 0


def test_on_a_drive_without_locks_all_stay(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def flock(number: int, how: int) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(fcntl, "flock", flock)
    left = tmp_path / ".a.jpg.0123456789ab.capgen.tmp"
    left.write_text("x")
    paths.write_text(tmp_path / "b.txt", "b")
    assert names(tmp_path) == [left.name, "b.txt"]


def test_one_that_was_taken_for_a_leftover_is_made_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    taken: list[str] = []

    def lock(number: int, *, wait: bool) -> bool:
        if not taken:
            (made,) = tmp_path.iterdir()
            taken.append(made.name)
            made.unlink()
        return True

    monkeypatch.setattr(temporary_files, "_lock", lock)
    with temporary_file(tmp_path / "a.txt") as temporary:
        assert temporary.exists() and temporary.name not in taken
        temporary.write_text("a")
    assert names(tmp_path) == ["a.txt"]


def test_a_block_that_raises_leaves_nothing(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("old")
    with pytest.raises(RuntimeError), temporary_file(tmp_path / "a.txt") as temporary:
        temporary.write_text("new")
        raise RuntimeError
    assert names(tmp_path) == ["a.txt"]
    assert (tmp_path / "a.txt").read_text() == "old"
