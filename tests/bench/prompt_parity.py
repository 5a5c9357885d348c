"""Do both runtimes begin and continue captions alike with `--prompt`?

    python tests/bench/prompt_parity.py FOLDER [--images 200] [--prompt "a photo of"]

Lists every image whose captions, alternatives included, differ, and says how many captions begin
with the prompt. Some images of a last run begin with nothing or with other words, in one batch.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from capgen import Captioner
from capgen.captioning.prepare import Prepared
from capgen.config import DecodeOptions
from capgen.images.folders import find_images
from capgen.records import Caption, Record

WAYS = {
    "defaults": DecodeOptions(),
    "greedy": DecodeOptions(beams=1),
    "beams 5, three captions": DecodeOptions(beams=5, num_captions=3),
    "beams 5, nouns repeated": DecodeOptions(beams=5, repeat_nouns=True, retry=False),
}
OTHER_PROMPTS = ("", "two people", "there is")


def texts(record: Record) -> list[str]:
    assert isinstance(record, Caption), record
    return [one.text for one in (record, *record.alternatives)]


def compare(name: str, prompt: str, ours: list[Record], theirs: list[Record]) -> None:
    pairs = list(zip(ours, theirs, strict=True))
    different = [pair for pair in pairs if texts(pair[0]) != texts(pair[1])]
    begun = sum(texts(one)[0].startswith(prompt) for one in ours)
    scores = [
        abs(one.score - other.score)
        for one, other in pairs
        if isinstance(one, Caption) and isinstance(other, Caption)
    ]
    print(
        f"{name}: {len(pairs) - len(different)} of {len(pairs)} the same, "
        + (f"{begun} begin with {prompt!r}, " if prompt else "")
        + f"largest difference of scores {max(scores):.1e}"
    )
    for one, other in different:
        print(f"  {one.path}: {texts(one)} / {texts(other)}")


def mixed(runtime: str, images: list[Path], prompt: str) -> list[Record]:
    """Caption images in batches that begin with different words."""
    prompts = (prompt, *OTHER_PROMPTS)
    captioners = [Captioner.from_pretrained(prompt=each, runtime=runtime) for each in prompts]
    first = captioners[0]
    settings, notes = first.settings(DecodeOptions())
    records: list[Record] = []
    for start in range(0, len(images), 16):
        batch = [
            captioners[place % len(prompts)].prepare(image)
            for place, image in enumerate(images[start : start + 16])
        ]
        usable = [item for item in batch if isinstance(item, Prepared)]
        records += first.caption_prepared(usable, settings, notes)
    return records


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    parser.add_argument("--images", type=int, default=200)
    parser.add_argument("--prompt", default="a photo of")
    asked = parser.parse_args()
    images = find_images(asked.folder)[: asked.images]
    onnx = Captioner.from_pretrained(runtime="onnx", prompt=asked.prompt)
    torch = Captioner.from_pretrained(runtime="torch", device="cpu", prompt=asked.prompt)
    for name, options in WAYS.items():
        ours, theirs = (list(each.stream(images, options)) for each in (onnx, torch))
        compare(name, asked.prompt, ours, theirs)
    both = [mixed(runtime, images, asked.prompt) for runtime in ("onnx", "torch")]
    compare("four prompts in each batch", "", *both)


if __name__ == "__main__":
    main()
