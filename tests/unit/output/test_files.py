"""The files of one run: which they are, and what happens when one fails."""

from __future__ import annotations

import errno
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from capgen.errors import DiskFullError, StorageError, UsageError
from capgen.output.base import writing_text
from capgen.output.files import OutputFiles, Target, journaled, targets_of


@pytest.mark.parametrize(
    ("names", "asked", "found"),
    [
        (["a.jsonl", "b.csv"], None, ["a.jsonl jsonl", "b.csv csv"]),
        (["a.jsonl"], "csv", ["a.jsonl csv"]),  # as ever: what is asked for wins
        (["a", "b.csv"], "html", ["a html", "b.csv csv"]),
        (["set"], "imagefolder", ["set/metadata.jsonl imagefolder"]),
        (["set/metadata.jsonl"], "imagefolder", ["set/metadata.jsonl imagefolder"]),
        (["a.csv", "metadata.jsonl"], "imagefolder", ["a.csv csv", "metadata.jsonl imagefolder"]),
        (["metadata.jsonl"], None, ["metadata.jsonl jsonl"]),
    ],
)
def test_each_file_has_a_format(names: list[str], asked: str | None, found: list[str]) -> None:
    targets = targets_of([Path(name) for name in names], asked)
    assert [f"{target.path.as_posix()} {target.format}" for target in targets] == found


@pytest.mark.parametrize(
    ("names", "asked", "said"),
    [
        (["a.jsonl", "b"], None, "-o b: '' is not one of"),
        (["a.jsonl", "b.csv"], "html", "each -o has a suffix"),
        (["a.jsonl", "b.csv"], "xml", "--format is 'xml'"),
    ],
)
def test_a_format_that_is_for_none_of_them(names: list[str], asked: str | None, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        targets_of([Path(name) for name in names], asked)


def test_a_run_goes_on_from_the_first_file_with_whole_records() -> None:
    csv, text, one, two = targets_of(
        [Path(f"x.{s}") for s in ("csv", "txt", "json", "jsonl")], None
    )
    assert journaled((csv, one, two)) == one and journaled((text, csv)) == text
    assert journaled(()) is None


class Place:
    """Opens files for words; those in `full` fail as the disk is full: at a word, or at the end."""

    def __init__(self, folder: Path, full: dict[str, str]) -> None:
        self.targets = targets_of([folder / f"{name}.csv" for name in "abc"], None)
        self.full = full

    @contextmanager
    def open(self, target: Target) -> Iterator[Callable[[str], None]]:
        fails = self.full.get(target.path.stem)
        if fails == "open":
            raise StorageError("may not be opened")
        with writing_text(target.path) as stream:

            def write(word: str) -> None:
                if word == fails:
                    raise OSError(errno.ENOSPC, "No space left on device")
                stream.write(word)

            yield write
            if fails == "end":
                raise OSError(errno.ENOSPC, "No space left on device")


def contents(folder: Path) -> dict[str, str]:
    return {path.name: path.read_text() for path in sorted(folder.iterdir())}


@pytest.mark.parametrize("when", ["second", "end"])
def test_one_that_fails_does_not_stop_the_others(tmp_path: Path, when: str) -> None:
    place, told = Place(tmp_path, {"b": when}), []
    (tmp_path / "b.csv").write_text("old")
    files = OutputFiles(place.targets, place.open, lambda *failed: told.append(failed))
    with files:
        for word in ("first", "second", "third"):
            files.write(word)
    assert contents(tmp_path) == {
        "a.csv": "firstsecondthird",
        "b.csv": "old",
        "c.csv": "firstsecondthird",
    }
    [(target, error)] = told
    assert target.path.name == "b.csv" and isinstance(error, DiskFullError)
    assert files.failed == {target: error}


@pytest.mark.parametrize(
    "full", [{"a": "second", "b": "first", "c": "end"}, dict.fromkeys("abc", "second")]
)
def test_when_none_is_left_the_run_ends(tmp_path: Path, full: dict[str, str]) -> None:
    place = Place(tmp_path, full)
    with (
        pytest.raises(DiskFullError, match="No space left"),
        OutputFiles(place.targets, place.open) as files,
    ):
        for word in ("first", "second", "third"):
            files.write(word)
    assert contents(tmp_path) == {}


def test_what_cannot_be_opened_leaves_all_as_they_were(tmp_path: Path) -> None:
    place = Place(tmp_path, {"c": "open"})
    (tmp_path / "a.csv").write_text("old")
    with pytest.raises(StorageError, match="opened"), OutputFiles(place.targets, place.open):
        raise AssertionError("not reached")
    assert contents(tmp_path) == {"a.csv": "old"}


def test_an_interrupted_run_leaves_finished_files_as_they_were(tmp_path: Path) -> None:
    place = Place(tmp_path, {"b": "end"})
    (tmp_path / "a.csv").write_text("old")
    with (
        pytest.raises(KeyboardInterrupt),
        OutputFiles(place.targets, place.open) as files,
    ):
        files.write("first")
        raise KeyboardInterrupt
    assert contents(tmp_path) == {"a.csv": "old"}
