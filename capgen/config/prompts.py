"""What to ask of a model that follows prompts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from capgen.config.fields import flag_name, setting
from capgen.config.templates import PLACEHOLDERS, check_template

# What the names of prompts stand for, in models that are asked in plain words.
NAMED_PROMPTS = {
    "caption": "Describe this image in one short sentence.",
    "alt": "Write alternative text for this image, in one sentence of at most 125 characters. "
    'Say what matters in it. Do not begin with "image of" or "photo of".',
    "detailed": "Describe this image in detail, in one paragraph.",
    "tags": "List what is in this image as short lowercase tags, separated by commas. "
    "Write nothing else.",
}
_LISTED = ", ".join(f"{{{name}}}" for name in PLACEHOLDERS)

# Most tokens of an answer, by the name of its prompt; "" is for the user's own words.
ANSWER_TOKENS = {"caption": 64, "alt": 64, "detailed": 320, "tags": 128, "": 256}


@dataclass(frozen=True, kw_only=True)
class PromptOptions:
    """What a caller asks of a model in words; None means the model's own default.

    Raises:
        UsageError: A placeholder is unknown.
    """

    PANEL: ClassVar[str] = "Prompt"

    prompt: str | None = setting(
        None,
        f"What to ask of the model: {', '.join(NAMED_PROMPTS)}, a prompt of your settings, or "
        "your own words. Captioners that follow no instructions (the bundled one, BLIP, GIT) take "
        "your own words only, and begin the caption with them. "
        f"Filled in for each image: {_LISTED}.",
    )
    system: str | None = setting(None, "System message, for models with a chat template.")
    start_with: str | None = setting(
        None,
        "Words that the caption, or the answer to a prompt, begins with.",
    )

    def __post_init__(self) -> None:
        for name in ("prompt", "start_with"):
            text = getattr(self, name)
            if text is not None:
                check_template(text, flag_name(name))
