"""Which captions are written."""

from __future__ import annotations

from dataclasses import replace

import pytest

from capgen.applying.choose import UNKNOWN, choose
from capgen.config import ApplyOptions
from capgen.errors import UsageError
from capgen.records import Caption, CaptionFailure, Record, Review


def caption(name: str, verdict: str = "", confidence: float | None = None) -> Caption:
    review = Review(verdict=verdict, proposed="a dog", caption="a cat") if verdict else None
    return Caption(
        path=name,
        text="a cat",
        score=None,
        log_probability=None,
        confidence=confidence,
        review=review,
    )


RECORDS: list[Record] = [
    caption("accepted", "accepted", 0.1),
    caption("edited", "edited"),
    caption("rejected", "rejected", 0.9),
    caption("sure", confidence=0.8),
    caption("unsure", confidence=0.5),
    caption("unknown"),
    CaptionFailure(path="failed", code="truncated", message="x"),
    CaptionFailure(path="c.csv:7", code="malformed", message="x"),
]


@pytest.mark.parametrize(
    ("options", "names", "left_out"),
    [
        ({}, "accepted edited sure unsure unknown failed c.csv:7", {"rejected": 1}),
        (
            {"min_confidence": 0.8},
            "accepted edited sure failed c.csv:7",
            {"rejected": 1, "unsure": 1, UNKNOWN: 1},
        ),
        (
            {"only": "accepted"},
            "accepted edited c.csv:7",
            {"rejected": 1, "unreviewed": 3, "without a caption": 1},
        ),
        (
            {"only": "edited"},
            "edited c.csv:7",
            {"rejected": 1, "accepted": 1, "unreviewed": 3, "without a caption": 1},
        ),
    ],
)
def test_what_is_written(options: dict[str, object], names: str, left_out: dict[str, int]) -> None:
    chosen = choose(RECORDS, ApplyOptions(**options))  # type: ignore[arg-type]
    assert [record.path for record in chosen.records] == names.split()
    assert chosen.left_out == left_out


def test_an_empty_text_is_no_caption() -> None:
    empty = [replace(caption("edited", "edited"), text=" "), replace(caption("none"), text="")]
    assert choose(empty, ApplyOptions(only="accepted")).left_out == {"without a caption": 2}


def test_wrong_values_are_refused() -> None:
    with pytest.raises(UsageError, match="--only"):
        ApplyOptions(only="some")
    with pytest.raises(UsageError, match="--min-confidence"):
        ApplyOptions(min_confidence=2)


def test_what_was_rejected_is_known_from_what_is_left_out_for_other_reasons() -> None:
    for only in (None, "accepted", "edited"):
        chosen = choose(RECORDS, ApplyOptions(only=only, min_confidence=None if only else 0.99))
        assert sum(chosen.left_out.values()) > len(chosen.rejected) == chosen.left_out["rejected"]
        assert {record.review.verdict for record in chosen.rejected if record.review} == {
            "rejected"
        }
