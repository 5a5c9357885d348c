"""Reads settings files: TOML, with or without the byte order mark of Windows' editors."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

from capgen.errors import UsageError


def read_toml(path: Path, *, required: bool = True) -> dict[str, Any]:
    """Return the content of a TOML file; nothing if it is missing and not required.

    Raises:
        UsageError: It cannot be read, or is not TOML.
    """
    try:
        return tomllib.loads(path.read_text(encoding="utf-8-sig"))
    except RecursionError as error:
        raise UsageError(
            f"Cannot read the settings in {path}: its values are nested too deeply",
            hint="Correct the file.",
        ) from error
    except (OSError, ValueError) as error:
        if isinstance(error, FileNotFoundError) and not required:
            return {}
        raise UsageError(
            f"Cannot read the settings in {path}: {error}", hint="Correct the file."
        ) from error
