"""The batch pipeline: order, reuse, failures, bounded work."""

from __future__ import annotations

import errno
import json
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from threading import Event
from typing import Any

import filelock
import pytest

from capgen.captioning import prepare_image as prepare_module
from capgen.captioning.batch.inputs import Inputs
from capgen.captioning.batch.journal import Journal, journal_path
from capgen.captioning.batch.pipeline import BatchFinished, BatchRun, ImageDone, caption_all
from capgen.captioning.batch.sources import BytesSource, FileSource, Source
from capgen.captioning.captioner import Captioner
from capgen.config import BatchOptions, DecodeOptions, ImageLimits
from capgen.errors import ProtectedFileError, StorageError
from capgen.models.preprocessing.preprocess import Preprocessor
from capgen.records import Caption, CaptionFailure, Unwritten
from tests.broken_images import png_without_palette, tiff
from tests.colours import ColourRuntime, colour_captioner, plain, plains
from tests.fakes import write_records


def open_journal(captioner: Captioner, path: Path, **decoding) -> Journal:
    settings, _ = captioner.settings(DecodeOptions(**decoding))
    return Journal(
        path, captioner.name, captioner.folder.fingerprint, captioner.record_settings(settings)
    )


def run(
    folder: Path, journal: Path | None = None, **options
) -> tuple[list[ImageDone], BatchFinished, ColourRuntime]:
    captioner, runtime = colour_captioner()
    opened = None if journal is None else open_journal(captioner, journal)
    lanes = options.pop("lanes", 1)
    events = caption_all(
        captioner,
        Inputs([str(folder)]),
        BatchRun(options=BatchOptions(**options), journal=opened, lanes=lanes),
    )
    *done, finished = events
    if opened is not None:
        opened.close()
    assert isinstance(finished, BatchFinished)
    return [event for event in done if isinstance(event, ImageDone)], finished, runtime


def texts(done: list[ImageDone]) -> list[str | None]:
    return [event.record.text if isinstance(event.record, Caption) else None for event in done]


@pytest.mark.parametrize("size", [1, 3, 16])
@pytest.mark.parametrize("workers", [1, 4])
@pytest.mark.parametrize("lanes", [1, 3])
def test_same_records_in_order_whatever_the_machinery(
    tmp_path: Path, size: int, workers: int, lanes: int
) -> None:
    plains(tmp_path, 20)
    (tmp_path / "005.png").write_bytes(b"no image")
    done, finished, _ = run(tmp_path, batch_size=size, workers=workers, lanes=lanes)
    assert texts(done) == [None if red == 5 else f"{red} 0" for red in range(20)]
    assert (finished.captions, finished.failures) == (19, {"not_an_image": 1})


def test_records_say_what_made_them(tmp_path: Path) -> None:
    plain(tmp_path, "a.png", 3)
    (tmp_path / "b.png").write_bytes(b"")
    done, _, _ = run(tmp_path)
    for event in done:
        record = event.record
        assert len(record.sha256 or "") == 64
        assert (record.model, record.revision) == ("colours", "r1")
        assert record.settings["runtime"] == "colours"


def test_done_work_is_not_repeated(tmp_path: Path) -> None:
    images, journal = tmp_path / "photos", tmp_path / "journal"
    plains(images, 10)
    (images / "bad.png").write_bytes(b"text")
    first, _, _ = run(images, journal)
    (images / "003.png").rename(images / "renamed.png")
    plain(images, "004.png", 204)
    plain(images, "new.png", 99)
    second, finished, runtime = run(images, journal)
    assert runtime.seen == 2
    assert finished.reused == 10
    known = {event.record.path: event.record for event in second}
    assert known[str(images / "renamed.png")].text == "3 0"  # type: ignore[union-attr]
    assert known[str(images / "004.png")].text == "204 0"  # type: ignore[union-attr]
    assert first[0].record == second[0].record


