"""Files of encoder features."""

from __future__ import annotations

import numpy as np
import pytest

from capgen.errors import DataError
from capgen.records import Notice
from capgen.training.data.feature_cache import CacheFile


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("CAPGEN_HOME", str(tmp_path))


def _get(file, blocks):
    """Return the array and the events on the way."""
    events, steps = [], file.get(blocks)
    while True:
        try:
            events.append(next(steps))
        except StopIteration as end:
            return end.value, events


def _never(first):
    raise AssertionError("blocks were read")
    yield


def _rows(*blocks):
    """Return what makes these blocks, from the first row only."""

    def make(first):
        assert first == 0
        yield from blocks

    return make


FILE = CacheFile(split="train", sources=("digest",), rows=3)


def test_it_is_made_once():
    blocks = [np.ones((2, 4), np.uint8), np.full((1, 4), 7, np.uint8)]
    array, events = _get(FILE, _rows(*blocks))
    assert array.dtype == np.uint8
    assert array.tolist() == [[1] * 4, [1] * 4, [7] * 4]
    assert (events[-1].done, events[-1].total, events[-1].split) == (3, 3, "train")
    again, events = _get(FILE, _never)
    assert again.tolist() == array.tolist()
    assert events == []


def test_other_sources_are_another_file():
    other = CacheFile(split="train", sources=("changed",), rows=3)
    assert other.path != FILE.path


@pytest.mark.parametrize("rows", [0, 1, 2, 5])
def test_an_interrupted_file_goes_on_at_a_whole_batch(rows):
    file = CacheFile(split="train", sources=("digest",), rows=6, batch=2)
    wanted = np.arange(24, dtype=np.uint8).reshape(6, 4)
    asked = []

    def blocks(first, end=6):
        asked.append(first)
        for row in range(first, end):
            yield wanted[row : row + 1]
        if end < 6:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        _get(file, lambda first: blocks(first, rows))
    assert not file.path.exists()
    array, events = _get(file, blocks)
    assert array.tolist() == wanted.tolist()
    assert asked == [0, rows - rows % 2]
    assert events[0].done == rows - rows % 2  # told at once: the first block may take long
    assert list(file.path.parent.iterdir()) == [file.path]


@pytest.mark.parametrize("damage", [b"", b"no header at all, but some bytes"])
def test_a_damaged_part_is_made_again(damage):
    FILE.path.parent.mkdir(parents=True)
    FILE.path.with_suffix(".part").write_bytes(damage)
    array, _ = _get(FILE, _rows(np.ones((3, 4), np.uint8)))
    assert array.tolist() == [[1] * 4] * 3


def test_a_notice_of_a_block_is_passed_on():
    _, events = _get(FILE, _rows(Notice(message="slow"), np.ones((3, 4), np.uint8)))
    assert Notice(message="slow") in events


def test_too_few_rows_are_an_error():
    with pytest.raises(DataError, match="2 images instead of 3"):
        _get(FILE, _rows(np.ones((2, 4), np.uint8)))
    assert not FILE.path.exists()
