"""Time to score 5,000 images with five references each, beside pycocoevalcap.

    LC_ALL=C.UTF-8 python -m tests.bench.bench_metrics

Needs pycocoevalcap and Java. The captions are made up from the words of the tests, with
lengths as in Flickr8k. Both sides tokenize; each is timed from captions to scores.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from typing import Any

from capgen.metrics.ptb.tokenizer import PTBTokenizer
from capgen.metrics.score import score_captions
from tests.integration.metrics import oracles
from tests.unit.metrics.captions import REFERENCES

IMAGES = 5000


def main() -> None:
    chance = random.Random(1)
    # Few words are frequent and many are rare, as in captions.
    words = [word for captions in REFERENCES.values() for line in captions for word in line.split()]
    rare = [f"{word.strip('.,').lower()}{chance.choice(['', 'r', 'ing'])}" for word in words]
    references = {
        str(image): [sentence(chance, words, rare) for _ in range(5)] for image in range(IMAGES)
    }
    predictions = {
        image: " ".join([*captions[0].split()[:8], "on", "a", "table"])
        for image, captions in references.items()
    }
    captions = [caption for group in references.values() for caption in group]
    tokenizer = PTBTokenizer()
    seconds = timed("tokens, first time", lambda: list(map(tokenizer.tokenize, captions)))
    print(f"{len(captions) / seconds:32,.0f} captions/s")

    coco = ("bleu", "rouge_l", "cider_d")
    ours = timed("ours", lambda: score_captions(predictions, references, metrics=coco))
    theirs = timed("pycocoevalcap", lambda: oracles.official_scores(predictions, references))
    print(f"{theirs / ours:32.1f} times as fast")

    with_meteor = timed(
        "ours with METEOR",
        lambda: score_captions(predictions, references, metrics=(*coco, "meteor_1_5")),
    )
    theirs += timed("pycocoevalcap's METEOR", lambda: official_meteor(predictions, references))
    print(f"{theirs / with_meteor:32.1f} times as fast")


def sentence(chance: random.Random, words: list[str], rare: list[str]) -> str:
    length = chance.randint(6, 16)
    return " ".join(chance.choice(words if chance.random() < 0.8 else rare) for _ in range(length))


def official_meteor(predictions: dict[str, str], references: dict[str, list[str]]) -> Any:
    """Score with METEOR 1.5, without the time for tokens, which is counted already."""
    from pycocoevalcap.meteor.meteor import Meteor

    ours = {image: [caption.lower()] for image, caption in predictions.items()}
    theirs = {image: [line.lower() for line in lines] for image, lines in references.items()}
    return Meteor().compute_score(theirs, ours)


def timed(name: str, work: Callable[[], Any]) -> float:
    """Run some work, print how long it took, and return it in seconds."""
    start = time.perf_counter()
    work()
    seconds = time.perf_counter() - start
    print(f"{name:24}{seconds:8.2f} s")
    return seconds


if __name__ == "__main__":
    main()
