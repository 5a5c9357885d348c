"""Reads the keys of the review page from its script."""

from __future__ import annotations

import re
from pathlib import Path

SCRIPT = Path(__file__).parent.parent / "review_page" / "static" / "keys.js"
_ROW = re.compile(r'\[(\[[^\]]*\]|"123456789"\.split\(""\)), "\w+", "([^"]+)"\]')
_SIGNS = {"ArrowDown": "↓", "ArrowRight": "→", "ArrowUp": "↑", "ArrowLeft": "←"}


def review_keys() -> list[tuple[list[str], str]]:
    """Return the keys of each command, as people read them, with what it does."""
    rows = _ROW.findall(SCRIPT.read_text(encoding="utf-8"))
    return [(_names(keys), what) for keys, what in rows]


def _names(keys: str) -> list[str]:
    if not keys.startswith("["):
        return ["1 – 9"]
    return [_SIGNS.get(key, key) for key in re.findall(r'"([^"]+)"', keys)]
