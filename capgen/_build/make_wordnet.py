"""Make the synonym table of METEOR from the files of WordNet 3.0.

    python -m capgen._build.make_wordnet /usr/share/wordnet

The folder is that of Debian's `wordnet-base`, or `dict` in Princeton's archive. The table has
what a look-up of synonyms can reach: for each part of speech the synsets with a lower-case name
of one word, and the irregular forms. The table and the licence go into `capgen/metrics/wordnet`.
The same input gives the same bytes.
"""

from __future__ import annotations

import gzip
import re
import sys
from collections import defaultdict
from pathlib import Path

import capgen.metrics
from capgen.paths import write_text, writing

PARTS = {"n": "noun", "v": "verb", "a": "adj", "r": "adv"}
TARGET = Path(capgen.metrics.__file__).parent / "wordnet"


def main(arguments: list[str]) -> None:
    source = Path(arguments[0])
    lines = []
    for letter, suffix in PARTS.items():
        lines.append(f"={letter}")
        lines += synsets(source, suffix)
        lines += exceptions(source, suffix)
    text = "\n".join(lines) + "\n"
    with writing(TARGET / "synonyms.txt.gz") as temporary:
        temporary.write_bytes(gzip.compress(text.encode(), compresslevel=9, mtime=0))
    write_text(TARGET / "LICENSE", licence(source))
    print(f"{len(lines)} lines, {(TARGET / 'synonyms.txt.gz').stat().st_size} bytes")


def synsets(source: Path, suffix: str) -> list[str]:
    """Return a line for each synset: its names, then `|` and other words that lead to it."""
    keys = defaultdict(list)
    for line in content(source / f"index.{suffix}"):
        fields = line.split()
        for offset in fields[len(fields) - int(fields[2]) :]:
            keys[offset].append(fields[0])
    lines = []
    for line in content(source / f"data.{suffix}"):
        fields = line.split()
        count = int(fields[3], 16)
        # Adjectives may carry a marker, as in "galore(ip)".
        names = [re.sub(r"\([^()]*\)$", "", name) for name in fields[4 : 4 + 2 * count : 2]]
        kept = sorted({name for name in names if "_" not in name and name == name.lower()})
        others = sorted(set(keys[fields[0]]) - set(kept))
        if set(kept) - set(keys[fields[0]]):
            raise ValueError(f"a name of the synset {fields[0]} is not in index.{suffix}")
        if kept:
            lines.append(" ".join(kept) + ("|" + " ".join(others) if others else ""))
    return sorted(lines)


def exceptions(source: Path, suffix: str) -> list[str]:
    """Return a line for each irregular form: `!`, the form, its base forms."""
    lines = [line.split() for line in content(source / f"{suffix}.exc")]
    forms = {line[0]: line for line in lines}  # like NLTK, keep the last line of a form
    return sorted("!" + " ".join(line) for line in forms.values())


def licence(source: Path) -> str:
    """Return the licence, which is at the top of every data file."""
    numbered = (source / "data.noun").read_text(encoding="utf-8").split("\n00001740")[0]
    return re.sub(r"(?m)^ +\d+ ?| +$", "", numbered).strip() + "\n"


def content(path: Path) -> list[str]:
    """Return the lines of a WordNet file without the licence, which is indented."""
    lines = path.read_text(encoding="utf-8").splitlines()
    return [line for line in lines if line and not line.startswith(" ")]


if __name__ == "__main__":
    main(sys.argv[1:])
