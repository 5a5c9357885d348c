"""Which files of a folder are read, and what is said where that is not clear."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from capgen.data.checks.check import Diagnosis, diagnose
from capgen.data.dataset import load_dataset
from capgen.data.formats import FORMATS, recognise
from capgen.data.formats.reading import ReadOptions
from capgen.errors import DataError
from tests import minis
from tests.minis import make_images, save_images

CSV = "image,caption\n"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    save_images(tmp_path / "images", make_images(3))
    return tmp_path


def names(root: Path) -> list[str]:
    return sorted(path.name for path in (root / "images").iterdir())


def refusal(root: Path) -> DataError:
    with pytest.raises(DataError) as caught:
        load_dataset(root)
    return caught.value


def test_several_tables_of_captions_are_named(root: Path) -> None:
    for name in ("english.csv", "german.csv"):
        (root / name).write_text(CSV + f"{names(root)[0]},a dog\n")
    error = refusal(root)
    assert "seen: 3 images, 2 .csv" in error.message
    assert "name one of them (english.csv, german.csv)" in error.hint
    assert all(layout.title in error.hint for layout in FORMATS.values())
    assert len(load_dataset(root / "german.csv").examples) == 1


def test_a_table_of_classes_is_no_table_of_captions(root: Path) -> None:
    (root / "captions.csv").write_text(CSV + f"{names(root)[0]},a dog\n")
    (root / "labels.csv").write_text(f"image,label\n{names(root)[0]},3\n")
    dataset = load_dataset(root)
    assert dataset.examples[0].references == ("a dog",)
    codes = {problem.code for problem in dataset.problems}
    assert codes == {"image_without_captions"}


def test_a_table_that_may_hold_captions_is_told(root: Path) -> None:
    (root / "train_captions.csv").write_text(CSV + f"{names(root)[0]},a dog\n")
    (root / "more.csv").write_text(CSV + f"{names(root)[1]},a cat\n")
    (problem,) = (p for p in load_dataset(root).problems if p.code == "captions_unread")
    assert problem.file == root / "more.csv"


def test_tables_of_splits_beside_tables_of_something_else(root: Path) -> None:
    a, b, c = names(root)
    for split, name in (("train", a), ("valid", b), ("test", c)):
        (root / f"{split}_captions.csv").write_text(f"ID,Caption\n{Path(name).stem},a dog\n")
        (root / f"{split}_concepts.csv").write_text(f"ID,CUIs\n{Path(name).stem},C1;C2\n")
    assert load_dataset(root).counts == {"train": 1, "val": 1, "test": 1}


def test_two_tables_of_one_split_leave_a_choice(root: Path) -> None:
    for name in ("train_a.csv", "train_b.csv"):
        (root / name).write_text(CSV + f"{names(root)[0]},a dog\n")
    assert "(train_a.csv, train_b.csv)" in refusal(root).hint


def test_several_json_files_are_named(root: Path) -> None:
    for name in ("a.json", "b.json"):
        (root / name).write_text(json.dumps([{"image": names(root)[0], "caption": "x"}]))
    assert "(a.json, b.json)" in refusal(root).hint


def test_a_folder_with_only_a_folder_in_it_is_that_folder(tmp_path: Path) -> None:
    minis.write_table(tmp_path / "outer" / "inner" / "set", make_images())
    (tmp_path / "outer" / "README.md").write_text("A card.")
    dataset = load_dataset(tmp_path / "outer")
    assert len(dataset.examples) == 10
    assert not any(example.outside for example in dataset.examples)


def test_a_folder_called_train_keeps_its_meaning(tmp_path: Path) -> None:
    minis.write_table(tmp_path / "outer" / "train", make_images(), columns=("a", "b", "c"))
    with pytest.raises(DataError, match="not in a known layout"):
        recognise(tmp_path / "outer")


def test_images_alone_are_told_what_is_missing(root: Path) -> None:
    assert refusal(root).hint.startswith("Put a captions.csv with the columns image and caption")
    (root / "notes.md").write_text("Mine.")
    assert "captions.csv" not in refusal(root).hint


def test_an_empty_folder_says_so(tmp_path: Path) -> None:
    assert "seen: nothing" in refusal(tmp_path).message


def test_references_for_scoring_beside_lists_are_not_the_captions(root: Path) -> None:
    """As LAVIS downloads them."""
    a, b, _ = names(root)
    for split, name in (("train", a), ("val", b)):
        entries = [{"image": f"images/{name}", "caption": ["a dog"]}]
        (root / f"coco_karpathy_{split}.json").write_text(json.dumps(entries))
    scoring = {"images": [{"id": "1"}], "annotations": [{"image_id": "1", "caption": "x", "id": 1}]}
    (root / "coco_karpathy_val_gt.json").write_text(json.dumps(scoring))
    dataset = load_dataset(root)
    assert (dataset.format, dataset.counts) == ("json_list", {"train": 1, "val": 1})


def test_addresses_without_images_say_what_to_do(tmp_path: Path) -> None:
    """As Conceptual Captions come."""
    lines = [f"a dog {n}\thttp://example.invalid/{n}.jpg\n" for n in range(3)]
    (tmp_path / "Train_GCC-training.tsv").write_text("".join(lines))
    error = refusal(tmp_path)
    assert "Train_GCC-training.tsv:1: the images are addresses" in error.message
    assert "img2dataset" in error.hint and "--images" in error.hint


def test_addresses_of_images_that_were_downloaded(root: Path) -> None:
    lines = [f"a dog\thttp://example.invalid/x/{name}\n" for name in names(root)]
    (root / "Train_GCC-training.tsv").write_text("".join(lines))
    assert load_dataset(root).captions == 3


def test_a_name_of_several_images_is_told_with_their_places(tmp_path: Path) -> None:
    for folder in ("a", "b"):
        save_images(tmp_path / folder, make_images(2))
    first, second = (image.name for image in make_images(2))
    (tmp_path / "t.csv").write_text(CSV + f"{first},a dog\nb/{second},a cat\n")
    (problem, *_) = load_dataset(tmp_path).problems
    assert problem.code == "image_missing"
    assert f"{first} is the name of several images (a/{first}, b/{first})" in problem.message
    assert load_dataset(tmp_path).captions == 1


def test_the_end_of_a_path_from_another_machine_chooses(tmp_path: Path) -> None:
    for folder in ("a", "b"):
        save_images(tmp_path / folder, make_images(1))
    (name,) = (image.name for image in make_images(1))
    (tmp_path / "t.csv").write_text(CSV + f"C:\\Users\\me\\set\\b\\{name},a cat\n")
    (example,) = load_dataset(tmp_path).examples
    assert example.image == tmp_path / "b" / name


def test_columns_that_name_different_images_are_refused(root: Path) -> None:
    a, b, _ = names(root)
    (root / "t.csv").write_text(f"image,image_path,caption\n{a},{b},a dog\n")
    assert "the columns 'image' and 'image_path' name different images" in refusal(root).message
    options = ReadOptions(image_column="image_path")
    assert load_dataset(root, options=options).examples[0].image_id == b


def test_the_column_that_names_images_is_taken(root: Path) -> None:
    """AI Challenger: addresses, and the names of the files."""
    entry = {"url": "http://example.invalid/Img1_n.jpg", "image_id": names(root)[0]}
    (root / "captions.json").write_text(json.dumps([{**entry, "caption": ["狗跑", "狗"]}]))
    assert load_dataset(root).examples[0].references == ("狗跑", "狗")


def test_numbers_may_be_names(tmp_path: Path) -> None:
    for number in range(2):
        minis.draw(number).save(tmp_path / f"{number}.jpg")
    entries = [{"image_id": number, "caption": "a dog"} for number in range(3)]
    (tmp_path / "x.json").write_text(json.dumps(entries))
    dataset = load_dataset(tmp_path)
    assert len(dataset.examples) == 2
    assert [problem.code for problem in dataset.problems] == ["image_missing"]


def test_a_dialogue_is_no_caption(root: Path) -> None:
    def talk(*answers: str) -> list[dict[str, object]]:
        turns: list[dict[str, object]] = []
        for answer in answers:
            turns.append({"role": "user", "content": [{"type": "image"}, {"type": "text"}]})
            turns.append({"role": "assistant", "content": [{"type": "text", "text": answer}]})
        return turns

    a, b, _ = names(root)
    entries = [
        {"images": [a], "messages": talk("a dog")},
        {"images": [b], "messages": talk("red", "two")},
    ]
    (root / "train.json").write_text(json.dumps(entries))
    dataset = load_dataset(root)
    assert [e.references for e in dataset.examples] == [("a dog",)]
    (problem,) = (p for p in dataset.problems if p.code == "captions_unread")
    assert "item 2: a conversation with several answers" in problem.message


def test_texts_that_are_not_read_are_told(root: Path) -> None:
    (root / "t.csv").write_text(f"image,label,title,description\n{names(root)[0]},dog,Rex,a dog\n")
    dataset = load_dataset(root)
    assert dataset.examples[0].references == ("a dog",)
    (told,) = (p.message for p in dataset.problems if p.code == "captions_unread")
    assert told == "only 'description' is read; --caption-column title reads 'title' instead"
    options = ReadOptions(caption_column="title")
    assert load_dataset(root, options=options).examples[0].references == ("Rex",)


def test_reports_on_x_rays_say_which_part_is_read(root: Path) -> None:
    a, b, c = names(root)
    (root / "projections.csv").write_text(f"uid,filename\n1,{a}\n1,{b}\n2,{c}\n")
    (root / "reports.csv").write_text("uid,findings,impression\n1,heart normal,none\n3,x,y\n")
    dataset = load_dataset(root)
    assert {e.image_id: e.references for e in dataset.examples} == {
        a: ("heart normal",),
        b: ("heart normal",),
    }
    told = [p.message for p in dataset.problems if p.code == "captions_unread"]
    assert sorted(told) == [
        "only 'findings' is read; --caption-column impression reads 'impression' instead",
        "uid 2 has no captions",
    ]
    options = ReadOptions(caption_column="impression")
    assert load_dataset(root, options=options).examples[0].references == ("none",)


def test_an_id_that_comes_twice_among_reports_is_told(root: Path) -> None:
    (root / "projections.csv").write_text(f"uid,filename\n1,{names(root)[0]}\n")
    (root / "reports.csv").write_text("uid,findings\n1,heart normal\n1,heart large\n")
    assert "reports.csv:3: uid 1 comes twice" in refusal(root).message


def test_roco_leaves_out_what_is_not_radiology(tmp_path: Path) -> None:
    minis.write_roco(tmp_path, make_images())
    (tmp_path / "train" / "non-radiology").mkdir()
    dataset = load_dataset(tmp_path)
    assert len(dataset.examples) == 10
    assert [p.file for p in dataset.problems] == [tmp_path / "train" / "non-radiology"]


def test_the_doctor_finds_what_it_found_before(root: Path) -> None:
    """A table with a missing image, a broken row, and one image twice."""
    a, b, _ = names(root)
    (root / "images" / b).write_bytes((root / "images" / a).read_bytes())
    rows = [f"{a},a dog", f"{b},a dog and a cat", "gone.jpg,a bird", f'{a},"x']
    (root / "t.csv").write_text(CSV + "\n".join(rows) + "\n")
    *_, found = diagnose(root)
    assert isinstance(found, Diagnosis)
    assert {"image_missing", "malformed_line"} <= found.counts.keys()
    assert any(code.startswith("image_duplicate") for code in found.counts)


def test_flickr30k_of_kaggle_is_read_with_its_known_faults(tmp_path: Path) -> None:
    """A folder of the same name in it, a row without its second bar, a bar in a comment."""
    root = tmp_path / "flickr30k_images"
    save_images(root / "flickr30k_images", make_images(3))
    a, b, c = (image.name for image in make_images(3))
    rows = [
        "image_name| comment_number| comment",
        f"{a}| 0| A dog runs .",
        f"{b}| 4   A dog runs across the grass .",
        f"{c}| 0| " + '" Hello " , says a man | woman .',
    ]
    (root / "results.csv").write_text("\n".join(rows) + "\n")
    dataset = load_dataset(tmp_path)
    assert [example.references[0] for example in dataset.examples] == [
        "A dog runs .",
        "A dog runs across the grass .",
        '" Hello " , says a man | woman .',
    ]
    told = [(p.code, p.line) for p in dataset.problems]
    assert told == [("row_mended", 3), ("row_mended", 4)]
    *_, found = diagnose(tmp_path)
    assert isinstance(found, Diagnosis) and found.counts["row_mended"] == 2


def test_other_tables_with_bars_are_not_mended(root: Path) -> None:
    (root / "t.csv").write_text(f"image|n|caption\n{names(root)[0]}|4  a dog\n")
    assert "t.csv:2: 2 columns instead of 3" in refusal(root).message
