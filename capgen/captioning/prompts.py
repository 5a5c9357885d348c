"""What a captioner is asked: a named prompt or the user's own words."""

from __future__ import annotations

from dataclasses import dataclass

from capgen.config.prompts import NAMED_PROMPTS, PromptOptions


@dataclass(frozen=True)
class Prompt:
    """What a captioner is asked about every image.

    Attributes:
        name: A key of `NAMED_PROMPTS`, or "" for the user's own words. Each runtime knows what
            its model understands by a name.
        text: The user's own words, or the words that the name stands for. Empty if nothing was
            asked for: the model's default.
        system: The system message, or "".
    """

    name: str = ""
    text: str = ""
    system: str = ""


def resolve_prompt(options: PromptOptions) -> Prompt:
    """Return the prompt that options ask for."""
    asked, system = options.prompt or "", options.system or ""
    if asked in NAMED_PROMPTS:
        return Prompt(asked, NAMED_PROMPTS[asked], system)
    return Prompt("", asked, system)