def test_copies_of_an_image_of_the_same_run_are_not_from_an_earlier_one(tmp_path: Path) -> None:
    images, journal = tmp_path / "photos", tmp_path / "journal"
    for name in ("a.png", "b.png", "c.png"):
        plain(images, name, 7)
    options = {"batch_size": 1, "workers": 1}
    first, finished, _ = run(images, journal, **options)
    assert texts(first) == ["7 0"] * 3
    assert finished.reused == 0
    assert len(journal.read_bytes().splitlines()) == 1  # which holds for all of them
    _, finished, _ = run(images, journal, **options)
    assert finished.reused == 3


def test_other_settings_or_models_are_other_work(tmp_path: Path) -> None:
    captioner, _ = colour_captioner()
    with_beams = open_journal(captioner, tmp_path / "journal", beams=2)
    (event, _) = caption_all(
        captioner,
        [FileSource(str(plain(tmp_path, "a.png", 1)))],
        BatchRun(decoding=DecodeOptions(beams=2), journal=with_beams),
    )
    assert isinstance(event, ImageDone)
    digest = event.record.sha256 or ""
    assert with_beams.find(digest) == event.record
    with_beams.close()
    other, _ = colour_captioner("another")
    assert open_journal(other, tmp_path / "journal", beams=2).find(digest) is None
    assert open_journal(captioner, tmp_path / "journal2", beams=3).find(digest) is None


def test_failures_are_kept_and_retried_on_request(tmp_path: Path) -> None:
    images, journal = tmp_path / "photos", tmp_path / "journal"
    plain(images, "a.png", 1)
    (images / "bad.png").write_bytes(b"text")
    run(images, journal)
    _, finished, _ = run(images, journal)
    assert finished.reused == 2
    _, finished, _ = run(images, journal, retry_failed=True)
    assert finished.reused == 1
    # The message of a failure names the file, so that of another name is made anew.
    (images / "bad.png").rename(images / "worse.png")
    done, finished, _ = run(images, journal)
    assert "worse.png" in done[-1].record.message  # type: ignore[union-attr]


@pytest.mark.filterwarnings("ignore")
def test_whatever_a_decoder_raises_is_a_record_and_stays_one(tmp_path: Path) -> None:
    images, journal = tmp_path / "photos", tmp_path / "journal"
    plain(images, "a.png", 1)
    (images / "b.png").write_bytes(png_without_palette())
    (images / "c.tif").write_bytes(tiff({273: (11, 3.0)}))
    plain(images, "d.png", 4)
    done, finished, _ = run(images, journal)
    assert texts(done) == ["1 0", None, None, "4 0"]
    assert finished.failures == {"unsupported": 1, "unreadable": 1}
    again, finished, runtime = run(images, journal)
    assert [event.record for event in again] == [event.record for event in done]
    assert (finished.reused, runtime.seen) == (4, 0)


