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
    """A photo with the model's caption of it.

    Attributes:
        name: Path of the photo in the repository.
        caption: What the model said.
        content: The photo, a JPEG without metadata.
        credit: Whose photo it is, as its pusher says.
    """

    name: str
    caption: str
    content: bytes
    credit: str = ""


def caption_examples(folder: ModelFolder, photos: list[Path], credit: str) -> list[Example]:
    """Caption photos with the model that is pushed.

    Raises:
        UsageError: A photo is part of an installed data set.
        ImageError: One cannot be read.
    """
    for photo in photos:
        if photo.resolve().is_relative_to(datasets_dir().resolve()):
            raise UsageError(
                f"{photo} is part of a data set, whose photos are not ours to publish",
                hint="Give photos of your own.",
            )
    captioner = Captioner.from_pretrained(folder.path)
    found = []
    for number, photo in enumerate(photos, 1):
        content = publishable(load_image(photo).image)
        caption = captioner.caption(photo).text
        found.append(Example(f"{EXAMPLES_FOLDER}/{number}.jpg", caption, content, credit))
    return found
