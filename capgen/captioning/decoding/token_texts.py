"""The text of a hypothesis, and what each of its tokens adds to it."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence

from capgen.captioning.decoding.hypotheses import Hypothesis

# What tokenizers return for bytes that are not a whole character yet.
_UNFINISHED = "\ufffd"


def text_and_parts(
    decode: Callable[[Sequence[int]], str], found: Hypothesis, start: str = ""
) -> tuple[str, Sequence[str]]:
    """Return the text of a hypothesis, and what each of its tokens adds to it.

    `start` are the words that it had to begin with.
    """
    if found.served is not None:
        return found.served, found.parts
    return token_texts(decode, found.ids, found.prefix, start)


def token_texts(
    decode: Callable[[Sequence[int]], str],
    ids: Sequence[int],
    prefix: Sequence[int] = (),
    words: str = "",
) -> tuple[str, list[str]]:
    """Return the text of token ids, and what each token adds to it.

    With the `prefix` that they continue, the text begins with `words`, which are what the prefix
    was made from: a tokenizer may have changed their case, or lack some of them.
    """
    begun = known = decode(prefix) if prefix else ""
    parts: list[str] = []
    for count in range(1, len(ids) + 1):
        text = decode([*prefix, *ids[:count]])
        # A token that is only part of a character adds nothing: the last part adds all of it.
        if text.endswith(_UNFINISHED) and count < len(ids):
            parts.append("")
            continue
        # A tokenizer may also rewrite what came before ("it ' s" becomes "it's").
        parts.append(text[_common_length(known, text) :])
        known = text
    if prefix and known.startswith(begun):
        known = words + known[len(begun) :]
    return known.strip(), parts


def _common_length(first: str, second: str) -> int:
    """Return the length of two texts' common beginning."""
    if second.startswith(first):  # as nearly always
        return len(first)
    same = itertools.takewhile(lambda pair: pair[0] == pair[1], zip(first, second, strict=False))
    return sum(1 for _ in same)
