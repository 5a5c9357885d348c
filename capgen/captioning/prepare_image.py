"""Prepares an image for the model: loaded, upright, with what is asked about it."""

from __future__ import annotations

import hashlib
import os
from contextlib import ExitStack
from dataclasses import replace

from PIL import Image

from capgen.captioning.prepare import Prepared, failure_of
from capgen.captioning.prompting import Prompting
from capgen.captioning.runtimes.base import Runtime
from capgen.config import ImageLimits
from capgen.errors import ImageError
from capgen.images.decoders import printable
from capgen.images.load import MODEL_MARGIN, ImageSource, load_image, read_file
from capgen.images.thumbnails import thumbnail as make_thumbnail
from capgen.records import CaptionFailure


def prepare_image(
    runtime: Runtime,
    prompting: Prompting,
    image: ImageSource,
    *,
    path: str | None,
    sha256: str | None,
    limits: ImageLimits,
    thumbnail: bool,
    keep_image: bool,
) -> Prepared | CaptionFailure:
    """Load an image and make it the model's input; see `Captioner.prepare`."""
    if path is None and isinstance(image, str | os.PathLike):
        path = os.fspath(image)
    try:
        name = None if path is None else printable(path) or "''"
        if isinstance(image, str | os.PathLike):
            image = read_file(os.fspath(image), name or "''", limits)
        if isinstance(image, bytes) and sha256 is None:
            sha256 = hashlib.sha256(image).hexdigest()
        prompt, start = prompting.of_image(path, image)
        with ExitStack() as turn:
            loaded = load_image(
                image,
                limits=limits,
                name=name,
                size_hint=runtime.size_hint,
                margin=MODEL_MARGIN,
                turn=turn,
            )
            return Prepared(
                path=path,
                width=loaded.width,
                height=loaded.height,
                input=runtime.prepare(loaded.image, prompt, start),
                sha256=sha256,
                thumbnail=make_thumbnail(loaded.image) if thumbnail else None,
                image=_to_show(runtime, image, limits, name) if keep_image else None,
                prompt=prompt or None,
            )
    except (ImageError, MemoryError) as error:
        return replace(failure_of(error, path), sha256=sha256)


def _to_show(
    runtime: Runtime, image: ImageSource, limits: ImageLimits, name: str | None
) -> Image.Image:
    """Return an image for people to see: a large JPEG is decoded small for the model."""
    return load_image(image, limits=limits, name=name, size_hint=runtime.size_hint).image
