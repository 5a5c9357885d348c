from __future__ import annotations

import csv
import gzip
import io
import json
import shutil
import sys
import tarfile
import tempfile
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from capgen.data.checks.check import Diagnosis, diagnose
from capgen.data.dataset import load_dataset
from capgen.data.formats import recognise
from capgen.data.formats.reading import ReadOptions
from capgen.data.splits import split_name
from capgen.errors import DataError, MissingDependencyError, UsageError
from capgen.file_types import IMAGE_SUFFIXES
from capgen.paths import folded, works_everywhere
from tests import minis
from tests.minis import MiniImage, make_images, save_images

Writer = Callable[[Path, list[MiniImage]], Path]

ODD = ("my image", "some words", "part")
LAYOUTS: dict[str, tuple[str, Writer]] = {
    "flickr8k": ("flickr", minis.write_flickr8k),
    "flickr30k": ("flickr", minis.write_flickr30k),
    "flickr30k of the Hub": ("table", minis.write_flickr30k_release),
    "coco": ("coco", minis.write_coco),
    "karpathy": ("karpathy", minis.write_karpathy),
    "csv": ("table", minis.write_table),
    "tsv": ("table", partial(minis.write_table, file_name="data.tsv")),
    "jsonl": ("table", partial(minis.write_table, file_name="data.jsonl")),
    "odd columns": ("table", partial(minis.write_table, columns=ODD)),
    "imagefolder jsonl": ("imagefolder", minis.write_imagefolder),
    "imagefolder csv": ("imagefolder", partial(minis.write_imagefolder, suffix="csv")),
    "sidecars": ("sidecar", minis.write_sidecars),
    "caption sidecars": ("sidecar", partial(minis.write_sidecars, suffix=".caption")),
    "json sidecars": ("sidecar", partial(minis.write_sidecars, suffix=".json")),
    "upper-case sidecars": ("sidecar", partial(minis.write_sidecars, suffix=".TXT")),
    "json lists": ("json_list", minis.write_json_lists),
    "json maps": ("json_map", minis.write_json_maps),
    "textcaps": ("textcaps", minis.write_textcaps),
    "roco": ("roco", minis.write_roco),
    "rocov2": ("table", minis.write_rocov2),
    "joined tables": ("joined_tables", minis.write_joined_tables),
    "zipped images": ("table", minis.write_zipped),
    "parquet": ("parquet", minis.write_parquet),
    "webdataset": ("webdataset", minis.write_webdataset),
    "webdataset json": ("webdataset", partial(minis.write_webdataset, suffix="json")),
}
ODD_OPTIONS = ReadOptions(image_column=ODD[0], caption_column=ODD[1], split_column=ODD[2])

# What any of the formats can carry: text without line breaks, tabs and outer white space.
TEXT = (
    st.text(st.characters(exclude_categories=("Cs", "Cc", "Zl", "Zp")), min_size=1, max_size=40)
    .map(str.strip)
    .filter(bool)
)
NAME = st.from_regex(r"[a-z0-9_]{1,12}", fullmatch=True)


@st.composite
def image_lists(draw: st.DrawFn) -> list[MiniImage]:
    names = draw(st.lists(NAME, min_size=1, max_size=6, unique=True))
    return [
        MiniImage(
            name=f"{name}.jpg",
            captions=tuple(draw(st.lists(TEXT, min_size=1, max_size=3))),
            # With a val, nothing is drawn besides.
            split=draw(st.sampled_from(("train", "val", "test"))) if index else "val",
            seed=index,
        )
        for index, name in enumerate(names)
    ]


def options_for(layout: str) -> ReadOptions:
    return ODD_OPTIONS if layout == "odd columns" else ReadOptions()


