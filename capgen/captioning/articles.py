"""English articles that fit the word after them: "an elephant", not "a elephant".

A search that is pushed towards a noun takes it after the article that it has.
"""

from __future__ import annotations

import bisect
import itertools
import re
from collections.abc import Sequence

_ARTICLE = re.compile(r"(?<![\w'’-])(an?)(?= +([a-z][a-z'’-]+))", re.IGNORECASE)
# Words that are spoken with another sound than they are written with.
_VOWEL_SOUND = re.compile(r"[aeiou]|h(?:eir|onest|onou?r|our)", re.IGNORECASE)
_CONSONANT_SOUND = re.compile(
    r"(?:eu|ewe|on(?:ce|e)\b|u(?:biquit|fo\b|kulele|ni(?!d|m|n)|ran|rin|sa|se|su|tens|til|top))",
    re.IGNORECASE,
)
# Not words that begin with h, said either way ("an herb"), nor such as are spelled out ("an mri").
_PLAIN_CONSONANT = re.compile(
    r"[b-df-gj-np-tv-z][aeiouy]|[bcdfgkpstw][lnrw]|[cst]h|s[ckmpqt]", re.IGNORECASE
)
# After them "a" is a letter: "vitamin a is".
_NO_NOUN = frozenset({"and", "are", "as", "at", "in", "is", "of", "on", "or"})


def with_fitting_articles(parts: Sequence[str]) -> list[str]:
    """Return the parts of an English text, "a" and "an" changed where the next word needs it.

    An article is changed only if it is a part of its own, apart from spaces.
    """
    fitting = list(parts)
    for match in _ARTICLE.finditer("".join(parts)):
        article = _article_for(match[2], match[1])
        if article.lower() != match[1].lower():
            number = _part_at(parts, match.start(1))
            if parts[number].strip() == match[1]:
                fitting[number] = parts[number].replace(match[1], article)
    return fitting


def _article_for(word: str, article: str) -> str:
    if word.lower() in _NO_NOUN:
        return article
    if _CONSONANT_SOUND.match(word):
        return article[0]
    if _VOWEL_SOUND.match(word):
        return article[0] + "n"
    return article[0] if _PLAIN_CONSONANT.match(word) else article


def _part_at(parts: Sequence[str], place: int) -> int:
    """Return the number of the part in which a place of the text lies."""
    return bisect.bisect_right(list(itertools.accumulate(map(len, parts))), place)
