"""Images with the captions of the model that is pushed, for its card."""

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
    """An image with the model's caption of it.

    Attributes:
        name: Path of the image in the repository.
        caption: What the model said.
        content: The image, a JPEG without metadata.
        credit: Whose image it is, as its pusher says.
    """

    name: str
    caption: str
    content: bytes
    credit: str = ""


def caption_examples(folder: ModelFolder, images: list[Path], credit: str) -> list[Example]:
    """Caption images with the model that is pushed.

    Raises:
        UsageError: An image is part of an installed data set.
        ImageError: One cannot be read.
    """
    for image in images:
        if image.resolve().is_relative_to(datasets_dir().resolve()):
            raise UsageError(
                f"{image} is part of a data set, whose images are not ours to publish",
                hint="Give images of your own.",
            )
    captioner = Captioner.from_pretrained(folder.path)
    found = []
    for number, image in enumerate(images, 1):
        content = publishable(load_image(image).image)
        caption = captioner.caption(image).text
        found.append(Example(f"{EXAMPLES_FOLDER}/{number}.jpg", caption, content, credit))
    return found
