"""Settings files: TOML, with or without the byte order mark of Windows' editors."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

from capgen.errors import UsageError


def read_toml(path: Path, *, required: bool = True) -> dict[str, Any]:
    """Return what is in a TOML file.

    Args:
        path: The file.
        required: Whether it must be there; otherwise nothing is in it.

    Raises:
        UsageError: It cannot be read, or is not TOML.
    """
    try:
        return tomllib.loads(path.read_text(encoding="utf-8-sig"))
    except (OSError, ValueError) as error:
        if isinstance(error, FileNotFoundError) and not required:
            return {}
        raise UsageError(
            f"Cannot read the settings in {path}: {error}", hint="Correct the file."
        ) from error
