from __future__ import annotations

import os
from pathlib import Path

import pytest

from capgen.data.dataset import load_dataset, open_dataset
from capgen.data.formats.reading import ReadOptions
from capgen.data.splits import SplitOptions
from capgen.errors import DataError, UsageError
from tests.minis import draw, make_images, save_images, write_coco, write_flickr8k


@pytest.fixture
def flickr(tmp_path: Path) -> Path:
    return write_flickr8k(tmp_path / "mini8k", make_images())


@pytest.mark.realdata
def test_real_flickr8k_and_coco_sample_have_their_known_counts(realdata: Path):
    flickr8k = load_dataset(realdata / "flickr8k")
    assert (len(flickr8k.examples), flickr8k.captions) == (8091, 40455)
    assert flickr8k.counts == {"train": 6000, "val": 1000, "test": 1000, "none": 91}
    assert flickr8k.problems == []
    assert "research" in flickr8k.licence
    coco = load_dataset(realdata / "coco_sample")
    assert (len(coco.examples), coco.captions) == (3229, 6173)
    assert coco.counts == {"train": 2929, "val": 300}
    assert all(len(example.references) == 5 for example in coco.split("val"))


def test_flickr8k_layout(flickr: Path):
    dataset = load_dataset(flickr)
    images = make_images()
    assert dataset.format == "flickr"
    assert dataset.counts == {"train": 6, "val": 2, "test": 2}
    assert dataset.split_source == "official"
    assert [(e.image_id, e.references, e.split) for e in dataset.examples] == [
        (p.name, p.captions, p.split) for p in sorted(images, key=lambda p: p.name)
    ]
    assert all(example.image.is_file() for example in dataset.examples)


@pytest.mark.parametrize("name", ["Flickr8k_Dataset", "Images"])
def test_other_names_of_the_image_folder(flickr: Path, name: str):
    (flickr / "Flicker8k_Dataset").rename(flickr / name)
    assert len(load_dataset(flickr).examples) == 10


def test_coco_layout_gives_the_same_examples(flickr: Path, tmp_path: Path):
    coco = load_dataset(write_coco(tmp_path / "coco", make_images()))
    assert coco.format == "coco"
    assert coco.digest == load_dataset(flickr).digest


def test_digest_changes_with_caption_split_and_image(flickr: Path):
    before = load_dataset(flickr).digest
    assert load_dataset(flickr).digest == before
    tokens = flickr / "Flickr8k_text" / "Flickr8k.token.txt"
    text = tokens.read_text()
    tokens.write_text(text.replace("number 0 0", "number zero 0", 1))
    caption_changed = load_dataset(flickr).digest
    tokens.write_text(text)
    val = flickr / "Flickr8k_text" / "Flickr_8k.devImages.txt"
    names = val.read_text()
    val.write_text(names.split("\n")[0] + "\n")
    split_changed = load_dataset(flickr).digest
    val.write_text(names)
    assert load_dataset(flickr).digest == before
    image = next((flickr / "Flicker8k_Dataset").iterdir())
    data = bytearray(image.read_bytes())
    data[-10] ^= 1  # the same size, one bit apart
    image.write_bytes(data)
    image_changed = load_dataset(flickr).digest
    assert len({before, caption_changed, split_changed, image_changed}) == 4


def test_digest_sees_a_change_that_keeps_size_and_time(flickr: Path):
    before = load_dataset(flickr).digest
    image = next((flickr / "Flicker8k_Dataset").iterdir())
    status = image.stat()
    data = bytearray(image.read_bytes())
    data[-10] ^= 1
    image.write_bytes(data)
    os.utime(image, ns=(status.st_atime_ns, status.st_mtime_ns))
    assert load_dataset(flickr).digest != before


def test_digest_survives_a_damaged_memory_of_hashes(flickr: Path, home: Path):
    before = load_dataset(flickr).digest
    memory = home / "cache" / "file-hashes.sqlite"
    assert memory.is_file()
    memory.write_bytes(b"not a database" * 100)
    assert load_dataset(flickr).digest == before


def test_errors_name_file_and_line(flickr: Path):
    tokens = flickr / "Flickr8k_text" / "Flickr8k.token.txt"
    lines = tokens.read_text().split("\n")
    lines[6] = "no tab here"
    tokens.write_text("\n".join(lines))
    with pytest.raises(DataError, match=r"Flickr8k\.token\.txt:7: expected NAME#NUMBER"):
        load_dataset(flickr)
    tokens.write_bytes("\n".join(lines[:6]).encode() + b"\nx.jpg#0\tcaf\xe9\n")
    with pytest.raises(DataError, match=r"Flickr8k\.token\.txt:7: byte 0xe9 in column 12"):
        load_dataset(flickr)


