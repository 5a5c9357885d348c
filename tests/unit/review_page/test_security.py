"""The tokens of a server."""

from __future__ import annotations

from capgen.review_page.security import Access


def test_a_token_opens_any_number_of_times_and_one_for_a_browser_once() -> None:
    access = Access()
    assert access.opens(access.token)
    assert access.opens(access.token)
    once = access.once()
    assert access.opens(once)
    assert not access.opens(once)


def test_other_tokens_open_nothing() -> None:
    access = Access()
    for token in ("", access.token[:-1], access.token + "x", Access().token, "é", "\ud800"):
        assert not access.opens(token)
        assert not access.knows(token)
    assert not access.knows(access.once())
