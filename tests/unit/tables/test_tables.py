"""Tables: what captioning reads, data sets read too, and the other way round."""

from __future__ import annotations

import io
from pathlib import Path

import pytest

from capgen.captioning.batch.inputs import Inputs
from capgen.captioning.batch.sources import FailedSource
from capgen.data.dataset import load_dataset
from capgen.errors import DataError
from capgen.tables.columns import IMAGE_NAMES, caption_columns, image_column
from capgen.tables.rows import Row, is_table, read_table
from tests.colours import plain

TABLES = {
    "semicolons.csv": "image;caption\np/a.png;a dog, a cat\n",
    "bars.csv": "image| caption\np/a.png| a dog\n",
    "tabs.tsv": "image\tcaption\np/a.png\ta dog\n",
    "tabs.csv": "image\tcaption\np/a.png\ta dog\n",
    "img_path.csv": "img_path,caption\np/a.png,a dog\n",
    "capitals.CSV": "Image,Caption\np/a.png,a dog\n",
    "blanks.csv": "id, image, caption\n1, p/a.png, a dog\n",
    "windows.csv": "\ufeffimage,caption\r\np\\a.png,a dog\r\n",
    "no-header.csv": "p/a.png,a dog\n",
    "captions.txt": "image,caption\np/a.png,a dog\n",
    "filepath.csv": "filepath,caption\np/a.png,a dog\n",
    "url.csv": "url,caption\np/a.png,a dog\n",
    "path.csv": "path,caption\np/a.png,a dog\n",
    "image-is-a-number.csv": "image,file_name,caption\n17,p/a.png,a dog\n",
    "quoted-header.csv": 'image,"caption;all;of;it",caption\np/a.png,x,a dog\n',
    "objects.jsonl": '\ufeff{"photo_path": "p/a.png", "text": "a dog"}\n\n',
    "objects.NDJSON": '{"file_name": "p/a.png", "captions": ["a dog", "a cat"]}\n',
}


@pytest.mark.parametrize("name", TABLES)
def test_captioning_and_data_sets_read_the_same_tables(tmp_path: Path, name: str) -> None:
    plain(tmp_path / "p", "a.png", 1)
    (tmp_path / name).write_text(TABLES[name], encoding="utf-8", newline="")
    (source,) = Inputs([], manifest=tmp_path / name)
    assert source.file == tmp_path / "p" / "a.png"
    (example,) = load_dataset(tmp_path / name).examples
    assert example.image == tmp_path / "p" / "a.png"


def test_utf_16_is_refused_by_both(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("image,caption\na.png,a dog\n", encoding="utf-16")
    with pytest.raises(DataError, match="UTF-8"):
        Inputs([], manifest=tmp_path / "t.csv")
    with pytest.raises(DataError, match="UTF-8"):
        load_dataset(tmp_path / "t.csv")


def test_captioning_takes_rows_that_a_data_set_must_not_guess_at(tmp_path: Path) -> None:
    plain(tmp_path, "a.png", 1)
    (tmp_path / "t.csv").write_text('image,caption\na.png,"he said "hi" twice"\na.png\n,x\n')
    *good, bad = Inputs([], manifest=tmp_path / "t.csv")
    assert [source.file for source in good] == [tmp_path / "a.png"] * 2
    assert isinstance(bad, FailedSource) and bad.name == f"{tmp_path / 't.csv'}:4"
    with pytest.raises(DataError, match=r"t\.csv:2: "):
        load_dataset(tmp_path / "t.csv")


def test_blanks_that_belong_to_a_name(tmp_path: Path) -> None:
    plain(tmp_path, " a.png", 1)
    (tmp_path / "t.csv").write_text("image\n a.png\n b.png\n")
    names = [source.name for source in Inputs([], manifest=tmp_path / "t.csv")]
    assert names == [str(tmp_path / " a.png"), str(tmp_path / "b.png")]


def test_a_table_without_rows(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("image,caption\n")
    assert list(Inputs([], manifest=tmp_path / "t.csv")) == []


def test_a_table_is_read_as_it_comes() -> None:
    given = 0

    def lines():
        nonlocal given
        yield "image\n"
        while True:
            given += 1
            yield f"{given}.jpg\n"

    table = read_table(Path("t.csv"), lines())
    assert [next(table.rows).cells["image"] for _ in range(3)] == ["1.jpg", "2.jpg", "3.jpg"]
    assert given < 10


def test_faults_are_rows(tmp_path: Path) -> None:
    text = 'image,caption\n"a\nb.jpg",x\nc.jpg\n"d"e.jpg,x\n\nf.jpg,x\n'
    table = read_table(Path("t.csv"), io.StringIO(text, newline=""))
    rows = list(table.rows)
    assert [(row.line, row.fault) for row in rows] == [
        (2, ""),
        (4, "1 columns instead of 2"),
        (5, "',' expected after '\"'"),
        (7, ""),
    ]
    assert rows[0] == Row(line=2, cells={"image": "a\nb.jpg", "caption": "x"})
    table = read_table(Path("t.jsonl"), ["[1]\n", '{"image": 1}\n'])
    assert (table.names, table.first) == (["image"], {"image": 1})
    assert [row.fault for row in table.rows] == ["not a JSON object: '[1]'", ""]


def test_names_of_tables() -> None:
    names = ("a.csv", "A.TSV", "b.jsonl", "c.ndjson", "captions.txt", "x.txt", "csv", "y.xlsx")
    assert [name for name in names if is_table(Path(name))] == list(names[:5])


@pytest.mark.parametrize(
    ("cells", "column"),
    [
        ({"path": "a.jpg", "image": "b.jpg"}, "path"),
        ({"image": "17", "path": "b.jpg"}, "path"),
        ({"path": "a.jpg", "image": {"bytes": b"", "path": None}}, "image"),
        ({"URL": "https://a.b/c", "caption": "x"}, "URL"),
        ({"url": "https://a.b/c.jpg", "file": "a.jpg"}, "file"),
        ({"caption": "a.jpg"}, None),
    ],
)
def test_the_column_of_images(cells: dict[str, object], column: str | None) -> None:
    assert image_column(list(cells), cells) == column


def test_known_names_are_said_once() -> None:
    assert len(set(IMAGE_NAMES)) == len(IMAGE_NAMES)
    assert caption_columns(["caption_1", "x", "Caption 2"]) == ("caption_1", "Caption 2")


def test_the_captions_of_a_series_are_never_left_out() -> None:
    series = ("caption", "caption_2", "caption_3")
    assert caption_columns(["image", *series, "text"]) == series
    assert caption_columns(["title", "caption_1", "caption_2"]) == ("caption_1", "caption_2")
    assert caption_columns(["comment_number", "comment"]) == ("comment",)
