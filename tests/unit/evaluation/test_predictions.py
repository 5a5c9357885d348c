"""Predictions files: every format, every fault, and the matching of image names."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import pytest

from capgen.errors import CapgenError, DataError, MetricError
from capgen.evaluation.evaluation_set import EvaluationSet, read_references
from capgen.evaluation.predictions import Predictions, names_of_files, read_predictions
from capgen.evaluation.systems import is_predictions
from capgen.records import Caption, CaptionFailure, Example
from tests.fakes import write_records
from tests.unit.evaluation.sets import GOOD, make_set


def write(folder: Path, content: Any, name: str = "captions.json") -> Path:
    path = folder / name
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    return path


def coco(captions: dict[str, str]) -> list[dict[str, Any]]:
    return [{"image_id": name, "caption": caption} for name, caption in captions.items()]


def images(*names: str) -> EvaluationSet:
    pool = tuple(
        Example(image_id=name, image=Path(name), references=("a",), split="test") for name in names
    )
    return EvaluationSet(name="drawn", split="test", pool=pool)


def test_coco_results_and_a_mapping_say_the_same(tmp_path: Path) -> None:
    for content in (coco(GOOD), GOOD):
        assert read_predictions(write(tmp_path, content)).outcomes(make_set()) == GOOD


@pytest.mark.parametrize("name", ["captions.json", "captions.jsonl"])
def test_records_of_capgen_are_matched_by_file_name(tmp_path: Path, name: str) -> None:
    records: list[Caption | CaptionFailure] = [
        Caption(
            path=f"/some/where/{image}",
            text=text,
            log_probability=-1.0,
            score=-0.5,
            model="mini",
            settings={"beams": 3},
        )
        for image, text in GOOD.items()
        if image != "cat.jpg"
    ]
    records.append(CaptionFailure(path="/some/where/cat.jpg", code="empty", message="cat: empty"))
    write_records(tmp_path / name, records)
    predictions = read_predictions(tmp_path / name)
    outcomes = predictions.outcomes(make_set())
    failure = outcomes.pop("cat.jpg")
    assert isinstance(failure, CaptionFailure)
    assert failure.code == "empty"
    assert outcomes == {image: text for image, text in GOOD.items() if image != "cat.jpg"}
    assert predictions.details["model"] == "mini"
    assert predictions.details["settings"] == {"beams": 3}


def test_images_are_found_by_name_stem_and_coco_number() -> None:
    data = images("a/COCO_val2014_000000391895.jpg", "b/dog.jpg", "77.png")
    assert data.find("391895") == "a/COCO_val2014_000000391895.jpg"
    assert data.find("COCO_val2014_000000391895.jpg") == "a/COCO_val2014_000000391895.jpg"
    assert data.find("x\\y\\dog.jpg") == "b/dog.jpg"
    assert data.find("dog") == "b/dog.jpg"
    assert data.find("77") == "77.png"
    assert data.find("78") is None


def test_a_name_that_means_two_images_means_none() -> None:
    data = images("a/dog.jpg", "b/dog.jpg", "c/dog.png")
    assert data.find("a/dog.jpg") == "a/dog.jpg"
    assert data.find("dog.png") == "c/dog.png"
    assert data.find("dog.jpg") is None
    assert data.find("dog") is None


def test_predictions_beyond_the_limit_are_passed_over(tmp_path: Path) -> None:
    outcomes = read_predictions(write(tmp_path, GOOD)).outcomes(make_set(limit=2))
    assert list(outcomes) == list(GOOD)[:2]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", "not valid JSON"),
        ("[]", "no captions"),
        ("3", "no captions"),
        ('{"a": "x", "a": "y"}', "'a' occurs twice"),
        ("[3]", "entry 1 is not an object"),
        ('[{"caption": "x"}]', "entry 1 does not say which image"),
        ('[{"image_id": true, "caption": "x"}]', "entry 1 does not say which image"),
        ('[{"image_id": 1}]', r"caption in entry 1 \(1\) is missing"),
        ('[{"image_id": 1, "caption": ["x", 3]}]', "is missing or not a string"),
        ('[{"image_id": 1, "caption": null}]', "is missing or not a string"),
        ('[{"image_id": 1.5, "caption": "x"}]', "does not say which image"),
        ('{"a": ["x", "y"]}', r"entry 1 \(a\) has 2 captions; predictions have one"),
        ('{"a": []}', r"entry 1 \(a\) has 0 captions"),
        ('{"a": 3}', "is missing or not a string"),
        ("[" * 100_000, "nested too deeply"),
        ("\udcff", "not UTF-8"),
        ('{"kind": "comparison", "images": []}', "compares several models"),
        ('{"kind": "model_comparison", "models": []}', "compares several models"),
    ],
)
def test_malformed_files_are_named(tmp_path: Path, content: str, message: str) -> None:
    path = tmp_path / "captions.json"
    path.write_bytes(content.encode("utf-8", "surrogateescape"))
    with pytest.raises(DataError, match=message) as caught:
        read_predictions(path)
    assert "captions.json" in caught.value.message


@pytest.mark.parametrize("content", ['{"x": 1}', "[]", '[{"caption": "x"}]', '[{"image": "x"}]'])
def test_a_malformed_file_is_answered_with_an_example(tmp_path: Path, content: str) -> None:
    path = tmp_path / "captions.json"
    path.write_text(content)
    with pytest.raises(DataError) as caught:
        read_predictions(path)
    hint = caught.value.hint or ""
    assert '{"dog.jpg": "a dog runs"}' in hint and '[{"image_id": "dog.jpg", "caption":' in hint
    assert len(hint) < 400  # no list of every name that there is


LINES = "".join(f"{name}\t{caption}\n" for name, caption in GOOD.items())
FORMS: dict[str, tuple[str, str]] = {
    "captions in lists": ("p.json", json.dumps({name: [text] for name, text in GOOD.items()})),
    "res of pycocoevalcap": (
        "p.json",
        json.dumps({name: [{"caption": text}] for name, text in GOOD.items()}),
    ),
    "names without suffix": (
        "p.json",
        json.dumps({Path(name).stem: text for name, text in GOOD.items()}),
    ),
    "under a key": ("p.json", json.dumps({"results": coco(GOOD)})),
    "annotations": ("p.json", json.dumps({"images": [], "annotations": coco(GOOD)})),
    "predictions beside references": (
        "p.jsonl",
        "".join(
            json.dumps({"id": name, "caption": "a reference", "prediction": text}) + "\n"
            for name, text in GOOD.items()
        ),
    ),
    "CSV": ("p.csv", "id,caption\n" + LINES.replace("\t", ",")),
    "CSV of pandas, with the references": (
        "p.csv",
        ",file_name,caption,prediction\n"
        + "".join(f'{n},{name},"a, b",{GOOD[name]}\n' for n, name in enumerate(GOOD)),
    ),
    "CSV without a header": ("p.csv", LINES.replace("\t", ",")),
    "TSV": ("p.tsv", "image\tcaption\n" + LINES),
    "text": ("p.txt", LINES),
    "text from Windows": ("p.txt", "\ufeff" + LINES.replace("\n", "\r\n")),
    "text as Flickr8k has it": ("p.txt", LINES.replace("\t", "#0\t")),
    "a table in a text file": ("p.txt", "image,caption\n" + LINES.replace("\t", ",")),
    "a table without a header in a text file": ("p.txt", LINES.replace("\t", ",")),
    **{
        f"the key {key}": (
            "p.json",
            json.dumps([{key: name, "caption": text} for name, text in GOOD.items()]),
        )
        for key in ("file_name", "image", "id", "filename", "image_path")
    },
}


@pytest.mark.parametrize("form", FORMS)
def test_forms_of_other_tools(tmp_path: Path, form: str) -> None:
    name, text = FORMS[form]
    path = tmp_path / name
    path.write_bytes(text.encode())
    assert is_predictions(path)
    assert read_predictions(path).outcomes(make_set()) == GOOD


@pytest.mark.parametrize(
    ("written", "named"), [("1", 1), ("1", 1.0), ("1.jpg", 1), ("1", "1.jpg"), ("001.jpg", "1")]
)
def test_ids_as_numbers_and_as_file_names(tmp_path: Path, written: str, named: Any) -> None:
    path = write(tmp_path, [{"image_id": named, "caption": "a dog"}])
    assert read_predictions(path).outcomes(images(written)) == {written: "a dog"}


def test_captions_line_by_line(tmp_path: Path) -> None:
    """Without names of images they go with references in lines, and with nothing else."""
    lines = write(tmp_path, "a dog\n\na cat\u2028sits\n", "p.txt")
    references = read_references(write(tmp_path, "a dog\na man\na cat\n", "r.txt"))
    found = read_predictions(lines).outcomes(references)
    assert [*found.values()] == ["a dog", "", "a cat\u2028sits"]
    with pytest.raises(MetricError, match=r"p\.txt has captions line by line .* drawn names"):
        read_predictions(lines).outcomes(make_set())
    with pytest.raises(MetricError, match=r"r\.txt has captions line by line .* names"):
        read_predictions(write(tmp_path, GOOD)).outcomes(references)
    with pytest.raises(MetricError, match="no prediction for 1 image"):
        read_predictions(write(tmp_path, "a\nb\n", "p.txt")).outcomes(references)


def test_failures_in_a_csv_of_capgen(tmp_path: Path) -> None:
    rows = "path,caption,error_code,error_message\na/dog.jpg,a dog,,\na/cat.jpg,,empty,no bytes\n"
    found = read_predictions(write(tmp_path, rows, "p.csv"))
    assert found.captions == (("a/dog.jpg", "a dog"),)
    assert [(name, why.code, why.message) for name, why in found.failures] == [
        ("a/cat.jpg", "empty", "no bytes")
    ]


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("p.csv", "a,b\n1,2\n", r"no column of images or none of captions \(columns: a, b\)"),
        ("p.csv", "", "no column of images"),
        ("p.csv", "image_id,caption\n,a dog\n", r"p\.csv:2: the cell image_id is empty"),
        (
            "p.csv",
            "image_id,caption\n1,a dog, running\n",
            r"p\.csv:2: there is text beyond the last column: 'running'",
        ),
        (
            "p.csv",
            "image_id,caption,score\n1,a dog, running,0.5\n",
            r"p\.csv:2: there is text beyond the last column: '0\.5'",
        ),
        ("p.xlsx", "PK\x03\x04", r"p\.xlsx:1: not valid JSON"),
        ("p.txt", "", "no captions"),
        ("p.txt", "1\ta dog\n2 a cat\n", r"p\.txt:2: not an image, a tab and a caption"),
    ],
)
def test_malformed_tables_and_lines_are_named(
    tmp_path: Path, name: str, text: str, message: str
) -> None:
    with pytest.raises(DataError, match=message) as caught:
        read_predictions(write(tmp_path, text, name))
    assert caught.value.hint or ":2: the cell" in caught.value.message


def test_empty_cells_at_the_end_of_a_row_are_nothing(tmp_path: Path) -> None:
    text = "image_id;caption\n1;a dog, running;;\n2;a cat\n"
    found = read_predictions(write(tmp_path, text, "p.csv"))
    assert found.captions == (("1", "a dog, running"), ("2", "a cat"))


def test_a_broken_line_is_named(tmp_path: Path) -> None:
    path = write(tmp_path, '{"path": "a", "caption": "x"}\n\n{"path": \n', "captions.jsonl")
    with pytest.raises(DataError, match=r"captions\.jsonl:3"):
        read_predictions(path)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"nothing\.json"):
        read_predictions(tmp_path / "nothing.json")


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"stranger.jpg": "a"}, r"1 image \('stranger.jpg'\) not in split test of drawn"),
        ({"dog.jpg": None}, r"no prediction for 1 image \('dog.jpg'\)"),
    ],
)
def test_images_that_do_not_match_are_named(changed: dict[str, str | None], message: str) -> None:
    captions = {name: text for name, text in (GOOD | changed).items() if text is not None}
    with pytest.raises(MetricError, match=message):
        Predictions(name="file", captions=tuple(captions.items())).outcomes(make_set())


def test_what_to_do_about_images_without_a_prediction() -> None:
    fewer = Predictions(name="file", captions=tuple(GOOD.items())[1:])
    for data, hint in (
        (make_set(), "Predict the whole split"),
        (dataclasses.replace(make_set(), split=""), "leave the other images out"),
    ):
        with pytest.raises(MetricError) as caught:
            fewer.outcomes(data)
        assert hint in caught.value.hint


def test_what_failed_elsewhere_is_passed_over() -> None:
    """A run over a folder records a broken image that nobody described."""
    failure = CaptionFailure(path="broken.jpg", code="truncated", message="broken.jpg: truncated")
    found = Predictions(
        name="file", captions=tuple(GOOD.items()), failures=(("broken.jpg", failure),)
    )
    assert found.outcomes(make_set()) == GOOD


@pytest.mark.parametrize(
    ("name", "content", "hint"),
    [
        ("said.json", b'{"image_id": "a", "caption": "b"}\n{"image_id": "c"}', "call it .jsonl"),
        ("said.json", '[{"image_id": "a", "caption": "d\xf6g"}]'.encode("latin-1"), "as UTF-8"),
        ("said.csv", "image_id,caption\na,d\xf6g\n".encode("utf-16"), "Save the file as UTF-8"),
    ],
)
def test_what_to_do_about_a_file(tmp_path: Path, name: str, content: bytes, hint: str) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(CapgenError) as caught:
        read_predictions(tmp_path / name)
    assert hint in caught.value.hint


def test_two_captions_of_a_image_are_refused_under_whatever_names() -> None:
    captions = (*GOOD.items(), ("folder/dog.jpg", "again"))
    with pytest.raises(CapgenError, match=r"two predictions for the image 'dog\.jpg'"):
        Predictions(name="file", captions=captions).outcomes(make_set())


@pytest.mark.parametrize(
    ("files", "names"),
    [
        (("a/said.json",), ["said.json"]),
        (("a/said.json", "b/other.json"), ["said.json", "other.json"]),
        (("a/said.json", "b/said.json"), ["a/said.json", "b/said.json"]),
        (("x/a/said.json", "y/a/said.json"), ["x/a/said.json", "y/a/said.json"]),
        (("a/said.json", "b/../a/said.json"), ["said.json", "said.json"]),
        (("/said.json", "/a/said.json"), ["/said.json", "a/said.json"]),
    ],
)
def test_names_tell_files_apart(files: tuple[str, ...], names: list[str]) -> None:
    assert names_of_files([Path(file) for file in files]) == names


def test_a_file_in_a_folder_and_one_beside_the_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    names = names_of_files([Path("said.json"), Path("a/said.json")])
    assert names == ["here/said.json", "a/said.json"]
