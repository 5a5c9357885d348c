"""Files of encoder features."""

from __future__ import annotations

import numpy as np
import pytest

from capgen.errors import DataError
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


def _never():
    raise AssertionError("blocks were read")
    yield


FILE = CacheFile(split="train", sources=("digest",), rows=3)


def test_it_is_made_once():
    blocks = [np.ones((2, 4), np.uint8), np.full((1, 4), 7, np.uint8)]
    array, events = _get(FILE, iter(blocks))
    assert array.dtype == np.uint8
    assert array.tolist() == [[1] * 4, [1] * 4, [7] * 4]
    assert (events[-1].done, events[-1].total, events[-1].split) == (3, 3, "train")
    again, events = _get(FILE, _never())
    assert again.tolist() == array.tolist()
    assert events == []


def test_other_sources_are_another_file():
    other = CacheFile(split="train", sources=("changed",), rows=3)
    assert other.path != FILE.path


def test_an_interrupted_file_is_not_kept():
    def blocks():
        yield np.ones((2, 4), np.uint8)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        _get(FILE, blocks())
    assert list(FILE.path.parent.iterdir()) == []


def test_too_few_rows_are_an_error():
    with pytest.raises(DataError, match="2 images instead of 3"):
        _get(FILE, [np.ones((2, 4), np.uint8)])
    assert not FILE.path.exists()
