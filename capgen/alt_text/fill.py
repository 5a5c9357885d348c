"""Captions for images without alternative text: what is captioned, how, and where it goes."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from pathlib import Path

from capgen.alt_text.places import Place
from capgen.alt_text.site import Site, SiteImage
from capgen.captioning.batch.sources import FileSource, Source, UrlSource
from capgen.captioning.captioner import Captioner
from capgen.captioning.load_model import load_model
from capgen.captioning.prompts import Prompt, resolve_prompt
from capgen.config import NAMED_PROMPTS, ModelOptions
from capgen.errors import UsageError
from capgen.overwriting import real_place
from capgen.records import Caption

# What a model that follows prompts is asked, if nothing else is asked for.
_PROMPT = f"{NAMED_PROMPTS['alt']} {{page}}"


def sources(site: Site, *, download: bool) -> dict[str, Source]:
    """Return the images to caption, each once, by what tells them apart (see `image_key`)."""
    found: dict[str, Source] = {}
    for image in site.missing:
        key = image_key(image)
        if key in found or image.place.edit is None or image.is_drawing:
            continue
        if image.file is not None:
            found[key] = FileSource(os.fspath(image.file))
        elif download and image.address is not None:
            found[key] = UrlSource.at(image.address, allow_private=False)
    return found


def image_key(image: SiteImage) -> str:
    """Return what tells an image from others: its file, or its address."""
    return image.address or "" if image.file is None else real_place(image.file)


def contexts(site: Site, asked: Mapping[str, Source]) -> dict[str, dict[str, str]]:
    """Return name of an image in records → what its page says around it.

    An image that several pages show has the context of the first.
    """
    found: dict[str, dict[str, str]] = {}
    for image in site.missing:
        source = asked.get(image_key(image))
        if source is not None and source.name not in found:
            found[source.name] = _context(image.place)
    return found


def _context(place: Place) -> dict[str, str]:
    heading, paragraph = (text.replace('"', "'") for text in (place.heading, place.paragraph))
    parts = []
    if heading:
        parts.append(f'is under the heading "{heading}"')
    if paragraph:
        parts.append(f'is beside this text: "{paragraph}"')
    page = f"On its page the image {' and '.join(parts)}." if parts else ""
    return {"heading": heading, "paragraph": paragraph, "page": page}


def load_alt_captioner(
    model: ModelOptions, context: Mapping[str, Mapping[str, str]], *, threads: int | None = None
) -> Captioner:
    """Load the captioner that options name, to be asked for alternative texts.

    A model that follows prompts is told what the page says around each image, unless the options
    have a prompt of their own; it may have the same placeholders.
    """
    kind, runtime, load = load_model(model, threads=threads)
    prompt = resolve_prompt(model, context)
    if runtime.answers and model.prompt is None:
        in_page = Prompt("", _PROMPT, prompt.system, prompt.start_with, context)
        try:
            return Captioner(kind, runtime, load, in_page)
        except UsageError:  # it takes no free words
            prompt = Prompt("alt", NAMED_PROMPTS["alt"], prompt.system, prompt.start_with)
    return Captioner(kind, runtime, load, prompt)


def texts_of(records: Iterable[Caption], files: Mapping[int, Path | None]) -> dict[str, str]:
    """Return the text for each image by its key; of several the first that a person reviewed."""
    texts: dict[str, str] = {}
    reviewed = set[str]()
    for number, record in enumerate(records):
        file = files.get(number)
        key = (record.path or "") if file is None else real_place(file)
        if not record.text.strip() or (key in texts and (key in reviewed or not record.reviewed)):
            continue
        texts[key] = record.text
        if record.reviewed:
            reviewed.add(key)
    return texts
