"""Words to include and to avoid on photos: how many are as asked, and what that costs.

    python tests/bench/words.py coco_sample/ [--images 300] [--split val] [--model NAME] \
        [--runtime onnx]

For each photo words are asked for that at least two of its references have and its plain caption
lacks, and words are avoided that its plain caption has. Printed for each way: the share of
captions as asked, CIDEr-D with 95 % bootstrap intervals beside that of plain captions of the same
photos, and milliseconds a photo. All in one run.
"""

from __future__ import annotations

import argparse
import re
import time
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np

from capgen import Captioner
from capgen.captioning.diversity import STOP_WORDS
from capgen.data.dataset import open_dataset
from capgen.metrics.cider import DocumentFrequencies, cider_d
from capgen.metrics.corpus import Corpus
from capgen.records import Example

_WORD = re.compile(r"[a-z]+")
Asked = dict[str, str]


def content(text: str) -> list[str]:
    return [word for word in _WORD.findall(text.lower()) if word not in STOP_WORDS]


def lacking(example: Example, caption: str, known: set[str]) -> list[str]:
    """Words of at least two references that the caption lacks, the most frequent first."""
    counts = Counter(word for text in example.references for word in set(content(text)))
    said = set(content(caption))
    found = [word for word, n in counts.most_common() if n > 1 and word not in said]
    return [word for word in found if word in known and len(word) > 2]


def asked_for(example: Example, caption: str, known: set[str]) -> dict[str, Asked]:
    """Return for each way what to ask of this photo, where there is something to ask."""
    words, said = lacking(example, caption, known), content(caption)
    ways: dict[str, Asked] = {}
    for count in (1, 2, 3):
        if len(words) >= count:
            ways[f"include {count}"] = {"include_words": ",".join(words[:count])}
    if len(words) > 1:
        ways["include 1 of 2"] = {"include_words": "|".join(words[:2])}
    for count in (1, 2):
        if len(said) >= count:
            ways[f"avoid {count}"] = {"avoid_words": ",".join(said[:count])}
    if words and said:
        ways["include 1, avoid 1"] = {"include_words": words[0], "avoid_words": said[0]}
    return ways


def as_asked(text: str, asked: Asked) -> bool:
    words = set(_WORD.findall(text.lower()))
    avoided = set(filter(None, asked.get("avoid_words", "").split(",")))
    included = filter(None, asked.get("include_words", "").split(","))
    return not words & avoided and all(words & set(any_of.split("|")) for any_of in included)


def interval(scores: np.ndarray) -> tuple[float, float]:
    rng = np.random.default_rng(0)
    means = scores[rng.integers(0, len(scores), (1000, len(scores)))].mean(axis=1)
    low, high = np.percentile(means, [2.5, 97.5])
    return float(low), float(high)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("dataset", type=Path)
    parser.add_argument("--images", type=int, default=300)
    parser.add_argument("--split", default="val")
    parser.add_argument("--model", default=None)
    parser.add_argument("--runtime", default="auto")
    parser.add_argument("--beams", type=int, default=None)
    given = parser.parse_args()
    captioner = Captioner.from_pretrained(given.model, runtime=given.runtime)
    every = open_dataset(None, given.dataset).examples
    examples = [example for example in every if example.split == given.split][: given.images]
    known = {word for example in examples for text in example.references for word in content(text)}
    known = {word for word in known if speakable(captioner, word)}
    options: dict[str, Any] = {} if given.beams is None else {"beams": given.beams}
    table = DocumentFrequencies.from_references([example.references for example in examples])

    started = time.perf_counter()
    plain = [captioner.caption(example.image, **options).text for example in examples]
    each = 1000 * (time.perf_counter() - started) / len(examples)
    scores = score(examples, plain, table)
    print(
        f"{'plain':20} {len(examples)} photos  CIDEr-D {scores.mean():.3f}  {each:.0f} ms a photo"
    )
    asked = [asked_for(e, text, known) for e, text in zip(examples, plain, strict=True)]
    for way in sorted({way for ways in asked for way in ways}):
        places = [place for place, ways in enumerate(asked) if way in ways]
        started = time.perf_counter()
        found = [
            captioner.caption(examples[place].image, **options, **asked[place][way]).text
            for place in places
        ]
        each = 1000 * (time.perf_counter() - started) / len(places)
        met = np.mean([as_asked(t, asked[p][way]) for t, p in zip(found, places, strict=True)])
        before = np.mean([as_asked(plain[place], asked[place][way]) for place in places])
        new = score([examples[place] for place in places], found, table)
        low, high = interval(new)
        print(
            f"{way:20} {len(places)} photos  as asked {met:.1%} (plain {before:.1%})  CIDEr-D "
            f"{new.mean():.3f} [{low:.3f}, {high:.3f}] (plain {scores[places].mean():.3f})  "
            f"{each:.0f} ms a photo",
            flush=True,
        )


def speakable(captioner: Captioner, word: str) -> bool:
    """Whether the bundled model's vocabulary has a word; others spell any."""
    tokenizer = getattr(captioner.runtime, "_tokenizer", None)
    vocabulary = tokenizer.get_vocab() if tokenizer is not None else {}
    return word in vocabulary or any(token.startswith(("Ġ", "##", "▁")) for token in vocabulary)


def score(examples: list[Example], captions: list[str], table: DocumentFrequencies) -> np.ndarray:
    corpus = Corpus(
        {str(n): text for n, text in enumerate(captions)},
        {str(n): example.references for n, example in enumerate(examples)},
    )
    return cider_d(corpus, table)


if __name__ == "__main__":
    main()
