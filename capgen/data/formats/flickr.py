"""The official layouts of Flickr8k and Flickr30k.

Captions: lines of `NAME.jpg#0<TAB>caption` (Hodosh et al. 2013, Young et al. 2014).
Splits: one image per line in `Flickr_8k.{train,dev,test}Images.txt`, or for Flickr30k
`{train,val,test}.txt` with or without `.jpg`.
"""

from __future__ import annotations

from pathlib import Path

from capgen.data.formats.image_index import ImageIndex, first_folder
from capgen.data.formats.reading import Collector, Reading, ReadOptions
from capgen.data.problems import Problem, Report
from capgen.data.text_files import read_lines
from capgen.errors import DataError

DESCRIPTION = "`Flickr8k.token.txt` or `results_20130124.token`, a folder of images, split lists"

_TOKENS = ("Flickr8k.token.txt", "results_20130124.token", "results.token")
_FOLDERS = ("", "Flickr8k_text", "Flickr8k_text/Flickr8k_text", "flickr30k", "annotations", "text")
_IMAGES = (
    "Flicker8k_Dataset",
    "Flickr8k_Dataset",
    "Flicker8k_Dataset/Flicker8k_Dataset",
    "Images",
    "images",
    "flickr30k-images",
    "flickr30k_images",
)
_LISTS = {
    "Flickr_8k.trainImages.txt": "train",
    "Flickr_8k.devImages.txt": "val",
    "Flickr_8k.testImages.txt": "test",
    "train.txt": "train",
    "val.txt": "val",
    "test.txt": "test",
}


def token_file(root: Path) -> Path | None:
    """Return the caption file of the layout, if `root` has one."""
    paths = (root / folder / name for folder in _FOLDERS for name in _TOKENS)
    return next(filter(Path.is_file, paths), None)


def read(root: Path, options: ReadOptions, report: Report) -> Reading:
    """Read the layout."""
    tokens = token_file(root)
    if tokens is None:
        raise DataError(f"No caption file ({' or '.join(_TOKENS)}) in {root}")
    images = ImageIndex(options.images or first_folder(root, _IMAGES) or root)
    if not images.paths:
        raise DataError(
            f"No images in {images.root}; looked for {', '.join(_IMAGES)}",
            hint="Name their folder with --images.",
        )
    collector = Collector(report)
    for number, line in read_lines(tokens, report):
        key, tab, text = line.partition("\t")
        name, mark, index = key.strip().rpartition("#")
        if not (tab and mark and index.isdigit()):
            message = f"expected NAME#NUMBER, a tab and a caption, not {line[:60]!r}"
            report(Problem(code="malformed_line", message=message, file=tokens, line=number))
            continue
        image = images.find(name)
        collector.caption(images.image_id(image), image, text, tokens, number)
    _read_lists(tokens.parent, images, collector, report)
    return collector.reading(images=images.paths)


def _read_lists(folder: Path, images: ImageIndex, collector: Collector, report: Report) -> None:
    for file_name, split in _LISTS.items():
        path = folder / file_name
        if not path.is_file():
            continue
        for number, line in read_lines(path, report):
            name = line.strip()
            name = name if name.lower().endswith(".jpg") else f"{name}.jpg"
            collector.split(images.image_id(images.find(name)), split, path, number)
