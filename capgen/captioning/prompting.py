"""What a model is asked about each image: the prompt and the start, filled in and checked."""

from __future__ import annotations

from collections.abc import Sequence

from capgen.captioning.placeholders import name_key, placeholder_values, without_marks
from capgen.captioning.prepare import Prepared
from capgen.captioning.prompts import Prompt
from capgen.captioning.runtimes.base import Runtime
from capgen.config import DecodeSettings
from capgen.config.templates import fill, placeholders
from capgen.errors import UsageError
from capgen.images.decoders import printable
from capgen.images.load import ImageSource
from capgen.records import CaptionFailure


class Prompting:
    """Asks a model about images.

    Args:
        runtime: The model.
        asked: What was asked for.

    Raises:
        UsageError: The model cannot be asked that.
    """

    def __init__(self, runtime: Runtime, asked: Prompt) -> None:
        self._runtime = runtime
        self._prompt = runtime.prompt_for(asked)
        self._start = asked.start_with
        self._system = asked.system
        self.placeholders = placeholders(self._prompt) | placeholders(self._start)

    @property
    def asked(self) -> dict[str, str]:
        """What is asked of all images, as records have it: `prompt`, `system`, `start_with`."""
        asked = {"prompt": self._prompt, "system": self._system, "start_with": self._start}
        return {name: text for name, text in asked.items() if text}

    def of_image(self, path: str | None, image: ImageSource) -> tuple[str, str]:
        """Return the prompt and the start for an image; `path` is its name in records."""
        data = image if isinstance(image, bytes) else None
        wanted = self.placeholders
        values = placeholder_values(path, data, wanted) if wanted else {}
        if self._runtime.answers:
            values = {name: without_marks(text) for name, text in values.items()}
        return fill(self._prompt, values), fill(self._start, values)

    def name_key(self, path: str | None) -> str:
        """Return what captions depend on in an image's name: nothing unless the prompt says so."""
        return name_key(path, self.placeholders)

    def check(self, settings: DecodeSettings) -> tuple[str, ...]:
        """Check what is the same for all images; return notes on it.

        Raises:
            UsageError: The model cannot be asked that with these settings.
        """
        if self.placeholders:
            return ()
        return self._runtime.check_prompt(*self.of_image(None, b""), settings.max_length)

    def check_each(
        self, batch: Sequence[Prepared], settings: DecodeSettings
    ) -> list[tuple[str, ...] | CaptionFailure]:
        """Check prompts that were filled in: notes on each, or why it cannot be used."""
        if not self.placeholders:
            return [()] * len(batch)
        return [self._checked(item, settings) for item in batch]

    def _checked(
        self, item: Prepared, settings: DecodeSettings
    ) -> tuple[str, ...] | CaptionFailure:
        asked = item.input
        try:
            return self._runtime.check_prompt(asked.prompt, asked.start, settings.max_length)
        except UsageError as error:
            name = "the image" if item.path is None else printable(item.path)
            message = f"{name}: {error.message}"
            return CaptionFailure(
                path=item.path, code="prompt", message=message, hint=error.hint, sha256=item.sha256
            )
