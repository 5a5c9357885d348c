"""Captions against references, with a small table of paraphrases."""

from __future__ import annotations

import threading
from pathlib import Path

import numpy as np
import pytest

from capgen.errors import MetricError, MissingDependencyError
from capgen.metrics.meteor_1_5 import paraphrases, resources, score
from tests.unit.metrics.meteor_1_5.lists import LISTS, paraphrase_table

PAIRS = [
    ("in front of", "before"),
    ("before", "ahead of"),
    ("a pair of", "two"),
    ("two", "a pair of"),
    ("kid", "child"),
    ("child", "kid"),
]


@pytest.fixture(autouse=True)
def table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = paraphrase_table(tmp_path / "table.gz", PAIRS)
    monkeypatch.setenv("CAPGEN_HOME", str(tmp_path / "home"))
    monkeypatch.setattr(paraphrases, "paraphrase_file", lambda: path)
    monkeypatch.setattr(score, "word_lists", lambda: LISTS)
    return path


def counts(caption: str, *references: str) -> list[int]:
    (row,) = score.statistics_of([caption], [references]).tolist()
    return row


def matched(row: list[int]) -> dict[str, list[int]]:
    names = ["exact", "stem", "synonym", "paraphrase"]
    found = {name: row[4 + 4 * n : 8 + 4 * n] for n, name in enumerate(names)}
    return {name: values for name, values in found.items() if any(values)}


def test_paraphrases_count_in_both_directions() -> None:
    for caption, reference in (("x before y", "x in front of y"), ("x ahead of y", "x before y")):
        assert matched(counts(caption, reference)).keys() == {"exact", "paraphrase"}
        assert matched(counts(reference, caption)).keys() == {"exact", "paraphrase"}
    row = counts("x before y", "x in front of y")
    # One content word of the caption; of the reference two, and the function word "of".
    assert matched(row)["paraphrase"] == [1, 2, 0, 1]
    assert row[20:] == [1, 3, 5]


def test_a_paraphrase_in_both_directions_competes_with_itself() -> None:
    assert matched(counts("kid", "child")) == {}
    assert matched(counts("two", "a pair of")) == {"paraphrase": [1, 1, 0, 2]}


def test_matchers() -> None:
    row = counts("the dogs ran on", "the dog flows on")
    assert matched(row) == {
        "exact": [0, 0, 2, 2],
        "stem": [1, 1, 0, 0],
        "synonym": [1, 1, 0, 0],
    }
    assert row[:4] == [4, 4, 2, 2]
    assert row[20:] == [1, 4, 4]


def test_the_first_of_the_best_references_counts() -> None:
    assert counts("x y", "q", "x q q", "y q q", "x y")[1] == 2
    assert counts("x y", "q", "r r")[1] == 1
    assert counts("x y z", "x q", "y q q")[1] == 2


@pytest.mark.parametrize(
    ("caption", "reference"), [("", "a"), ("a", ""), ("", ""), (".", "\u00a0")]
)
def test_nothing_to_align(caption: str, reference: str) -> None:
    assert sum(counts(caption, reference)[4:]) == 0


def test_bars_and_line_ends() -> None:
    assert counts("x ||| y", "x y") == counts("x y", "x y")
    assert counts("x", "q ||| x") == counts("x", "q", "x")
    assert counts("x\ny", "x\r\ny") == counts("x y", "x y")


def test_half_a_character() -> None:
    """JSON may hold a lone surrogate."""
    assert matched(counts("a \ud800 b", "a \ud800 b"))["exact"][1] == 2


def test_many_captions_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    captions = ["the dogs ran", "x before y", "kid", "two", ""] * 3
    references = [["the dog flows", "x"], ["x in front of y"], ["kid"], ["a pair of"], ["a"]] * 3
    together = score.statistics_of(captions, references)
    monkeypatch.setattr(score, "_AT_ONCE", 2)
    np.testing.assert_array_equal(score.statistics_of(captions, references), together)
    assert score.statistics_of([], []).shape == (0, 23)


def test_the_cache_is_made_once(table: Path, tmp_path: Path) -> None:
    assert not paraphrases.are_unpacked()
    first = counts("x before y", "x in front of y")
    assert paraphrases.are_unpacked()
    (cached,) = (tmp_path / "home" / "cache" / "meteor-paraphrases").glob("*.npy")
    before = cached.stat().st_mtime_ns
    table.write_bytes(b"\0" * 100 + table.read_bytes()[-8:])
    assert counts("x before y", "x in front of y") == first
    assert cached.stat().st_mtime_ns == before
    # Another table is not taken for it.
    paraphrase_table(table, [("x", "q")])
    assert counts("x before y", "x in front of y") != first
    assert len(list(cached.parent.glob("*.npy"))) == 2


def test_two_at_a_time_make_one_cache(tmp_path: Path) -> None:
    rows: list[list[int]] = []
    threads = [
        threading.Thread(target=lambda: rows.append(counts("x before y", "x in front of y")))
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert rows == [rows[0]] * 4
    assert len(list((tmp_path / "home" / "cache" / "meteor-paraphrases").glob("*.npy"))) == 1


def test_a_damaged_table(table: Path) -> None:
    table.write_bytes(table.read_bytes()[:-20])
    with pytest.raises(MetricError, match="Cannot read"):
        counts("x", "x")


def test_missing_files(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(resources, "find_spec", lambda name: None)
    with pytest.raises(MissingDependencyError, match="pycocoevalcap"):
        resources.folder()

    class Spec:
        submodule_search_locations = (str(tmp_path),)

    monkeypatch.setattr(resources, "find_spec", lambda name: Spec)
    with pytest.raises(MetricError, match="which is missing"):
        resources.folder()
    for name in ("meteor-1.5.jar", "data/paraphrase-en.gz"):
        file = tmp_path / "meteor" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(b"no archive")
    with pytest.raises(MetricError, match="Cannot read"):
        resources.word_lists()
