"""What a window may ask for."""

from __future__ import annotations

import pytest

from capgen.errors import UsageError
from capgen.review_page.changes import LONGEST_CAPTION, Change, clean, review_of


@pytest.mark.parametrize(
    "content",
    [
        None,
        {"version": 0, "verdict": "accepted"},
        {"id": True, "version": 0, "verdict": None},
        {"id": 0, "version": -1, "verdict": None},
        {"id": 0, "version": 0, "verdict": "fine"},
        {"id": 0, "version": 0, "verdict": ["accepted"]},
        {"id": 0, "version": 0, "verdict": "edited", "caption": 3},
        {"id": 0, "version": 0, "verdict": "edited", "caption": "a" * (LONGEST_CAPTION + 1)},
    ],
)
def test_what_is_no_change_is_refused(content: object) -> None:
    with pytest.raises(UsageError):
        Change.from_dict(content)


def test_a_typed_caption_becomes_one_line_that_utf8_can_hold() -> None:
    typed = " a  dog\r\non\u2028the\x00 beach \ud800"
    assert clean(typed) == "a dog on the beach"
    assert clean("два 犬 🐕\u200d🦺") == "два 犬 🐕\u200d🦺"


def review(verdict: str, caption: str | None, proposed: str | None, shown: str | None = None):
    change = Change(0, 0, verdict, caption)
    return review_of(change, proposed, shown, "ann", "now")


def test_the_verdict_follows_from_the_text() -> None:
    assert review("accepted", "a cat", "a dog").verdict == "edited"
    assert review("edited", "a dog", "a dog").verdict == "accepted"
    assert review("accepted", None, "a dog", "a dog").verdict == "accepted"
    kept = review("accepted", None, "a dog", "a cat")
    assert (kept.verdict, kept.caption, kept.proposed) == ("edited", "a cat", "a dog")


def test_what_is_accepted_is_the_proposal_letter_by_letter() -> None:
    proposal = "a dog\n on  a beach "
    accepted = review("accepted", clean(proposal), proposal)
    assert (accepted.verdict, accepted.caption) == ("accepted", proposal)


def test_a_rejection_keeps_the_proposal() -> None:
    rejected = review("rejected", "whatever", "a dog", "a dog")
    assert (rejected.caption, rejected.proposed) == ("a dog", "a dog")
    assert (rejected.by, rejected.at) == ("ann", "now")
    assert review("rejected", None, None).caption == ""


@pytest.mark.parametrize("caption", [None, "", "  \n"])
def test_nothing_is_no_caption(caption: str | None) -> None:
    text = None if caption is None else clean(caption)
    with pytest.raises(UsageError, match="needs a text"):
        review("edited", text, None)
