"""What a data set consists of: images, captions and words, in numbers."""

from __future__ import annotations

import re
import statistics
import unicodedata
from collections import Counter
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from capgen.data.dataset import Dataset
from capgen.errors import ImageError
from capgen.images.frames import ImageHeader, read_header

# Chinese and Japanese have no spaces between words: each character counts as a word.
_WORD = re.compile(r"[\u3040-\u30ff\u3400-\u9fff]|[^\W\u3040-\u30ff\u3400-\u9fff]+(?:['’\-]\w+)*")

# Frequent short words that few other languages share.
_STOP_WORDS = {
    "English": "a the of and to in is on with at by his her are an over two man people near down",
    "German": "der die das und ein eine einem einer ist mit auf den dem von im zu nicht steht",
    "French": "le la les des et un une est dans sur avec du au aux qui deux pour homme",
    "Spanish": "el los las una y en con del que por su hombre mujer está dos sobre perro",
    "Italian": "il lo gli uno una e di che con su del della nel sulla sono uomo donna due",
    "Portuguese": "o os um uma e do da em com no na que homem mulher são dois sobre pela",
    "Dutch": "de het een en van op met in zijn aan voor bij naar man vrouw twee hond",
    "Polish": "i w na z się jest do przez nie kobieta mężczyzna dwa pies po za",
    "Turkish": "bir ve bu da de için ile kadın adam üzerinde iki köpek olan",
}
_TAGS = {
    "English": "en",
    "German": "de",
    "French": "fr",
    "Spanish": "es",
    "Italian": "it",
    "Portuguese": "pt",
    "Dutch": "nl",
    "Polish": "pl",
    "Turkish": "tr",
}
_VOCABULARY = {name: frozenset(words.split()) for name, words in _STOP_WORDS.items()}
_SCRIPTS = {
    "CJK": "Chinese",
    "HIRAGANA": "Japanese",
    "KATAKANA": "Japanese",
    "HANGUL": "Korean",
    "CYRILLIC": "Cyrillic script",
    "ARABIC": "Arabic script",
    "GREEK": "Greek",
    "HEBREW": "Hebrew",
    "DEVANAGARI": "Devanagari script",
    "THAI": "Thai",
}
# Scripts of several languages have the tag of an unknown language in that script.
_TAGS |= {
    "Chinese": "zh",
    "Japanese": "ja",
    "Korean": "ko",
    "Thai": "th",
    "Greek": "el",
    "Tamil": "ta",
    "Lao": "lo",
    "Khmer": "km",
    "Cyrillic script": "und-Cyrl",
    "Arabic script": "und-Arab",
    "Hebrew": "und-Hebr",
    "Devanagari script": "und-Deva",
    "Bengali": "und-Beng",
    "Myanmar": "und-Mymr",
}


@dataclass(frozen=True, kw_only=True)
class Spread:
    """The minimum, median, mean and maximum of some numbers."""

    least: float
    median: float
    mean: float
    greatest: float


@dataclass(frozen=True, kw_only=True)
class DatasetStatistics:
    """The numbers of a data set.

    Attributes:
        pictures: Images with captions (named as in the JSON form).
        captions: Number of captions.
        splits: Images per split.
        captions_per_picture: Captions per image.
        width: The images' widths in pixels, as stored.
        height: Their heights.
        bytes: Size of all image files.
        formats: Images per file format.
        unreadable: Images whose header cannot be read.
        words_per_caption: Caption lengths in words.
        length_histogram: Captions per length in words.
        vocabulary: Distinct words, in lower case.
        frequent_vocabulary: Words seen at least five times.
        most_frequent: The most frequent words with their counts.
        languages: Captions per language, judged by short frequent words.
    """

    pictures: int
    captions: int
    splits: dict[str, int]
    captions_per_picture: Spread
    width: Spread | None
    height: Spread | None
    bytes: int
    formats: dict[str, int]
    unreadable: int
    words_per_caption: Spread
    length_histogram: dict[int, int]
    vocabulary: int
    frequent_vocabulary: int
    most_frequent: list[tuple[str, int]]
    languages: dict[str, int]

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON form."""
        return asdict(self)


def words(caption: str) -> list[str]:
    """Return the words of a caption in lower case, without punctuation."""
    return _WORD.findall(caption.lower())


def language(caption: str) -> str:
    """Return the language or script of a caption, or `unknown` for too little evidence."""
    if not caption.isascii():
        script = _script(caption)
        if script != "Latin":
            return script
    caption_words = set(words(caption))
    hits = {name: len(caption_words & vocabulary) for name, vocabulary in _VOCABULARY.items()}
    best, runner_up = sorted(hits, key=lambda name: -hits[name])[:2]
    # One short word is too little for a language that few captions are in.
    needed = 1 if best == "English" else 2
    return best if hits[best] > hits[runner_up] and hits[best] >= needed else "unknown"


def common_language(captions: Iterable[str]) -> str:
    """Return the language of most captions as in BCP 47; empty if it is not one of `_TAGS`."""
    counts = Counter(map(language, captions))
    counts.pop("unknown", None)
    most = max(counts, key=lambda name: counts[name], default="")
    return _TAGS.get(most, "") if 2 * counts[most] > counts.total() else ""


def _script(caption: str) -> str:
    """Return `Latin`, or the language or script of most letters."""
    scripts = Counter(unicodedata.name(c, "?").partition(" ")[0] for c in caption if c.isalpha())
    if not scripts:
        return "unknown"
    script = scripts.most_common(1)[0][0]
    if script in ("CJK", "HIRAGANA", "KATAKANA"):
        return "Japanese" if scripts["HIRAGANA"] + scripts["KATAKANA"] else "Chinese"
    return _SCRIPTS.get(script, script.capitalize())


def describe(dataset: Dataset) -> DatasetStatistics:
    """Return a data set's statistics; only the headers of the images are read."""
    texts = [text for example in dataset.examples for text in example.references]
    lengths = [len(words(text)) for text in texts]
    counted = Counter(word for text in texts for word in words(text))
    with ThreadPoolExecutor() as pool:
        headers = list(pool.map(_header, [example.image for example in dataset.examples]))
    known = list(filter(None, headers))
    return DatasetStatistics(
        pictures=len(dataset.examples),
        captions=len(texts),
        splits=dataset.counts,
        captions_per_picture=spread([len(e.references) for e in dataset.examples]),
        width=spread([header.width for header in known]) if known else None,
        height=spread([header.height for header in known]) if known else None,
        bytes=sum(example.image.stat().st_size for example in dataset.examples),
        formats=dict(Counter(header.format for header in known).most_common()),
        unreadable=len(headers) - len(known),
        words_per_caption=spread(lengths),
        length_histogram=dict(sorted(Counter(lengths).items())),
        vocabulary=len(counted),
        frequent_vocabulary=sum(count >= 5 for count in counted.values()),
        most_frequent=counted.most_common(20),
        languages=count_languages(texts),
    )


def count_languages(texts: Iterable[str]) -> dict[str, int]:
    """Return the number of captions per language, most frequent first."""
    return dict(Counter(language(text) for text in texts).most_common())


def spread(values: Sequence[float]) -> Spread:
    """Return the spread of one or more numbers."""
    return Spread(
        least=min(values),
        median=statistics.median(values),
        mean=statistics.fmean(values),
        greatest=max(values),
    )


def _header(path: Path) -> ImageHeader | None:
    try:
        return read_header(path)
    except ImageError:
        return None