@pytest.mark.parametrize("layout", LAYOUTS)
@settings(
    max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(images=image_lists())
def test_every_format_gives_the_same_examples(layout: str, images: list[MiniImage], home: Path):
    name, write = LAYOUTS[layout]
    with tempfile.TemporaryDirectory() as folder:
        root = write(Path(folder) / "set", images)
        assert recognise(root) == name
        dataset = load_dataset(root, options=options_for(layout))
        assert [(e.image_id, e.references, e.split) for e in dataset.examples] == [
            (p.name, p.captions, p.split) for p in sorted(images, key=lambda p: p.name)
        ]
        for example, image in zip(
            dataset.examples, sorted(images, key=lambda p: p.name), strict=True
        ):
            saved = io.BytesIO()
            minis.draw(image.seed).save(saved, "JPEG", quality=85)
            assert example.image.read_bytes() == saved.getvalue()
        assert dataset.problems == []


def test_every_format_has_the_same_digest(tmp_path: Path):
    digests = {
        layout: load_dataset(write(tmp_path / layout, make_images()), options=options_for(layout))
        for layout, (_, write) in LAYOUTS.items()
    }
    assert len({dataset.digest for dataset in digests.values()}) == 1


def test_a_file_by_itself(tmp_path: Path):
    images = make_images()
    table = minis.write_table(tmp_path / "a", images, file_name="x.csv") / "x.csv"
    (table.parent / "notes.csv").write_text("other,things\n1,2\n")
    karpathy = minis.write_karpathy(tmp_path / "b", images) / "dataset_mini.json"
    coco = minis.write_coco(tmp_path / "c", images) / "annotations" / "captions_val2014.json"
    assert len(load_dataset(table).examples) == 10
    assert len(load_dataset(karpathy).examples) == 10
    assert load_dataset(coco).counts == {"val": 2}
    shard = minis.write_webdataset(tmp_path / "d", images) / "train-000000.tar"
    assert load_dataset(shard).counts == {"train": 1, "val": 1, "test": 1}  # drawn


def test_images_in_another_folder(tmp_path: Path):
    root = minis.write_table(tmp_path / "set", make_images())
    (root / "images").rename(tmp_path / "elsewhere")
    with pytest.raises(DataError, match="no image with a caption"):
        load_dataset(root)
    dataset = load_dataset(root, options=ReadOptions(images=tmp_path / "elsewhere"))
    assert len(dataset.examples) == 10


def test_absolute_names_are_taken_and_names_that_lead_out_are_not(tmp_path: Path):
    save_images(tmp_path / "away", make_images())
    first, second, *_ = sorted((tmp_path / "away").iterdir())
    root = tmp_path / "set"
    root.mkdir()
    (root / "t.csv").write_text(f"image,caption\n{first},a dog\n../away/{second.name},a cat\n")
    dataset = load_dataset(root)
    assert [example.image for example in dataset.examples] == [first]
    assert [problem.code for problem in dataset.problems] == ["image_outside"]


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_data_set_may_be_named_by_way_of_the_parent(tmp_path: Path, monkeypatch, layout: str):
    made = LAYOUTS[layout][1](tmp_path / "set", make_images())
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    place = ".." / made.relative_to(tmp_path)
    dataset = load_dataset(place, options=options_for(layout))
    assert len(dataset.examples) == 10
    assert dataset.problems == []
    found = list(diagnose(place, options=options_for(layout)))[-1]
    assert isinstance(found, Diagnosis)
    assert "image_outside" not in {problem.code for problem in found.problems}


def test_images_in_a_folder_beside_this_one(tmp_path: Path, monkeypatch):
    root = minis.write_table(tmp_path / "set", make_images())
    (root / "images").rename(tmp_path / "elsewhere")
    monkeypatch.chdir(root)
    dataset = load_dataset(Path(), options=ReadOptions(images=Path("../elsewhere")))
    assert len(dataset.examples) == 10


def test_table_without_header_and_other_delimiters(tmp_path: Path):
    save_images(tmp_path, make_images(2))
    a, b = (p.name for p in make_images(2))
    (tmp_path / "t.csv").write_text(f"{a},a dog\n{b},a cat\n")
    assert [e.references for e in load_dataset(tmp_path).examples] == [("a dog",), ("a cat",)]
    (tmp_path / "t.csv").write_text(f"image_name| comment_number| comment\n{a}| 0| a dog, b\n")
    assert load_dataset(tmp_path).examples[0].references == ("a dog, b",)
    (tmp_path / "t.csv").write_text(f"file;caption_1;caption_2\n{a};one dog;two dogs\n")
    assert load_dataset(tmp_path).examples[0].references == ("one dog", "two dogs")


def test_captions_that_look_like_json(tmp_path: Path):
    save_images(tmp_path, make_images(3))
    a, b, c = (p.name for p in make_images(3))
    rows = [("image", "caption"), (a, "[1] dog"), (b, "[1]"), (c, '["one", "two"]')]
    with (tmp_path / "t.csv").open("w", newline="") as file:
        csv.writer(file).writerows(rows)
    references = [e.references for e in load_dataset(tmp_path).examples]
    assert references == [("[1] dog",), ("[1]",), ("one", "two")]


def test_captions_with_line_breaks_in_csv(tmp_path: Path):
    save_images(tmp_path, make_images(2))
    a, b = (p.name for p in make_images(2))
    with (tmp_path / "t.csv").open("w", newline="") as file:
        csv.writer(file).writerows([("image", "caption"), (a, "two\nlines"), (b,)])
    with pytest.raises(DataError, match=r"t\.csv:4: 1 columns instead of 2"):
        load_dataset(tmp_path)
    with (tmp_path / "t.csv").open("w", newline="") as file:
        csv.writer(file).writerows([("image", "caption"), (a, "two\nlines")])
    assert load_dataset(tmp_path).examples[0].references == ("two\nlines",)


def test_columns_that_are_not_clear_or_not_there(tmp_path: Path):
    root = minis.write_table(tmp_path / "set", make_images(), columns=ODD)
    with pytest.raises(DataError, match=r"which column is the image\? The columns are: my image"):
        load_dataset(root)
    with pytest.raises(UsageError, match="no column 'my imag'") as caught:
        load_dataset(root, options=replace(ODD_OPTIONS, image_column="my imag"))
    assert caught.value.hint == "Did you mean 'my image'?"


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("t.jsonl", '{"image": "a.jpg", "text": "x"}\n[1]\n', r"t\.jsonl:2: not a JSON object"),
        ("t.jsonl", '{"image": 7, "text": "x"}\n', r"t\.jsonl:1: no image in 'image'"),
        ("t.jsonl", '{"image": "a.jpg", "text": 7}\n', r"t\.jsonl:1: .* no text in 'text'"),
        ("t.csv", 'image,caption\na.jpg,"x\n', r"t\.csv:2: a quote is opened but not closed"),
        ("t.csv", "image,caption,split\na.jpg,x,trian\n", r"t\.csv:2: unknown split 'trian'"),
        ("captions_x.json", '{"images": [', r"is not in a known layout"),
        (
            "captions_x.json",
            '{"images": [{"id": 1}], "annotations": [{"image_id": 1, "caption": "x"}]}',
            r"captions_x\.json: an entry of `images` lacks id or file_name",
        ),
        (
            "captions_x.json",
            '{"images": [], "annotations": [{"image_id": 1, "caption": "x"}]}',
            r"captions_x\.json: annotation None has no caption or no entry",
        ),
        (
            "captions_x.json",
            '{"images": 1, "annotations": [{"image_id": 1,\n "caption": "x"}]}',
            r"captions_x\.json: expected an object with a list",
        ),
        (
            "captions_x.json",
            '{"images": [], "annotations": [{"image_id": 1, \n"caption": x}]}',
            r"captions_x\.json:2: not valid JSON",
        ),
        (
            "k.json",
            '{"images": [{"filename": "a.jpg", "sentences": [{"raw": 1}]}]}',
            r"k\.json: images\[0\] lacks filename, split or sentences",
        ),
    ],
)
def test_malformed_files_are_named(name: str, content: str, message: str, tmp_path: Path):
    (tmp_path / name).write_text(content)
    with pytest.raises(DataError, match=message):
        load_dataset(tmp_path)


