"""Miniature data sets, generated: no image or caption of a real one is kept here."""

from __future__ import annotations

import csv
import io
import json
import random
import shutil
import tarfile
import zipfile
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from capgen.data.cache.images import Shape

_TEXT = "a the dog cat ball red blue green runs sits jumps over under near tree house water"
WORDS = _TEXT.split()


@dataclass(frozen=True)
class MiniImage:
    """A generated image with its captions."""

    name: str
    captions: tuple[str, ...]
    split: str
    seed: int


def make_images(count: int = 10, captions: int = 5, seed: int = 0) -> list[MiniImage]:
    """Return descriptions of images: six tenths train, two val, two test."""
    rng = random.Random(seed)
    names = [f"{1000 + index}_{rng.randrange(16**8):08x}.jpg" for index in range(count)]
    return [
        MiniImage(
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


def squash(size: int) -> Shape:
    """Return the shape of square images, resized whatever their proportions (bicubic)."""

    def reshape(image: Image.Image) -> NDArray[np.uint8]:
        return np.asarray(image.resize((size, size), Image.Resampling.BICUBIC))

    return Shape(height=size, width=size, key="squash bicubic", reshape=reshape)


def draw(seed: int, size: tuple[int, int] = (48, 40)) -> Image.Image:
    """Return an image of random blocks, unlike that of any other seed."""
    rng = random.Random(seed)
    small = Image.new("RGB", (6, 5))
    small.putdata([tuple(rng.randrange(256) for _ in range(3)) for _ in range(30)])
    return small.resize(size, Image.Resampling.BILINEAR)


def save_images(folder: Path, images: list[MiniImage]) -> None:
    """Write the images as JPEG files."""
    folder.mkdir(parents=True, exist_ok=True)
    for image in images:
        draw(image.seed).save(folder / image.name, quality=85)


def write_flickr8k(root: Path, images: list[MiniImage]) -> Path:
    """Write the official Flickr8k layout."""
    save_images(root / "Flicker8k_Dataset", images)
    write_flickr8k_text(root / "Flickr8k_text", images)
    return root


def write_flickr8k_text(text: Path, images: list[MiniImage]) -> None:
    """Write the official files of captions and splits."""
    text.mkdir(parents=True, exist_ok=True)
    lines = [f"{p.name}#{n}\t{c}\n" for p in images for n, c in enumerate(p.captions)]
    (text / "Flickr8k.token.txt").write_text("".join(lines), encoding="utf-8")
    for official, split in (("train", "train"), ("dev", "val"), ("test", "test")):
        names = [f"{p.name}\n" for p in images if p.split == split]
        (text / f"Flickr_8k.{official}Images.txt").write_text("".join(names), encoding="utf-8")


def first_images(source: Path, target: Path, counts: dict[str, int]) -> Path:
    """Link the first images of Flickr8k's splits (`train`, `dev`, `test`) into a smaller set.

    Args:
        source: Flickr8k in its official layout.
        target: Where the smaller set is made, in the same layout; it is returned.
        counts: How many images of which split.
    """
    text = source / "Flickr8k_text"
    (target / "Flickr8k_text").mkdir(parents=True)
    (target / "Flicker8k_Dataset").mkdir()
    chosen: set[str] = set()
    for split, count in counts.items():
        name = f"Flickr_8k.{split}Images.txt"
        names = (text / name).read_text(encoding="utf-8").split()[:count]
        (target / "Flickr8k_text" / name).write_text("\n".join(names) + "\n", encoding="utf-8")
        chosen.update(names)
    lines = (text / "Flickr8k.token.txt").read_text(encoding="utf-8").splitlines(keepends=True)
    kept = [line for line in lines if line.split("#")[0] in chosen]
    (target / "Flickr8k_text" / "Flickr8k.token.txt").write_text("".join(kept), encoding="utf-8")
    for name in chosen:
        (target / "Flicker8k_Dataset" / name).symlink_to(source / "Flicker8k_Dataset" / name)
    return target


def coco_json(images: list[MiniImage]) -> str:
    """Return the text of an official captions JSON."""
    rows = [
        {"id": index, "file_name": p.name, "width": 48, "height": 40}
        for index, p in enumerate(images)
    ]
    annotations = [
        {"id": index * 100 + n, "image_id": index, "caption": caption}
        for index, p in enumerate(images)
        for n, caption in enumerate(p.captions)
    ]
    content = {"info": {}, "licenses": [], "images": rows, "annotations": annotations}
    return json.dumps(content)


def write_coco(root: Path, images: list[MiniImage]) -> Path:
    """Write COCO's layout with one annotation file a split."""
    save_images(root / "images", images)
    (root / "annotations").mkdir(parents=True)
    for split in ("train", "val", "test"):
        chosen = [p for p in images if p.split == split]
        if chosen:
            path = root / "annotations" / f"captions_{split}2014.json"
            path.write_text(coco_json(chosen), encoding="utf-8")
    return root


def karpathy_json(images: list[MiniImage], name: str, folders: dict[str, str]) -> str:
    """Return the text of a Karpathy file; `folders` maps splits to image folders."""
    rows = [
        {
            "filename": p.name,
            "split": p.split,
            "sentences": [{"raw": c, "tokens": c.split()} for c in p.captions],
            **({"filepath": folders[p.split]} if p.split in folders else {}),
        }
        for p in images
    ]
    return json.dumps({"dataset": name, "images": rows})


def write_coco_release(root: Path, images: list[MiniImage]) -> Path:
    """Write the files of COCO 2014 and a Karpathy file: val2014 is split in four.

    The first images, six tenths, are train2014; of the others one quarter is restval.
    """
    named = [
        replace(p, name=f"COCO_{'train' if p.split == 'train' else 'val'}2014_{p.name}")
        for p in images
    ]
    parts = {
        "train2014": [p for p in named if p.split == "train"],
        "val2014": [p for p in named if p.split != "train"],
    }
    (root / "annotations").mkdir(parents=True)
    (root / "karpathy").mkdir()
    for folder, chosen in parts.items():
        save_images(root / folder, chosen)
        (root / "annotations" / f"captions_{folder}.json").write_text(coco_json(chosen))
        (root / "annotations" / f"instances_{folder}.json").write_text('{"images": []}')
    cycle = ("restval", "val", "test", "val", "test", "val", "test", "restval")
    assigned = [
        *parts["train2014"],
        *(replace(p, split=s) for p, s in zip(parts["val2014"], cycle, strict=True)),
    ]
    folders = {"train": "train2014", "restval": "val2014", "val": "val2014", "test": "val2014"}
    text = karpathy_json(assigned, "coco", folders)
    (root / "karpathy" / "dataset_coco.json").write_text(text)
    (root / "karpathy" / "dataset_flickr8k.json").write_text("{}")
    return root


def write_flickr30k_release(root: Path, images: list[MiniImage]) -> Path:
    """Write the files of the Hub data set: images and a CSV with lists as JSON."""
    save_images(root / "flickr30k-images", images)
    with (root / "flickr_annotations_30k.csv").open("w", newline="", encoding="utf-8") as file:
        table = csv.writer(file)
        table.writerow(["raw", "sentids", "split", "filename", "img_id"])
        for index, p in enumerate(images):
            ids = list(range(index * 5, index * 5 + 5))
            row = [json.dumps(list(p.captions)), json.dumps(ids), p.split, p.name, index]
            table.writerow(row)
    return root


def write_karpathy(root: Path, images: list[MiniImage]) -> Path:
    """Write a folder of images with a Karpathy file."""
    save_images(root / "images", images)
    (root / "dataset_mini.json").write_text(karpathy_json(images, "mini", {}), encoding="utf-8")
    return root


def write_table(
    root: Path,
    images: list[MiniImage],
    *,
    file_name: str = "captions.csv",
    columns: tuple[str, str, str] = ("image", "caption", "split"),
) -> Path:
    """Write a table with a row for each caption."""
    save_images(root / "images", images)
    rows = [(p.name, caption, p.split) for p in images for caption in p.captions]
    with (root / file_name).open("w", newline="", encoding="utf-8") as file:
        if file_name.endswith(".jsonl"):
            for row in rows:
                file.write(json.dumps(dict(zip(columns, row, strict=True))) + "\n")
        else:
            delimiter = "\t" if file_name.endswith(".tsv") else ","
            csv.writer(file, delimiter=delimiter).writerows([columns, *rows])
    return root


def write_imagefolder(root: Path, images: list[MiniImage], *, suffix: str = "jsonl") -> Path:
    """Write Hugging Face's imagefolder: a metadata file in a folder for each split."""
    for split in ("train", "val", "test"):
        chosen = [p for p in images if p.split == split]
        if not chosen:
            continue
        save_images(root / split, chosen)
        with (root / split / f"metadata.{suffix}").open("w", newline="", encoding="utf-8") as file:
            if suffix == "jsonl":
                for p in chosen:
                    file.write(json.dumps({"file_name": p.name, "text": p.captions}) + "\n")
            else:
                table = csv.writer(file)
                table.writerow(["file_name", "text"])
                table.writerows((p.name, c) for p in chosen for c in p.captions)
    return root


def write_sidecars(root: Path, images: list[MiniImage], *, suffix: str = ".txt") -> Path:
    """Write folders for the splits, each image with a text or JSON file beside it."""
    for p in images:
        save_images(root / p.split, [p])
        text = "\n".join(p.captions) + "\n"
        if suffix == ".json":
            text = json.dumps({"captions": p.captions})
        (root / p.split / p.name).with_suffix(suffix).write_text(text, encoding="utf-8")
    return root


def write_webdataset(root: Path, images: list[MiniImage], *, suffix: str = "txt") -> Path:
    """Write two shards a split."""
    save_images(root / "loose", images)
    for split in ("train", "val", "test"):
        chosen = [p for p in images if p.split == split]
        for number in range(2):
            with tarfile.open(root / f"{split}-{number:06d}.tar", "w") as shard:
                for p in chosen[number::2]:
                    shard.add(root / "loose" / p.name, p.name)
                    text = json.dumps({"caption": p.captions}) if suffix == "json" else None
                    data = (text or "\n".join(p.captions)).encode()
                    info = tarfile.TarInfo(f"{p.name.rpartition('.')[0]}.{suffix}")
                    info.size = len(data)
                    shard.addfile(info, io.BytesIO(data))
    shutil.rmtree(root / "loose")
    return root


def write_flickr30k(root: Path, images: list[MiniImage]) -> Path:
    """Write the layout of Flickr30k as its authors give it, with the usual split lists."""
    save_images(root / "flickr30k-images", images)
    lines = [f"{p.name}#{n}\t{c}\n" for p in images for n, c in enumerate(p.captions)]
    (root / "results_20130124.token").write_text("".join(lines), encoding="utf-8")
    for split in ("train", "val", "test"):
        names = [p.name.removesuffix(".jpg") + "\n" for p in images if p.split == split]
        (root / f"{split}.txt").write_text("".join(names), encoding="utf-8")
    return root


def by_split(images: list[MiniImage]) -> dict[str, list[MiniImage]]:
    """Return the images of each split that has any."""
    splits = {split: [p for p in images if p.split == split] for split in ("train", "val", "test")}
    return {split: chosen for split, chosen in splits.items() if chosen}


def write_json_lists(root: Path, images: list[MiniImage]) -> Path:
    """Write BLIP's lists: an entry per caption for training, one per image otherwise."""
    save_images(root / "images", images)
    for split, chosen in by_split(images).items():
        entries: list[dict[str, object]] = []
        for p in chosen:
            named = {"image": f"images/{p.name}", "image_id": p.name}
            if split == "train":
                entries += [{**named, "caption": caption} for caption in p.captions]
            else:
                entries.append({**named, "caption": p.captions})
        path = root / f"coco_karpathy_{split}.json"
        path.write_text(json.dumps(entries, ensure_ascii=False), encoding="utf-8")
    return root


def write_json_maps(root: Path, images: list[MiniImage]) -> Path:
    """Write files that map images to captions, with names that lack the suffix."""
    save_images(root / "images", images)
    for split, chosen in by_split(images).items():
        content = {p.name.removesuffix(".jpg"): p.captions for p in chosen}
        path = root / f"{split}.json"
        path.write_text(json.dumps(content, ensure_ascii=False), encoding="utf-8")
    return root


def write_textcaps(root: Path, images: list[MiniImage]) -> Path:
    """Write TextCaps's files: an entry per caption, each with all captions of its image."""
    save_images(root / "train_images", images)
    for split, chosen in by_split(images).items():
        data = [
            {
                "image_id": p.name.removesuffix(".jpg"),
                "caption_id": number,
                "caption_str": caption,
                "reference_strs": p.captions,
                "set_name": split,
            }
            for p in chosen
            for number, caption in enumerate(p.captions)
        ]
        content = {"dataset_type": split, "dataset_name": "textcaps", "data": data}
        path = root / f"TextCaps_0.1_{split}.json"
        path.write_text(json.dumps(content, ensure_ascii=False), encoding="utf-8")
    return root


def write_roco(root: Path, images: list[MiniImage]) -> Path:
    """Write ROCO's folders, with the table of the training split and the text of others."""
    for split, chosen in by_split(images).items():
        folder = root / {"val": "validation"}.get(split, split) / "radiology"
        save_images(folder / "images", chosen)
        rows = [(f"ROCO_{n}", p.name, c) for n, p in enumerate(chosen) for c in p.captions]
        if split == "train":
            with (folder / "traindata.csv").open("w", newline="", encoding="utf-8") as file:
                csv.writer(file).writerows([("id", "name", "caption"), *rows])
        else:
            lines = [f"{name.removesuffix('.jpg')}\t{caption}\n" for _, name, caption in rows]
            (folder / "captions.txt").write_text("".join(lines), encoding="utf-8")
    return root


def write_rocov2(root: Path, images: list[MiniImage]) -> Path:
    """Write ROCOv2's tables of captions, and those of concepts, which have none."""
    for split, chosen in by_split(images).items():
        save_images(root / f"{split}_images", chosen)
        rows = [(p.name.removesuffix(".jpg"), c) for p in chosen for c in p.captions]
        concepts = [(p.name.removesuffix(".jpg"), "C0040405;C0817096") for p in chosen]
        tables = {
            "captions": [("ID", "Caption"), *rows],
            "concepts": [("ID", "CUIs"), *concepts],
        }
        for name, table in tables.items():
            with (root / f"{split}_{name}.csv").open("w", newline="", encoding="utf-8") as file:
                csv.writer(file).writerows(table)
    return root


def write_joined_tables(root: Path, images: list[MiniImage]) -> Path:
    """Write a table of images and one of captions, with an id in common."""
    save_images(root / "images", images)
    with (root / "projections.csv").open("w", newline="", encoding="utf-8") as file:
        rows = [(n, p.name, p.split) for n, p in enumerate(images)]
        csv.writer(file).writerows([("uid", "filename", "split"), *rows])
    with (root / "reports.csv").open("w", newline="", encoding="utf-8") as file:
        reports = [(n, json.dumps(p.captions), "normal") for n, p in enumerate(images)]
        csv.writer(file).writerows([("uid", "findings", "MeSH"), *reports])
    return root


def write_zipped(root: Path, images: list[MiniImage]) -> Path:
    """Write a table beside an archive of its images."""
    write_table(root, images)
    with zipfile.ZipFile(root / "images.zip", "w") as archive:
        for path in sorted((root / "images").iterdir()):
            archive.write(path, f"images/{path.name}")
    shutil.rmtree(root / "images")
    return root


def write_parquet(root: Path, images: list[MiniImage], *, rows_in_a_file: int = 3) -> Path:
    """Write Parquet files with the images' bytes, as the Hub has them."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    save_images(root / "loose", images)
    (root / "data").mkdir()
    for split, chosen in by_split(images).items():
        for number in range(0, len(chosen), rows_in_a_file):
            part = chosen[number : number + rows_in_a_file]
            cells = [
                {"bytes": (root / "loose" / p.name).read_bytes(), "path": p.name} for p in part
            ]
            table = pa.table({"image": cells, "captions": [list(p.captions) for p in part]})
            name = {"val": "validation"}.get(split, split)
            pq.write_table(table, root / "data" / f"{name}-{number:05d}-of-00009.parquet")
    shutil.rmtree(root / "loose")
    return root
