"""Files of records in every format."""

from __future__ import annotations

import csv
import json
import os
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pytest

from capgen.config import CsvOptions
from capgen.errors import MissingDependencyError, ProtectedFileError, StorageError, UsageError
from capgen.output.base import FORMATS, format_of
from capgen.output.formats import open_format
from capgen.output.tables import COLUMNS
from capgen.paths import check_place
from capgen.records import Caption, CaptionFailure, Unwritten

ODD = os.fsdecode(b'a,"b"\xe9 <script>.jpg')
CAPTION = Caption(
    path=ODD,
    text='a "dog" & <b>cat</b>',
    score=-0.5,
    log_probability=-2.0,
    width=3,
    height=4,
    sha256="ab",
    model="m",
    revision="r",
    settings={"beams": 3},
    alternatives=(Caption(text="a dog", score=-1.0, log_probability=-3.0),),
)
UNWRITTEN = replace(CAPTION, unwritten=Unwritten(code="sidecar", message="a.txt: it is <a> folder"))
FAILURE = CaptionFailure(path="b.jpg", code="missing", message="b.jpg: no such file <x>")


def write(path: Path, name: str | None = None, thumbnail: bytes | None = None) -> Path:
    with open_format(path, format_of(path, name)) as put:
        put(CAPTION, thumbnail)
        put(FAILURE, None)
    return path


def test_suffixes_and_names() -> None:
    for name, known in FORMATS.items():
        for suffix in known.suffixes:
            assert format_of(Path(f"x{suffix.upper()}")) == name
        assert format_of(Path("x.anything"), name) == name
    with pytest.raises(UsageError, match=r"\.json.*\.html"):
        format_of(Path("x.xml"))
    with pytest.raises(UsageError, match="--format is 'xml'"):
        format_of(Path("x.json"), "xml")


def test_folders_are_no_files(tmp_path: Path) -> None:
    (tmp_path / "x.csv").mkdir()
    with pytest.raises(StorageError, match="folder"):
        check_place(tmp_path / "x.csv")


@pytest.mark.parametrize("suffix", [".json", ".jsonl"])
def test_records_come_back(tmp_path: Path, suffix: str) -> None:
    text = write(tmp_path / f"x{suffix}").read_text(encoding="utf-8")
    found = json.loads(text) if suffix == ".json" else [*map(json.loads, text.splitlines())]
    assert found == [CAPTION.to_dict(), FAILURE.to_dict()]
    assert Caption.from_dict(found[0]) == CAPTION


def test_no_records_at_all(tmp_path: Path) -> None:
    for suffix in (".json", ".jsonl", ".csv", ".txt", ".html"):
        with open_format(tmp_path / f"x{suffix}", format_of(Path(f"x{suffix}"))):
            pass
    assert json.loads((tmp_path / "x.json").read_text()) == []
    assert (tmp_path / "x.txt").read_text() == (tmp_path / "x.jsonl").read_text() == ""
    assert (tmp_path / "x.csv").read_text() == ",".join(COLUMNS) + "\n"


def test_lines_are_there_at_once(tmp_path: Path) -> None:
    with open_format(tmp_path / "x.jsonl", "jsonl") as put:
        put(CAPTION, None)
        assert json.loads((tmp_path / "x.jsonl").read_text())["width"] == 3


