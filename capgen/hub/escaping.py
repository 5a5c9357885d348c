"""Escape foreign text for a model card."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any


def inline(value: Any) -> str:
    """Return a value as text that cannot change the layout of the card."""
    if isinstance(value, Mapping):
        text = ", ".join(f"{key} {inline(item)}" for key, item in value.items())
    elif isinstance(value, list | tuple):
        text = "; ".join(inline(item) for item in value)
    else:
        text = value if isinstance(value, str) else json.dumps(value)
    return re.sub(r"([\\`*_<>\[\]|#])", r"\\\1", " ".join(text.split()))
