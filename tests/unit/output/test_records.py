"""Files of records: complete or not there."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from capgen.errors import StorageError
from capgen.output.records import dump
from capgen.paths import check_place
from capgen.records import Caption, CaptionFailure
from tests.fakes import names, write_records

CAPTION = Caption(path="[red]é.jpg", text="a “dog”\n", score=-1.0, log_probability=-2.0)
FAILURE = CaptionFailure(path="b.jpg", code="missing", message="b.jpg: no such file")


@pytest.mark.parametrize("name", ["x.json", "X.JSON"])
@pytest.mark.parametrize("records", [[], [CAPTION], [CAPTION, FAILURE, CAPTION]])
def test_json_is_an_array(tmp_path: Path, name: str, records: list) -> None:
    write_records(tmp_path / name, iter(records))
    content = json.loads((tmp_path / name).read_text(encoding="utf-8"))
    assert content == [record.to_dict() for record in records]


@pytest.mark.parametrize("records", [[], [CAPTION], [CAPTION, FAILURE, CAPTION]])
def test_jsonl_is_a_record_a_line(tmp_path: Path, records: list) -> None:
    write_records(tmp_path / "x.jsonl", iter(records))
    lines = (tmp_path / "x.jsonl").read_text(encoding="utf-8").split("\n")
    assert lines.pop() == ""
    assert [json.loads(line) for line in lines] == [record.to_dict() for record in records]


def test_text_stays_readable() -> None:
    assert "[red]é.jpg" in dump(CAPTION)


def test_a_name_that_is_no_text_comes_back() -> None:
    path = os.fsdecode(b"caf\xe9.jpg")
    line = dump(CaptionFailure(path=path, code="missing", message="gone"))
    assert json.loads(line.encode("utf-8"))["path"] == path


def test_what_cannot_be_replaced_is_refused_before_any_work(tmp_path: Path) -> None:
    (tmp_path / "x.json").mkdir()
    with pytest.raises(StorageError, match=r"x\.json.*folder"):
        check_place(tmp_path / "x.json")
    with pytest.raises(StorageError, match="Cannot write"):
        check_place(tmp_path / f"{'x' * 300}.json")


def test_an_interruption_leaves_the_old_file(tmp_path: Path) -> None:
    def interrupted() -> Iterator[Caption]:
        yield CAPTION
        raise KeyboardInterrupt

    (tmp_path / "x.json").write_text("old")
    with pytest.raises(KeyboardInterrupt):
        write_records(tmp_path / "x.json", interrupted())
    assert (tmp_path / "x.json").read_text() == "old"
    assert names(tmp_path) == ["x.json"]


def test_no_work_is_done_where_nothing_can_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")

    def never() -> Iterator[Caption]:
        pytest.fail("captioned before the place was tried")
        yield CAPTION

    with pytest.raises(StorageError, match=r"x\.json"):
        write_records(tmp_path / "file" / "x.json", never())