def test_utf16_and_byte_order_marks(tmp_path: Path):
    root = minis.write_table(tmp_path / "set", make_images(), file_name="t.csv")
    text = (root / "t.csv").read_text()
    (root / "t.csv").write_text(text, encoding="utf-8-sig")
    assert len(load_dataset(root).examples) == 10
    (root / "t.csv").write_text(text, encoding="utf-16")
    with pytest.raises(DataError, match=r"t\.csv: UTF-16 instead of UTF-8"):
        load_dataset(root)


def test_same_name_in_two_folders_is_two_images(tmp_path: Path):
    for split in ("train", "test"):
        save_images(tmp_path / split, make_images(1, seed=3 if split == "train" else 4))
        image = next((tmp_path / split).iterdir())
        image.rename(tmp_path / split / "1.jpg")
        (tmp_path / split / "1.txt").write_text(f"a dog in {split}")
    dataset = load_dataset(tmp_path)
    assert [(e.image_id, e.split) for e in dataset.examples] == [
        ("test/1.jpg", "test"),
        ("train/1.jpg", "train"),
    ]


def test_shards_are_taken_out_once_and_again_when_they_change(tmp_path: Path, home: Path):
    root = minis.write_webdataset(tmp_path / "set", make_images())
    first = load_dataset(root)
    assert len(list((home / "cache" / "webdataset").iterdir())) == 1
    assert load_dataset(root).examples == first.examples
    shutil.rmtree(root)
    minis.write_webdataset(root, make_images(12, seed=9))
    assert len(load_dataset(root).examples) == 12


