"""How fast a captioner of BLIP-base's shape is, and what memory it takes: with random weights.

    python -m tests.bench.blip_shape PHOTOS --images 32

Weights do not matter for either, but for the lengths: random ones hardly ever end a caption before
the longest length, which makes these times upper bounds.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import torch
from transformers import BertTokenizerFast, BlipConfig, BlipForConditionalGeneration

from capgen.models.preprocessing.preprocess import Preprocessor

_SPECIAL = {0: "[PAD]", 100: "[UNK]", 101: "[CLS]", 102: "[SEP]", 103: "[MASK]", 30522: "[DEC]"}


def save_blip(folder: Path) -> Path:
    """Write a model folder with the settings of `Salesforce/blip-image-captioning-base`."""
    torch.manual_seed(0)
    config = BlipConfig()
    model = BlipForConditionalGeneration(config)
    model.save_pretrained(folder)
    words = [_SPECIAL.get(number, f"w{number}") for number in range(config.text_config.vocab_size)]
    (folder / "vocab.txt").write_text("\n".join(words) + "\n", encoding="utf-8")
    BertTokenizerFast.from_pretrained(folder).save_pretrained(folder)
    mean, deviation = (0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)
    Preprocessor(size=(384, 384), resample=3, mean=mean, std=deviation).to_file(
        folder / "preprocessor_config.json"
    )
    print(f"{sum(weight.numel() for weight in model.parameters()) / 1e6:.0f} million parameters")
    return folder


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("photos", type=Path)
    parser.add_argument("--images", type=int, default=32)
    given = parser.parse_args()
    photos = sorted(given.photos.glob("*.jpg"))[: given.images]
    with tempfile.TemporaryDirectory() as place:
        model = save_blip(Path(place) / "blip-shape")
        few, many = photos[:4], photos
        seconds = {}
        for chosen in (few, many):
            output = Path(place) / f"{len(chosen)}.jsonl"
            command = [sys.executable, "-m", "capgen", "caption", *map(str, chosen), "-q"]
            begin = time.perf_counter()
            process = subprocess.Popen([*command, "-o", str(output), "--model", str(model)])
            _, status, usage = os.wait4(process.pid, 0)
            seconds[len(chosen)] = time.perf_counter() - begin
            assert os.waitstatus_to_exitcode(status) == 0
        rate = (len(many) - len(few)) / (seconds[len(many)] - seconds[len(few)])
        print(f"{seconds}; {rate:.2f} images/s without the start; {usage.ru_maxrss / 1e6:.2f} GB")


if __name__ == "__main__":
    main()
