"""Reads JSON files, and names the fault of those that are wrong."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from capgen.errors import CapgenError, DataError


def read_json(path: Path, fault: type[CapgenError]) -> dict[str, Any]:
    """Return the object in a JSON file.

    Args:
        path: The file.
        fault: The error to raise if it cannot be read, or is not a JSON object in UTF-8.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise fault(f"Cannot read {path}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise fault(f"{path} is not UTF-8") from error
    content = parse_json(text, path, fault=fault)
    if not isinstance(content, dict):
        raise fault(f"{path} is not a JSON object")
    return content


def parse_json(
    text: str,
    path: Path,
    *,
    line: int = 1,
    unique_keys: bool = False,
    fault: type[CapgenError] = DataError,
) -> Any:
    """Return the value of a JSON text.

    Args:
        text: The text.
        path: Its file, for messages.
        line: The line of the file where it begins.
        unique_keys: Refuse objects that have a key twice.
        fault: The error to raise if it is not JSON; the message names file and line.
    """

    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        content = dict(pairs)
        if len(content) < len(pairs):
            names = [name for name, _ in pairs]
            twice = next(name for name in names if names.count(name) > 1)
            raise fault(f"{path}: {twice!r} occurs twice")
        return content

    try:
        return json.loads(text, object_pairs_hook=unique if unique_keys else None)
    except json.JSONDecodeError as error:
        raise fault(f"{path}:{line + error.lineno - 1}: not valid JSON ({error.msg})") from error
    except ValueError as error:  # a number with more digits than Python reads
        raise fault(f"{path}: not valid JSON ({error})") from error
    except RecursionError as error:
        raise fault(f"{path}: JSON nested too deeply") from error
