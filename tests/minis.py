"""Miniature data sets, generated: no photo or caption of a real one is kept here."""

from __future__ import annotations

import json
import random
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

WORDS = (
    "a",
    "the",
    "dog",
    "cat",
    "ball",
    "red",
    "blue",
    "green",
    "runs",
    "sits",
    "jumps",
    "over",
    "under",
    "near",
    "tree",
    "house",
    "water",
)


@dataclass(frozen=True)
class MiniPicture:
    """A generated picture with its captions."""

    name: str
    captions: tuple[str, ...]
    split: str
    seed: int


def make_pictures(count: int = 10, captions: int = 5, seed: int = 0) -> list[MiniPicture]:
    """Return descriptions of pictures: six tenths train, two val, two test."""
    rng = random.Random(seed)
    names = [f"{1000 + index}_{rng.randrange(16**8):08x}.jpg" for index in range(count)]
    return [
        MiniPicture(
            name=name,
            captions=tuple(
                f"{' '.join(rng.sample(WORDS, 6))} number {index} {number} ."
                for number in range(captions)
            ),
            split=("train", "val", "test")[max(0, index * 5 // count - 2)],
            seed=seed * 1000 + index,
        )
        for index, name in enumerate(names)
    ]


def draw(seed: int, size: tuple[int, int] = (48, 40)) -> Image.Image:
    """Return a picture of random blocks, unlike that of any other seed."""
    rng = random.Random(seed)
    small = Image.new("RGB", (6, 5))
    small.putdata([tuple(rng.randrange(256) for _ in range(3)) for _ in range(30)])
    return small.resize(size, Image.Resampling.BILINEAR)


def save_pictures(folder: Path, pictures: list[MiniPicture]) -> None:
    """Write the pictures as JPEG files."""
    folder.mkdir(parents=True, exist_ok=True)
    for picture in pictures:
        draw(picture.seed).save(folder / picture.name, quality=85)


def write_flickr8k(root: Path, pictures: list[MiniPicture]) -> Path:
    """Write the official Flickr8k layout."""
    save_pictures(root / "Flicker8k_Dataset", pictures)
    write_flickr8k_text(root / "Flickr8k_text", pictures)
    return root


def write_flickr8k_text(text: Path, pictures: list[MiniPicture]) -> None:
    """Write the official files of captions and splits."""
    text.mkdir(parents=True, exist_ok=True)
    lines = [f"{p.name}#{n}\t{c}\n" for p in pictures for n, c in enumerate(p.captions)]
    (text / "Flickr8k.token.txt").write_text("".join(lines), encoding="utf-8")
    for official, split in (("train", "train"), ("dev", "val"), ("test", "test")):
        names = [f"{p.name}\n" for p in pictures if p.split == split]
        (text / f"Flickr_8k.{official}Images.txt").write_text("".join(names), encoding="utf-8")


def coco_json(pictures: list[MiniPicture]) -> str:
    """Return the text of an official captions JSON."""
    images = [
        {"id": index, "file_name": p.name, "width": 48, "height": 40}
        for index, p in enumerate(pictures)
    ]
    annotations = [
        {"id": index * 100 + n, "image_id": index, "caption": caption}
        for index, p in enumerate(pictures)
        for n, caption in enumerate(p.captions)
    ]
    content = {"info": {}, "licenses": [], "images": images, "annotations": annotations}
    return json.dumps(content)


def write_coco(root: Path, pictures: list[MiniPicture]) -> Path:
    """Write COCO's layout with one annotation file a split."""
    save_pictures(root / "images", pictures)
    (root / "annotations").mkdir(parents=True)
    for split in ("train", "val", "test"):
        chosen = [p for p in pictures if p.split == split]
        if chosen:
            path = root / "annotations" / f"captions_{split}2014.json"
            path.write_text(coco_json(chosen), encoding="utf-8")
    return root
