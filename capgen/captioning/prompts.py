"""What a captioner is asked: a named prompt or the user's own words."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from capgen.config.named_prompts import is_prompt_name, own_prompts
from capgen.config.prompts import NAMED_PROMPTS, PromptOptions
from capgen.paths import config_file


@dataclass(frozen=True)
class Prompt:
    """What a captioner is asked about every image.

    Attributes:
        name: A key of `NAMED_PROMPTS`, or "" for the user's own words, which they may have given
            a name in their settings. Each runtime knows what its model understands by a name.
        text: The user's own words, or the words that the name stands for. Empty if nothing was
            asked for: the model's default.
        system: The system message, or "".
        start_with: The words that the caption or answer begins with, or "".
        context: Name of an image → values of placeholders that neither the name nor the file
            gives, as the page that shows the image does.
    """

    name: str = ""
    text: str = ""
    system: str = ""
    start_with: str = ""
    context: Mapping[str, Mapping[str, str]] = field(default_factory=dict)

    @property
    def given(self) -> bool:
        """Whether anything was asked for."""
        return bool(self.text or self.system or self.start_with)


def resolve_prompt(
    options: PromptOptions, context: Mapping[str, Mapping[str, str]] | None = None
) -> Prompt:
    """Return the prompt that options ask for, about images with a context (see `Prompt`).

    The user's own prompts, in their settings file, come before capgen's.

    Raises:
        UsageError: That file is needed and cannot be used.
    """
    asked, system = options.prompt or "", options.system or ""
    start = one_spaced(options.start_with or "")
    if not is_prompt_name(asked):
        return Prompt("", asked, system, start, context or {})
    own = own_prompts(config_file())
    if asked in NAMED_PROMPTS and asked not in own:
        return Prompt(asked, NAMED_PROMPTS[asked], system, start, context or {})
    return Prompt("", own.get(asked, asked), system, start, context or {})


def one_spaced(text: str) -> str:
    """Return a text with one space wherever it has white space, and none at its ends.

    A space at the end would keep a model from beginning the next word: its tokens for words begin
    with their space.
    """
    return " ".join(text.split())
