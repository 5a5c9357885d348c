"""Recipes: settings files that come with capgen, by the name of the file."""

from __future__ import annotations

from pathlib import Path

from capgen.errors import UsageError, did_you_mean

_FOLDER = Path(__file__).parent


def recipes() -> list[str]:
    """Return the names of the recipes."""
    return sorted(file.stem for file in _FOLDER.glob("*.toml"))


def find_settings(name: str | Path) -> Path:
    """Return a settings file, by path or by the name of a recipe.

    A recipe's name means the recipe wherever one is: `./mini` is a file called so.

    Raises:
        UsageError: There is none.
    """
    if str(name) in recipes():
        return _FOLDER / f"{name}.toml"
    path = Path(name).expanduser()
    if path.is_file() or path.suffix or len(path.parts) != 1:
        return path  # reading it says what is wrong with it
    raise UsageError(
        f"No settings file and no recipe '{name}'", hint=did_you_mean(str(name), recipes())
    )
