"""Quotes without a partner, captions with commas, and cells of any length."""

from __future__ import annotations

import io
from pathlib import Path

import pytest

from capgen.captioning.batch.inputs import Inputs
from capgen.data.checks.check import Diagnosis, diagnose
from capgen.data.dataset import load_dataset
from capgen.errors import DataError
from capgen.tables.rows import Row, read_table
from tests.colours import plain


def rows_of(name: str, text: str, *, strict: bool = True) -> list[Row]:
    return list(read_table(Path(name), io.StringIO(text, newline=""), strict=strict).rows)


def images(folder: Path, *names: str) -> None:
    for number, name in enumerate(names):
        plain(folder, name, number + 1)


STRAY = (
    'image,caption\na.png,"a dog\nb.png,a cat\nc.png,a boy who says ""hi""\nd.png,he says hello"\n'
)


def test_an_unbalanced_quote_does_not_swallow_the_rows_after_it() -> None:
    rows = rows_of("t.csv", STRAY)
    assert [(row.line, row.fault) for row in rows] == [
        (2, "a quote is opened but not closed"),
        (3, ""),
        (4, ""),
        (5, ""),
    ]
    assert [row.cells["image"] for row in rows[1:]] == ["b.png", "c.png", "d.png"]
    assert rows[3].cells["caption"] == 'he says hello"'


@pytest.mark.parametrize(
    "text",
    [
        'id,image,caption\n1,p/a.png,"a dog\n2,p/b.png,"a cat"\n3,p/c.png,a cow\n',
        'image,caption\n"a.png","a dog\n"b.png","a cat"\n"c.png","a cow"\n',
        'image,caption\r\na.png,"a dog\r\nb.png,a cat\r\nc.png,a cow\r\n',
        'a.png,"a dog\nb.png,a cat\nc.png,a cow\n',
        # No name tells where a row begins here, but the quotes are wrong in the second one.
        'image,caption\n17,"a dog\n18,"a cat"\n19,a cow\n',
    ],
)
def test_wherever_the_image_is_named(text: str) -> None:
    rows = rows_of("t.csv", text)
    assert [bool(row.fault) for row in rows] == [True, False, False]
    assert [row.cells["caption"] for row in rows[1:]] == ["a cat", "a cow"]


def test_a_data_set_names_the_line_and_the_doctor_finds_the_others(tmp_path: Path) -> None:
    images(tmp_path, "a.png", "b.png", "c.png", "d.png")
    (tmp_path / "t.csv").write_text(STRAY)
    with pytest.raises(DataError, match=r"t\.csv:2: a quote is opened but not closed"):
        load_dataset(tmp_path)
    *_, diagnosis = diagnose(tmp_path)
    assert isinstance(diagnosis, Diagnosis)
    assert [entry.image_id for entry in diagnosis.reading.entries] == ["b.png", "c.png", "d.png"]
    assert diagnosis.counts["malformed_line"] == 1


def test_captioning_takes_the_row_and_those_after_it(tmp_path: Path) -> None:
    images(tmp_path, "a.png", "b.png", "c.png", "d.png")
    (tmp_path / "t.csv").write_text(STRAY)
    names = [Path(source.name).name for source in Inputs([], manifest=tmp_path / "t.csv")]
    assert names == ["a.png", "b.png", "c.png", "d.png"]


def test_a_quote_still_joins_the_lines_of_one_caption() -> None:
    text = 'id,image,caption\n1,a.png,"a dog,\na ""red"" one\n"\n2,b.png,a cat\n'
    first, second = rows_of("t.csv", text)
    assert first.cells["caption"] == 'a dog,\na "red" one\n'
    assert (second.line, second.cells["caption"]) == (5, "a cat")


