"""Tags in files: a column, a field, a line of a card, words behind a caption, keywords of XMP."""

from __future__ import annotations

import csv
import json
from dataclasses import replace
from pathlib import Path

import pytest

from capgen.config import TagOptions
from capgen.errors import UsageError
from capgen.images.metadata.xmp import read_texts
from capgen.images.metadata.xmp_lists import read_list
from capgen.output.base import FORMATS, format_of
from capgen.output.formats import open_format
from capgen.output.sidecars import Sidecars
from capgen.output.tables import COLUMNS
from capgen.output.tags import tags_of
from capgen.records import Caption, CaptionFailure, Concept
from capgen.undo import undo
from capgen.undo_file import UndoFile
from tests.images_with_metadata import described, packet
from tests.unit.output.test_formats import Page

CONCEPTS = (Concept("dog", 0.9), Concept("<b>bed", 0.5), Concept("sofa", 0.49))
OTHER = Caption(text="two dogs", score=-2.0, log_probability=-2.0)
DOG = Caption(path="a.jpg", text="a dog", score=-1.0, log_probability=-1.0, width=3, height=4)
SEEN = replace(DOG, concepts=CONCEPTS)
UNSEEN = replace(DOG, path="b.jpg", concepts=CONCEPTS[2:])
FAILURE = CaptionFailure(path="c.jpg", code="missing", message="c.jpg: no such file")
TAGS = TagOptions(tags=True)


def written(path: Path, *records: Caption | CaptionFailure, tags: TagOptions = TAGS) -> str:
    with open_format(path, format_of(path), tags=tags) as put:
        for record in records or (SEEN, UNSEEN, FAILURE):
            put(record, None)
    return path.read_text(encoding="utf-8")


def test_tags_are_the_likeliest_concepts() -> None:
    assert tags_of(SEEN, TagOptions()) is None
    assert tags_of(SEEN, TAGS) == ("dog", "<b>bed")
    assert tags_of(UNSEEN, TAGS) == tags_of(DOG, TAGS) == ()
    assert tags_of(SEEN, TagOptions(tags=True, min_tag_probability=0.1)) == (
        *("dog", "<b>bed", "sofa"),
    )
    assert tags_of(SEEN, TagOptions(tags=True, min_tag_probability=1)) == ()


@pytest.mark.parametrize("value", [0.0, 0.09, 1.01])
def test_what_records_do_not_hold_cannot_be_asked_for(value: float) -> None:
    with pytest.raises(UsageError, match=r"--min-tag-probability is .* 0\.1"):
        TagOptions(min_tag_probability=value)


def test_a_column(tmp_path: Path) -> None:
    rows = list(csv.DictReader(written(tmp_path / "x.csv").splitlines()))
    assert list(rows[0]) == [*COLUMNS, "tags"]
    assert [row["tags"] for row in rows] == ["dog, <b>bed", "", ""]


def test_a_column_of_parquet(tmp_path: Path) -> None:
    parquet = pytest.importorskip("pyarrow.parquet")
    with open_format(tmp_path / "x.parquet", "parquet", tags=TAGS) as put:
        for record in (SEEN, UNSEEN, FAILURE):
            put(record, None)
    rows = parquet.read_table(tmp_path / "x.parquet").to_pylist()
    assert [row["tags"] for row in rows] == ["dog, <b>bed", "", None]


def test_a_tag_begins_no_formula(tmp_path: Path) -> None:
    odd = replace(DOG, concepts=(Concept("=1+1", 0.9),))
    (row,) = csv.DictReader(written(tmp_path / "x.csv", odd).splitlines())
    assert row["tags"] == "'=1+1"


def test_a_field_of_text(tmp_path: Path) -> None:
    lines = written(tmp_path / "x.txt", replace(SEEN, alternatives=(OTHER,)), UNSEEN, FAILURE)
    assert lines.splitlines() == [
        "a.jpg\ta dog\tdog, <b>bed",
        "a.jpg\ttwo dogs\tdog, <b>bed",
        "b.jpg\ta dog\t-",
    ]
    odd = replace(DOG, concepts=(Concept("a\tb\n\x1b[2J", 0.9),))
    assert written(tmp_path / "x.txt", odd) == "a.jpg\ta dog\ta\\tb\\n\\x1b[2J\n"


def test_a_line_of_each_card(tmp_path: Path) -> None:
    page = Page(written(tmp_path / "x.html"))
    assert [item for item in page.named("p") if item.get("class") == "tags"] == [{"class": "tags"}]
    assert "dog, <b>bed" in page.said and not page.named("b")
    exported = [json.loads(i["data-record"] or "") for i in page.named("li") if "data-record" in i]
    assert exported[0]["concepts"][1] == {"name": "<b>bed", "probability": 0.5}
    assert "concepts" not in exported[2]


