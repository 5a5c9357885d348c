from __future__ import annotations

import json
from pathlib import Path

import pytest

from capgen.errors import DataError
from capgen.training.data.text_captions import TextCaptions, read_text_captions


def write(folder: Path, name: str, content: str | bytes) -> Path:
    path = folder / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.txt", "a dog\n\n  a cat  \r\na dog\n"),
        ("a.jsonl", '{"coco_id": 1, "captions": ["a dog", "a cat"]}\n{"captions": ["a dog"]}\n'),
        ("b.jsonl", '{"caption": "a dog"}\n{"caption": "a cat"}\n'),
        ("a.csv", 'id,caption\n1,a dog\n2,"a cat"\n'),
        ("a.tsv", "caption\tother\na dog\t1\na cat\t2\n"),
    ],
)
def test_captions_of_each_format(tmp_path: Path, name: str, content: str) -> None:
    texts = read_text_captions([write(tmp_path, name, content)], [])
    assert texts.captions == ("a dog", "a cat")
    assert texts.unread == 0


def test_captions_of_measured_images_are_left_out_and_told(tmp_path: Path) -> None:
    file = write(tmp_path, "a.txt", "a dog runs\nA cat sits.\na bird\n")
    texts = read_text_captions([file], ["a cat sits", "a horse"])
    assert texts.captions == ("a dog runs", "a bird")
    assert texts.held_out == 1
    (notice,) = texts.notices
    assert "Left out 1 captions" in notice.message


def test_rows_without_captions_are_counted(tmp_path: Path) -> None:
    lines = [{"captions": ["a dog"]}, {"captions": 7}, {"captions": []}, {"captions": [" "]}]
    file = write(tmp_path, "a.jsonl", "\n".join(map(json.dumps, lines)) + "\n{no json\n")
    texts = read_text_captions([file], [])
    assert (texts.captions, texts.unread) == (("a dog",), 3)
    empty, broken = texts.notices
    assert "3 rows of the text data have no captions" in empty.message
    assert "1 rows of the text data cannot be read" in broken.message
    assert "a.jsonl:5: not a JSON object" in broken.message


def test_a_table_with_nothing_but_a_broken_row_says_what_is_wrong_with_it(tmp_path: Path) -> None:
    file = write(tmp_path, "a.csv", 'caption\n"a dog\n')
    with pytest.raises(DataError, match=r"has no captions: .*a\.csv:2: a quote is opened"):
        read_text_captions([file], [])


@pytest.mark.parametrize("name", ["a.txt", "a.csv", "a.jsonl"])
def test_bytes_of_0_are_no_text(tmp_path: Path, name: str) -> None:
    file = write(tmp_path, name, b"caption\na dog\na c\0at\n")
    with pytest.raises(DataError, match=rf"{name}:3: a byte of 0") as caught:
        read_text_captions([file], [])
    assert "UTF-8" in caught.value.hint


def test_the_record_names_no_path_and_changes_with_the_captions(tmp_path: Path) -> None:
    one = read_text_captions([write(tmp_path, "a.txt", "a dog\n")], [])
    other = read_text_captions([write(tmp_path, "a.txt", "a dog\na cat\n")], [])
    assert one.record["text"]["captions"] == 1
    assert one.record != other.record
    assert str(tmp_path) not in json.dumps(one.record)
    assert TextCaptions().record == {}


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.txt", "", "has no captions"),
        ("a.txt", " \n\n", "has no captions"),
        ("a.jsonl", '{"image": 1}\n', "no column of captions"),
        ("a.csv", "caption\n", "has no captions"),
        ("a.parquet", "PAR1", "no text data"),
        ("a.txt", b"a caf\xe9\n", "is not UTF-8"),
        ("a.txt", "a dog\n".encode("utf-16"), "UTF-16"),
    ],
)
def test_files_that_cannot_be_used(
    tmp_path: Path, name: str, content: str | bytes, message: str
) -> None:
    with pytest.raises(DataError, match=message) as caught:
        read_text_captions([write(tmp_path, name, content)], [])
    assert caught.value.hint


def test_a_missing_file(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="Cannot read"):
        read_text_captions([tmp_path / "none.txt"], [])
