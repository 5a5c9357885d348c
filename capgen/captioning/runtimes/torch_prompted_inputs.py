"""What a model's own processor makes of an image and of what is asked about it."""

from __future__ import annotations

import copy
import logging
import re
import threading
from collections.abc import Mapping
from functools import lru_cache
from typing import Any, Self

from PIL import Image

from capgen.captioning.prompts import Prompt
from capgen.captioning.runtimes.base import ModelInput
from capgen.captioning.runtimes.image_shapes import with_enough_sides
from capgen.captioning.runtimes.prompt_words import words_for
from capgen.captioning.runtimes.torch_prompted_batches import Prepared
from capgen.config.templates import placeholders
from capgen.errors import ImageError, UsageError
from capgen.models.chat import ChatText, ChatWriter
from capgen.models.folder import ModelFolder
from capgen.models.foreign_errors import first_line, model_errors
from capgen.models.loading import quiet_transformers
from capgen.models.processors import load_processor, share_tokenizers

logger = logging.getLogger(__name__)
# What processors raise for an image or a prompt that they did not expect.
_PROCESSOR_ERRORS = (
    *(ArithmeticError, AssertionError, AttributeError, LookupError),
    *(RuntimeError, StopIteration, TypeError, ValueError),
)
# A prompt is tried with this image before any other.
_SAMPLE = Image.new("RGB", (32, 32))
_ABOUT_PROMPTS = re.compile(r"\b(?:prompts?|tokens?|text)\b", re.IGNORECASE)
_ONLY_WORDS = "The names of special tokens, as <image>, mean something else to the model."


class _PromptRefusedError(Exception):
    """The model's processor takes no such prompt."""


class PromptedInputs:
    """Prepares images and prompts for a model, with the processor in its folder. Thread-safe.

    Args:
        folder: The model's folder.
        system: The system message, or an empty string.
        own_code: Whether the processor is code of the model's own, which may not be thread-safe.

    Raises:
        ModelError: The processor cannot be loaded.
    """

    def __init__(self, folder: ModelFolder, system: str, *, own_code: bool) -> None:
        self._folder = folder
        self._kind = str(folder.config.get("model_type"))
        self._own_code = own_code
        with quiet_transformers(), model_errors(folder.name, "its processor cannot be loaded"):
            self.processor = load_processor(folder, own_code=own_code)
        share_tokenizers(self.processor)
        self._lock = threading.Lock()
        self._write_for(system)

    def _write_for(self, system: str) -> None:
        writer = ChatWriter(self.processor, self._kind, system)
        self.text = lru_cache(maxsize=256)(writer.write)

    def with_system(self, system: str) -> Self:
        """Return what prepares inputs with another system message."""
        other = copy.copy(self)
        other._write_for(system)
        return other

    def words_for(self, asked: Prompt) -> str:
        """Return what the model is asked, in the words that its kind understands.

        Raises:
            UsageError: It does not understand the name or the words, or has no place for a system
                message.
        """
        words = words_for(self._kind, asked)
        self.text(words)
        if not placeholders(words + asked.start_with):
            self._try(words, asked)
        return words

    def _try(self, words: str, asked: Prompt) -> None:
        """Let the processor prepare an image, before there are others."""
        try:
            self._processed(_SAMPLE, self.text(words), asked.start_with)
        except (_PromptRefusedError, *_PROCESSOR_ERRORS) as error:
            # Is it the prompt or the model? That takes at least its own default.
            default = ChatWriter(self.processor, self._kind).write(words_for(self._kind, Prompt()))
            with model_errors(self._folder.name, "its processor cannot prepare an image"):
                self._processed(_SAMPLE, default, "")
            if not asked.given:
                raise
            if isinstance(error, _PromptRefusedError):
                raise UsageError(str(error), hint=_ONLY_WORDS) from error
            message = f"the model cannot be asked that ({first_line(error)})"
            raise UsageError(message, hint=_ONLY_WORDS) from error

    def prepare(self, image: Image.Image, prompt: str, start: str = "") -> ModelInput:
        """Let the processor prepare an upright RGB image and its prompt.

        Code of the model's own does so later, in `content`.

        Raises:
            ImageError: The image's shape is too extreme, or its own prompt has a mark that means
                something else to the model.
        """
        image = with_enough_sides(image)
        if self._own_code:
            return ModelInput(image, prompt, start)
        try:
            return ModelInput(self._processed(image, self.text(prompt), start), prompt, start)
        except _PromptRefusedError as error:
            raise ImageError(str(error), code="prompt", hint=_ONLY_WORDS) from error
        except _PROCESSOR_ERRORS as error:
            # It took another image (see `_try`): this one is the matter.
            logger.debug("the processor of %s", self._folder.name, exc_info=True)
            message = f"the model's processor cannot prepare it ({first_line(error)})"
            raise ImageError(message, code="unreadable") from error

    def content(self, each: ModelInput) -> Prepared:
        """Return what the model gets of an input."""
        if isinstance(each.content, Image.Image):
            with self._lock:
                return self._processed(each.content, self.text(each.prompt), each.start)
        assert isinstance(each.content, Mapping)
        return each.content

    def _processed(self, image: Image.Image, asked: ChatText, start: str) -> Prepared:
        options: dict[str, Any] = {"add_special_tokens": False} if asked.complete else {}
        if asked.text or start:
            options["text"] = [asked.followed_by(start)]
        try:
            made = self.processor(images=[image], return_tensors="pt", **options)
        except ValueError as error:
            # Is it the image or what is asked about it? Processors tell in words only.
            if not _ABOUT_PROMPTS.search(str(error)):
                raise
            raise _PromptRefusedError(f"the model cannot be asked that: {error}") from error
        # Labels are for training.
        return {name: value for name, value in made.items() if name != "labels"}
