"""Nouns for people, which captions use for the same person as they please."""

from __future__ import annotations

import re

PEOPLE = frozenset(
    (
        *("person", "people", "adult", "man", "woman", "male", "female", "guy", "lady"),
        *("boy", "girl", "child", "kid", "baby", "toddler", "player", "crowd", "team"),
    )
)
_IRREGULAR = {"person": "persons", "man": "men", "woman": "women", "child": "children"}
_WORD = re.compile(r"[^\W\d_]+")


def names_a_person(text: str) -> bool:
    """Whether an English caption has a noun of `PEOPLE`, in the singular or plural."""
    return not _FORMS.isdisjoint(_WORD.findall(text.lower()))


def _plural(noun: str) -> str:
    if re.search("[^aeiou]y$", noun):
        return f"{noun[:-1]}ies"
    return _IRREGULAR.get(noun, f"{noun}s")


_FORMS = PEOPLE | {_plural(noun) for noun in PEOPLE}