@pytest.mark.parametrize(("name", "mark"), [("t.tsv", "\t"), ("t.csv", "\t"), ("t.csv", "|")])
def test_tabs_and_bars_are_read_without_quoting_where_quoting_fails(name: str, mark: str) -> None:
    text = "\n".join(
        f"{image}{mark}{caption}"
        for image, caption in (
            ("image", "caption"),
            ("a.png", '"Welcome" is written on a door'),
            ("b.png", '"a dog runs'),
            ("c.png", 'a sign says "stop"'),
            ("d.png", '"quoted, as it ""should"" be"'),
            ("e.png", '"open to the end'),
        )
    )
    for strict in (True, False):
        rows = rows_of(name, text, strict=strict)
        assert [row.cells["caption"] for row in rows] == [
            '"Welcome" is written on a door',
            '"a dog runs',
            'a sign says "stop"',
            'quoted, as it "should" be',
            '"open to the end',
        ]


@pytest.mark.parametrize("mark", ["|", "\t", ";", " | ", ","])
@pytest.mark.parametrize("name", ["captions.txt", "t.csv", "metadata.csv", "pairs.txt"])
def test_tables_without_a_header_whose_captions_hold_commas(
    tmp_path: Path, name: str, mark: str
) -> None:
    images(tmp_path, "a.png", "b.png")
    lines = [f"{image}{mark}a dog, a cat, and a bird" for image in ("a.png", "b.png")]
    (tmp_path / name).write_text("\n".join(lines))
    dataset = load_dataset(tmp_path / name if name == "pairs.txt" else tmp_path)
    captions = [example.references for example in dataset.examples]
    assert captions == [("a dog, a cat, and a bird",)] * 2


def test_commas_of_captions_are_told_from_those_between_cells() -> None:
    text = "a.png,a dog\nb.png,a dog, a cat\nc.png,red,blue\nd.png, x, y\ne.png,a, b,val\n"
    rows = rows_of("t.csv", text)
    captions = [row.cells.get("caption") for row in rows]
    assert captions == ["a dog", "a dog, a cat", None, None, None]
    assert [row.fault for row in rows[2:]] == ["3 columns instead of 2"] * 3
    (row,) = rows_of("t.csv", "a.png,a dog, a cat,val\n")
    assert row.cells == {"image": "a.png", "caption": "a dog, a cat", "split": "val"}


def test_a_header_with_the_name_of_no_image_still_tells_the_delimiter() -> None:
    (row,) = rows_of("t.csv", "image;caption, long;c\na.jpg;x, y, z;1\n")
    assert row.cells == {"image": "a.jpg", "caption, long": "x, y, z", "c": "1"}


def test_a_long_cell_and_a_long_number_are_one_bad_row() -> None:
    long = "x" * 200_000
    rows = rows_of("t.csv", f"image,caption\na.png,x\nb.png,{long}\nc.png,x\n")
    assert [bool(row.fault) for row in rows] == [False, True, False]
    rows = rows_of("t.csv", f'image,caption\na.png,x\nb.png,"{long}\nc.png,x\n')
    assert [bool(row.fault) for row in rows] == [False, True, False]
    number = "9" * 5000
    rows = rows_of(
        "t.jsonl", f'{{"image": "a.png"}}\n{{"image": {number}}}\n{{"image": "b.png"}}\n'
    )
    assert [bool(row.fault) for row in rows] == [False, True, False]


@pytest.mark.parametrize("suffix", ["csv", "tsv", "jsonl"])
def test_a_name_that_is_too_long_is_one_missing_image(tmp_path: Path, suffix: str) -> None:
    images(tmp_path, "a.png", "b.png")
    names = ["a.png", "x" * 100_000 + ".png", "y" * 100_000 + "/z.png", "b.png"]
    if suffix == "jsonl":
        lines = [f'{{"image": "{name}", "caption": "a dog"}}' for name in names]
    else:
        mark = "\t" if suffix == "tsv" else ","
        lines = [mark.join(("image", "caption")), *(f"{name}{mark}a dog" for name in names)]
    (tmp_path / f"t.{suffix}").write_text("\n".join(lines))
    for take_in in (None, "all"):
        dataset = load_dataset(tmp_path, take_in=take_in)
        assert [example.image_id for example in dataset.examples] == ["a.png", "b.png"]
        assert [problem.code for problem in dataset.problems] == ["image_missing"] * 2
        assert all(len(problem.message) < 1000 for problem in dataset.problems)
    *_, diagnosis = diagnose(tmp_path)
    assert isinstance(diagnosis, Diagnosis)
    assert diagnosis.counts["image_missing"] == 2
