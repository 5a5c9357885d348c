"""Prompts that have a name: capgen's own, and those in the user's settings file.

[prompts]
alt = "Describe this image in at most ten words."     # instead of capgen's own
postcard = "a postcard from {place}"                  # a new one
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from capgen.config.prompts import NAMED_PROMPTS
from capgen.config.templates import check_template
from capgen.config.toml_files import read_toml
from capgen.errors import UsageError

SECTION = "prompts"
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_-]*")


def is_prompt_name(text: str) -> bool:
    """Whether a text can be the name of a prompt: one word of letters, digits, - and _."""
    return _NAME.fullmatch(text) is not None


def own_prompts(path: Path) -> dict[str, str]:
    """Return the prompts in a settings file by name; it need not exist.

    Raises:
        UsageError: The file cannot be read, or its section of prompts is not one.
    """
    table = read_toml(path, required=False).get(SECTION, {})
    if not isinstance(table, Mapping):
        raise UsageError(
            f"{path}: {SECTION} is not a section",
            hint=f'Write a prompt under [{SECTION}], as in: short = "a photo of"',
        )
    return {name: check_named_prompt(name, text, where=str(path)) for name, text in table.items()}


def check_named_prompt(name: str, text: Any, *, where: str) -> str:
    """Return a prompt that the user gave a name.

    Raises:
        UsageError: The name is not one word, the prompt is empty or not text, or it has an
            unknown placeholder.
    """
    if not is_prompt_name(name):
        raise UsageError(
            f"{where}: '{name}' cannot be the name of a prompt",
            hint="Use one word of letters, digits, - and _.",
        )
    if not isinstance(text, str) or not text.strip():
        raise UsageError(f"{where}: the prompt {name} is {text!r}; it must be text")
    check_template(text, f"{where}: the prompt {name}")
    return text


def named_prompts(path: Path) -> dict[str, str]:
    """Return all prompts by name: those of a settings file, and capgen's own for the others."""
    return {**NAMED_PROMPTS, **own_prompts(path)}