@pytest.mark.parametrize("suffix", [".json", ".csv", ".txt", ".html"])
def test_other_files_appear_complete_or_not_at_all(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"x{suffix}"
    path.write_text("old")
    with pytest.raises(KeyboardInterrupt), open_format(path, format_of(path)) as put:
        put(CAPTION, None)
        raise KeyboardInterrupt
    assert path.read_text() == "old"
    assert [entry.name for entry in tmp_path.iterdir()] == [path.name]


def test_csv(tmp_path: Path) -> None:
    path = write(tmp_path / "x.csv")
    with path.open(encoding="utf-8", errors="surrogateescape", newline="") as file:
        good, bad = csv.DictReader(file)
    assert (good["path"], good["caption"]) == (ODD, CAPTION.text)
    assert (float(good["score"]), good["width"], good["error_code"]) == (-0.5, "3", "")
    assert json.loads(good["alternatives"]) == [{"caption": "a dog", "score": -1.0}]
    assert json.loads(good["settings"]) == {"beams": 3}
    assert (bad["caption"], bad["error_code"]) == ("", "missing")


def test_text_has_captions_only(tmp_path: Path) -> None:
    lines = write(tmp_path / "x.txt").read_bytes().splitlines()
    assert lines == [os.fsencode(f"{ODD}\t{text}") for text in (CAPTION.text, "a dog")]


def test_parquet(tmp_path: Path) -> None:
    parquet = pytest.importorskip("pyarrow.parquet")
    rows = parquet.read_table(write(tmp_path / "x.parquet")).to_pylist()
    assert list(rows[0]) == list(COLUMNS)
    assert rows[0]["score"] == -0.5 and rows[0]["width"] == 3
    assert rows[1]["caption"] is None and rows[1]["error_code"] == "missing"


def test_parquet_without_pyarrow(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(MissingDependencyError, match="pyarrow"):
        write(tmp_path / "x.parquet")


class Page(HTMLParser):
    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.said: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.said.append(data)

    def named(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.tags if name == tag]


def test_gallery(tmp_path: Path) -> None:
    text = write(tmp_path / "x.html", thumbnail=b"webp").read_text(encoding="utf-8")
    page = Page(text)
    (image,) = page.named("img")
    assert image["alt"] == CAPTION.text
    assert image["src"] == "data:image/webp;base64,d2VicA=="
    assert CAPTION.text in page.said
    assert any("no such file <x>" in said for said in page.said)
    cards = [item for item in page.named("li") if "data-record" in item]
    good, bad = (json.loads(card["data-record"] or "") for card in cards)
    assert (good["path"], good["caption"]) == (ODD, CAPTION.text)
    assert bad["error"]["code"] == "missing"
    # One file: nothing is loaded, and no text of the user's became markup.
    assert len(page.named("script")) == 1 and not page.named("b") and not page.named("link")
    assert "http" not in text.replace("http-equiv", "")


def test_thumbnails_are_small() -> None:
    import io

    from PIL import Image

    from capgen.images.thumbnails import thumbnail

    data = thumbnail(Image.effect_noise((1000, 500), 50).convert("RGB"))
    assert Image.open(io.BytesIO(data)).size == (256, 128)
    assert len(data) < 30_000


def test_what_was_not_written_is_said_in_every_format(tmp_path: Path) -> None:
    def written(suffix: str) -> str:
        with open_format(tmp_path / f"x{suffix}", format_of(Path(f"x{suffix}"))) as put:
            put(UNWRITTEN, None)
        data = (tmp_path / f"x{suffix}").read_bytes()
        return data.decode("utf-8", "surrogateescape")

    record = json.loads(written(".jsonl"))
    assert record["error"] == {"code": "sidecar", "message": "a.txt: it is <a> folder", "hint": ""}
    assert record["caption"] == CAPTION.text
    assert Caption.from_dict(record) == UNWRITTEN
    (row,) = csv.DictReader(written(".csv").splitlines())
    assert (row["caption"], row["error_code"]) == (CAPTION.text, "sidecar")
    assert row["error_message"] == "a.txt: it is <a> folder"
    page = Page(written(".html"))
    assert CAPTION.text in page.said and any("it is <a> folder" in said for said in page.said)
    assert not page.named("a")
    assert written(".txt").endswith(f"\t{CAPTION.text}\n{os.fsdecode(ODD)}\ta dog\n")


@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.parametrize("content", [b"\xff\xd8\xff\xe0 JPEG", b"PK\3\4 ZIP", b"%PDF-1.7"])
def test_no_format_replaces_a_image_or_a_document(
    tmp_path: Path, name: str, content: bytes
) -> None:
    path = tmp_path / "photo.jpg"
    path.write_bytes(content)
    with pytest.raises(ProtectedFileError, match=r"photo\.jpg"), open_format(path, name) as put:
        put(CAPTION, None)
    assert path.read_bytes() == content
    assert [entry.name for entry in tmp_path.iterdir()] == ["photo.jpg"]


def cells(path: Path, **options: bool) -> list[dict[str, str]]:
    odd = replace(CAPTION, path="=1+1.jpg", text="@home", alternatives=())
    with open_format(path, "csv", CsvOptions(**options)) as put:
        put(odd, None)
        put(replace(odd, path="-a\x1b[31m.jpg", text="+ a dog"), None)
    with path.open(encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream))


def test_csv_cells_that_begin_a_formula_are_neutralised(tmp_path: Path) -> None:
    first, second = cells(tmp_path / "x.csv")
    assert (first["path"], first["caption"]) == ("'=1+1.jpg", "'@home")
    assert (second["path"], second["caption"]) == ("'-a\x1b[31m.jpg", "'+ a dog")
    assert float(first["score"]) == CAPTION.score < 0  # a number stays one


def test_csv_cells_stay_as_they_are_when_asked(tmp_path: Path) -> None:
    first, second = cells(tmp_path / "x.csv", csv_formulas=True)
    assert (first["path"], second["caption"]) == ("=1+1.jpg", "+ a dog")


def test_csv_begins_with_a_byte_order_mark_when_asked(tmp_path: Path) -> None:
    cells(tmp_path / "x.csv", csv_bom=True)
    assert (tmp_path / "x.csv").read_bytes().startswith(b"\xef\xbb\xbfpath,")
    cells(tmp_path / "y.csv")
    assert (tmp_path / "y.csv").read_bytes().startswith(b"path,")


def test_names_in_text_are_one_line_each_and_cannot_act(tmp_path: Path) -> None:
    path = tmp_path / "x.txt"
    with open_format(path, "text") as put:
        put(replace(CAPTION, path="a\n\tb\x1b[2J.jpg", text="a dog", alternatives=()), None)
    assert path.read_text() == "a\\n\\tb\\x1b[2J.jpg\ta dog\n"
