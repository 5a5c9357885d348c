"""The model that is asked about an image again: other captions, and where it looked.

It is loaded when it is first needed.
"""

from __future__ import annotations

import threading
from dataclasses import replace
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

from capgen.addresses import is_url
from capgen.config import DecodeOptions, ImageLimits, ModelOptions
from capgen.errors import ModelNotFoundError
from capgen.records import Caption, Record

if TYPE_CHECKING:
    from capgen.captioning.captioner import Captioner

COUNT = 5
# How alternatives are found, by the name that the page gives.
KINDS = {
    "beams": DecodeOptions(beams=2 * COUNT, num_captions=COUNT),
    "diverse": DecodeOptions(diverse=COUNT),
}


class ReviewModel:
    """Asks a model about images, one at a time. Thread-safe.

    Args:
        options: The model; None for the one that captioned each image, if it is on this machine.
        limits: The largest image to decode.
    """

    def __init__(self, options: ModelOptions | None, limits: ImageLimits) -> None:
        self._options = options
        self._limits = limits
        self._lock = threading.Lock()
        self._loaded: Captioner | None = None
        self._loaded_for: ModelOptions | None = None

    def alternatives(self, record: Record, image: Path, kind: str) -> list[dict[str, Any]]:
        """Return captions of an image, best first, without repeats.

        Args:
            record: The image's record.
            image: Its file.
            kind: A key of `KINDS`.

        Raises:
            CapgenError: The model cannot be loaded, or cannot caption the image.
        """
        with self._lock:
            caption = self._caption(self._captioner(record), image, KINDS[kind])
        scores = {each.text: each.score for each in reversed((caption, *caption.alternatives))}
        return [{"caption": text, "score": scores[text]} for text in reversed(scores)]

    def looked(self, record: Record, image: Path) -> bytes:
        """Return a PNG that shows where the model looked for each word of an image's caption.

        A caption without tokens, or of another model, is made again.

        Raises:
            CapgenError: The model cannot be loaded, or shows nothing of the kind.
        """
        from capgen.explain.explain import explain
        from capgen.explain.sheet import draw_sheet

        with self._lock:
            captioner = self._captioner(record)
            caption = record
            if not isinstance(caption, Caption) or not _is_of(caption, captioner):
                caption = self._caption(captioner, image, DecodeOptions())
            attention = explain(captioner, image, caption, limits=self._limits)
        said = " ".join(word.text for word in caption.words)
        caption = replace(caption, text=said, attention=attention.maps)
        buffer = BytesIO()
        draw_sheet(caption, attention.image).save(buffer, "PNG")
        return buffer.getvalue()

    def _caption(self, captioner: Captioner, image: Path, options: DecodeOptions) -> Caption:
        from capgen.captioning.to_record import caption_or_raise

        (record,) = captioner.stream([image], options, limits=self._limits)
        return caption_or_raise(record)

    def _captioner(self, record: Record) -> Captioner:
        """Return the captioner for a record, with what that record's model was asked."""
        from capgen.captioning.captioner import Captioner
        from capgen.captioning.prompts import Prompt

        options = self._options or _own_model(record)
        if self._loaded is None or self._loaded_for != options:
            self._loaded = None  # two models may not fit into the memory
            self._loaded = Captioner.from_options(options)
            self._loaded_for = options
        if self._options is not None or not isinstance(record, Caption) or record.prompt is None:
            return self._loaded
        system, start = (str(record.settings.get(name, "")) for name in ("system", "start_with"))
        prompt = Prompt(text=record.prompt, system=system, start_with=start)
        return Captioner(self._loaded.model, self._loaded.runtime, prompt=prompt)


def _own_model(record: Record) -> ModelOptions:
    """Return the model that a record names, if it is on this machine.

    A file from elsewhere must not make capgen fetch a model, or send an image to a server.
    """
    from capgen.models.resolve import is_here

    name = record.model
    if is_url(record.revision):
        raise ModelNotFoundError(
            f"The model {name} ran on a server, and is not on this machine",
            hint="Name a model with --model.",
        )
    if name and (is_url(name) or not is_here(name)):
        raise ModelNotFoundError(
            f"The model {name} is not on this machine",
            hint="Name one with --model, or pull it: capgen hub pull.",
        )
    return ModelOptions(model=name or None)


def _is_of(caption: Caption, captioner: Captioner) -> bool:
    """Whether a caption's tokens are those of a model."""
    known = (captioner.model.revision, captioner.model.fingerprint)
    placed = any(token.id is not None for token in caption.tokens)
    return placed and captioner.name == caption.model and caption.revision in known
