"""Files of encoder features."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from capgen.errors import DataError
from capgen.records import Notice
from capgen.training.data.feature_cache import CacheFile
from capgen.training.processes.crews import Crew


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


def _never(first, stop):
    raise AssertionError("blocks were read")
    yield


def _rows(*blocks):
    """Return what makes these blocks, from the first row only."""

    def make(first, stop):
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
        _get(file, lambda first, stop: blocks(first, rows))
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


ROWS, BATCH = 23, 4
WANTED = np.arange(ROWS * 3, dtype=np.float16).reshape(ROWS, 3)
SHARED = CacheFile(split="train", sources=("shared",), rows=ROWS, batch=BATCH)


class Threads:
    """Processes of a run, which are threads here."""

    def __init__(self, count, rank, meeting, parts):
        self.count, self.rank = count, rank
        self._meeting, self._parts = meeting, parts

    def gather(self, part):
        self._parts[self.rank] = part
        self._meeting.wait(60)
        parts = list(self._parts)
        self._meeting.wait(60)
        return parts

    def wait(self):
        self.gather(None)


def _share(crews, blocks):
    """Let the members of crews get the shared file; return their arrays and events, by rank."""
    count = sum(map(len, crews))
    meeting, parts = threading.Barrier(count), [None] * count

    def one(rank):
        (members,) = (members for members in crews if rank in members)
        file = SHARED.get(
            lambda first, stop: blocks(rank, first, stop),
            Crew(Threads(count, rank, meeting, parts), members),
        )
        events = []
        while True:
            try:
                events.append(next(file))
            except StopIteration as end:
                return end.value, events
            except BaseException:
                meeting.abort()
                raise

    with ThreadPoolExecutor(count) as pool:
        return [future.result() for future in [pool.submit(one, rank) for rank in range(count)]]


def _batches(first, stop):
    assert first % BATCH == 0
    for start in range(first, stop, BATCH):
        yield WANTED[start : min(start + BATCH, stop)]


@pytest.fixture
def alone(tmp_path, monkeypatch):
    """The bytes of the file as one process makes it."""
    monkeypatch.setenv("CAPGEN_HOME", str(tmp_path / "alone"))
    _get(SHARED, _batches)
    content = SHARED.path.read_bytes()
    monkeypatch.setenv("CAPGEN_HOME", str(tmp_path / "shared"))
    return content


@pytest.mark.parametrize("count", [2, 4, 9])
def test_processes_make_a_share_each(count, alone):
    made = {}

    def blocks(rank, first, stop):
        made.setdefault(rank, []).append((first, stop))
        return _batches(first, stop)

    for array, _ in _share([tuple(range(count))], blocks):
        assert array.tolist() == WANTED.tolist()
    assert SHARED.path.read_bytes() == alone
    assert list(SHARED.path.parent.iterdir()) == [SHARED.path]
    assert max(len(ranges) for ranges in made.values()) == 1
    counts = [-(-(stop - first) // BATCH) for ((first, stop),) in made.values()]
    assert sum(counts) == 6
    assert max(counts) == -(-6 // count)
    # It is there, and nobody makes anything.
    assert all(events == [] for _, events in _share([tuple(range(count))], None))


@pytest.mark.parametrize("count", [1, 2, 3])
def test_what_other_numbers_of_processes_made_is_used(count, alone):
    """One process came to row 4; then each of four made one batch of its share."""

    everybody = threading.Barrier(4)

    def until(rank, first, stop):
        yield from _batches(first, min(first + BATCH, stop))
        if rank is not None:
            everybody.wait(60)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        _get(SHARED, lambda first, stop: until(None, first, stop))
    with pytest.raises(KeyboardInterrupt):
        _share([(0, 1, 2, 3)], until)
    # What was not a whole batch, or not even a header, does not count.
    for file in SHARED.path.parent.glob("*.part"):
        with file.open("ab") as part:
            part.write(b"some")
    SHARED.path.with_suffix(".8-0.part").write_bytes(b"no header")
    made = []

    def blocks(rank, first, stop):
        made.append((first, stop))
        return _batches(first, stop)

    _, events = _share([tuple(range(count))], blocks)[0]
    assert (events[0].done, events[-1].done) == (20, ROWS)
    assert made == [(20, ROWS)]
    assert SHARED.path.read_bytes() == alone
    assert list(SHARED.path.parent.iterdir()) == [SHARED.path]


def test_rows_that_no_process_left_are_made_by_the_leader(alone, monkeypatch):
    """As on a disk that does not show in time what other machines have written."""
    found, looks = CacheFile._found, []

    def some(file):
        looks.append(found(file))
        return looks[-1][:1]

    monkeypatch.setattr(CacheFile, "_found", some)
    _share([(0, 1)], lambda rank, first, stop: _batches(first, stop))
    assert [len(files) for files in looks] == [0, 2]
    assert SHARED.path.read_bytes() == alone


def test_crews_make_their_own_at_the_same_time(alone):
    """Here they have one folder, and do not see it: the lock lets one of them make the file."""
    made = []

    def blocks(rank, first, stop):
        made.append((first, stop))
        return _batches(first, stop)

    ends = [array.tolist() for array, _ in _share([(0,), (1,)], blocks)]
    assert ends == [WANTED.tolist()] * 2
    assert made == [(0, ROWS)]
