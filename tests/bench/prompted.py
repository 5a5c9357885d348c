"""Images a second of models that follow prompts: capgen, and the plain loop of a model card.

    python tests/bench/prompted.py FOLDER [--images 200] [--batch-size 8] [--tokens 32] [--rounds 3]

A tiny model and one of some 100 million parameters, both with random weights: speed does not
depend on what they say. Both ways get the same images and prompt, decode greedily in float32
and take turns in one run; the captions must agree. The plain loop is that of the cards of LLaVA:
one image at a time through processor and `generate`.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import torch
import transformers
from PIL import Image
from transformers import AutoModelForImageTextToText, AutoProcessor

from capgen import Captioner
from capgen.config import DecodeOptions
from capgen.config.prompts import NAMED_PROMPTS
from capgen.images.folders import find_images
from capgen.records import Caption
from tests import tiny_prompted


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    parser.add_argument("--images", type=int, default=200)
    parser.add_argument("--batch-size", type=int, default=8)
    parser.add_argument("--tokens", type=int, default=32)
    parser.add_argument("--rounds", type=int, default=3)
    asked = parser.parse_args()
    transformers.utils.logging.set_verbosity_error()
    images = find_images(asked.folder)[: asked.images]
    makers = {"tiny": tiny_prompted.llava, "100 million": tiny_prompted.medium_llava}
    with tempfile.TemporaryDirectory() as place:
        for name, make in makers.items():
            folder = make(Path(place) / name)
            contestants = {
                "capgen": with_capgen(folder, images, asked.batch_size, asked.tokens),
                "plain loop": with_generate(folder, images, asked.tokens),
            }
            report(name, folder, contestants, len(images), asked.rounds)


def with_capgen(
    folder: Path, images: list[Path], batch_size: int, tokens: int
) -> Callable[[], list[str]]:
    captioner = Captioner.from_pretrained(folder, device="cpu")
    options = DecodeOptions(beams=1, max_length=tokens, retry=False)

    def run() -> list[str]:
        records = captioner.stream(images, options, batch_size=batch_size)
        return [record.text for record in records if isinstance(record, Caption)]

    return run


def with_generate(folder: Path, images: list[Path], tokens: int) -> Callable[[], list[str]]:
    model = AutoModelForImageTextToText.from_pretrained(folder).eval()
    processor = AutoProcessor.from_pretrained(folder)
    content = [{"type": "image"}, {"type": "text", "text": NAMED_PROMPTS["caption"]}]
    message = [{"role": "user", "content": content}]

    def run() -> list[str]:
        texts = []
        for path in images:
            prompt = processor.apply_chat_template(message, add_generation_prompt=True)
            image = Image.open(path).convert("RGB")
            inputs = processor(images=image, text=prompt, return_tensors="pt")
            with torch.inference_mode():
                ids = model.generate(**inputs, max_new_tokens=tokens, do_sample=False)
            answer = ids[0, inputs["input_ids"].shape[1] :]
            texts.append(processor.decode(answer, skip_special_tokens=True).strip())
        return texts

    return run


def report(
    name: str,
    folder: Path,
    contestants: dict[str, Callable[[], list[str]]],
    images: int,
    rounds: int,
) -> None:
    """Let the contestants take turns, and print their rates."""
    size = sum(path.stat().st_size for path in folder.glob("*.safetensors")) / 4e6
    print(f"{name} ({size:.1f} million parameters), {images} images")
    seconds: dict[str, list[float]] = {each: [] for each in contestants}
    texts: dict[str, list[str]] = {}
    for _ in range(rounds):
        for each, run in contestants.items():
            started = time.perf_counter()
            texts[each] = run()
            seconds[each].append(time.perf_counter() - started)
    median = {each: statistics.median(values) / images for each, values in seconds.items()}
    for each, value in median.items():
        print(f"  {each:12} {1000 * value:7.1f} ms an image   {1 / value:7.2f} images/s")
    print(f"  capgen is {median['plain loop'] / median['capgen']:.2f} times as fast")
    pairs = zip(texts["capgen"], texts["plain loop"], strict=True)
    print(f"  captions that differ: {sum(a != b for a, b in pairs)} of {images}")


if __name__ == "__main__":
    main()
