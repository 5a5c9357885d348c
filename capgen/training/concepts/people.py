"""Nouns for people, which captions use for the same person as they please."""

from __future__ import annotations

PEOPLE = frozenset(
    (
        *("person", "people", "adult", "man", "woman", "male", "female", "guy", "lady"),
        *("boy", "girl", "child", "kid", "baby", "toddler", "player", "crowd", "team"),
    )
)
