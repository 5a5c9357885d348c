"""The user's own settings file: changes keep its comments and order."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from capgen.config.toml_files import read_toml
from capgen.errors import UsageError
from capgen.paths import write_text


def change_file(path: Path, section: str, name: str, value: Any) -> bool:
    """Set or remove a key of a TOML file, which need not exist yet.

    Args:
        path: The file.
        section: The table that has the key, as in `models.compare`; empty for the top.
        name: The key.
        value: A string, number or boolean; None removes the key.

    Returns:
        Whether the file changed: False if the key to remove was not there.

    Raises:
        UsageError: The file cannot be read, is not TOML, `section` is not a table in it, or the
            value is not valid text.
        StorageError: It cannot be written.
    """
    import tomlkit
    from tomlkit.exceptions import ParseError

    if isinstance(value, str):
        _check_text(name, value)
    read_toml(path, required=False)  # refuses what is not TOML
    text = path.read_text(encoding="utf-8-sig") if path.exists() else ""
    try:
        document: Any = tomlkit.parse(text)
    except (ParseError, RecursionError) as error:  # it follows nested values less far than tomllib
        raise UsageError(f"Cannot change {path}: {error}", hint="Correct the file.") from error
    table, parts = document, section.split(".") if section else []
    for number, part in enumerate(parts, start=1):
        if part not in table:
            if value is None:
                return False
            table[part] = tomlkit.table(is_super_table=number < len(parts))
        table = table[part]
        if not hasattr(table, "items"):
            raise UsageError(f"{path}: {section} is not a section", hint="Correct the file.")
    if value is None:
        if name not in table:
            return False
        del table[name]
    elif section or name in table:
        table[name] = value
    else:  # above the sections: after one, the key would belong to it
        write_text(path, tomlkit.dumps({name: value}) + tomlkit.dumps(document))
        return True
    write_text(path, tomlkit.dumps(document))
    return True


def _check_text(name: str, value: str) -> None:
    """Refuse text that TOML cannot hold: what the shell passed on was not UTF-8."""
    try:
        value.encode()
    except UnicodeEncodeError as error:
        raise UsageError(
            f"{name} cannot be {value!r}: it is not valid UTF-8",
            hint="Use a value, or the name of a file, that is valid text.",
        ) from error