def test_an_image_of_every_suffix_is_read(tmp_path: Path, home: Path):
    """`capgen caption` takes them all: see `capgen.file_types`."""
    count = len(IMAGE_SUFFIXES)
    save_images(tmp_path / "made", make_images(count))
    for image, suffix in zip(sorted((tmp_path / "made").iterdir()), IMAGE_SUFFIXES, strict=True):
        image.rename(image.with_name(f"{image.stem}{suffix}"))
    images = sorted((tmp_path / "made").iterdir())
    sides, rows = tmp_path / "sides", ["image,caption"]
    shutil.copytree(tmp_path / "made", sides)
    shutil.copytree(tmp_path / "made", tmp_path / "rows" / "deep")
    with tarfile.open(tmp_path / "train-0.tar", "w") as shard:
        for image in images:
            (sides / f"{image.stem}.txt").write_text("a dog")
            rows.append(f"{image.name},a dog")
            shard.add(image, image.name)
            shard.add(sides / f"{image.stem}.txt", f"{image.stem}.txt")
    (tmp_path / "rows" / "t.csv").write_text("\n".join(rows))
    for source in (sides, tmp_path / "rows", tmp_path / "train-0.tar"):
        dataset = load_dataset(source)
        assert (len(dataset.examples), dataset.problems) == (count, [])


def test_images_that_capgen_does_not_read_are_told(tmp_path: Path, home: Path):
    for name in ("a.jpg", "b.jxl", "c.dng", "d.jxl", ".e.jxl"):
        minis.draw(1).save(tmp_path / name, "JPEG")
    for stem in ("a", "b", "c", ".e", "notes"):
        (tmp_path / f"{stem}.txt").write_text("a dog")
    minis.draw(1).save(tmp_path / "a.dng", "JPEG")  # the camera's own file beside its JPEG
    dataset = load_dataset(tmp_path, options=ReadOptions(format="sidecar"))
    assert [example.image_id for example in dataset.examples] == ["a.jpg"]
    told = [(problem.code, problem.file) for problem in dataset.problems]
    assert told == [("image_not_taken", tmp_path / name) for name in ("b.jxl", "c.dng")]
    with tarfile.open(tmp_path / "train-0.tar", "w") as shard:
        for name in ("a.jpg", "a.txt", "b.jxl", "b.txt", ".e.jxl"):
            shard.add(tmp_path / name, name)
    for _ in range(2):  # taken out, and from the cache
        (problem,) = load_dataset(tmp_path / "train-0.tar").problems
        assert problem.code == "image_not_taken" and "b.jxl" in problem.message


def told_about(folder: Path) -> list[tuple[str, str]]:
    problems = load_dataset(folder).problems
    return [(p.code, p.file.name) for p in problems if p.code == "captions_unread"]


def test_captions_in_files_that_are_not_read_are_told(tmp_path: Path) -> None:
    save_images(tmp_path / "pairs", make_images(2))
    first, second = sorted((tmp_path / "pairs").iterdir())
    for name in (f"{first.stem}.txt", f"{first.stem}.caption", f"{second.stem}.caption"):
        (tmp_path / "pairs" / name).write_text("a dog\n")
    assert told_about(tmp_path / "pairs") == [("captions_unread", f"{first.stem}.caption")]
    save_images(tmp_path / "tables", make_images(2))
    for name in ("train.csv", "captions.csv"):
        (tmp_path / "tables" / name).write_text(f"image,caption\n{first.name},a dog\n")
    assert told_about(tmp_path / "tables") == [("captions_unread", "captions.csv")]


