"""Images of stores are read ahead, within bounds."""

from __future__ import annotations

import pickle
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from threading import Event

import pytest

from capgen.captioning.batch import fetching
from capgen.captioning.batch.fetching import fetched_ahead
from capgen.captioning.batch.sources import BytesSource, Source, StoredSource, named_source
from capgen.config import ImageLimits
from capgen.errors import ImageError


def stored(number: int) -> StoredSource:
    return StoredSource.at(f"s3://bucket/{number}.jpg")


def test_all_come_in_order() -> None:
    sources = [stored(n) if n % 3 else BytesSource(f"{n}.jpg", b"") for n in range(50)]

    with ThreadPoolExecutor(8) as pool:
        images = fetched_ahead(pool, sources, lambda source: source.name.encode(), ahead=8)
        read = [(image.source, image.read()) for image in images]

    assert read == [(source, source.name.encode()) for source in sources]


def test_no_more_are_held_than_asked_for() -> None:
    taken: list[int] = []

    def sources() -> object:
        for number in range(1_000):
            taken.append(number)
            yield stored(number)

    with ThreadPoolExecutor(4) as pool:
        images = fetched_ahead(pool, sources(), lambda source: b"", ahead=10)  # type: ignore[arg-type]
        list(islice(images, 5))

    assert len(taken) == 5 + 10 - 1


def test_large_images_are_not_read_far_ahead(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fetching, "_WAITING_BYTES", 1_000)
    begun: list[Source] = []
    finished = [Event() for _ in range(100)]

    def read(source: Source) -> bytes:
        begun.append(source)
        finished[len(begun) - 1].set()
        return b"x" * 600

    def sources() -> object:
        for number in range(100):
            if number:  # the one before has been read
                assert finished[number - 1].wait(30)
            yield stored(number)

    with ThreadPoolExecutor(1) as pool:
        images = fetched_ahead(pool, sources(), read, ahead=50)  # type: ignore[arg-type]
        next(images)

    assert len(begun) <= 4


def test_local_images_wait_for_nothing() -> None:
    sources = (BytesSource(str(n), b"") if n < 3 else pytest.fail("read ahead") for n in range(9))

    with ThreadPoolExecutor(1) as pool:
        images = fetched_ahead(pool, sources, lambda source: b"")
        assert len(list(islice(images, 3))) == 3


def test_what_reading_raises_comes_when_it_is_read() -> None:
    def read(source: Source) -> bytes:
        raise ImageError("no", code="missing")

    with ThreadPoolExecutor(1) as pool:
        (image,) = fetched_ahead(pool, [stored(1)], read)
        with pytest.raises(ImageError):
            image.read()


def test_stored_sources_are_small_and_pickle() -> None:
    source = named_source("s3://bucket/photos/1.jpg")

    again = pickle.loads(pickle.dumps(source))

    assert again == source
    assert len(pickle.dumps([source] * 2)) < 300


def test_names_have_no_credentials() -> None:
    source = StoredSource.at("sftp://me:secret@host/a.jpg")

    assert (source.name, source.label) == ("sftp://host/a.jpg", "sftp://host/a.jpg")
    assert source.address == "sftp://me:secret@host/a.jpg"


def test_a_listed_image_that_is_too_large_is_not_fetched() -> None:
    source = StoredSource.at("s3://bucket/1.jpg", size=100)

    with pytest.raises(ImageError, match="larger than the limit of 99 bytes"):
        source.read(ImageLimits(max_bytes=99), Event())
