"""The English paraphrase table of METEOR 1.5, in a form that is opened at once.

The program's table is 5.3 million pairs of phrases in 62 MB of gzip. On first use it is written
to capgen's cache as one array, which later runs map into memory: the sorted hashes of all
phrases, and for each phrase the phrases that it may stand for, in the order of the table.
"""

from __future__ import annotations

import gzip
import hashlib
import itertools
from array import array
from pathlib import Path

import numpy as np
import numpy.typing as npt

from capgen.cache_folders import PARAPHRASES
from capgen.errors import MetricError, StorageError
from capgen.locks import Lock
from capgen.metrics.corpus import Integers
from capgen.metrics.meteor_1_5.resources import paraphrase_file
from capgen.paths import storage_errors, writing

LONGEST = 7  # words in a phrase of the table

_VERSION = 1
_MULTIPLIER = np.uint64(0x9E3779B97F4A7C15)
_AT_ONCE = 100_000  # phrases; limits memory
_TRAILER = 8  # bytes at the end of a gzip file: checksum and size of its content

_PREFIX = 24  # bits of a hash that are looked up first
_SHIFT = np.uint64(64 - _PREFIX)

Hashes = npt.NDArray[np.uint64]


class Paraphrases:
    """The table, opened."""

    def __init__(self, data: Hashes) -> None:
        phrases, pairs = int(data[0]), int(data[1])
        self._hashes = data[2 : 2 + phrases]
        self._offsets = data[2 + phrases : 3 + 2 * phrases]
        self._targets = data[3 + 2 * phrases :].view(np.uint32)[:pairs]
        # Whether some phrase's hash begins with these bits: most phrases of a text are not in
        # the table, and this tells of nine in ten of them.
        self._begins = np.zeros(1 << _PREFIX, bool)
        self._begins[self._hashes >> _SHIFT] = True
        self._known = np.zeros(phrases, bool)

    def may_have(self, hashes: Hashes) -> npt.NDArray[np.bool_]:
        """Whether each phrase, given by its hash, may be in the table."""
        return self._begins[hashes >> _SHIFT]

    def find(self, hashes: Hashes) -> Integers:
        """Return the number of each phrase in the table, given by its hash, or -1."""
        places = np.searchsorted(self._hashes, hashes)
        places[places == len(self._hashes)] = 0
        return np.where(self._hashes[places] == hashes, places, -1).astype(np.int64)

    def among(self, numbers: Integers) -> tuple[Integers, Integers]:
        """Return the pairs of a phrase and its paraphrase of which both are among `numbers`.

        They are in the order of `numbers`, and those of a phrase in the table's order.
        """
        start = self._offsets[numbers].astype(np.int64)
        size = self._offsets[numbers + 1].astype(np.int64) - start
        source = np.repeat(numbers, size)
        place = np.repeat(start - np.cumsum(size) + size, size) + np.arange(size.sum())
        target = self._targets[place].astype(np.int64)
        self._known[numbers] = True
        kept = self._known[target]
        self._known[numbers] = False
        return source[kept], target[kept]


def word_hash(word: str) -> int:
    """Return the hash of a word: 64 bits."""
    digest = hashlib.blake2b(word.encode("utf-8", "surrogatepass"), digest_size=8).digest()
    return int.from_bytes(digest, "little")


def phrase_hashes(words: Hashes) -> list[Hashes]:
    """Return the hashes of all runs of 1 to 7 words in a text: a list by length.

    The run of `size` words that begins at a word has the place of that word; runs that would
    leave the text are left out.
    """
    runs = [words]
    for size in range(2, min(LONGEST, len(words)) + 1):
        runs.append(runs[-1][:-1] * _MULTIPLIER + words[size - 1 :])
    return runs