@pytest.mark.parametrize("owner", [prepare_module, Preprocessor], ids=["load", "preprocess"])
def test_too_little_memory_is_a_record(
    owner: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain(tmp_path, "a.png", 1)
    plain(tmp_path, "b.png", 2)
    where = "reshape" if owner is Preprocessor else "load_image"
    real = getattr(owner, where)
    calls = iter([True, False])

    def scarce(*arguments: object, **options: object) -> object:
        if next(calls):
            raise MemoryError
        return real(*arguments, **options)

    monkeypatch.setattr(owner, where, scarce)
    done, _, _ = run(tmp_path, workers=1)
    assert texts(done) == [None, "2 0"]
    assert done[0].record.code == "memory"  # type: ignore[union-attr]
    assert "a.png: not enough memory" in done[0].record.message  # type: ignore[union-attr]
    calls = iter([True, False])
    captioner, _ = colour_captioner()
    records = list(captioner.stream([tmp_path / "a.png", tmp_path / "b.png"]))
    assert [isinstance(record, Caption) for record in records] == [False, True]


def test_fail_fast_stops(tmp_path: Path) -> None:
    plains(tmp_path, 9)
    (tmp_path / "003.png").write_bytes(b"")
    done, finished, _ = run(tmp_path, fail_fast=True, batch_size=2)
    assert texts(done) == ["0 0", "1 0", "2 0", None]
    assert finished.stopped


def test_sources_are_read_as_needed(tmp_path: Path) -> None:
    data = plain(tmp_path, "a.png", 1).read_bytes()
    taken = 0

    def endless() -> Iterator[Source]:
        nonlocal taken
        while True:
            taken += 1
            yield BytesSource(f"{taken}", data)

    captioner, _ = colour_captioner()
    events = caption_all(
        captioner, endless(), BatchRun(options=BatchOptions(batch_size=4, workers=2))
    )
    for _ in range(10):
        next(events)
    events.close()
    assert taken < 10 + 5 * 4


def test_a_failed_image_has_the_limit_in_its_message(tmp_path: Path) -> None:
    captioner, _ = colour_captioner()
    source = FileSource(str(plain(tmp_path, "a.png", 1)))
    (event, finished) = caption_all(
        captioner, [source], BatchRun(limits=ImageLimits(max_pixels=10))
    )
    assert isinstance(event, ImageDone) and isinstance(event.record, CaptionFailure)
    assert event.record.code == "too_large"
    assert isinstance(finished, BatchFinished) and finished.failures == {"too_large": 1}


def test_a_known_caption_stays_where_a_thumbnail_is_not_possible(tmp_path: Path) -> None:
    captioner, runtime = colour_captioner()
    source = FileSource(str(plain(tmp_path, "a.png", 3)))
    journal = open_journal(captioner, tmp_path / "journal")
    list(caption_all(captioner, [source], BatchRun(journal=journal)))
    for limits, possible in ((ImageLimits(), True), (ImageLimits(max_pixels=10), False)):
        journal.close()
        journal = open_journal(captioner, tmp_path / "journal")
        again = BatchRun(journal=journal, thumbnails=True, limits=limits)
        event, _ = caption_all(captioner, [source], again)
        assert isinstance(event, ImageDone) and event.reused
        assert isinstance(event.record, Caption) and event.record.text == "3 0"
        assert (event.thumbnail is not None) == possible
    assert runtime.seen == 1
    journal.close()


# --- the journal's file


def test_a_half_written_line_is_healed(tmp_path: Path) -> None:
    images, journal = tmp_path / "photos", tmp_path / "journal"
    plains(images, 4)
    run(images, journal, batch_size=1)
    whole = journal.read_bytes()
    for cut in (len(whole) - 1, len(whole) - 40, whole.index(b"\n") + 1, 5, 0):
        journal.write_bytes(whole[:cut])
        kept = whole[:cut].count(b"\n")
        _, finished, runtime = run(images, journal)
        assert (finished.reused, runtime.seen) == (kept, 4 - kept)
        lines = journal.read_bytes().splitlines()
        assert sorted(map(json.dumps, map(json.loads, lines))) == sorted(
            map(json.dumps, map(json.loads, whole.splitlines()))
        )


def test_garbage_in_the_journal_is_passed_over(tmp_path: Path) -> None:
    images, journal = tmp_path / "photos", tmp_path / "journal"
    plains(images, 3)
    run(images, journal)
    lines = journal.read_bytes().splitlines(keepends=True)
    journal.write_bytes(b"\0\0\0\n" + lines[0] + b'[1]\n{"caption": 3}\nnull\n' + lines[1])
    _, finished, runtime = run(images, journal)
    assert (finished.reused, runtime.seen) == (2, 1)


def test_a_finished_output_is_a_journal_too(tmp_path: Path) -> None:
    plains(tmp_path / "photos", 5)
    done, _, _ = run(tmp_path / "photos")
    for name in ("x.json", "x.jsonl"):
        write_records(tmp_path / name, [event.record for event in done])
        captioner, _ = colour_captioner()
        journal = open_journal(captioner, journal_path(tmp_path / name))
        journal.absorb(tmp_path / name)
        assert len(journal) == 5
        assert journal.find(done[2].record.sha256 or "") == done[2].record
        journal.close(remove=True)
        assert not journal_path(tmp_path / name).exists()


def test_what_was_not_written_is_tried_again(tmp_path: Path) -> None:
    plains(tmp_path / "photos", 2)
    done, _, _ = run(tmp_path / "photos")
    captions = [event.record for event in done]
    missing = Unwritten(code="sidecar", message="a.txt: it is a folder")
    assert isinstance(captions[0], Caption)
    write_records(tmp_path / "x.jsonl", [replace(captions[0], unwritten=missing), captions[1]])
    journal = open_journal(colour_captioner()[0], journal_path(tmp_path / "x.jsonl"))
    journal.absorb(tmp_path / "x.jsonl")
    for caption in captions:
        assert journal.find(caption.sha256 or "") == caption
    journal.close(remove=True)


@pytest.mark.parametrize("content", [b"\xff\xd8\xff\xe0 an image", b"path,caption\na.jpg,a dog\n"])
def test_a_journal_is_not_made_of_another_file(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "x.journal").write_bytes(content)
    captioner, _ = colour_captioner()
    for fresh in (False, True):
        with pytest.raises(ProtectedFileError, match=r"x\.journal is"):
            Journal(tmp_path / "x.journal", captioner.name, "", {}, fresh=fresh)
        assert (tmp_path / "x.journal").read_bytes() == content


@pytest.mark.parametrize("windows", [False, True])
def test_two_runs_do_not_share_a_journal(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, windows: bool
) -> None:
    if windows and filelock.FileLock:  # which keeps what it has imported
        monkeypatch.setitem(sys.modules, "fcntl", None)
    captioner, _ = colour_captioner()
    first = open_journal(captioner, tmp_path / "journal")
    with pytest.raises(StorageError, match="Another run"):
        open_journal(captioner, tmp_path / "journal")
    first.close()
    open_journal(captioner, tmp_path / "journal").close()


def test_closing_a_run_calls_off_what_is_being_read(tmp_path: Path) -> None:
    called_off: list[bool] = []
    reading, ended = Event(), Event()

    class Slow(BytesSource):
        def read(self, limits: ImageLimits, stop: Event) -> bytes:
            reading.set()
            called_off.append(stop.wait(timeout=60))
            ended.set()
            return self.data

    first = BytesSource("a.png", plain(tmp_path, "a.png", 3).read_bytes())
    sources = [first, first, Slow("slow.png", first.data)]
    events = caption_all(
        colour_captioner()[0], sources, BatchRun(options=BatchOptions(batch_size=1, workers=2))
    )
    assert isinstance(next(events), ImageDone)
    assert reading.wait(timeout=60)
    events.close()
    assert ended.wait(timeout=60)
    assert called_off == [True]


def test_a_bug_in_a_reading_thread_ends_the_run(tmp_path: Path) -> None:
    class Broken(BytesSource):
        def read(self, limits: ImageLimits, stop: Event) -> bytes:
            raise ZeroDivisionError

    image = plain(tmp_path, "a.png", 3).read_bytes()
    sources = [BytesSource("a.png", image), Broken("b.png", image)]
    with pytest.raises(ZeroDivisionError) as caught:
        list(caption_all(colour_captioner()[0], sources))
    assert "read" in [entry.name for entry in caught.traceback]


def test_a_bug_in_the_model_ends_the_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object, **__: object) -> list[Caption]:
        raise ZeroDivisionError

    captioner, _ = colour_captioner()
    monkeypatch.setattr(captioner, "caption_prepared", broken)
    sources = [BytesSource("a.png", plain(tmp_path, "a.png", 3).read_bytes())]
    with pytest.raises(ZeroDivisionError) as caught:
        list(caption_all(captioner, sources))
    assert "broken" in [entry.name for entry in caught.traceback]


def test_a_drive_without_locks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fcntl = pytest.importorskip("fcntl")

    def flock(file: object, operation: int) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(fcntl, "flock", flock)
    captioner, _ = colour_captioner()
    open_journal(captioner, tmp_path / "journal").close()
