"""Words to avoid and to include, as options."""

from __future__ import annotations

import pytest

from capgen.config import DecodeOptions, DecodeSettings, resolve_decoding
from capgen.config.words import avoided_words, included_words
from capgen.errors import UsageError


def test_what_commas_and_bars_mean() -> None:
    assert avoided_words(" cat, fire  truck ,,Cat,cat") == ("cat", "fire truck", "Cat")
    assert included_words("cat, kitchen | room |,|,cat") == (("cat",), ("kitchen", "room"))
    assert avoided_words(None) == ()
    assert included_words(" , ") == ()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"avoid_words": "Cat", "include_words": "dog,cat"}, "choose one"),
        ({"avoid_words": "cat,dog", "include_words": "cat|Dog"}, "choose one"),
        ({"include_words": "a,b,c,d,e,f,g"}, "at most 6 words"),
        ({"avoid_words": ",".join(map(str, range(101)))}, "at most 100 words"),
        ({"include_words": "|".join(map(str, range(21)))}, "at most 20 alternatives"),
        ({"avoid_words": "x" * 61}, "at most 60 characters"),
        ({"avoid_words": ["cat"]}, "--avoid-words is"),
        ({"include_words": 3}, "--include-words is"),
    ],
)
def test_what_is_refused(options: dict[str, object], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        DecodeOptions(**options)


def test_an_alternative_may_be_avoided_where_another_is_left() -> None:
    assert DecodeOptions(avoid_words="cat", include_words="cat|dog").include_words == "cat|dog"


def test_settings_hold_them_without_spare_spaces_and_records_only_if_there_are_any() -> None:
    asked = DecodeOptions(avoid_words=" a , b", include_words=" ")
    settings, _ = resolve_decoding(asked, {}, positions=None)
    assert (settings.avoid_words, settings.include_words) == ("a,b", None)
    assert set(settings.to_dict()) - set(DecodeSettings().to_dict()) == {"avoid_words"}
