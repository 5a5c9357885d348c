"""Captions scored a second with CIDEr-D: on the device, and by the scorer of `capgen.metrics`.

    python tests/bench/scst_reward.py [--images 2000] [--device auto]

Made-up references (five an image) and samples (five an image) of a word tokenizer. Both must
agree to 1e-6. The scorer reads texts; on the device token ids are read and scored in batches
of 64 images, as in a training step. Each is timed from ids or texts to scores.
"""

from __future__ import annotations

import argparse
import json
import random
import time

import numpy as np
import torch

from capgen.metrics.cider import DocumentFrequencies, cider_d
from capgen.metrics.corpus import Corpus
from capgen.models.torch_devices import choose_device, hardware
from capgen.models.vocabulary import build_word_tokenizer, wrap_word_tokenizer
from capgen.training.objectives.scst.cider_reward import CiderReward
from capgen.training.objectives.scst.token_words import TokenReader, Words

SAMPLES = 5
LENGTH = 20
AT_ONCE = 64


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=int, default=2000)
    parser.add_argument("--device", default="auto")
    asked = parser.parse_args()
    device = choose_device(asked.device)
    chance = random.Random(0)
    words = [
        f"w{chr(97 + n % 26)}{chr(97 + n // 26 % 26)}{chr(97 + n // 676)}" for n in range(3000)
    ]
    # Few words are frequent and many are rare, as in captions.
    weights = [1 / (place + 1) for place in range(len(words))]

    def sentence() -> str:
        return " ".join(chance.choices(words, weights, k=chance.randint(6, 16)))

    references = [[sentence() for _ in range(5)] for _ in range(asked.images)]
    texts = [
        [chance.choice([sentence(), chance.choice(row)]) for _ in range(SAMPLES)]
        for row in references
    ]
    tokenizer = wrap_word_tokenizer(build_word_tokenizer(words, min_count=1))
    ids = torch.full((asked.images, SAMPLES, LENGTH), tokenizer.eos_token_id)
    for row, captions in zip(ids, texts, strict=True):
        for sample, text in zip(row, captions, strict=True):
            found = tokenizer(text, add_special_tokens=False)["input_ids"]
            sample[: len(found)] = torch.tensor(found)
    ids = ids.to(device)
    count = asked.images * SAMPLES

    known = Words()
    begun = time.perf_counter()
    reward = CiderReward(known.numbered(references, end=False), device)
    reader = TokenReader(tokenizer, known, device)
    tables = time.perf_counter() - begun

    def on_device() -> torch.Tensor:
        parts = torch.arange(asked.images).split(AT_ONCE)
        return torch.cat([reward(part, reader.read(ids[part.to(device)])) for part in parts])

    on_device()  # warms up
    begun = time.perf_counter()
    mine = on_device().flatten().cpu().numpy()
    seconds = time.perf_counter() - begun

    frequencies = DocumentFrequencies.from_references(references)
    begun = time.perf_counter()
    corpus = Corpus(
        {str(n): text for n, text in enumerate(text for row in texts for text in row)},
        {str(n): references[n // SAMPLES] for n in range(count)},
    )
    theirs = cider_d(corpus, frequencies)
    scorer = time.perf_counter() - begun
    difference = float(np.abs(mine - theirs).max())
    assert difference < 1e-6, difference
    result = {
        "device": hardware(device),
        "threads": torch.get_num_threads(),
        "captions": count,
        "largest difference": difference,
        "tables, once, s": round(tables, 2),
        "captions/s on the device": round(count / seconds),
        "captions/s of the scorer": round(count / scorer),
    }
    print(json.dumps(result, indent=2))


if __name__ == "__main__":
    main()
