"""Small word lists and a small paraphrase table, in the place of the program's."""

from __future__ import annotations

import gzip
from pathlib import Path

from capgen.metrics.meteor_1_5.resources import WordLists

LISTS = WordLists(
    function_words=frozenset(["the", "a", "on", "is", "of", ".", ","]),
    prefixes=frozenset(["Mr", "e.g", "vs"]),
    numeric_prefixes=frozenset(["No", "Art"]),
    synsets={
        "run": "1 2",
        "flow": "2",
        "dog": "3",
        "passe": "4",
        "pass": "5",
        "guide": "5",
        "goose": "6",
    },
    bases={"ran": ["run"], "geese": ["goose"]},
)


def paraphrase_table(path: Path, pairs: list[tuple[str, str]]) -> Path:
    """Write a table as the program's."""
    with gzip.open(path, "wt", encoding="utf-8") as file:
        file.writelines(f"0.5\n{phrase}\n{other}\n" for phrase, other in pairs)
    return path
