"""Shares of a list, captioned one by one and merged, with the bundled model."""

from __future__ import annotations

import json
import shutil
import tarfile
from dataclasses import replace
from pathlib import Path

import pytest

from capgen.captioning.batch.inputs import Inputs
from capgen.captioning.batch.pipeline import BatchFinished, BatchRun, ImageDone, caption_all
from capgen.captioning.captioner import Captioner
from capgen.config import (
    BatchOptions,
    CsvOptions,
    DecodeOptions,
    ImageLimits,
    InputOptions,
    TagOptions,
)
from capgen.distributed.caption_parts import PartsRun, PartWriter
from capgen.distributed.caption_share import (
    PartReused,
    ShareFinished,
    ShareJob,
    caption_share,
)
from capgen.distributed.merge import (
    check_content,
    check_parts,
    check_positions,
    check_unchanged,
)
from capgen.distributed.share import Share
from capgen.distributed.units import list_units
from capgen.distributed.vouchers import MANIFEST, PartDone
from capgen.distributed.write_merged import write_merged
from capgen.errors import DataError, ProtectedFileError, StorageError, UsageError
from capgen.output.formats import open_format
from tests.minis import draw

LIMITS = ImageLimits()


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """40 photos, three of them damaged, and an archive with five."""
    folder = tmp_path_factory.mktemp("shares") / "photos"
    folder.mkdir()
    for number in range(37):
        draw(number, (80, 60)).save(folder / f"photo{number}.jpg")
    for number in range(3):
        (folder / f"bad{number}.jpg").write_bytes(b"\xff\xd8\xff\xe0 no photo")
    with tarfile.open(folder.parent / "more.tar", "w") as archive:
        for number in range(5):
            archive.add(folder / f"photo{number}.jpg", f"in/{number}.jpg")
    return folder


@pytest.fixture(scope="module")
def captioner(bundled: Captioner) -> Captioner:
    return bundled


def names(photos: Path) -> list[str]:
    return [str(photos), str(photos.parent / "more.tar"), str(photos / "photo3.jpg")]


def share(
    captioner: Captioner, photos: Path, place: Path | str, text: str = "1/1", **changes: object
) -> list[object]:
    """Caption a share; return the events."""
    units = changes.pop("units", None) or list_units(names(photos), InputOptions(), LIMITS)
    job = replace(ShareJob(place=str(place), share=Share.parse(text), part_size=4), **changes)
    return list(caption_share(captioner, units, job))


