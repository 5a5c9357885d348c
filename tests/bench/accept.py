"""Whether `capgen accept` keeps its promise on real captions, and how many it accepts.

    python tests/bench/accept.py --data-dir ../shared/data/flickr8k --records /tmp/flickr8k

Captions val (Flickr8k calls it dev) and test once, and keeps the records in the folder. A caption
counts as right if its METEOR is at least a bound, in the place of a person. Draws samples, accepts,
and counts how often more than the promised share of the accepted captions is wrong. Two ways:

- `val, test`: the sample is drawn from val, and test is what remains;
- `mixed`: the sample is drawn from both, and what remains of both is what remains.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from capgen import Captioner
from capgen.config import DecodeOptions
from capgen.evaluation.evaluation_set import EvaluationSet, evaluation_set
from capgen.metrics.score import score_captions
from capgen.output.records import open_jsonl
from capgen.records import Caption
from capgen.reviews.guarantee import Promise, choose
from capgen.reviews.levels import Candidate, levels_of
from capgen.reviews.reviewed_records import read_records

BOUNDS = (1 / 3, 0.25, 0.2)
SHARES = (0.1, 0.2, 0.3)
SAMPLES = (200, 500)
SURE = 0.95

Scored = tuple[NDArray[np.float64], NDArray[np.float64]]  # confidence, METEOR


def captioned(data: EvaluationSet, path: Path, model: str | None) -> Scored:
    """Return confidence and METEOR of a split's captions, from the records if they are there."""
    if not path.is_file():
        captioner = Captioner.from_pretrained(model)
        images = [example.image for example in data.examples]
        with open_jsonl(path) as write:
            for record in captioner.stream(images, DecodeOptions(confidence=True)):
                write(record, None)
    captions = [record for record in read_records(path) if isinstance(record, Caption)]
    texts = {Path(str(one.path)).name: one.text for one in captions}
    references = {name: data.by_id[name].references for name in texts}
    scores = score_captions(texts, references, metrics=("meteor",)).per_image["METEOR"]
    return np.array([one.confidence for one in captions]), np.asarray(scores)


def drawn(
    parts: list[Scored], bound: float, reviews: int, mixed: bool, random: np.random.Generator
) -> list[tuple[Candidate, bool]]:
    """Return captions with a random sample of reviews, and whether each is right."""
    if mixed:
        confidence, score = (np.concatenate(column) for column in zip(*parts, strict=True))
        sample = random.permutation(len(score)) < reviews
    else:
        chosen = random.choice(len(parts[0][0]), reviews, replace=False)
        confidence, score = (
            np.concatenate([first[chosen], second]) for first, second in zip(*parts, strict=True)
        )
        sample = np.arange(len(score)) < reviews
    rows = zip(confidence.tolist(), (score >= bound).tolist(), sample.tolist(), strict=True)
    return [
        (Candidate(confidence=sure, reviewed=seen, right=right if seen else None), right)
        for sure, right, seen in rows
    ]


def measure(
    parts: list[Scored], bound: float, share: float, reviews: int, mixed: bool, draws: int
) -> str:
    """Return a row of the table."""
    random = np.random.default_rng(0)
    promise = Promise(at_most_wrong=share, sure=SURE)
    kept, counts, wrong = 0, [], []
    for _ in range(draws):
        captions = drawn(parts, bound, reviews, mixed, random)
        level = choose(levels_of([one for one, _ in captions]), promise)
        threshold = np.inf if level is None else level.threshold
        accepted = [
            right for one, right in captions if not one.reviewed and one.confidence >= threshold
        ]
        counts.append(len(accepted))
        if accepted:
            wrong.append(1 - float(np.mean(accepted)))
        kept += not accepted or wrong[-1] <= share
    rest = sum(not one.reviewed for one, _ in captions)
    shown = f"{np.mean(wrong):.3f}" if wrong else "-"
    return (
        f"| {'mixed' if mixed else 'val, test'} | {bound:.2f} | {share:.1f} | {reviews} "
        f"| {kept}/{draws} | {len(wrong)}/{draws} | {np.median(counts):.0f} of {rest} | {shown} |"
    )


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--data-dir", type=Path, required=True)
    parser.add_argument("--records", type=Path, required=True, help="folder for the captions")
    parser.add_argument("--model")
    parser.add_argument("--draws", type=int, default=200)
    asked = parser.parse_args()
    asked.records.mkdir(parents=True, exist_ok=True)
    parts = [
        captioned(
            evaluation_set(None, asked.data_dir, split=split),
            asked.records / f"{split}.jsonl",
            asked.model,
        )
        for split in ("val", "test")
    ]
    for bound in BOUNDS:
        shares = [f"{(score >= bound).mean():.3f}" for _, score in parts]
        print(f"METEOR from {bound:.2f}: {shares[0]} of val and {shares[1]} of test are right")
    print("| drawn from | right from | at most wrong | reviews | kept | accepts | median | wrong |")
    print("|---|---|---|---|---|---|---|---|")
    for mixed in (False, True):
        for bound in BOUNDS:
            for share in SHARES:
                for reviews in SAMPLES:
                    print(measure(parts, bound, share, reviews, mixed, asked.draws), flush=True)


if __name__ == "__main__":
    main()
