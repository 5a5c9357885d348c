"""PTB tokens against recorded output of the official program."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from capgen.metrics.ptb.tokenizer import PTBTokenizer, shared_tokenizer, tokenize
from tests.unit.metrics.captions import EXPECTED, TRICKY


@pytest.mark.parametrize("caption", TRICKY)
def test_tokens_are_the_official_ones(caption: str) -> None:
    assert tokenize(caption) == EXPECTED["tokens"][caption]


@pytest.mark.parametrize("separator", ["\n", "\r", "\r\n", "\v", "\f", "\x85", "\u2028", "\u2029"])
def test_line_separators_are_spaces(separator: str) -> None:
    assert tokenize(f"{separator}Two dogs{separator}run.{separator}") == "two dogs run"
    # Inside a tag, and where a rule looks ahead.
    spaces = "\u00a0" * len(separator)
    assert tokenize(f"<a b='x{separator}y'>") == f"<a\u00a0b='x{spaces}y'>"
    assert tokenize(f"plan b.{separator}The dog") == tokenize("plan b. The dog") == "plan b the dog"


def test_characters_beyond_the_basic_plane() -> None:
    assert tokenize("a😀b 👍🏽 𝒳 c") == "a b c"
    assert tokenize("see http://x.org/😀a.") == "see http://x.org/😀a"
    assert tokenize("half \ud83d of a pair") == "half of a pair"


def test_sigma_at_the_end_of_a_word() -> None:
    assert tokenize("ΟΔΟΣ ΣΟΦΙΑΣ.") == "οδος σοφιας"


def test_the_order_of_captions_does_not_matter() -> None:
    forwards, backwards = PTBTokenizer(), PTBTokenizer()
    ahead = [forwards.tokenize(caption) for caption in TRICKY]
    assert ahead == [backwards.tokenize(caption) for caption in reversed(TRICKY)][::-1]
    assert ahead == [forwards.tokenize(caption) for caption in TRICKY]


@given(st.text(alphabet="aAbdsntrTe.,'-\"():;!?$&<3 1", max_size=25))
def test_looking_pieces_up_changes_nothing(caption: str) -> None:
    # `_scan` reads the whole caption by the rules; `tokenize` puts pieces together.
    tokenizer = shared_tokenizer()
    expected = tokenizer._scan(caption)
    assert tokenizer.tokenize(caption) == expected
    assert tokenizer.tokenize(caption) == expected


@given(st.text())
def test_any_text_has_tokens_on_one_line(caption: str) -> None:
    line = tokenize(caption)
    assert "\n" not in line
    assert line == line.strip(" ")


def test_a_long_caption_takes_no_long_time() -> None:
    words = tokenize("A dog's 2 toys, (red) and blue. " * 3000).split()
    assert len(words) == 3000 * 10
    assert words[:10] == ["a", "dog", "'s", "2", "toys", "-lrb-", "red", "-rrb-", "and", "blue"]
