"""Files of records in every format, and sidecars."""

from __future__ import annotations

import csv
import json
import os
from html.parser import HTMLParser
from pathlib import Path

import pytest

from capgen.errors import MissingDependencyError, StorageError, UsageError
from capgen.output.formats import FORMATS, format_of, open_format
from capgen.output.sidecars import Sidecars
from capgen.output.tables import COLUMNS
from capgen.paths import check_place
from capgen.records import Caption, CaptionFailure

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

    from capgen.inference.thumbnails import thumbnail

    data = thumbnail(Image.effect_noise((1000, 500), 50).convert("RGB"))
    assert Image.open(io.BytesIO(data)).size == (256, 128)
    assert len(data) < 30_000


# --- sidecars


@pytest.mark.parametrize(
    ("policy", "expected"),
    [
        ("skip", "old"),
        ("overwrite", "a dog\n"),
        ("append", "old\na dog\n"),
        ("prepend", "a dog\nold\n"),
    ],
)
def test_sidecars(tmp_path: Path, policy: str, expected: str) -> None:
    record = Caption(text="a dog", score=-1.0, log_probability=-1.0)
    photo, sidecar = tmp_path / "a.jpg", tmp_path / "a.txt"
    Sidecars("txt", policy).write(photo, record)
    assert sidecar.read_text() == "a dog\n"
    sidecar.write_text("old")
    for _ in range(2):  # a repeated run changes nothing
        sidecars = Sidecars(".txt", policy)
        assert sidecars.leaves(photo) == (policy == "skip")
        assert sidecars.write(photo, record) == ""
        assert sidecar.read_text() == expected


def test_pictures_do_not_share_a_sidecar(tmp_path: Path) -> None:
    record = Caption(text="a dog", score=-1.0, log_probability=-1.0)
    sidecars = Sidecars(".txt", "overwrite")
    assert sidecars.write(tmp_path / "a.jpg", record) == ""
    assert "a.jpg" in sidecars.write(tmp_path / "a.png", record)


@pytest.mark.parametrize(
    ("suffix", "policy"), [("", "skip"), ("a/b", "skip"), ("a\\b", "skip"), (".txt", "x")]
)
def test_wrong_sidecars(suffix: str, policy: str) -> None:
    with pytest.raises(UsageError):
        Sidecars(suffix, policy)


def test_sidecars_that_are_one_file_where_case_does_not_matter(tmp_path: Path) -> None:
    record = Caption(text="a dog", score=-1.0, log_probability=-1.0)
    sidecars = Sidecars(".txt", "overwrite")
    assert sidecars.write(tmp_path / "a.jpg", record) == ""
    assert sidecars.write(tmp_path / "A.png", record) == ""  # two files here
    assert sidecars.write(tmp_path / "B.jpg", record) == ""
    (tmp_path / "b.txt").symlink_to("B.txt")  # as on macOS and Windows
    assert "B.jpg" in sidecars.write(tmp_path / "b.png", record)