def test_captions_end_at_an_old_macs_line_ends_too(tmp_path: Path) -> None:
    save_images(tmp_path, make_images(1))
    (image,) = tmp_path.iterdir()
    image.with_suffix(".txt").write_bytes("a dog\ra cat\r\na\u2028blue\x0bbird\n".encode())
    (example,) = load_dataset(tmp_path).examples
    assert example.references == ("a dog", "a cat", "a\u2028blue\x0bbird")


def test_compressed_shards(tmp_path: Path, home: Path):
    root = minis.write_webdataset(tmp_path / "set", make_images())
    for path in sorted(root.iterdir()):
        with gzip.open(f"{path}.gz", "wb") as packed:
            packed.write(path.read_bytes())
        path.unlink()
    assert load_dataset(root).counts == {"train": 6, "val": 2, "test": 2}
    # Beside images it may be a copy of them.
    sides = minis.write_sidecars(tmp_path / "sides", make_images())
    shutil.copy(next(root.iterdir()), sides / "backup.tar.gz")
    minis.draw(1).save(sides / "x.jpg")
    assert recognise(sides) == "sidecar"


def test_shards_with_upper_case_names(tmp_path: Path, home: Path):
    """As of a camera's images."""
    save_images(tmp_path / "loose", make_images(2))
    first, second = sorted((tmp_path / "loose").iterdir())
    (tmp_path / "set").mkdir()
    with tarfile.open(tmp_path / "set" / "train.tar", "w") as shard:
        for name, image, text in (("A", first, b"a dog"), ("B", second, b"a cat")):
            shard.add(image, f"{name}.JPG")
            info = tarfile.TarInfo(f"{name}.TXT")
            info.size = len(text)
            shard.addfile(info, io.BytesIO(text))
    dataset = load_dataset(tmp_path / "set")
    assert [e.references for e in dataset.examples] == [("a dog",), ("a cat",)]
    assert [e.image_id for e in dataset.examples] == ["A.JPG", "B.JPG"]


def test_hostile_shard(tmp_path: Path, home: Path):
    with tarfile.open(tmp_path / "train-0.tar", "w") as shard:
        info = tarfile.TarInfo("../../evil.jpg")
        shard.addfile(info, io.BytesIO(b""))
    with pytest.raises(DataError, match="leads out of the folder"):
        load_dataset(tmp_path)
    assert not list(tmp_path.rglob("evil*"))


