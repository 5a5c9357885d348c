"""Records: their JSON form, and files of earlier and later versions."""

from __future__ import annotations

import json
from dataclasses import fields, replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from capgen.config import EditOptions
from capgen.records import Caption, CaptionFailure, Concept, Retry, Review, Token, Usage
from capgen.records.captions import _EDITS

OLD_FILE = Path(__file__).parent.parent / "data" / "captions_v1.json"
# What every caption has, and what one has if there is any.
ALWAYS = {
    *("schema_version", "path", "caption", "model", "revision", "settings", "notes", "retry"),
    "error",
}
SOMETIMES = {
    *("score", "log_probability", "tokens", "alternatives", "width", "height", "sha256"),
    *("confidence", "usage"),
}

numbers = st.floats(allow_nan=False, allow_infinity=False)
tokens = st.builds(
    Token, id=st.none() | st.integers(0, 99999), text=st.text(max_size=5), log_probability=numbers
)
captions = st.builds(
    Caption,
    path=st.none() | st.text(),
    text=st.text(),
    log_probability=numbers,
    score=numbers,
    tokens=st.lists(tokens, max_size=3).map(tuple),
    width=st.none() | st.integers(1, 9999),
    height=st.none() | st.integers(1, 9999),
    sha256=st.none() | st.text(max_size=5),
    model=st.text(max_size=5),
    revision=st.text(max_size=5),
    settings=st.dictionaries(st.text(max_size=5), st.booleans() | numbers, max_size=3),
    notes=st.lists(st.text(), max_size=2).map(tuple),
    confidence=st.none() | st.floats(0, 1),
    retry=st.none()
    | st.builds(
        Retry,
        reason=st.sampled_from(["empty", "repeating"]),
        rejected=st.lists(st.text(max_size=5), max_size=2).map(tuple),
        settings=st.dictionaries(st.text(max_size=5), numbers, max_size=2),
        resolved=st.booleans(),
    ),
    concepts=st.lists(st.builds(Concept, st.text(max_size=5), st.floats(0, 1))).map(tuple),
)
alternative = Caption(text="b", log_probability=-2.0, score=-1.0, tokens=())


@given(captions, st.integers(0, 2))
def test_a_caption_survives_json(caption: Caption, others: int) -> None:
    review = Review(verdict="edited", proposed="b", caption=caption.text, by="ann", at="now")
    for decided in (None, review):
        caption = replace(caption, alternatives=(alternative,) * others, review=decided)
        assert Caption.from_dict(json.loads(json.dumps(caption.to_dict()))) == caption


@given(st.none() | st.text(), st.text(), st.text(), st.text())
def test_a_failure_survives_json(path: str | None, code: str, message: str, hint: str) -> None:
    failure = CaptionFailure(path=path, code=code, message=message, hint=hint)
    assert CaptionFailure.from_dict(json.loads(json.dumps(failure.to_dict()))) == failure


def test_the_json_form_has_exactly_the_documented_keys() -> None:
    record = alternative.to_dict()
    assert set(record) == ALWAYS | {"score", "log_probability"}
    assert record["schema_version"] == 2
    full = replace(
        alternative,
        tokens=(Token(id=None, text="a", log_probability=-1.0),),
        alternatives=(alternative,),
        width=1,
        height=2,
        sha256="ab",
        confidence=0.5,
        usage=Usage(prompt_tokens=1, completion_tokens=2),
    ).to_dict()
    assert set(full) == ALWAYS | SOMETIMES
    assert full["tokens"] == [{"text": "a", "log_probability": -1.0}]
    failure = CaptionFailure(path="x", code="missing", message="x: no such file").to_dict()
    shared = {"schema_version", "path", "caption", "model", "revision", "settings"}
    assert set(failure) == {*shared, "error"}
    assert set(failure["error"]) == {"code", "message", "hint"}


def test_what_few_captions_have_is_text_in_all_of_them() -> None:
    """Arrow takes a column's type from the first records: it has to be there, and not empty."""
    retry = Retry(reason="empty", rejected=("", "a\nb"), settings={"seed": 1}, resolved=True)
    rich = replace(alternative, notes=("one", "two\nlines"), retry=retry).to_dict()
    plain = alternative.to_dict()
    assert plain["notes"] == "" and json.loads(rich["notes"]) == ["one", "two\nlines"]
    for field in ("retry", "error"):
        types = [{name: type(item) for name, item in one[field].items()} for one in (plain, rich)]
        assert types[0] == types[1]
    assert json.loads(rich["retry"]["settings"]) == {"seed": 1}
    assert Caption.from_dict(rich).retry == retry


def test_settings_that_are_not_set_are_left_out() -> None:
    record = replace(alternative, settings={"beams": 3, "seed": None}).to_dict()
    assert record["settings"] == {"beams": 3}
    assert Caption.from_dict({**record, "settings": {"seed": None}}).settings == {}


def test_all_captions_of_a_run_with_edits_have_their_raw_text() -> None:
    assert set(_EDITS) == {field.name for field in fields(EditOptions)}
    edited = replace(alternative, settings={"prefix": "a: "}, alternatives=(alternative,))
    record = edited.to_dict()
    assert record["raw_caption"] == record["alternatives"][0]["raw_caption"] == "b"
    assert Caption.from_dict(record) == edited
    raw = replace(edited, raw="", text="a: ")
    assert Caption.from_dict(raw.to_dict()) == raw
    review = Review(verdict="edited", proposed="b", caption="mine")
    decided = replace(edited, text="mine", review=review)
    assert decided.to_dict()["raw_caption"] == "b"
    assert Caption.from_dict(decided.to_dict()) == decided


def test_the_time_of_a_review_is_no_timestamp_for_arrow() -> None:
    for at in ("2026-11-26T15:05:32+00:00", "2026-11-26T15:05:32Z", "2026-11-26T15:05:32", ""):
        review = Review(verdict="accepted", proposed="b", caption="b", at=at)
        record = replace(alternative, review=review).to_dict()
        assert record["review"]["at"] == at.replace(":32", ":32.000")
        assert Caption.from_dict(record).review == replace(review, at=record["review"]["at"])


def test_concepts_are_in_the_json_form_only_if_there_are_any() -> None:
    concepts = (Concept("teddy bear", 0.9), Concept("bed", 0.25))
    record = replace(alternative, concepts=concepts).to_dict()
    assert record["concepts"] == [
        {"name": "teddy bear", "probability": 0.9},
        {"name": "bed", "probability": 0.25},
    ]
    assert "concepts" not in alternative.to_dict()
    assert Caption.from_dict(alternative.to_dict()).concepts == ()


def test_a_file_of_schema_version_1_is_read() -> None:
    full, sparse, failed = json.loads(OLD_FILE.read_text(encoding="utf-8"))
    caption = Caption.from_dict(full)
    assert caption.text == "a dog runs on the beach"
    assert caption.tokens[0] == Token(id=4, text="a", log_probability=-0.1)
    assert [other.text for other in caption.alternatives] == ["a dog runs"]
    assert (caption.width, caption.height) == (640, 480)
    assert caption.settings["runtime"] == "onnx"
    assert len(caption.notes) == 1
    assert Caption.from_dict(sparse) == Caption(text="two men", score=-1.5, log_probability=-3)
    assert CaptionFailure.from_dict(failed) == CaptionFailure(
        path="bad.jpg", code="truncated", message="bad.jpg: cut off", hint=""
    )


def test_records_are_frozen() -> None:
    with pytest.raises(AttributeError):
        alternative.text = "c"  # type: ignore[misc]
