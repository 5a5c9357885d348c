from __future__ import annotations

from pathlib import Path

import pytest

from capgen.errors import DataError, ModelError
from capgen.json_files import parse_json, read_json


def test_an_object_is_read(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text('{"ä": 1, "b": 1, "b": 2}', encoding="utf-8")
    assert read_json(tmp_path / "a.json", ModelError) == {"ä": 1, "b": 2}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"[1]", "is not a JSON object"),
        (b'{\n"a": }', "a.json:2: not valid JSON"),
        (b"", "a.json:1: not valid JSON"),
        (b'{"a": "\xff"}', "is not UTF-8"),
        (b"[" * 100_000, "nested too deeply"),
        (b'{"a": ' + b"9" * 5000 + b"}", "not valid JSON"),
    ],
)
def test_every_fault_has_a_message(tmp_path: Path, content: bytes, message: str) -> None:
    (tmp_path / "a.json").write_bytes(content)
    with pytest.raises(ModelError, match=message):
        read_json(tmp_path / "a.json", ModelError)


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"Cannot read .*a\.json: No such file"):
        read_json(tmp_path / "a.json", DataError)


def test_the_same_key_twice_is_refused_on_request() -> None:
    text = '{"a": {"b": 1, "b": 2}}'
    assert parse_json(text, Path("x")) == {"a": {"b": 2}}
    with pytest.raises(DataError, match="'b' occurs twice"):
        parse_json(text, Path("x"), unique_keys=True)


def test_lines_are_counted_from_where_the_text_begins() -> None:
    with pytest.raises(DataError, match="x:8: not valid"):
        parse_json("{\n1", Path("x"), line=7)
