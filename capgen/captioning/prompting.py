"""What a model is asked about each image: the prompt and the start, filled in and checked."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TypeVar

from capgen.captioning.prepare import Prepared
from capgen.captioning.prompts import Prompt
from capgen.captioning.runtimes.base import Runtime
from capgen.config import DecodeSettings
from capgen.config.prompts import ANSWER_TOKENS
from capgen.config.templates import fill, placeholders
from capgen.errors import UsageError
from capgen.images.decoders import printable
from capgen.images.load import ImageSource
from capgen.records import Caption, CaptionFailure, Record

# An image, and notes on what it is asked.
Noted = tuple[Prepared, tuple[str, ...]]
_Result = TypeVar("_Result")


class Prompting:
    """Asks a model about images.

    Args:
        runtime: The model.
        prompt: What was asked for.

    Attributes:
        runtime: The model.
        prompt: What was asked for, before this model's words for it are looked up.
        placeholders: Names of what is filled in for each image.

    Raises:
        UsageError: The model cannot be asked that.
    """

    def __init__(self, runtime: Runtime, prompt: Prompt) -> None:
        self.runtime = runtime
        self.prompt = prompt
        self._text = runtime.prompt_for(prompt)
        self.placeholders = placeholders(self._text) | placeholders(prompt.start_with)

    @property
    def asked(self) -> dict[str, str]:
        """What is asked of all images, as records have it: `prompt`, `system`, `start_with`."""
        prompt = self.prompt
        asked = {"prompt": self._text, "system": prompt.system, "start_with": prompt.start_with}
        return {name: text for name, text in asked.items() if text}

    @property
    def answer_tokens(self) -> int | None:
        """How long an answer may be by default; None if the model answers none."""
        if not self.runtime.answers:
            return None
        prompt = self.prompt
        return ANSWER_TOKENS[prompt.name if prompt.name or prompt.text else "caption"]

    def of_image(self, path: str | None, image: ImageSource) -> tuple[str, str]:
        """Return the prompt and the start for an image; `path` is its name in records."""
        values = {}
        if self.placeholders:
            from capgen.captioning.placeholders import placeholder_values, without_marks

            data = image if isinstance(image, bytes) else None
            values = placeholder_values(path, data, self.placeholders, self._context(path))
            if self.runtime.answers:
                values = {name: without_marks(text) for name, text in values.items()}
        return fill(self._text, values), fill(self.prompt.start_with, values)

    def name_key(self, path: str | None) -> str:
        """Return what captions depend on in an image's name: nothing unless the prompt says so."""
        if not self.placeholders:
            return ""
        from capgen.captioning.placeholders import name_key

        return name_key(path, self.placeholders, self._context(path))

    def is_outdated(self, record: Record) -> bool:
        """Whether the image of a record would be asked something else now: its page changed."""
        if not self.prompt.context or not isinstance(record, Caption):
            return False
        from capgen.captioning.placeholders import OF_METADATA

        of_content = not OF_METADATA.isdisjoint(self.placeholders)
        return not of_content and (record.prompt or "") != self.of_image(record.path, b"")[0]

    def _context(self, path: str | None) -> Mapping[str, str]:
        return {} if path is None else self.prompt.context.get(path, {})

    def check(self, settings: DecodeSettings) -> tuple[str, ...]:
        """Check what is the same for all images; return notes on it.

        Raises:
            UsageError: The model cannot be asked that with these settings.
        """
        if self.placeholders:
            return ()
        return self.runtime.check_prompt(*self.of_image(None, b""), settings.max_length)

    def for_usable(
        self,
        function: Callable[[Sequence[Noted]], Iterable[_Result]],
        batch: Sequence[Prepared],
        settings: DecodeSettings,
    ) -> list[_Result | CaptionFailure]:
        """Return `function`'s results for the images whose prompts, filled in, the model takes.

        The others become failures. `function` is given at least one image.
        """
        if not self.placeholders:
            return [*function([(item, ()) for item in batch])] if batch else []
        checked = [self._checked(item, settings) for item in batch]
        usable = [each for each in checked if not isinstance(each, CaptionFailure)]
        results = iter(function(usable) if usable else ())
        return [each if isinstance(each, CaptionFailure) else next(results) for each in checked]

    def _checked(self, item: Prepared, settings: DecodeSettings) -> Noted | CaptionFailure:
        asked = item.input
        try:
            notes = self.runtime.check_prompt(asked.prompt, asked.start, settings.max_length)
            return item, notes
        except UsageError as error:
            name = "the image" if item.path is None else printable(item.path)
            message = f"{name}: {error.message}"
            return CaptionFailure(
                path=item.path, code="prompt", message=message, hint=error.hint, sha256=item.sha256
            )
