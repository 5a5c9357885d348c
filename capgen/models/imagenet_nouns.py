"""The nouns of ImageNet's 1,000 classes: their names in WordNet, and those of their hypernyms.

`capgen._build.make_imagenet_nouns` makes the table in `capgen/metrics/wordnet`, where WordNet's
licence is.
"""

from __future__ import annotations

import functools
import gzip
from dataclasses import dataclass
from importlib import resources

IMAGENET_NOUNS_FILE = "imagenet_nouns.txt.gz"
# Between the fields of a line: the class, then its nouns by their distance.
LEVEL_MARK = "|"
NOUN_MARK = ","


@dataclass(frozen=True)
class ImageNetClass:
    """A class of ImageNet.

    Attributes:
        synset: Its id, such as `n02099601`: `n` and an offset in WordNet 3.0.
        levels: Its own names, then those of its hypernyms, one step up after the other; in lower
            case, with spaces between words.
    """

    synset: str
    levels: tuple[tuple[str, ...], ...]


@functools.cache
def imagenet_nouns() -> tuple[ImageNetClass, ...]:
    """Return the 1,000 classes in the order of the published classifiers' outputs."""
    table = resources.files("capgen.metrics") / "wordnet" / IMAGENET_NOUNS_FILE
    return tuple(map(_parsed, gzip.decompress(table.read_bytes()).decode().splitlines()))


def _parsed(line: str) -> ImageNetClass:
    synset, *levels = line.split(LEVEL_MARK)
    return ImageNetClass(synset, tuple(tuple(level.split(NOUN_MARK)) for level in levels))
