"""The paraphrase table in the cache."""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
import pytest

from capgen.errors import StorageError
from capgen.metrics.meteor_1_5 import paraphrases
from capgen.metrics.meteor_1_5.paraphrases import open_paraphrases, phrase_hashes, word_hash

PAIRS = [("a dog", "the dog"), ("the dog", "a dog"), ("a dog", "dogs")]


@pytest.fixture
def source(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "paraphrase-en.gz"
    monkeypatch.setattr(paraphrases, "paraphrase_file", lambda: path)
    monkeypatch.setattr(paraphrases, "_cached", lambda source: tmp_path / "cache" / "table.npy")
    return path


def write(path: Path, pairs: list[tuple[str, str]]) -> None:
    lines = "".join(f"0.5\n{one}\n{other}\n" for one, other in pairs)
    path.write_bytes(gzip.compress(lines.encode()))


def number(table: paraphrases.Paraphrases, phrase: str) -> int:
    words = np.array(list(map(word_hash, phrase.split())), np.uint64)
    return int(table.find(phrase_hashes(words)[-1])[0])


def test_the_table_is_found_again(source: Path) -> None:
    write(source, PAIRS)
    for _ in range(2):  # made, and opened
        table = open_paraphrases()
        one, other, more = (number(table, phrase) for phrase in ("a dog", "the dog", "dogs"))
        assert min(one, other, more) >= 0 > number(table, "a cat")
        phrases, targets = table.among(np.array([one, other, more]))
        pairs = list(zip(phrases.tolist(), targets.tolist(), strict=True))
        assert pairs == [(one, other), (one, more), (other, one)]


@pytest.mark.parametrize("kept", [0, 40, 200])
def test_a_damaged_table_is_made_again(source: Path, tmp_path: Path, kept: int) -> None:
    write(source, PAIRS)
    open_paraphrases()
    path = tmp_path / "cache" / "table.npy"
    whole = path.read_bytes()
    path.write_bytes(whole[:kept])
    assert number(open_paraphrases(), "dogs") >= 0
    assert path.read_bytes() == whole


def test_no_space_for_the_table_is_no_bug(source: Path, tmp_path: Path) -> None:
    resource = pytest.importorskip("resource")
    write(source, [(f"word{n}", f"word{n + 1}") for n in range(1000)])
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (8192, hard))
    try:
        with pytest.raises(StorageError, match=r"Cannot write .*table\.npy: File too large"):
            open_paraphrases()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert [path.name for path in (tmp_path / "cache").iterdir()] == ["table.lock"]
