"""The undo file: what was changed, and what was made."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import pytest

from capgen.errors import DataError, StorageError
from capgen.undo import undo
from capgen.undo_file import UndoFile, known_originals


def test_a_file_that_was_made_is_removed_again(tmp_path: Path) -> None:
    log, made = UndoFile(tmp_path / "undo.jsonl"), tmp_path / "a.txt"
    log.record(made, None, [b"a dog\n"])
    made.write_bytes(b"a dog\n")
    log.record(made, [b"a dog\n"], [b"a dog\n", b"a cat\n"])
    made.write_bytes(b"a dog\na cat\n")
    assert [undone.problem for undone in undo(log.path)] == ["", ""]
    assert not made.exists()
    # And again: both were undone before, the second by removing the file.
    assert [(undone.problem, undone.before) for undone in undo(log.path)] == [("", True)] * 2


def test_several_changes_of_a_file_that_were_undone_before_are_no_problem(tmp_path: Path) -> None:
    log, photo = UndoFile(tmp_path / "undo.jsonl"), tmp_path / "a.jpg"
    for before, after in ((b"one", b"two"), (b"two", b"three"), (b"three", b"four")):
        log.record(photo, [before], [after])
    photo.write_bytes(b"four")
    assert [undone.before for undone in undo(log.path)] == [False] * 3
    assert photo.read_bytes() == b"one"
    assert [(undone.problem, undone.before) for undone in undo(log.path)] == [("", True)] * 3
    photo.write_bytes(b"mine")
    assert {undone.problem for undone in undo(log.path)} == {"was changed since"}


def test_a_dry_run_tells_what_would_be_undone_and_changes_nothing(tmp_path: Path) -> None:
    log = UndoFile(tmp_path / "undo.jsonl")
    photo, made, mine = (tmp_path / name for name in ("a.jpg", "a.txt", "b.jpg"))
    log.record(photo, [b"one"], [b"two"])
    log.record(made, None, [b"a dog"])
    log.record(photo, [b"two"], [b"three"])
    log.record(mine, [b"old"], [b"new"])
    photo.write_bytes(b"three")
    made.write_bytes(b"a dog")
    mine.write_bytes(b"changed")
    (tmp_path / ".a.txt.0123456789ab.capgen.tmp").write_text("a d")
    before = {file: file.read_bytes() for file in tmp_path.iterdir()}
    told = list(undo(log.path, dry_run=True))
    assert {file: file.read_bytes() for file in tmp_path.iterdir()} == before
    # As it is told when it is done.
    assert list(undo(log.path)) == told
    assert [(undone.path, undone.removed, undone.problem) for undone in told] == [
        (photo, False, ""),
        (made, True, ""),
        (photo, False, ""),
        (mine, False, "was changed since"),
    ]


def test_a_dry_run_knows_a_file_by_its_other_name(tmp_path: Path) -> None:
    log, real, link = (tmp_path / name for name in ("undo.jsonl", "real", "link"))
    undo_file = UndoFile(log)
    real.mkdir()
    link.symlink_to(real)
    undo_file.record(link / "a.jpg", [b"one"], [b"two"])
    undo_file.record(real / "a.jpg", [b"two"], [b"three"])
    (real / "a.jpg").write_bytes(b"three")
    told = list(undo(log, dry_run=True))
    assert [undone.problem for undone in told] == ["", ""]
    assert list(undo(log)) == told
    assert (real / "a.jpg").read_bytes() == b"one"
    # And again: both were undone before.
    for dry_run in (True, False):
        assert [(one.problem, one.before) for one in undo(log, dry_run=dry_run)] == [("", True)] * 2


def test_a_dry_run_finds_an_earlier_change_that_cannot_be_undone(tmp_path: Path) -> None:
    log, photo = UndoFile(tmp_path / "undo.jsonl"), tmp_path / "a.jpg"
    log.record(photo, [b"one"], [b"two"])
    log.record(photo, [b"two"], [b"three"])
    first, second = map(json.loads, log.path.read_text().splitlines())
    first["parts"] = ["b3V0"]
    log.path.write_text("".join(json.dumps(entry) + "\n" for entry in (first, second)))
    photo.write_bytes(b"three")
    told = list(undo(log.path, dry_run=True))
    assert [undone.problem for undone in told] == [
        "",
        "the undo file does not restore the original",
    ]
    assert list(undo(log.path)) == told


@pytest.mark.parametrize("content", [b"", b"a dog\nand mine\n"])
def test_a_file_that_was_made_and_changed_since_stays(tmp_path: Path, content: bytes) -> None:
    log, made = UndoFile(tmp_path / "undo.jsonl"), tmp_path / "a.txt"
    log.record(made, None, [b"a dog\n"])
    made.write_bytes(content)
    assert [undone.problem for undone in undo(log.path)] == ["was changed since"]
    assert made.read_bytes() == content


def test_two_runs_that_changed_a_file_at_the_same_time(tmp_path: Path) -> None:
    log, photo = UndoFile(tmp_path / "undo.jsonl"), tmp_path / "a.jpg"
    log.record(photo, [b"old"], [b"a dog"])
    log.record(photo, [b"old"], [b"a cat"])
    for last in (b"a dog", b"a cat"):
        photo.write_bytes(last)
        assert [undone.problem for undone in undo(log.path)] == ["", ""]
        assert photo.read_bytes() == b"old"
    photo.write_bytes(b"mine")
    assert [undone.problem for undone in undo(log.path)] == ["was changed since"] * 2


def test_it_knows_what_capgen_wrote(tmp_path: Path) -> None:
    log = UndoFile(tmp_path / "undo.jsonl")
    log.record(tmp_path / "a.jpg", [b"one"], [b"two"], caption="a dog")
    log.record(tmp_path / "a.txt", None, [b"a dog"])
    again = UndoFile(tmp_path / "undo.jsonl")
    assert list(again.captions.values()) == ["a dog"]
    assert (again.captions, again.originals) == (log.captions, log.originals)
    assert len(again.originals) == 1  # what was made had no hash before


def test_what_a_person_reviewed_gives_way_only_to_the_like(tmp_path: Path) -> None:
    log, photo, text = UndoFile(tmp_path / "undo.jsonl"), tmp_path / "a.jpg", tmp_path / "a.txt"
    log.record(photo, [b"one"], [b"two"], caption="a dog")
    log.record(text, None, [b"a dog"])
    for known in (log, UndoFile(log.path)):
        assert known.caption_of(b"two", reviewed=False) == "a dog"
        assert known.may_replace(text, b"a dog", reviewed=False)
        assert not known.may_replace(tmp_path / "b.txt", b"a dog", reviewed=True)
        assert not known.may_replace(text, b"a dog, mine", reviewed=True)
    log.mark_reviewed(photo, b"two")
    log.mark_reviewed(text, b"a dog")
    log.mark_reviewed(text, b"a dog")  # once
    assert len(log.path.read_bytes().splitlines()) == 4
    for known in (log, UndoFile(log.path)):
        assert known.is_reviewed(b"two")
        assert known.caption_of(b"two", reviewed=False) is None
        assert known.caption_of(b"two", reviewed=True) == "a dog"
        assert not known.may_replace(text, b"a dog", reviewed=False)
        assert known.may_replace(text, b"a dog", reviewed=True)
    photo.write_bytes(b"two")
    text.write_bytes(b"a dog")
    assert [undone.before for undone in undo(log.path)] == [True, True, False, False]


def test_the_hashes_before_are_read_without_a_place_to_write(tmp_path: Path) -> None:
    path = tmp_path / "undo.jsonl"
    assert known_originals(path) == {}
    log = UndoFile(path)
    for old, new in ((b"one", b"two"), (b"two", b"three")):
        log.record(tmp_path / "a.jpg", [old], [new])
    path.write_bytes(path.read_bytes() + b"nonsense\n")
    assert known_originals(path) == log.originals
    assert len(set(log.originals.values())) == 1


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


DAMAGED = {
    "a number": {"path": 5},
    "null": {"path": None},
    "a NUL": {"path": "a\0b"},
    "a lone surrogate": {"path": "\ud800"},
    "parts: a number": {"parts": 5},
    "parts: half a range": {"parts": [[1]]},
    "parts: a range of words": {"parts": [["a", "b"]]},
    "parts: not base64": {"parts": ["a"]},
    "parts: not ASCII": {"parts": ["é"]},
    "parts: a table": {"parts": [{"a": 1}]},
}


@pytest.mark.parametrize("damage", DAMAGED.values(), ids=DAMAGED)
def test_a_damaged_entry_is_one_problem_and_the_others_are_undone(
    tmp_path: Path, damage: dict[str, object]
) -> None:
    log, bad = UndoFile(tmp_path / "undo.jsonl"), tmp_path / "bad.txt"
    log.record(tmp_path / "first.txt", [b"first"], [b"new"])
    log.record(bad, [b"second"], [b"new"])
    first, second = log.path.read_text().splitlines()
    log.path.write_text(f"{first}\n{json.dumps(json.loads(second) | damage)}\n")
    log.record(tmp_path / "last.txt", [b"third"], [b"new"])
    for name in ("first.txt", "bad.txt", "last.txt"):
        (tmp_path / name).write_bytes(b"new")
    last, problem, begin = undo(log.path)
    assert (last.problem, begin.problem) == ("", "")
    assert (tmp_path / "first.txt").read_bytes() == b"first"
    assert (tmp_path / "last.txt").read_bytes() == b"third"
    assert bad.read_bytes() == b"new"
    if "path" in damage:
        expected = (log.path, "line 2 is damaged: its path cannot be a file's")
    else:
        expected = (bad, "the undo file does not restore the original")
    assert (problem.path, problem.problem) == expected
    UndoFile(log.path)  # further changes can be recorded


def test_a_hash_that_is_not_text_is_one_problem(tmp_path: Path) -> None:
    log, photo = UndoFile(tmp_path / "undo.jsonl"), tmp_path / "a.jpg"
    photo.write_bytes(b"mine")
    entry = {"path": str(photo), "sha256_before": [1], "sha256_after": {}, "parts": []}
    log.path.write_text(json.dumps(entry) + "\n")
    assert [undone.problem for undone in undo(log.path)] == ["was changed since"]


def test_a_line_that_is_nested_too_deeply_is_one_problem(tmp_path: Path) -> None:
    log, changed = UndoFile(tmp_path / "undo.jsonl"), tmp_path / "a.txt"
    log.record(changed, [b"old"], [b"new"])
    with log.path.open("ab") as file:
        file.write(b"[" * 100_000 + b"\n")
    changed.write_bytes(b"new")
    problem, done = undo(log.path)
    assert (done.path, done.problem) == (changed, "")
    assert changed.read_bytes() == b"old"
    assert problem.path == log.path
    assert problem.problem == "line 2 is damaged: it is nested too deeply"
    UndoFile(log.path)


def test_a_name_that_is_not_text_is_undone(tmp_path: Path) -> None:
    log, changed = UndoFile(tmp_path / "undo.jsonl"), tmp_path / os.fsdecode(b"a\xff.txt")
    changed.write_bytes(b"new")
    log.record(changed, [b"old"], [b"new"])
    assert [undone.problem for undone in undo(log.path)] == [""]
    assert changed.read_bytes() == b"old"


@pytest.mark.parametrize(
    "text",
    [
        '["path", "sha256_before", "sha256_after", "parts"]\n',
        '{"schema_version": 1, "path": "a.jpg", "caption": "a dog"}\n',
        "a dog",
    ],
)
def test_another_file_is_an_error(tmp_path: Path, text: str) -> None:
    path = tmp_path / "captions.jsonl"
    path.write_text(text)
    with pytest.raises(DataError, match=r"captions\.jsonl is not an undo file"):
        list(undo(path))


@pytest.mark.parametrize("text", ["", '{"schema_version": 1, "pa'])
def test_a_run_that_was_killed_early_left_nothing_to_undo(tmp_path: Path, text: str) -> None:
    path = tmp_path / "undo.jsonl"
    path.write_text(text)
    assert list(undo(path)) == []


def test_a_pipe_is_not_an_undo_file(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(StorageError, match="pipe: it is not a regular file") as caught:
        UndoFile(tmp_path / "pipe")
    assert "--undo-file" in caught.value.hint


def _site(folder: Path) -> Path:
    """Return an undo file in a folder, of a page that was changed and a text that was made."""
    (folder / "content").mkdir(parents=True)
    log = UndoFile(folder / "undo.jsonl")
    for name, old in (("a.md", [b"old"]), ("a.txt", None)):
        log.record(folder / "content" / name, old, [b"new"])
        (folder / "content" / name).write_bytes(b"new")
    return log.path


def _content(folder: Path) -> dict[str, bytes]:
    return {each.name: each.read_bytes() for each in (folder / "content").iterdir()}


def test_what_was_moved_with_the_undo_file_is_undone(tmp_path: Path) -> None:
    _site(tmp_path / "blog")
    moved = (tmp_path / "blog").rename(tmp_path / "site")
    assert UndoFile(moved / "undo.jsonl").may_replace(
        moved / "content" / "a.txt", b"new", reviewed=False
    )
    assert [undone.problem for undone in undo(moved / "undo.jsonl")] == ["", ""]
    assert _content(moved) == {"a.md": b"old"}
    # And what was recorded after the move, too.
    log = UndoFile(moved / "undo.jsonl")
    log.record(moved / "content" / "a.md", [b"old"], [b"newer"])
    (moved / "content" / "a.md").write_bytes(b"newer")
    assert [undone.problem for undone in undo(log.path)] == [""] * 3
    assert _content(moved) == {"a.md": b"old"}


def test_undoing_in_a_copy_leaves_the_original_alone(tmp_path: Path) -> None:
    _site(tmp_path / "blog")
    shutil.copytree(tmp_path / "blog", tmp_path / "copy")
    for before in (False, True):
        done = list(undo(tmp_path / "copy" / "undo.jsonl"))
        assert [(undone.problem, undone.before) for undone in done] == [("", before)] * 2
    assert _content(tmp_path / "copy") == {"a.md": b"old"}
    assert _content(tmp_path / "blog") == {"a.md": b"new", "a.txt": b"new"}


@pytest.mark.parametrize("old", [False, True])
def test_an_undo_file_that_was_moved_alone(tmp_path: Path, old: bool) -> None:
    log = _site(tmp_path / "blog").rename(tmp_path / "kept.jsonl")
    if old:  # as 0.1 wrote it
        lines = [json.loads(line) for line in log.read_text(encoding="utf-8").splitlines()]
        for line in lines:
            del line["relative_path"]
        log.write_text("".join(f"{json.dumps(line)}\n" for line in lines), encoding="utf-8")
    assert [undone.problem for undone in undo(log)] == ["", ""]
    assert _content(tmp_path / "blog") == {"a.md": b"old"}
