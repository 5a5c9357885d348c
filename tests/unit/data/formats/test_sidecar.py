from __future__ import annotations

import json
from pathlib import Path

import pytest

from capgen.data.checks.check import Diagnosis, diagnose
from capgen.data.checks.fix import write_fixed
from capgen.data.dataset import load_dataset
from capgen.data.formats import recognise
from capgen.data.formats.reading import ReadOptions
from capgen.data.import_set import import_dataset
from capgen.data.mixture import open_mixture
from capgen.errors import DataError, UsageError
from tests.minis import draw


def put(image: Path, seed: int, text: str | None = None, suffix: str = ".txt") -> None:
    image.parent.mkdir(parents=True, exist_ok=True)
    draw(seed).save(image, "JPEG")
    if text is not None:
        image.with_suffix(suffix).write_text(text, encoding="utf-8")


def kohya(root: Path, **folders: int) -> Path:
    """Write folders of so many images each."""
    for number, (folder, count) in enumerate(folders.items()):
        for index in range(count):
            put(root / folder.strip("_") / f"{index}.jpg", number * 100 + index, f"a dog {index}")
    return root


def test_upper_case_suffixes(tmp_path: Path) -> None:
    put(tmp_path / "IMG_1.JPG", 1, "ein Mädchen", ".TXT")
    put(tmp_path / "IMG_2.JPG", 2, '{"caption": "ein Hund"}', ".JSON")
    dataset = load_dataset(tmp_path)
    assert [e.references for e in dataset.examples] == [("ein Mädchen",), ("ein Hund",)]
    assert dataset.problems == []


def test_annotations_of_another_kind_are_no_captions(tmp_path: Path) -> None:
    put(tmp_path / "a.jpg", 1, json.dumps({"shapes": [], "imagePath": "a.jpg"}), ".json")
    with pytest.raises(DataError, match=r"not in a known layout.*seen: 1 image, 1 \.json"):
        recognise(tmp_path)


def test_json_beside_text_is_about_something_else(tmp_path: Path) -> None:
    put(tmp_path / "a.jpg", 1, "a dog")
    (tmp_path / "a.json").write_text(json.dumps({"caption": "another", "url": "u"}))
    dataset = load_dataset(tmp_path)
    assert [e.references for e in dataset.examples] == [("a dog",)]
    assert dataset.problems == []


@pytest.mark.parametrize("content", ['{"prompt": "a cat"}', '{"caption": 7}', "[1]", '{"capt'])
def test_a_bad_json_file_is_named(tmp_path: Path, content: str) -> None:
    put(tmp_path / "a.jpg", 1, '{"caption": "a dog"}', ".json")
    put(tmp_path / "b.jpg", 2, content, ".json")
    with pytest.raises(DataError, match=r"b\.json: b\.json has no text under caption, captions"):
        load_dataset(tmp_path)


def test_a_json_file_beside_captioned_images_is_told(tmp_path: Path) -> None:
    """kohya's scripts gather the captions of images in `meta_cap.json`."""
    put(tmp_path / "a.jpg", 1, "a dog")
    (tmp_path / "meta_cap.json").write_text(json.dumps({"a": {"caption": "a cat"}}))
    dataset = load_dataset(tmp_path)
    assert dataset.examples[0].references == ("a dog",)
    (problem,) = dataset.problems
    assert problem.code == "captions_unread" and problem.file == tmp_path / "meta_cap.json"
    assert load_dataset(tmp_path / "meta_cap.json").examples[0].references == ("a cat",)


def test_the_keys_of_a_json_file_without_captions_are_named(tmp_path: Path) -> None:
    put(tmp_path / "a.jpg", 1, '{"caption": "a dog"}', ".json")
    put(tmp_path / "b.jpg", 2, '{"prompt": "a cat", "seed": 3}', ".json")
    with pytest.raises(DataError, match=r"it has prompt \(--caption-column names one\)"):
        load_dataset(tmp_path)


def test_the_key_of_the_captions_may_be_named(tmp_path: Path) -> None:
    put(tmp_path / "a.jpg", 1, '{"prompt": "a dog", "caption": "1"}', ".json")
    options = ReadOptions(caption_column="prompt")
    assert load_dataset(tmp_path, options=options).examples[0].references == ("a dog",)


def test_a_key_for_files_of_text_is_refused(tmp_path: Path) -> None:
    put(tmp_path / "a.jpg", 1, "a dog")
    with pytest.raises(UsageError, match="--caption-column does not apply"):
        load_dataset(tmp_path, options=ReadOptions(caption_column="prompt"))


def test_repeats_of_kohyas_folders_are_weights(tmp_path: Path, home: Path) -> None:
    root = kohya(tmp_path / "set", **{"10_mydog": 3, "2_other dog": 2})
    dataset = load_dataset(root)
    assert sorted(example.repeats for example in dataset.examples) == [2, 2, 10, 10, 10]
    told = [str(problem) for problem in dataset.problems]
    assert len(told) == 2 and "10_mydog: its name says that its images come 10 times" in told[0]
    mixture = open_mixture(None, [root])
    train = mixture.members[0].split("train")
    counted = mixture.members[0].counted(train)
    assert [weight for _, weight in counted] == sorted({e.repeats for e in train})
    assert sum(count for count, _ in counted) == len(train)


def test_repeats_are_kept_by_imports_and_corrections(tmp_path: Path, home: Path) -> None:
    root = kohya(tmp_path / "set", **{"10_mydog": 3, "2_other dog": 2})
    expected = {e.image_id: e.repeats for e in load_dataset(root).examples}
    list(import_dataset(root, "mine", store=tmp_path / "store"))
    imported = load_dataset(tmp_path / "store" / "mine")
    assert {e.image_id: e.repeats for e in imported.examples} == expected
    assert imported.digest == load_dataset(root).digest
    *_, found = diagnose(root)
    assert isinstance(found, Diagnosis)
    fixed = load_dataset(write_fixed(found, tmp_path / "clean.jsonl").path)
    assert {e.image_id: e.repeats for e in fixed.examples} == expected


@pytest.mark.parametrize(
    "folders",
    [
        {"1_cats": 1, "2_dogs": 1, "3_birds": 1},  # merely numbered
        {"10_mydog": 2, "plain": 1},
        {"2020_holiday": 1, "2021_holiday": 1},  # years
        {"01_a": 1, "10_b": 1},
        {"mydog": 2},
    ],
)
def test_other_numbers_in_names_are_no_repeats(tmp_path: Path, folders: dict[str, int]) -> None:
    dataset = load_dataset(kohya(tmp_path, **folders))
    assert {example.repeats for example in dataset.examples} == {1}
    assert dataset.problems == []


def test_the_digest_changes_with_the_repeats(tmp_path: Path) -> None:
    one = kohya(tmp_path / "one", **{"10_a": 2})
    digests = {load_dataset(one).digest}
    (one / "10_a").rename(one / "5_a")
    digests.add(load_dataset(one).digest)
    (one / "5_a").rename(one / "a")
    digests.add(load_dataset(one).digest)
    assert len(digests) == 3
