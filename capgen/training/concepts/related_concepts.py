"""Which concepts say the same, and which are more general or more special than others."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

# A caption that has said one of these has said the others.
_SYNONYMS = (
    ("plane", "airplane", "airliner", "aeroplane"),
    ("motorcycle", "motorbike"),
    ("couch", "sofa"),
    ("bicycle", "bike"),
    ("racket", "racquet"),
    ("tv", "television"),
    ("phone", "cellphone", "telephone", "cell"),
    ("fridge", "refrigerator"),
    ("carpet", "rug"),
    ("sled", "sleigh"),
)
# Too general to stand for what is in them: a house has furniture, a table has food.
_PLACES = ("vehicle", "furniture", "food", "building", "house", "shop", "store", "structure")

Tokens = tuple[int, ...]


def with_synonyms(names: Sequence[str], tokens: Sequence[Tokens]) -> tuple[Tokens, ...]:
    """Return the tokens of each concept, with those of its synonyms."""
    found = dict(zip(names, tokens, strict=True))
    joined = dict(found)
    for words in _SYNONYMS:
        same = tuple(sorted({token for word in words for token in found.get(word, ())}))
        joined |= {word: same for word in words if word in found}
    return tuple(joined[name] for name in names)


def related_concepts(names: Sequence[str], membership: NDArray[np.uint8]) -> tuple[Tokens, ...]:
    """Return the numbers of the concepts whose classes each one's classes include, or are among.

    Args:
        names: The concepts.
        membership: (classes, C): whether a concept names a class.
    """
    # Counts are exact in float32, whose matrix products are far faster than those of integers.
    member = membership.astype(np.float32)
    shared, sizes = member.T @ member, member.sum(0)
    within = (shared == sizes[:, None]) & (sizes[:, None] > 0)
    related = within | within.T
    np.fill_diagonal(related, False)
    alone = [number for number, name in enumerate(names) if name in _PLACES]
    related[alone] = False
    related[:, alone] = False
    return tuple(tuple(np.flatnonzero(row).tolist()) for row in related)
