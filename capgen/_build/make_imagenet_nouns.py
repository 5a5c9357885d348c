"""Make the table of the nouns of ImageNet's classes, from the files of WordNet 3.0.

    python -m capgen._build.make_imagenet_nouns /usr/share/wordnet imagenet_synsets.txt

The folder is that of Debian's `wordnet-base`, or `dict` in Princeton's archive. The second file
has the ids of the 1,000 classes of ILSVRC 2012, one per line in the order of a classifier's
outputs; it is in the package `timm`, in `timm/data/_info`. The table goes into
`capgen/metrics/wordnet`, beside WordNet's licence. The same input gives the same bytes.

A line has a class, and after each `|` the names one step further up: its own, those of its
hypernyms, those of theirs. A name that was nearer is not repeated.
"""

from __future__ import annotations

import gzip
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

from capgen._build.make_wordnet import TARGET, content
from capgen.models.imagenet_nouns import IMAGENET_NOUNS_FILE, LEVEL_MARK, NOUN_MARK
from capgen.paths import writing

# How far up: further up there are only words such as "entity".
MOST_STEPS = 8
# Pointers to the hypernyms of a synset: of a kind, and of an individual.
_HYPERNYMS = ("@", "@i")

# Offset → names, offsets of hypernyms.
Synsets = Mapping[str, tuple[tuple[str, ...], tuple[str, ...]]]


def main(arguments: list[str]) -> None:
    source, classes = map(Path, arguments)
    synsets = noun_synsets(source)
    ids = classes.read_text(encoding="utf-8").split()
    text = "".join(line(synset, synsets) + "\n" for synset in ids)
    file = TARGET / IMAGENET_NOUNS_FILE
    with writing(file) as temporary:
        temporary.write_bytes(gzip.compress(text.encode(), compresslevel=9, mtime=0))
    print(f"{len(ids)} classes, {file.stat().st_size} bytes")


def noun_synsets(source: Path) -> Synsets:
    """Read the synsets of nouns; names in lower case, with spaces."""
    synsets = {}
    for text in content(source / "data.noun"):
        fields = text.split(" | ")[0].split()
        count = int(fields[3], 16)
        names = tuple(name.lower().replace("_", " ") for name in fields[4 : 4 + 2 * count : 2])
        first = 4 + 2 * count
        pointers = fields[first + 1 : first + 1 + 4 * int(fields[first])]
        kinds, offsets = pointers[::4], pointers[1::4]
        above = (at for kind, at in zip(kinds, offsets, strict=True) if kind in _HYPERNYMS)
        synsets[fields[0]] = names, tuple(above)
    return synsets


def line(synset: str, synsets: Synsets) -> str:
    """Return the line of a class, such as `n02099601`."""
    levels = (NOUN_MARK.join(names) for names in levels_of(synset.removeprefix("n"), synsets))
    return LEVEL_MARK.join([synset, *levels])


def levels_of(offset: str, synsets: Synsets) -> Iterator[list[str]]:
    """Yield the names of a synset, then those of its hypernyms, one step up after the other."""
    front, seen, known = [offset], {offset}, set[str]()
    for _ in range(MOST_STEPS + 1):
        names = dict.fromkeys(name for at in front for name in synsets[at][0])
        fresh = [name for name in names if name not in known]
        if fresh:
            yield fresh
        known.update(names)
        above = dict.fromkeys(up for at in front for up in synsets[at][1] if up not in seen)
        front = list(above)
        seen.update(front)


if __name__ == "__main__":
    main(sys.argv[1:])
