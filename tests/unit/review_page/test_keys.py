"""The keys of the page, of which a table in the docs is made."""

from __future__ import annotations

from capgen._build.review_keys import SCRIPT, review_keys


def test_every_row_of_the_script_is_read() -> None:
    script = SCRIPT.read_text(encoding="utf-8")
    table = script[script.index("KEYS = [") : script.index("];")]
    assert len(review_keys()) == table.count("\n  [") > 20


def test_no_key_has_two_commands() -> None:
    keys = [key for row, _ in review_keys() for key in row]
    assert len(set(keys)) == len(keys)