@pytest.mark.parametrize("suffix", [".json", ".jsonl"])
def test_whole_records_have_concepts_in_any_case(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"x{suffix}"
    text = written(path, SEEN)
    assert text == written(path, SEEN, tags=TagOptions())
    found = json.loads(text)
    assert Caption.from_dict(found[0] if suffix == ".json" else found) == SEEN


@pytest.mark.parametrize("name", [*FORMATS])
def test_without_concepts_files_are_as_they_were(tmp_path: Path, name: str) -> None:
    if name == "parquet":
        pytest.importorskip("pyarrow")
    plain, seen = tmp_path / "plain", tmp_path / "seen"
    for path, record in ((plain, DOG), (seen, SEEN)):
        with open_format(path, name) as put:
            put(record, None)
    same = plain.read_bytes() == seen.read_bytes()
    assert same == (name not in ("json", "jsonl", "html"))  # only these hold the concepts
    assert b"concepts" not in plain.read_bytes()


# --- sidecars


@pytest.mark.parametrize("policy", ["overwrite", "append"])
def test_tags_follow_each_caption_of_a_text_sidecar(tmp_path: Path, policy: str) -> None:
    record = replace(DOG, alternatives=(OTHER,))
    sidecars = Sidecars(".txt", policy)
    for _ in range(2):
        assert sidecars.write(tmp_path / "a.jpg", record, ("dog", "teddy bear")).written
        text = (tmp_path / "a.txt").read_text()
        assert text == "a dog, dog, teddy bear\ntwo dogs, dog, teddy bear\n"
    (tmp_path / "a.txt").write_text("hers\n")
    for _ in range(2):
        assert sidecars.write(tmp_path / "a.jpg", DOG, ("dog",)).written
    assert (tmp_path / "a.txt").read_text() == {
        "overwrite": "a dog, dog\n",
        "append": "hers, a dog, dog\n",
    }[policy]


@pytest.mark.parametrize("tags", [None, ()])
def test_without_tags_a_text_sidecar_is_the_caption(tmp_path: Path, tags: tuple[str, ...]) -> None:
    assert Sidecars(".txt").write(tmp_path / "a.jpg", SEEN, tags).written
    assert (tmp_path / "a.txt").read_text() == "a dog\n"


def test_keywords_of_xmp_are_merged_whatever_happens_to_the_caption(tmp_path: Path) -> None:
    before = packet("Oma").replace(
        b"</rdf:Description>",
        b"<dc:subject><rdf:Bag><rdf:li>Dog</rdf:li></rdf:Bag></dc:subject></rdf:Description>",
    )
    (tmp_path / "a.xmp").write_bytes(before)
    log = tmp_path / "undo.jsonl"
    outcome = Sidecars(".xmp", undo=UndoFile(log)).write(tmp_path / "a.jpg", DOG, ("dog", "bed"))
    assert outcome.kept and not outcome.problem
    data = (tmp_path / "a.xmp").read_bytes()
    assert (read_list(data), read_texts(data)) == (["Dog", "bed"], {"x-default": "Oma"})
    # Again with other tags: capgen's own are replaced, hers stays.
    outcome = Sidecars(".xmp", "overwrite", undo=UndoFile(log)).write(
        tmp_path / "a.jpg", DOG, ("sofa",)
    )
    assert outcome.written
    data = (tmp_path / "a.xmp").read_bytes()
    assert (read_list(data), read_texts(data)) == (["Dog", "sofa"], {"x-default": "a dog"})
    # A run without tags leaves them, and it stays known whose they are.
    assert Sidecars(".xmp", "append", undo=UndoFile(log)).write(tmp_path / "a.jpg", OTHER).written
    data = (tmp_path / "a.xmp").read_bytes()
    assert read_list(data) == ["Dog", "sofa"]
    assert UndoFile(log).keywords_of(data) == ("sofa",)
    assert all(undone.problem == "" for undone in undo(log))
    assert (tmp_path / "a.xmp").read_bytes() == before


def test_a_new_xmp_sidecar_has_both(tmp_path: Path) -> None:
    sidecars = Sidecars(".xmp", undo=UndoFile(tmp_path / "undo.jsonl"))
    assert sidecars.write(tmp_path / "a.jpg", DOG, ("dog", "<bed> & 犬")).written
    data = (tmp_path / "a.xmp").read_bytes()
    assert read_texts(data) == {"x-default": "a dog"}
    assert read_list(data) == ["dog", "<bed> & 犬"]
    assert sidecars.write(tmp_path / "a.jpg", DOG, ("dog", "<bed> & 犬")).written
    assert (tmp_path / "a.xmp").read_bytes() == data


def test_keywords_in_an_unusual_form_leave_the_sidecar_as_it_is(tmp_path: Path) -> None:
    before = described("<dc:subject><rdf:Bag><x>a</x></rdf:Bag></dc:subject>")
    (tmp_path / "a.xmp").write_bytes(before)
    sidecars = Sidecars(".xmp", "overwrite")
    assert "unusual way" in sidecars.write(tmp_path / "a.jpg", DOG, ("dog",)).problem
    assert (tmp_path / "a.xmp").read_bytes() == before
    assert sidecars.write(tmp_path / "a.jpg", DOG).written
