"""Records: their JSON form, and files of earlier and later versions."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from capgen.records import SCHEMA_VERSION, Caption, CaptionFailure, Concept, Retry, Review, Token

OLD_FILE = Path(__file__).parent.parent / "data" / "captions_v1.json"
DOCUMENTED = {
    *("schema_version", "path", "caption", "score", "log_probability", "tokens", "alternatives"),
    *("width", "height", "sha256", "model", "revision", "settings", "notes", "retry", "error"),
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
    settings=st.dictionaries(st.text(max_size=5), st.none() | st.booleans() | numbers, max_size=3),
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
    assert set(record) == DOCUMENTED
    assert record["schema_version"] == SCHEMA_VERSION == 1
    failure = CaptionFailure(path="x", code="missing", message="x: no such file").to_dict()
    shared = {"schema_version", "path", "caption", "sha256", "model", "revision", "settings"}
    assert set(failure) == {*shared, "confidence", "error"}
    assert set(failure["error"]) == {"code", "message", "hint"}


def test_concepts_are_in_the_json_form_only_if_there_are_any() -> None:
    concepts = (Concept("teddy bear", 0.9), Concept("bed", 0.25))
    record = replace(alternative, concepts=concepts).to_dict()
    assert record["concepts"] == [
        {"name": "teddy bear", "probability": 0.9},
        {"name": "bed", "probability": 0.25},
    ]
    assert list(record)[:-1] == list(alternative.to_dict())
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
