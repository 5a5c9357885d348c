"""Make the list of nouns that a caption should not repeat, from the files of WordNet 3.0.

    python -m capgen._build.make_nouns /usr/share/wordnet

The folder is that of Debian's `wordnet-base`, or `dict` in Princeton's archive. The list goes
into `capgen/metrics/wordnet`, beside WordNet's licence. The same input gives the same bytes.

The list has lower-case words that name a thing or a living being: at least a fifth of the word's
uses in the texts tagged with WordNet's senses (`cntlist.rev`, verb forms included) must mean one.
A word that is not in those texts is listed if its first sense as a noun is such a thing, and its
other parts of speech have no more senses. Not listed are words that are adjectives more often
than nouns, and adjectives that also name a quality (colours): "a red shirt and a red hat".
"""

from __future__ import annotations

import gzip
import re
import sys
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from capgen._build.make_wordnet import PARTS, TARGET, content
from capgen.captioning.decoding.noun_lexicon import NOUNS_FILE, WORDS_MARK
from capgen.metrics.function_words import FUNCTION_WORDS
from capgen.metrics.synonyms import detached
from capgen.paths import writing

# Lexicographer files (lexnames(5WN)): animal, artifact, body, food, group, object, person,
# phenomenon, plant, substance.
_THINGS = frozenset({5, 6, 8, 13, 14, 17, 18, 19, 20, 27})
_TOPS, _ATTRIBUTE = 3, 7
_TOPS_THINGS = frozenset({"animal", "food", "object", "person", "plant", "substance"})
_MIN_SHARE = 0.2
_MIN_LETTERS = 3
_WORD = re.compile(r"[a-z]+(-[a-z]+)*")
# Categories of COCO that the tagged texts seldom mean by these words, and sports: "holding a
# tennis racket on a tennis court".
_ALSO = (
    *("bear", "book", "frisbee", "kite", "racket", "sign", "sink", "tie"),
    *("baseball", "basketball", "football", "golf", "hockey", "rugby", "soccer", "softball"),
    *("tennis", "volleyball"),
)
# "Side by side", "hand in hand", "face to face", "arm in arm".
_NOT = ("arm", "face", "hand", "side")


@dataclass
class Lexicon:
    """The required parts of WordNet.

    Attributes:
        senses: Word → part of speech → lexicographer files of its senses.
        uses: Word → part of speech → number of uses in the tagged texts.
        meant: Noun → lexicographer file → number of uses in that sense.
        plain: Names of synsets that are in lower case.
        irregular: Part of speech → irregular form → its base forms.
    """

    senses: dict[str, dict[str, list[int]]] = field(default_factory=lambda: defaultdict(dict))
    uses: dict[str, Counter[str]] = field(default_factory=lambda: defaultdict(Counter))
    meant: dict[str, Counter[int]] = field(default_factory=lambda: defaultdict(Counter))
    plain: set[str] = field(default_factory=set)
    irregular: dict[str, dict[str, list[str]]] = field(default_factory=dict)

    def bases(self, word: str, part: str) -> list[str]:
        """Return those of a word and its base forms that are a known part of speech."""
        forms = self.irregular[part].get(word) or detached(word, part)
        return [form for form in (word, *forms) if part in self.senses.get(form, {})]


def main(arguments: list[str]) -> None:
    lexicon = read(Path(arguments[0]))
    nouns = sorted({*things(lexicon), *_ALSO} - {*_NOT})
    nouns = sorted({*nouns, *irregular_plurals(lexicon, set(nouns))})
    words = sorted(beginnings(lexicon, nouns))
    text = "\n".join([*nouns, WORDS_MARK, *words]) + "\n"
    file = TARGET / NOUNS_FILE
    with writing(file) as temporary:
        temporary.write_bytes(gzip.compress(text.encode(), compresslevel=9, mtime=0))
    print(f"{len(nouns)} nouns, {len(words)} words that begin one, {file.stat().st_size} bytes")


def read(source: Path) -> Lexicon:
    """Read WordNet's files."""
    lexicon = Lexicon()
    for part, suffix in PARTS.items():
        files = {}
        for line in content(source / f"data.{suffix}"):
            fields = line.split()
            files[fields[0]] = int(fields[1])
            lexicon.plain.update(fields[4 : 4 + 2 * int(fields[3], 16) : 2])
        for line in content(source / f"index.{suffix}"):
            fields = line.split()
            offsets = fields[len(fields) - int(fields[2]) :]
            lexicon.senses[fields[0]][part] = [files[offset] for offset in offsets]
        lines = content(source / f"{suffix}.exc")
        lexicon.irregular[part] = {line.split()[0]: line.split()[1:] for line in lines}
    for line in content(source / "cntlist.rev"):
        key, _, count = line.split()
        word, _, rest = key.partition("%")
        kind, lexfile = rest.split(":")[:2]
        part = "nvara"[int(kind) - 1]  # 5 is an adjective too, a satellite
        lexicon.uses[word][part] += int(count)
        if part == "n":
            lexicon.meant[word][int(lexfile)] += int(count)
    return lexicon


def things(lexicon: Lexicon) -> Iterator[str]:
    """Yield the nouns that name things, in their base form."""
    for word, senses in lexicon.senses.items():
        plain = len(word) >= _MIN_LETTERS and _WORD.fullmatch(word) and word in lexicon.plain
        candidate = plain and "n" in senses and word not in FUNCTION_WORDS
        if candidate and _is_thing(lexicon, word, senses):
            yield word


def _is_thing(lexicon: Lexicon, word: str, senses: dict[str, list[int]]) -> bool:
    uses = lexicon.uses[word]
    if "a" in senses and (_ATTRIBUTE in senses["n"] or uses["a"] + uses["r"] > uses["n"]):
        return False

    def names_thing(lexfile: int) -> bool:
        return lexfile in _THINGS or (lexfile == _TOPS and word in _TOPS_THINGS)

    verbs = sum(lexicon.uses[base]["v"] for base in set(lexicon.bases(word, "v")))
    total = uses["n"] + verbs + uses["a"] + uses["r"]
    if not total:
        others = sum(len(files) for part, files in senses.items() if part != "n")
        return names_thing(senses["n"][0]) and len(senses["n"]) >= others
    meant = sum(count for lexfile, count in lexicon.meant[word].items() if names_thing(lexfile))
    return meant >= _MIN_SHARE * total


def irregular_plurals(lexicon: Lexicon, nouns: set[str]) -> Iterator[str]:
    """Yield irregular forms of nouns."""
    for form, bases in lexicon.irregular["n"].items():
        if bases[0] in nouns and _WORD.fullmatch(form) and form not in FUNCTION_WORDS:
            yield form


def beginnings(lexicon: Lexicon, nouns: list[str]) -> Iterator[str]:
    """Yield words that a noun of the list begins with, and that are not in it."""
    known = set(nouns)
    for start in {noun[:length] for noun in nouns for length in range(2, len(noun))}:
        bases = {base for part in PARTS for base in lexicon.bases(start, part)}
        if start not in known and (bases & lexicon.plain or start in FUNCTION_WORDS):
            yield start


if __name__ == "__main__":
    main(sys.argv[1:])
