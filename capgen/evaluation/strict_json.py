"""JSON files from elsewhere: read whole, with every fault named."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from capgen.data.problems import stopping
from capgen.data.text_files import read_text
from capgen.errors import DataError


def read_json(path: Path) -> Any:
    """Return the content of a JSON file.

    Raises:
        DataError: It cannot be read, is not UTF-8 or not JSON, or an object has the same key
            twice, of which a reader would see the last only.
    """
    return parse_json(read_text(path, stopping([])), path)


def read_json_lines(path: Path) -> list[Any]:
    """Return the values of a JSON Lines file.

    Raises:
        DataError: As for `read_json`; the message names the line.
    """
    lines = enumerate(read_text(path, stopping([])).split("\n"), start=1)
    return [parse_json(line, path, number) for number, line in lines if line.strip()]


def parse_json(text: str, path: Path, line: int = 1) -> Any:
    """Return the value of a JSON text that begins in some line of a file.

    Raises:
        DataError: It is not JSON, or an object has the same key twice.
    """

    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        content = dict(pairs)
        if len(content) < len(pairs):
            names = [name for name, _ in pairs]
            twice = next(name for name in names if names.count(name) > 1)
            raise DataError(f"{path}: {twice!r} occurs twice")
        return content

    try:
        return json.loads(text, object_pairs_hook=unique)
    except json.JSONDecodeError as error:
        raise DataError(
            f"{path}:{line + error.lineno - 1}: not valid JSON ({error.msg})"
        ) from error
    except RecursionError as error:
        raise DataError(f"{path}: JSON nested too deeply") from error
