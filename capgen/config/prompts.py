"""What to ask of a model that follows prompts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from capgen.config.fields import setting

# What the names of prompts stand for, in models that are asked in plain words.
NAMED_PROMPTS = {
    "caption": "Describe this image in one short sentence.",
    "alt": "Write alternative text for this image, in one sentence of at most 125 characters. "
    'Say what matters in it. Do not begin with "image of" or "photo of".',
    "detailed": "Describe this image in detail, in one paragraph.",
    "tags": "List what is in this image as short lowercase tags, separated by commas. "
    "Write nothing else.",
}

# Most tokens of an answer, by the name of its prompt; "" is for the user's own words.
ANSWER_TOKENS = {"caption": 64, "alt": 64, "detailed": 320, "tags": 128, "": 256}


@dataclass(frozen=True, kw_only=True)
class PromptOptions:
    """What a caller asks of a model in words; None means the model's own default."""

    PANEL: ClassVar[str] = "Prompt"

    prompt: str | None = setting(
        None,
        f"What to ask of the model: {', '.join(NAMED_PROMPTS)}, or your own words. Models that "
        "follow no prompts begin the caption with these words.",
    )
    system: str | None = setting(None, "System message, for models with a chat template.")
