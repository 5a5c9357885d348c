"""What models that take task words, or prompts of their own, are asked.

Every other model gets the words of `NAMED_PROMPTS` as they are.
"""

from __future__ import annotations

from collections.abc import Mapping

from capgen.captioning.prompts import Prompt
from capgen.config.prompts import NAMED_PROMPTS
from capgen.errors import UsageError

# Asked if nothing is.
DEFAULT = "caption"
# Kind of model → what it is asked, by the name of the prompt. Florence-2, PaliGemma and Kosmos-2:
# their model cards. InstructBLIP: in the manner of its paper's instructions (Dai et al., 2023).
# BLIP-2 captions if it is asked nothing, and answers what follows "Question:".
TASKS: Mapping[str, Mapping[str, str]] = {
    "florence2": {
        "caption": "<CAPTION>",
        "alt": "<DETAILED_CAPTION>",
        "detailed": "<MORE_DETAILED_CAPTION>",
    },
    "paligemma": {"caption": "caption en", "alt": "caption en", "detailed": "describe en"},
    "kosmos-2": {
        "caption": "An image of",
        "alt": "An image of",
        "detailed": "Describe this image in detail:",
    },
    "blip-2": {"caption": "", "alt": ""},
    "instructblip": {
        "caption": "Write a short description for the image.",
        "alt": "Write a short description for the image.",
        "detailed": "Write a detailed description for the image.",
        "tags": NAMED_PROMPTS["tags"],
    },
}


def words_for(kind: str, asked: Prompt) -> str:
    """Return what a model of some kind (`model_type`) is asked, without a system message.

    Raises:
        UsageError: The model has nothing that the name of the prompt stands for.
    """
    if asked.text and not asked.name:
        return asked.text
    name = asked.name or DEFAULT
    tasks = TASKS.get(kind)
    if tasks is None:
        return asked.text or NAMED_PROMPTS[name]
    if name not in tasks:
        raise UsageError(
            f"A '{kind}' model does not understand --prompt {name}",
            hint=f"It understands {', '.join(tasks)}, or your own words.",
        )
    return tasks[name]