def test_saved_datasets_directory_without_the_library(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    (tmp_path / "dataset_dict.json").write_text(json.dumps({"splits": ["train"]}))
    assert recognise(tmp_path) == "datasets"
    monkeypatch.setitem(sys.modules, "datasets", None)
    with pytest.raises(MissingDependencyError, match="needs the package datasets"):
        load_dataset(tmp_path)


def test_saved_datasets_directory_with_the_library(tmp_path: Path):
    library = pytest.importorskip("datasets")
    images = make_images()
    save_images(tmp_path / "images", images)
    parts = {}
    for split in ("train", "validation", "test"):
        chosen = [p for p in images if p.split == split_name(split)]
        columns = {
            "image": [str(tmp_path / "images" / p.name) for p in chosen],
            "caption": [list(p.captions) for p in chosen],
        }
        parts[split] = library.Dataset.from_dict(columns).cast_column("image", library.Image())
    library.DatasetDict(parts).save_to_disk(str(tmp_path / "saved"))
    dataset = load_dataset(tmp_path / "saved")
    assert load_dataset(tmp_path / "saved").digest == dataset.digest
    expected = load_dataset(minis.write_flickr8k(tmp_path / "f8k", images))
    assert dataset.digest == expected.digest


def test_saved_images_of_the_same_name_stay_apart(tmp_path: Path):
    library = pytest.importorskip("datasets")
    save_images(tmp_path / "images", make_images(2))
    data = [path.read_bytes() for path in sorted((tmp_path / "images").iterdir())]
    columns = {"image": [{"bytes": d, "path": "1.jpg"} for d in data], "text": ["a dog", "a cat"]}
    features = library.Features({"image": library.Image(), "text": library.Value("string")})
    library.Dataset.from_dict(columns, features=features).save_to_disk(str(tmp_path / "saved"))
    examples = load_dataset(tmp_path / "saved").examples
    assert {e.references: e.image.read_bytes() for e in examples} == {
        ("a dog",): data[0],
        ("a cat",): data[1],
    }


def test_accents_of_either_form_name_the_same_image(tmp_path: Path):
    """Files from a Mac, where é is two characters, with a table from elsewhere."""
    save_images(tmp_path / "images", make_images(1))
    (image,) = (tmp_path / "images").iterdir()
    image.rename(image.with_name("cafe\u0301.jpg"))
    (tmp_path / "captions.csv").write_text("image,caption\nimages/caf\u00e9.jpg,a dog\n")
    dataset = load_dataset(tmp_path)
    assert [example.image.name for example in dataset.examples] == ["cafe\u0301.jpg"]
    assert dataset.problems == []


def test_saved_images_are_written_into_the_cache_only(
    tmp_path: Path, home: Path, monkeypatch: pytest.MonkeyPatch
):
    """Names as Windows wrote them, names it refuses, and names that are one file to it."""
    save_images(tmp_path / "images", make_images(4))
    data = [path.read_bytes() for path in sorted((tmp_path / "images").iterdir())]
    names = ("..\\..\\evil.jpg", "C:\\photos\\a.jpg", "A.jpg", "at 10:30.jpg")

    class Part(list):
        def __init__(self, rows) -> None:
            super().__init__(rows)
            self.features: dict[str, object] = {}

    rows = [
        {"image": {"bytes": content, "path": name}, "text": f"row {number}"}
        for number, (content, name) in enumerate(zip(data, names, strict=True))
    ]
    library = SimpleNamespace(load_from_disk=lambda root: Part(rows), Image=type("Image", (), {}))
    monkeypatch.setitem(sys.modules, "datasets", library)
    saved = tmp_path / "saved"
    saved.mkdir()
    (saved / "state.json").write_text("{}")
    examples = load_dataset(saved).examples
    found = {example.references[0]: example for example in examples}
    for number, content in enumerate(data):
        image = found[f"row {number}"].image
        assert image.read_bytes() == content
        assert image.is_relative_to(home / "cache")
        assert works_everywhere(image.name)
    assert len({folded(example.image.name) for example in examples}) == 4
    assert found["row 0"].image_id == "evil.jpg" and found["row 1"].image_id == "a.jpg"


@pytest.mark.parametrize(
    ("layout", "option"),
    [
        ("sidecars", "caption_column"),
        ("coco", "image_column"),
        ("flickr8k", "split_column"),
        ("webdataset", "image_column"),
        ("webdataset", "images"),
    ],
)
def test_an_option_that_a_layout_cannot_heed_is_refused_and_not_ignored(
    layout: str, option: str, tmp_path: Path
):
    root = LAYOUTS[layout][1](tmp_path / "set", make_images())
    options = ReadOptions(**{option: tmp_path if option == "images" else "x"})
    with pytest.raises(UsageError, match=f"--{option.replace('_', '-')} does not apply"):
        load_dataset(root, options=options)


def test_the_key_of_the_captions_in_the_json_of_a_shard_can_be_named(tmp_path: Path, home: Path):
    save_images(tmp_path, make_images(1))
    (image,) = (path for path in tmp_path.rglob("*") if path.suffix in IMAGE_SUFFIXES)
    (tmp_path / "a.json").write_text(json.dumps({"caption": "no", "prompt": "a dog"}))
    (tmp_path / "a.txt").write_text("no")
    with tarfile.open(tmp_path / "0.tar", "w") as shard:
        shard.add(image, f"a{image.suffix}")
        shard.add(tmp_path / "a.json", "a.json")
        shard.add(tmp_path / "a.txt", "a.txt")
    dataset = load_dataset(tmp_path / "0.tar", options=ReadOptions(caption_column="prompt"))
    assert [example.references for example in dataset.examples] == [("a dog",)]
    with pytest.raises(DataError, match=r"a\.json has no text under absent"):
        load_dataset(tmp_path / "0.tar", options=ReadOptions(caption_column="absent"))