def open_paraphrases() -> Paraphrases:
    """Open the table in the cache, which is made on first use.

    Raises:
        MissingDependencyError: pycocoevalcap is not installed.
        MetricError: Its table is damaged.
        StorageError: The cache cannot be written.
    """
    source = paraphrase_file()
    path = _cached(source)
    table = _opened(path)
    if table is None:
        lock = Lock(path.with_suffix(".lock"), "unpacking METEOR's paraphrases")
        for _ in lock.wait():
            pass
        with lock.held():
            table = _opened(path)
            if table is None:
                _make(source, path)
                table = _opened(path)
    if table is None:
        raise StorageError(f"Cannot read {path}, which has just been written")
    return table


def _opened(path: Path) -> Paraphrases | None:
    """Return the table in a file; None if it is missing or damaged."""
    if not path.is_file():
        return None
    with storage_errors(path):
        try:
            return Paraphrases(np.load(path, mmap_mode="r"))
        except (ValueError, EOFError, IndexError):
            return None


def are_unpacked() -> bool:
    """Whether the table is in the cache; if not, opening it takes a while.

    Raises:
        MissingDependencyError: pycocoevalcap is not installed.
        MetricError: It is there without its table.
    """
    return _cached(paraphrase_file()).is_file()


def _cached(source: Path) -> Path:
    """Return the path of a table in the cache."""
    with source.open("rb") as file:
        file.seek(-_TRAILER, 2)
        checksum = file.read().hex()
    return PARAPHRASES.path / f"{_VERSION}-{checksum}.npy"


def _make(source: Path, path: Path) -> None:
    """Write the table."""
    numbers: dict[bytes, int] = {}
    left, right = array("I"), array("I")
    try:
        with gzip.open(source) as file:
            for _, phrase, other in zip(file, file, file, strict=True):
                left.append(numbers.setdefault(phrase, len(numbers)))
                right.append(numbers.setdefault(other, len(numbers)))
    except (OSError, EOFError, ValueError) as error:
        raise MetricError(
            f"Cannot read {source}: {error}",
            hint="Install the extra again: pip install --force-reinstall pycocoevalcap",
        ) from error
    phrases = iter(numbers)
    parts = []
    while lines := list(itertools.islice(phrases, _AT_ONCE)):
        parts.append(_hashes_of([line.decode().split() for line in lines]))
    hashes = np.concatenate(parts)
    del numbers
    order = np.argsort(hashes)
    if (np.diff(hashes[order]) == 0).any():
        raise MetricError(f"Cannot index {source}: two phrases have the same hash")
    place = np.empty(len(order), np.int64)
    place[order] = np.arange(len(order))
    first = place[np.frombuffer(left, np.uint32)]
    second = place[np.frombuffer(right, np.uint32)].astype(np.uint32)
    offsets = np.concatenate([[0], np.cumsum(np.bincount(first, minlength=len(order)))])
    targets = second[np.argsort(first, kind="stable")]
    if len(targets) % 2:
        targets = np.append(targets, np.uint32(0))
    head = np.array([len(order), len(first)], np.uint64)
    columns = [head, hashes[order], offsets.astype(np.uint64), targets.view(np.uint64)]
    table = np.concatenate(columns)
    with writing(path) as temporary, temporary.open("wb") as file:
        # As `np.save` does, whose errors do not tell a full disk from others.
        header = np.lib.format.header_data_from_array_1_0(table)
        np.lib.format.write_array_header_1_0(file, header)
        file.write(table.data)


def _hashes_of(phrases: list[list[str]]) -> Hashes:
    """Return the hash of each phrase."""
    words = {word: number for number, word in enumerate({w for line in phrases for w in line})}
    of_word = np.array([word_hash(word) for word in words], np.uint64)
    sizes = np.array([len(line) for line in phrases])
    text = of_word[[words[word] for line in phrases for word in line]]
    start = np.cumsum(sizes) - sizes
    hashes = text[start]
    for size in range(1, int(sizes.max())):
        longer = sizes > size
        hashes[longer] = hashes[longer] * _MULTIPLIER + text[start[longer] + size]
    return hashes
