"""The user's own settings file, changed with its comments kept."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from capgen.config.toml_files import read_toml
from capgen.errors import UsageError
from capgen.paths import write_text


def change_file(path: Path, section: str, name: str, value: Any) -> bool:
    """Set a key of a TOML file, which is made if need be; comments and order stay.

    Args:
        path: The file.
        section: The table the key is in; empty for the top.
        name: The key.
        value: A string, number or boolean; None removes the key.

    Returns:
        Whether the file changed: not if a key to remove was not there.

    Raises:
        UsageError: It cannot be read, is not TOML, or has something else in the section's place.
        StorageError: It cannot be written.
    """
    import tomlkit

    read_toml(path, required=False)  # refuses what is not TOML
    text = path.read_text(encoding="utf-8-sig") if path.exists() else ""
    document: Any = tomlkit.parse(text)
    if section and section not in document:
        if value is None:
            return False
        document[section] = {}
    table = document[section] if section else document
    if not hasattr(table, "items"):
        raise UsageError(f"{path}: {section} is not a section", hint="Correct the file.")
    if value is None:
        if name not in table:
            return False
        del table[name]
    elif section or name in table:
        table[name] = value
    else:  # at the top: after a table it would be the table's
        line = tomlkit.dumps({name: value})
        write_text(path, line + tomlkit.dumps(document))
        return True
    write_text(path, tomlkit.dumps(document))
    return True
