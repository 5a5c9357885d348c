"""Recipes: settings files that come with capgen, known by the file's name."""

from __future__ import annotations

from pathlib import Path

from capgen.errors import UsageError, did_you_mean

_FOLDER = Path(__file__).parent


def recipes() -> list[str]:
    """Return the names of the recipes."""
    return sorted(file.stem for file in _FOLDER.glob("*.toml"))


def find_settings(name: str | Path) -> Path:
    """Return a settings file, by path or by the name of a recipe.

    A recipe's name always means the recipe; write `./mini` for a file of the same name.

    Raises:
        UsageError: There is no such recipe.
    """
    if str(name) in recipes():
        return _FOLDER / f"{name}.toml"
    path = Path(name).expanduser()
    if path.is_file() or path.suffix or len(path.parts) != 1:
        return path  # if it is missing, reading it says so
    raise UsageError(
        f"There is no settings file or recipe '{name}'", hint=did_you_mean(str(name), recipes())
    )