def test_a_image_in_two_split_lists_is_an_error(flickr: Path):
    train = flickr / "Flickr8k_text" / "Flickr_8k.trainImages.txt"
    test = flickr / "Flickr8k_text" / "Flickr_8k.testImages.txt"
    test.write_text(test.read_text() + train.read_text().split("\n")[0] + "\n")
    with pytest.raises(DataError, match=r"testImages\.txt:3: 1000_\w+\.jpg is in both train and"):
        load_dataset(flickr)


def test_missing_images_and_empty_captions_are_left_out_and_listed(flickr: Path):
    first, second = sorted((flickr / "Flicker8k_Dataset").iterdir())[:2]
    first.unlink()
    draw(99).save(flickr / "Flicker8k_Dataset" / "stray.jpg")
    tokens = flickr / "Flickr8k_text" / "Flickr8k.token.txt"
    tokens.write_text(tokens.read_text() + f"{second.name}#5\t \n")
    dataset = load_dataset(flickr)
    assert len(dataset.examples) == 9
    assert [problem.code for problem in dataset.problems] == [
        "image_missing",
        "caption_empty",
        "image_without_captions",
    ]
    assert dataset.problems[1].where.endswith("Flickr8k.token.txt:51")


def test_no_image_at_all_is_an_error(flickr: Path):
    for image in (flickr / "Flicker8k_Dataset").iterdir():
        image.unlink()
    with pytest.raises(DataError, match=r"No images in .*Flicker8k_Dataset"):
        load_dataset(flickr)


def test_unknown_layout_name_and_place(tmp_path: Path):
    (tmp_path / "nothing").mkdir()
    with pytest.raises(DataError, match="is not in a known layout"):
        load_dataset(tmp_path / "nothing")
    with pytest.raises(DataError, match="No such file or folder"):
        load_dataset(tmp_path / "absent")
    with pytest.raises(DataError, match="Unknown data set 'flikr8k'") as caught:
        load_dataset("flikr8k")
    assert caught.value.hint == "Did you mean 'flickr8k'?"
    with pytest.raises(DataError, match="'flickr8k' is not installed") as caught:
        open_dataset("flickr8k", None)
    assert "capgen data download flickr8k" in caught.value.hint
    with pytest.raises(UsageError, match="No data set was named"):
        open_dataset(None, None)
    with pytest.raises(DataError, match="Unknown format 'coko'"):
        load_dataset(tmp_path / "nothing", options=ReadOptions(format="coko"))


def test_splits_are_drawn_by_image_where_the_source_has_none(flickr: Path):
    for path in (flickr / "Flickr8k_text").glob("*Images.txt"):
        path.unlink()
    dataset = open_dataset(None, flickr)
    assert dataset.counts == {"train": 8, "val": 1, "test": 1}
    assert dataset.split_source == "seeded (0; val 0.1, test 0.1)"
    again = load_dataset(flickr, splits=SplitOptions(split_seed=0))
    assert [e.split for e in again.examples] == [e.split for e in dataset.examples]
    other = load_dataset(flickr, splits=SplitOptions(split_seed=5, val_fraction=0.4))
    assert other.counts == {"train": 5, "val": 4, "test": 1}
    assert other.digest != dataset.digest
    with pytest.raises(UsageError, match="leave no images to train on"):
        SplitOptions(val_fraction=0.5, test_fraction=0.5)


def test_unknown_or_empty_split(flickr: Path, tmp_path: Path):
    dataset = load_dataset(flickr)
    with pytest.raises(UsageError, match="Unknown split 'tset'"):
        dataset.split("tset")
    with pytest.raises(DataError, match="has no images in split none"):
        dataset.split("none")


def test_captions_keep_line_separators_inside(flickr: Path):
    tokens = flickr / "Flickr8k_text" / "Flickr8k.token.txt"
    odd = "a dog\u2028on the\x0cbeach"
    tokens.write_text(tokens.read_text().replace(make_images()[0].captions[0], odd))
    assert load_dataset(flickr).examples[0].references[0] == odd


def test_relative_path_without_a_folder_is_a_path_when_it_exists(flickr: Path):
    before = Path.cwd()
    os.chdir(flickr.parent)
    try:
        assert load_dataset("mini8k").name == "mini8k"
    finally:
        os.chdir(before)


def test_save_images_are_all_different(tmp_path: Path):
    save_images(tmp_path / "p", make_images())
    contents = {path.read_bytes() for path in (tmp_path / "p").iterdir()}
    assert len(contents) == 10


def test_a_line_of_a_manifest_with_a_long_number_is_named(tmp_path: Path):
    header = '{"schema_version": 1, "kind": "capgen-dataset", "name": "x"}'
    entry = '{"image_id": "a", "image": "a.png", "references": ["x"], "split": "train", "n": %s}'
    (tmp_path / "capgen-dataset.jsonl").write_text(f"{header}\n{entry % ('9' * 5000)}\n")
    with pytest.raises(DataError, match=r"capgen-dataset\.jsonl:2: expected image_id"):
        load_dataset(tmp_path)
