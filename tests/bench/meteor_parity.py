"""METEOR 1.5 in Python against its own program: equality on many captions, and speed.

    LC_ALL=C.UTF-8 python -m tests.bench.meteor_parity --data DIR

`DIR` has `flickr8k/Flickr8k_text/Flickr8k.token.txt`, `coco_sample/annotations` and
`coco_text/captions.jsonl`. Needs pycocoevalcap and Java.
"""

from __future__ import annotations

import argparse
import json
import random
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TypeVar

import numpy as np

from capgen.metrics.meteor_1_5.score import statistics_of
from capgen.metrics.meteor_1_5.statistics import scores, summable
from capgen.metrics.ptb.tokenizer import tokenize
from tests.integration.metrics.meteor_program import MeteorProgram, counts_of, fuzzed_pairs

T = TypeVar("T")
Pairs = list[tuple[str, list[str]]]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--share", type=float, default=1.0, help="share of the pairs")
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    chance = random.Random(arguments.seed)
    total = 0
    for name, pairs in sets(arguments.data, chance, arguments.share):
        total += compare(name, pairs)
    print(f"{total:,} pairs of a caption and a reference in all")


def sets(data: Path, chance: random.Random, share: float) -> Iterator[tuple[str, Pairs]]:
    """Yield the name and the pairs of each kind."""
    flickr8k = flickr8k_captions(data)
    coco = coco_captions(data)

    def some(count: int) -> int:
        return max(1, int(count * share))

    groups = [[tokenize(line) for line in group] for group in flickr8k]
    others = [[tokenize(line) for line in group] for group in coco if len(group) > 1]
    whole = [group for group in groups if len(group) == 5][: some(5000)]
    yield (
        "5,000 × 5",
        [
            (group[0], next_one)
            for group, next_one in zip(whole, whole[1:] + whole[:1], strict=True)
        ],
    )
    yield "Flickr8k, one against its others", own(groups, chance, some(3000))
    yield "Flickr8k, another image's", crossed(groups, groups, chance, some(3000))
    yield "COCO, one against its others", own(others, chance, some(3000))
    yield "COCO against Flickr8k", crossed(others, groups, chance, some(2000))
    yield "Flickr8k as written", own(flickr8k, chance, some(1000))
    joined = [["".join(f"{line} " for line in group)] for group in groups]
    yield "five captions in one", crossed(joined, groups, chance, some(300))
    yield "fuzzed", fuzzed_pairs(some(4000), chance.randrange(1 << 30))


def flickr8k_captions(data: Path) -> list[list[str]]:
    file = data / "flickr8k" / "Flickr8k_text" / "Flickr8k.token.txt"
    images: dict[str, list[str]] = {}
    for line in file.read_text(encoding="utf-8").splitlines():
        name, caption = line.split("\t")
        images.setdefault(name.split("#")[0], []).append(caption)
    return list(images.values())


def coco_captions(data: Path) -> list[list[str]]:
    file = data / "coco_text" / "captions.jsonl"
    lines = file.read_text(encoding="utf-8").splitlines()
    found = [json.loads(line)["captions"] for line in lines]
    images: dict[int, list[str]] = {}
    for path in sorted((data / "coco_sample" / "annotations").glob("captions_*.json")):
        for record in json.loads(path.read_text(encoding="utf-8"))["annotations"]:
            images.setdefault(record["image_id"], []).append(record["caption"].replace("\n", " "))
    return [*images.values(), *found]


def own(groups: Sequence[list[str]], chance: random.Random, count: int) -> Pairs:
    chosen = (chance.choice(groups) for _ in range(count))
    return [(group[0], group[1:]) for group in chosen if len(group) > 1]


def crossed(
    captions: Sequence[list[str]], groups: Sequence[list[str]], chance: random.Random, count: int
) -> Pairs:
    return [(chance.choice(chance.choice(captions)), chance.choice(groups)) for _ in range(count)]


def compare(name: str, pairs: Pairs) -> int:
    """Print how far both differ on some captions; return the number of pairs."""
    captions, references = [caption for caption, _ in pairs], [group for _, group in pairs]

    def official() -> tuple[list[str], np.ndarray, float]:
        with MeteorProgram() as program:
            lines = [program.statistics(*pair) for pair in pairs]
            return lines, *program.scores(lines)

    seconds, (lines, theirs, whole) = timed(official)
    ours_seconds, counts = timed(lambda: statistics_of(captions, references))
    ours = scores(counts)
    total = sum(map(len, references))
    unlike = np.flatnonzero((counts != counts_of(lines)).any(axis=1))
    print(
        f"{name}: {len(pairs):,} captions, {total:,} pairs; largest difference "
        f"{abs(ours - theirs).max():.1e}, of the corpus "
        f"{abs(scores(summable(counts).sum(axis=0)) - whole):.1e}; other counts: {len(unlike)}; "
        f"{ours_seconds:.1f} s, the program {seconds:.1f} s",
        flush=True,
    )
    for place in unlike[:5]:
        print("   ", ascii(pairs[place]), counts[place].tolist(), lines[place])
    return total


def timed(run: Callable[[], T]) -> tuple[float, T]:
    start = time.perf_counter()
    result = run()
    return time.perf_counter() - start, result


if __name__ == "__main__":
    main()