@pytest.fixture(scope="module")
def alone(captioner: Captioner, photos: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What one machine writes, in each format."""
    folder = tmp_path_factory.mktemp("alone")
    events = list(caption_all(captioner, Inputs(names(photos))))
    for name in ("captions.jsonl", "captions.json", "captions.csv", "captions.txt"):
        form = {"txt": "text"}.get(name.rpartition(".")[2], name.rpartition(".")[2])
        with open_format(folder / name, form) as write:
            for event in events:
                if isinstance(event, ImageDone):
                    write(event.record, None)
    return folder


def made(events: list[object]) -> list[str]:
    return [event.file for event in events if isinstance(event, PartDone)]


def test_sixteen_shares_merged_are_what_one_machine_writes(
    captioner: Captioner, photos: Path, alone: Path, tmp_path: Path
) -> None:
    place = tmp_path / "parts"
    for number in range(1, 17):
        events = share(captioner, photos, place, f"{number}/16")
        assert isinstance(events[-1], ShareFinished)
        assert not (place / MANIFEST).exists()
    checked = check_parts(str(place))
    check_positions(checked)
    assert checked.records == 46
    for expected in alone.iterdir():
        form = {"txt": "text"}.get(expected.suffix[1:], expected.suffix[1:])
        write_merged(checked, tmp_path / expected.name, form, CsvOptions(), TagOptions())
        assert (tmp_path / expected.name).read_bytes() == expected.read_bytes(), expected.name


def test_what_is_there_is_not_captioned_again(
    captioner: Captioner, photos: Path, tmp_path: Path
) -> None:
    place = tmp_path / "parts"
    first = share(captioner, photos, place)
    assert len(made(first)) == 11  # of 40 photos, an archive and a name that comes twice
    before = {file.name: file.stat().st_mtime_ns for file in place.glob("*.json*")}
    again = share(captioner, photos, place)
    assert not made(again)
    assert sum(event.images for event in again if isinstance(event, PartReused)) == 42
    assert {file.name: file.stat().st_mtime_ns for file in place.glob("*.json*")} == before


def test_a_part_without_its_voucher_is_made_again(
    captioner: Captioner, photos: Path, alone: Path, tmp_path: Path
) -> None:
    """So is one of which a kill left only the file."""
    place = tmp_path / "parts"
    share(captioner, photos, place)
    voucher = next((place / "_parts").glob("00003-*"))
    voucher.unlink()
    (place / "part-00003.jsonl").write_text('{"schema_version": 2, "path": "cut o')
    assert made(share(captioner, photos, place)) == ["part-00003.jsonl"]
    joined = b"".join(file.read_bytes() for file in sorted(place.glob("part-*")))
    assert joined == (alone / "captions.jsonl").read_bytes()


def test_an_output_that_changes_is_not_called_complete(
    captioner: Captioner, photos: Path, tmp_path: Path
) -> None:
    """Nobody sees a manifest beside parts that are being replaced."""
    place = tmp_path / "parts"
    share(captioner, photos, place)
    assert (place / MANIFEST).exists()
    units = list_units(
        [str(photos / f"photo{number}.jpg") for number in range(9)], InputOptions(), LIMITS
    )
    seen = []
    job = ShareJob(place=str(place), part_size=4)
    for event in caption_share(captioner, units, job):
        if isinstance(event, PartDone):
            seen.append((place / MANIFEST).exists())
    assert seen == [False, False, False]
    manifest = json.loads((place / MANIFEST).read_text())
    # What the longer list had beyond is gone.
    assert sorted(file.name for file in place.glob("part-*")) == [
        part["file"] for part in manifest["parts"]
    ]
    assert manifest["records"] == 9


def test_records_of_a_part_whose_images_changed_are_used_again(
    captioner: Captioner, photos: Path, tmp_path: Path
) -> None:
    place = tmp_path / "parts"
    paths = [str(photos / f"photo{number}.jpg") for number in range(8)]
    share(captioner, photos, place, units=list_units(paths, InputOptions(), LIMITS))
    paths[2:2] = [str(photos / "photo20.jpg")]
    events = share(captioner, photos, place, units=list_units(paths, InputOptions(), LIMITS))
    assert len(made(events)) == 3
    reused = [e.record.path for e in events if isinstance(e, ImageDone) and e.reused]
    assert set(reused) >= {*paths[:2], paths[3]}
    assert paths[2] not in reused


def test_failures_that_may_pass_are_tried_again_and_others_kept(
    captioner: Captioner, photos: Path, tmp_path: Path
) -> None:
    place, lost = tmp_path / "parts", tmp_path / "later.jpg"
    paths = [str(photos / "photo0.jpg"), str(lost), str(photos / "bad0.jpg")]

    def run(**changes: object) -> list[object]:
        return share(
            captioner, photos, place, units=list_units(paths, InputOptions(), LIMITS), **changes
        )

    first = run()
    assert next(e.failures for e in first if isinstance(e, BatchFinished))["missing"] == 1
    shutil.copy(photos / "photo1.jpg", lost)
    again = run()
    done = [event for event in again if isinstance(event, ImageDone)]
    assert [event.reused for event in done] == [True, False, True]
    assert made(run()) == []
    options = BatchOptions(retry_failed=True)
    assert made(run(run=PartsRun(batch=BatchRun(options=options)))) == ["part-00000.jsonl"]


def test_fail_fast_leaves_the_part_undone(
    captioner: Captioner, photos: Path, tmp_path: Path
) -> None:
    paths = [str(photos / f"photo{n}.jpg") for n in range(6)] + [str(photos / "bad0.jpg")]
    units = list_units(paths, InputOptions(), LIMITS)
    run = PartsRun(batch=BatchRun(options=BatchOptions(fail_fast=True)))
    events = share(captioner, photos, tmp_path / "parts", units=units, run=run)
    assert made(events) == ["part-00000.jsonl"]
    assert isinstance(events[-1], BatchFinished)
    assert events[-1].stopped
    assert not (tmp_path / "parts" / MANIFEST).exists()


def test_machines_with_the_list_in_different_orders(
    captioner: Captioner, photos: Path, tmp_path: Path
) -> None:
    place = tmp_path / "parts"
    paths = [str(photos / f"photo{number}.jpg") for number in range(12)]
    for number, order in ((1, 1), (2, -1)):
        units = list_units(paths[::order], InputOptions(), LIMITS)
        share(captioner, photos, place, f"{number}/2", units=units)
    checked = check_parts(str(place))
    check_positions(checked)
    assert not checked.same_order
    write_merged(checked, tmp_path / "all.jsonl", "jsonl", CsvOptions(), TagOptions())
    lines = (tmp_path / "all.jsonl").read_text().splitlines()
    assert [json.loads(line)["path"] for line in lines] == paths


def merge_error(place: Path) -> str:
    with pytest.raises(DataError) as caught:
        checked = check_parts(str(place))
        check_positions(checked)
        write_merged(checked, place / "x.jsonl", "jsonl", CsvOptions(), TagOptions())
    return f"{caught.value.message} {caught.value.hint}"


def test_merge_names_what_is_missing(captioner: Captioner, photos: Path, tmp_path: Path) -> None:
    place = tmp_path / "parts"
    for number in (1, 3, 4):
        share(captioner, photos, place, f"{number}/4")
    assert "share 2/4 is missing" in merge_error(place)
    share(captioner, photos, place, "2/4")
    check_parts(str(place))
    voucher = next((place / "_parts").glob("03-of-04-00001-*"))
    kept = voucher.read_bytes()
    voucher.unlink()
    assert "share 3/4 has" in merge_error(place)
    voucher.write_bytes(kept)
    part = place / "part-03-of-04-00001.jsonl"
    content = part.read_bytes()
    part.write_bytes(content[:-2] + b"X\n")
    assert "part-03-of-04-00001.jsonl was changed" in merge_error(place)
    part.unlink()
    assert "part-03-of-04-00001.jsonl is missing" in merge_error(place)
    part.write_bytes(content)
    check_parts(str(place))


def test_merge_refuses_shares_of_different_lists_or_settings(
    captioner: Captioner, photos: Path, tmp_path: Path
) -> None:
    place = tmp_path / "parts"
    paths = [str(photos / f"photo{number}.jpg") for number in range(8)]
    for number, count in ((1, 8), (2, 7)):
        units = list_units(paths[:count], InputOptions(), LIMITS)
        share(captioner, photos, place, f"{number}/2", units=units)
    assert "different lists, with 8 and 7 images" in merge_error(place)
    run = PartsRun(batch=BatchRun(decoding=DecodeOptions(max_length=5)))
    units = list_units(paths, InputOptions(), LIMITS)
    share(captioner, photos, place, "2/2", units=units, run=run)
    assert "different models or settings" in merge_error(place)


def test_folders_that_are_somebody_elses(
    captioner: Captioner, photos: Path, tmp_path: Path
) -> None:
    (tmp_path / "part-00000.parquet").write_text("mine")
    with pytest.raises(ProtectedFileError):
        share(captioner, photos, tmp_path, "1/2")
    assert (tmp_path / "part-00000.parquet").read_text() == "mine"
    place = tmp_path / "parts"
    share(captioner, photos, place, "1/2")
    with pytest.raises(UsageError, match="number of shares 2"):
        share(captioner, photos, place, "1/3")
    with pytest.raises(UsageError, match="format jsonl"):
        share(captioner, photos, place, "1/2", format="parquet")
    with pytest.raises(DataError, match="holds no parts"):
        check_parts(str(tmp_path))


def test_parquet_parts(captioner: Captioner, photos: Path, tmp_path: Path) -> None:
    pytest.importorskip("pyarrow")
    tags = TagOptions(tags=True)
    for number in (1, 2, 3):
        share(
            *(captioner, photos, tmp_path / "parts", f"{number}/3"),
            format="parquet",
            run=PartsRun(tags=tags),
        )
    checked = check_parts(str(tmp_path / "parts"))
    write_merged(checked, tmp_path / "all.parquet", "parquet", CsvOptions(), tags)
    with open_format(tmp_path / "alone.parquet", "parquet", tags=tags) as write:
        for event in caption_all(captioner, Inputs(names(photos))):
            if isinstance(event, ImageDone):
                write(event.record, None)
    assert (tmp_path / "all.parquet").read_bytes() == (tmp_path / "alone.parquet").read_bytes()
    with pytest.raises(UsageError, match="Parquet"):
        write_merged(checked, tmp_path / "all.jsonl", "jsonl", CsvOptions(), tags)


def test_in_a_store(captioner: Captioner, photos: Path, alone: Path, tmp_path: Path) -> None:
    place = f"memory://{tmp_path.name}/captions"
    for number in (1, 2):
        share(captioner, photos, place, f"{number}/2")
    assert not made(share(captioner, photos, place, "1/2"))
    checked = check_parts(place)
    write_merged(checked, tmp_path / "all.jsonl", "jsonl", CsvOptions(), TagOptions())
    assert (tmp_path / "all.jsonl").read_bytes() == (alone / "captions.jsonl").read_bytes()


def test_an_interrupted_part_goes_on_from_its_journal(
    captioner: Captioner, photos: Path, alone: Path, tmp_path: Path
) -> None:
    place = tmp_path / "parts"
    job = ShareJob(place=str(place), part_size=1000)
    run = PartsRun(batch=BatchRun(options=BatchOptions(batch_size=2)))
    events = caption_share(
        captioner, list_units(names(photos), InputOptions(), LIMITS), replace(job, run=run)
    )
    seen = [next(events) for _ in range(20)]
    events.close()
    assert len(seen) == 20
    assert not list(place.glob("part-*"))
    again = list(caption_share(captioner, list_units(names(photos), InputOptions(), LIMITS), job))
    assert sum(isinstance(e, ImageDone) and e.reused for e in again) >= 15
    assert (place / "part-00000.jsonl").read_bytes() == (alone / "captions.jsonl").read_bytes()
    assert not (place / "_journals").exists()


def test_a_part_whose_file_is_gone_is_made_again(
    captioner: Captioner, photos: Path, tmp_path: Path
) -> None:
    place = tmp_path / "parts"
    share(captioner, photos, place, "1/2")
    (place / "part-01-of-02-00001.jsonl").unlink()
    assert made(share(captioner, photos, place, "1/2")) == ["part-01-of-02-00001.jsonl"]


def test_a_part_with_two_vouchers_is_made_again(
    captioner: Captioner, photos: Path, tmp_path: Path
) -> None:
    """As two machines leave it that made the same share at once, with different settings."""
    place, other = tmp_path / "parts", tmp_path / "other"
    share(captioner, photos, place)
    run = PartsRun(batch=BatchRun(decoding=DecodeOptions(max_length=5)))
    share(captioner, photos, other, run=run)
    shutil.copy(next((other / "_parts").glob("00002-*")), place / "_parts")
    assert "share 1/1 has 12 of its 11 parts" in merge_error(place)
    assert made(share(captioner, photos, place)) == ["part-00002.jsonl"]
    check_parts(str(place))


@pytest.mark.parametrize("resume", [True, False])
def test_nothing_of_an_earlier_longer_list_stays(
    resume: bool, captioner: Captioner, photos: Path, tmp_path: Path
) -> None:
    """Readers that take all `part-*` would find images twice."""
    place = tmp_path / "parts"
    share(captioner, photos, place)
    next((place / "_parts").glob("00009-*")).unlink()  # as if killed before the voucher
    events = share(captioner, photos, place, part_size=20, resume=resume)
    assert isinstance(events[-1], ShareFinished)
    written = sorted(file.name for file in place.glob("part-*"))
    assert written == [f"part-0000{number}.jsonl" for number in range(3)]
    check_parts(str(place))


def test_a_second_run_of_a_share_takes_nothing_from_the_first(
    captioner: Captioner, photos: Path, tmp_path: Path
) -> None:
    place = tmp_path / "parts"
    job = ShareJob(place=str(place), part_size=4)
    first = caption_share(captioner, list_units(names(photos), InputOptions(), LIMITS), job)
    assert any(isinstance(event, PartDone) for event in first)
    with pytest.raises(StorageError, match="Another run"):
        share(captioner, photos, place, resume=False)
    *_, last = first
    assert isinstance(last, ShareFinished)
    assert len(json.loads((place / MANIFEST).read_text())["parts"]) == 11


def test_an_output_of_which_parts_were_removed_meanwhile_is_not_called_complete(
    captioner: Captioner, photos: Path, tmp_path: Path
) -> None:
    place = tmp_path / "parts"
    job = ShareJob(place=str(place), part_size=4)
    events = caption_share(captioner, list_units(names(photos), InputOptions(), LIMITS), job)
    assert any(isinstance(event, PartDone) for event in events)
    for voucher in (place / "_parts").iterdir():
        voucher.unlink()
    with pytest.raises(DataError, match="of its 11 parts"):
        list(events)
    assert not (place / MANIFEST).exists()


def test_what_was_written_during_a_merge_is_noticed(
    captioner: Captioner, photos: Path, tmp_path: Path
) -> None:
    place = tmp_path / "parts"
    share(captioner, photos, place, "1/2")
    share(captioner, photos, place, "2/2")
    checked = check_parts(str(place))
    check_unchanged(checked)
    for number in (1, 2):
        share(captioner, photos, place, f"{number}/2", part_size=5)
    with pytest.raises(DataError, match="written to meanwhile"):
        check_unchanged(checked)


def test_damaged_files(captioner: Captioner, photos: Path, tmp_path: Path) -> None:
    place = tmp_path / "parts"
    share(captioner, photos, place)
    part = place / "part-00004.jsonl"
    content = part.read_bytes()
    part.write_bytes(content[:-300])
    with pytest.raises(DataError, match=r"part-00004\.jsonl was changed"):
        check_content(check_parts(str(place)))
    part.write_bytes(content)
    check_content(check_parts(str(place)))
    voucher = next((place / "_parts").glob("00004-*"))
    for file in (voucher, place / "_shares" / "all.json", place / "_plan.json"):
        before = file.read_bytes()
        file.write_text('{"schema_version": 1, "kind": "capgen-parts"}\n')
        assert f"{file.name} is damaged" in merge_error(place)
        file.write_bytes(before)


def test_a_manifest_that_is_somebody_elses(
    captioner: Captioner, photos: Path, tmp_path: Path
) -> None:
    (tmp_path / MANIFEST).write_text("mine")
    with pytest.raises(ProtectedFileError):
        share(captioner, photos, tmp_path)
    assert (tmp_path / MANIFEST).read_text() == "mine"


def test_an_interrupt_while_a_part_is_put_away_is_only_that(
    captioner: Captioner, photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    removed = PartWriter._remove

    def interrupted(writer: PartWriter) -> None:
        monkeypatch.setattr(PartWriter, "_remove", removed)
        shutil.rmtree(writer._file.parent)
        raise KeyboardInterrupt

    monkeypatch.setattr(PartWriter, "_remove", interrupted)
    with pytest.raises(KeyboardInterrupt):
        share(captioner, photos, tmp_path / "parts")
