"""Vectors in a cache, and in caches that are damaged or not there."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest

from capgen import paths
from capgen.cache_folders import Cache
from capgen.evaluation.kept_vectors import Vector, kept_vectors

CACHE = Cache("tests.sqlite", "numbers of tests")
# More than are asked for at a time.
FRESH: dict[bytes, Vector] = {
    number.to_bytes(32): np.array([number, 1 / 3, -0.0]) for number in range(1100)
}


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(paths, "cache_dir", lambda: tmp_path / "cache")


def found(model: str = "one") -> dict[bytes, Vector]:
    with kept_vectors(CACHE, "<f8") as kept:
        return kept.recall(model, [*FRESH, b"unknown"])


def remember() -> None:
    with kept_vectors(CACHE, "<f8") as kept:
        kept.remember("one", FRESH)


def test_vectors_are_kept_to_the_last_bit() -> None:
    remember()
    again = found()
    assert list(again) == list(FRESH)
    assert all(again[key].tobytes() == vector.tobytes() for key, vector in FRESH.items())
    assert not found("other")


def test_a_damaged_database_is_like_none() -> None:
    CACHE.path.parent.mkdir()
    with closing(sqlite3.connect(CACHE.path)) as store:
        store.execute("CREATE TABLE vectors (other TEXT)")
    remember()
    assert not found()


def test_no_place_for_a_cache() -> None:
    CACHE.path.parent.write_text("in the way")
    remember()
    assert not found()
