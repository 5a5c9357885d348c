"""Faults of each form of rows: odd names and encodings, a broken row, missing images."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from capgen.data.checks.check import Diagnosis, diagnose
from capgen.data.dataset import load_dataset
from capgen.data.formats import recognise
from capgen.errors import DataError
from tests.minis import draw

Rows = list[tuple[str, Any]]
NAMES = ("Straße am Fluß.jpg", "猫 1.jpg", "c.jpg")
CAPTIONS = ("Ein Mädchen läuft", "ein Hund", "eine Katze")


def csv_text(rows: Rows) -> str:
    return "image,caption\n" + "".join(f"{name},{text}\n" for name, text in rows)


def as_json(content: Any) -> str:
    # An entry per line, as people write it by hand.
    return json.dumps(content, ensure_ascii=False, indent=0)


def json_list(rows: Rows) -> str:
    return as_json([{"image": name, "caption": text} for name, text in rows])


def llava(rows: Rows) -> str:
    talks = [
        {"image": name, "conversations": [turn("human", "<image>\nDescribe."), turn("gpt", text)]}
        for name, text in rows
    ]
    return as_json(talks)


def turn(speaker: str, text: Any) -> dict[str, Any]:
    return {"from": speaker, "value": text}


def json_map(rows: Rows) -> str:
    return as_json({name: text if text is None else [text] for name, text in rows})


def kohya(rows: Rows) -> str:
    return as_json({Path(name).stem: {"caption": text, "tags": "a, b"} for name, text in rows})


def textcaps(rows: Rows) -> str:
    entries = [
        {"image_id": Path(name).stem, "reference_strs": text if text is None else [text]}
        for name, text in rows
    ]
    return as_json({"dataset_name": "textcaps", "data": entries})


def roco_text(rows: Rows) -> str:
    return "".join(f"{Path(name).stem}\t {text}\n" for name, text in rows)


FORMS: dict[str, tuple[str, str, Callable[[Rows], str]]] = {
    "csv": ("table", "captions.csv", csv_text),
    "json list": ("json_list", "train.json", json_list),
    "llava": ("json_list", "chat.json", llava),
    "json map": ("json_map", "captions.json", json_map),
    "kohya": ("json_map", "meta_cap.json", kohya),
    "textcaps": ("textcaps", "TextCaps_0.1_train.json", textcaps),
    "roco": ("roco", "radiology/captions.txt", roco_text),
}
OF_TEXT = ("csv", "roco")


def write(root: Path, form: str, rows: Rows, encoding: str = "utf-8") -> Path:
    _, name, text = FORMS[form]
    for index, image in enumerate(NAMES):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).parent.joinpath("images").mkdir(exist_ok=True)
        draw(index).save((root / name).parent / "images" / image)
    (root / name).write_bytes(text(rows).encode(encoding))
    return root / name


def codes(root: Path) -> list[str]:
    *_, found = diagnose(root)
    assert isinstance(found, Diagnosis)
    return [problem.code for problem in found.problems if problem.code != "split_empty"]


@pytest.mark.parametrize("form", FORMS)
def test_names_and_captions_of_any_language(tmp_path: Path, form: str) -> None:
    write(tmp_path, form, list(zip(NAMES, CAPTIONS, strict=True)))
    assert recognise(tmp_path) == FORMS[form][0]
    dataset = load_dataset(tmp_path)
    found = {example.image.name: example.references for example in dataset.examples}
    assert found == {n: (c,) for n, c in zip(NAMES, CAPTIONS, strict=True)}
    assert dataset.problems == []


@pytest.mark.parametrize("form", FORMS)
def test_a_missing_image_is_told_and_left_out(tmp_path: Path, form: str) -> None:
    rows = [*zip(NAMES, CAPTIONS, strict=True), ("no_such.jpg", "ein Pferd")]
    write(tmp_path, form, rows)
    dataset = load_dataset(tmp_path)
    assert len(dataset.examples) == 3
    (problem,) = dataset.problems
    assert problem.code == "image_missing" and "no_such" in problem.message
    assert "image_missing" in codes(tmp_path)


@pytest.mark.parametrize("form", FORMS)
def test_one_bad_row_is_named(tmp_path: Path, form: str) -> None:
    rows: Rows = list(zip(NAMES, CAPTIONS, strict=True))
    file = write(tmp_path, form, [rows[0], (NAMES[1], None), rows[2]])
    if form in OF_TEXT:
        text = file.read_text(encoding="utf-8").replace(f",{None}", "").replace(f"\t {None}", "")
        file.write_text(text, encoding="utf-8")
    where = r":\d+: " if form in OF_TEXT else r": item 2: "
    with pytest.raises(DataError, match=where) as caught:
        load_dataset(tmp_path)
    assert file.name in caught.value.message
    assert codes(tmp_path).count("malformed_line") == 1


@pytest.mark.parametrize("form", FORMS)
def test_text_that_is_not_utf_8_is_told(tmp_path: Path, form: str) -> None:
    write(tmp_path, form, [(NAMES[2], CAPTIONS[0])], encoding="cp1252")
    assert recognise(tmp_path) == FORMS[form][0]
    with pytest.raises(DataError, match="is not UTF-8"):
        load_dataset(tmp_path)
    *_, found = diagnose(tmp_path)
    assert isinstance(found, Diagnosis)
    assert "wrong_encoding" in found.counts
    assert [entry.captions[0].strip() for entry in found.reading.entries] == [CAPTIONS[0]]


@pytest.mark.parametrize("form", FORMS)
def test_utf_16_is_told(tmp_path: Path, form: str) -> None:
    write(tmp_path, form, [(NAMES[2], CAPTIONS[0])], encoding="utf-16")
    assert recognise(tmp_path) == FORMS[form][0]
    with pytest.raises(DataError, match="UTF-16 instead of UTF-8"):
        load_dataset(tmp_path)


@pytest.mark.parametrize("form", FORMS)
def test_images_may_lie_in_an_archive(tmp_path: Path, form: str, home: Path) -> None:
    import shutil
    import zipfile

    file = write(tmp_path, form, list(zip(NAMES, CAPTIONS, strict=True)))
    images = file.parent / "images"
    with zipfile.ZipFile(file.parent / "images.zip", "w") as archive:
        for path in images.iterdir():
            archive.write(path, path.name)
    shutil.rmtree(images)
    assert recognise(tmp_path) == FORMS[form][0]
    dataset = load_dataset(tmp_path)
    assert {example.image.name for example in dataset.examples} == set(NAMES)
    assert all(example.image.is_relative_to(home / "cache") for example in dataset.examples)
