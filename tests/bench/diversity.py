"""Captions that differ: `diverse=5` beside plain beams and diverse beam groups.

    python tests/bench/diversity.py flickr8k/ [--images 200] [--count 5] [--split test]

For each way: the share of captions that say something else than those before them (see
`capgen.captioning.diversity`), different words over words, and CIDEr-D of the best, the mean and
the first of an image's captions. Also the time an image, all in one run.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from capgen import Captioner
from capgen.captioning.decoding.hypotheses import log_softmax
from capgen.captioning.diversity import Meaning, meaning, overlap
from capgen.captioning.prepare import Prepared, stacked
from capgen.captioning.runtimes.onnx_runtime import OnnxRuntime
from capgen.config import DecodeOptions
from capgen.data.dataset import open_dataset
from capgen.metrics.cider import DocumentFrequencies, cider_d
from capgen.metrics.corpus import Corpus
from capgen.records import Caption, Example

BATCH = 16


def texts(caption: Caption) -> list[str]:
    return [caption.text, *(other.text for other in caption.alternatives)]


def groups(captioner: Captioner, images: list[Path], count: int, fine: float) -> list[list[str]]:
    """Diverse beam search (Vijayakumar et al., 2016) with groups of one beam.

    At every step a group loses `fine` times how often the groups before it chose a token.
    """
    runtime = captioner.runtime
    assert isinstance(runtime, OnnxRuntime)
    prepared = [captioner.prepare(image) for image in images]
    pixels = stacked([item for item in prepared if isinstance(item, Prepared)])
    decoder = runtime.start(runtime.encode(pixels))
    longest = captioner.settings(DecodeOptions())[0].max_length
    rows = len(images) * count
    said = np.full((len(images), count, 1), runtime.tokens.start)
    ended = np.zeros((len(images), count), bool)
    parents = np.repeat(np.arange(len(images)), count)
    barred = [*runtime.tokens.suppress]
    for _ in range(longest - 1):
        scores = log_softmax(decoder.logits(said[:, :, -1], parents))
        scores[:, barred] = -np.inf
        scores = scores.reshape(len(images), count, -1)
        parents = np.arange(rows)
        token = np.zeros((len(images), count), np.int64)
        for group in range(count):
            current = scores[:, group].copy()
            for earlier in range(group):
                going = np.flatnonzero(~ended[:, earlier])
                current[going, token[going, earlier]] -= fine
            token[:, group] = current.argmax(axis=1)
        said = np.concatenate([said, token[:, :, None]], axis=2)
        ended |= np.isin(token, runtime.tokens.end)
        if ended.all():
            break
    ends = runtime.tokens.end
    found = []
    for image in said[:, :, 1:].tolist():
        lengths = [
            next((n for n, token in enumerate(ids) if token in ends), len(ids)) for ids in image
        ]
        found.append(
            [runtime.decode(ids[:n]).strip() for ids, n in zip(image, lengths, strict=True)]
        )
    return found


def ways(captioner: Captioner, count: int) -> dict[str, Callable[[list[Path]], list[list[str]]]]:
    def of(**options: object) -> Callable[[list[Path]], list[list[str]]]:
        return lambda images: [texts(one) for one in captioner.caption(list(images), **options)]

    return {
        f"plain, {count} beams": of(beams=count, num_captions=count),
        f"sampling, temperature 0.7, {count} draws": of(
            temperature=0.7, num_captions=count, seed=0
        ),
        "beam groups, Hamming fine 0.5": lambda images: groups(captioner, images, count, 0.5),
        "beam groups, Hamming fine 1": lambda images: groups(captioner, images, count, 1.0),
        f"diverse={count}": of(diverse=count),
    }


def report(name: str, found: list[list[str]], examples: list[Example], seconds: float) -> None:
    flat = [(example, text) for example, said in zip(examples, found, strict=True) for text in said]
    corpus = Corpus(
        {str(n): text for n, (_, text) in enumerate(flat)},
        {str(n): example.references for n, (example, _) in enumerate(flat)},
    )
    table = DocumentFrequencies.from_references([example.references for example in examples])
    scores = cider_d(corpus, table).reshape(len(examples), -1)
    share = np.mean([distinct([meaning(text) for text in said]) / len(said) for said in found])
    words = [[word for text in said for word in text.split()] for said in found]
    kinds = np.mean([len(set(said)) / max(len(said), 1) for said in words])
    print(
        f"{name:40} distinct {share:.3f}  words {kinds:.3f}  best {scores.max(axis=1).mean():.3f}"
        f"  mean {scores.mean():.3f}  first {scores[:, 0].mean():.3f}"
        f"  {1000 * seconds / len(examples):.0f} ms an image"
    )


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("dataset", type=Path)
    parser.add_argument("--images", type=int, default=200)
    parser.add_argument("--count", type=int, default=5)
    parser.add_argument("--split", default="test")
    parser.add_argument("--model", default=None)
    asked = parser.parse_args()
    captioner = Captioner.from_pretrained(asked.model, runtime="onnx")
    every = open_dataset(None, asked.dataset).examples
    examples = [example for example in every if example.split == asked.split][: asked.images]
    images = [example.image for example in examples]
    for name, way in ways(captioner, asked.count).items():
        started = time.perf_counter()
        found = [said for n in range(0, len(images), BATCH) for said in way(images[n : n + BATCH])]
        report(name, found, examples, time.perf_counter() - started)


def distinct(meanings: list[Meaning]) -> int:
    """Count the captions that say something else than all before them."""
    return sum(
        not any(overlap(one, earlier) == 1.0 for earlier in meanings[:place])
        for place, one in enumerate(meanings)
    )


if __name__ == "__main__":
    main()
