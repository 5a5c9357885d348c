"""The undo file: what was changed, and what was made."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from capgen.errors import StorageError
from capgen.undo import UndoFile, undo


def test_a_file_that_was_made_is_removed_again(tmp_path: Path) -> None:
    log, made = UndoFile(tmp_path / "undo.jsonl"), tmp_path / "a.txt"
    log.record(made, None, [b"a dog\n"])
    made.write_bytes(b"a dog\n")
    log.record(made, [b"a dog\n"], [b"a dog\n", b"a cat\n"])
    made.write_bytes(b"a dog\na cat\n")
    assert [undone.problem for undone in undo(log.path)] == ["", ""]
    assert not made.exists()
    assert [undone.problem for undone in undo(log.path)][1] == ""  # and again


@pytest.mark.parametrize("content", [b"", b"a dog\nand mine\n"])
def test_a_file_that_was_made_and_changed_since_stays(tmp_path: Path, content: bytes) -> None:
    log, made = UndoFile(tmp_path / "undo.jsonl"), tmp_path / "a.txt"
    log.record(made, None, [b"a dog\n"])
    made.write_bytes(content)
    assert [undone.problem for undone in undo(log.path)] == ["was changed since"]
    assert made.read_bytes() == content


def test_it_knows_what_capgen_wrote(tmp_path: Path) -> None:
    log = UndoFile(tmp_path / "undo.jsonl")
    log.record(tmp_path / "a.jpg", [b"one"], [b"two"], caption="a dog")
    log.record(tmp_path / "a.txt", None, [b"a dog"])
    again = UndoFile(tmp_path / "undo.jsonl")
    assert list(again.captions.values()) == ["a dog"]
    assert (again.captions, again.originals) == (log.captions, log.originals)
    assert len(again.originals) == 1  # what was made had no hash before


def test_undoing_removes_what_a_killed_run_left(tmp_path: Path) -> None:
    log = UndoFile(tmp_path / "undo.jsonl")
    log.record(tmp_path / "a.txt", None, [b"a dog\n"])
    (tmp_path / ".a.txt.0123456789ab.capgen.tmp").write_text("a d")
    assert [undone.problem for undone in undo(log.path)] == [""]
    assert [path.name for path in tmp_path.iterdir()] == ["undo.jsonl"]


def test_a_place_that_may_not_be_written_is_told_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    with pytest.raises(StorageError, match="Not allowed") as caught:
        UndoFile(tmp_path / "undo.jsonl")
    assert "--undo-file" in caught.value.hint
