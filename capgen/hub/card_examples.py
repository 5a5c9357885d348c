"""Example images and captions for the model card."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from capgen.captioning.captioner import Captioner
from capgen.errors import UsageError
from capgen.hub.files import EXAMPLES_FOLDER
from capgen.images.load import load_image
from capgen.images.thumbnails import publishable
from capgen.models.folder import ModelFolder
from capgen.paths import datasets_dir


@dataclass(frozen=True)
class Example:
    """An image with the model's caption.

    `name` is its path in the repository, `content` a JPEG without metadata.
    """

    name: str
    caption: str
    content: bytes
    credit: str = ""


def caption_examples(folder: ModelFolder, images: list[Path], credit: str) -> list[Example]:
    """Caption images with the model to be pushed; images of data sets are refused."""
    for image in images:
        if image.resolve().is_relative_to(datasets_dir().resolve()):
            raise UsageError(
                f"{image} belongs to a data set, whose images may not be published",
                hint="Use your own images.",
            )
    captioner = Captioner.from_pretrained(folder.path)
    return [
        Example(
            name=f"{EXAMPLES_FOLDER}/{number}.jpg",
            caption=captioner.caption(image).text,
            content=publishable(load_image(image).image),
            credit=credit,
        )
        for number, image in enumerate(images, 1)
    ]
