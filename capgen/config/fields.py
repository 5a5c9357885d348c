"""How settings are declared, checked, and read from text."""

from __future__ import annotations

import dataclasses
import json
import math
import numbers
import os
import re
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

from capgen.errors import UsageError, did_you_mean

# Bytes; as text with or without a unit.
Bytes = int


def setting(
    default: Any,
    help: str,
    *,
    low: float | None = None,
    high: float | None = None,
    choices: tuple[str, ...] = (),
    flags: str = "",
    panel: str = "",
    remembered: bool = True,
) -> Any:
    """Declare a dataclass field that can be an option.

    Args:
        default: The default.
        help: What it does.
        low: Least value.
        high: Greatest value.
        choices: The values there are.
        flags: The option's flags with spaces between them, where it has a short one, or not
            the field's name; with `/` before the flag that switches it off.
        panel: Where help shows it, if not where the class has its other fields (`PANEL`).
        remembered: Whether the environment and the user's settings file can set it.
    """
    metadata = {"help": help, "low": low, "high": high, "choices": choices}
    metadata |= {"flags": flags, "panel": panel, "remembered": remembered}
    return dataclasses.field(default=default, metadata=metadata)


def flag_name(field_name: str) -> str:
    """Return the command-line flag of a field, as in `max_length` → `--max-length`."""
    return "--" + field_name.replace("_", "-")


def accepted(field: Any) -> str:
    """Return in words what a field accepts, as in ` (1 to 64)`; nothing if it accepts all."""
    low, high = field.metadata["low"], field.metadata["high"]
    if field.metadata["choices"]:
        return f" ({', '.join(field.metadata['choices'])})"
    if low is not None and high is not None:
        return f" ({low} to {high})"
    return "" if low is None else f" (at least {low})"


def check_ranges(config: Any) -> None:
    """Check each field of a settings object against its declared range.

    Raises:
        UsageError: Naming the flag, the value and the range.
    """
    for field in dataclasses.fields(config):
        value = getattr(config, field.name)
        if value is None:
            continue
        low, high = field.metadata.get("low"), field.metadata.get("high")
        choices = field.metadata.get("choices", ())
        if choices and value not in choices:
            raise UsageError(
                f"{flag_name(field.name)} is {value!r}; it must be one of {', '.join(choices)}"
            )
        if low is None and high is None:
            continue
        if not _is_number(value):
            raise UsageError(f"{flag_name(field.name)} is {value!r}; it must be a number")
        if "float" not in str(field.type) and not isinstance(value, numbers.Integral):
            raise UsageError(f"{flag_name(field.name)} is {value!r}; it must be a whole number")
        if (low is not None and value < low) or (high is not None and value > high):
            raise UsageError(f"{flag_name(field.name)} is {value}; it must be {_range(low, high)}")


def parse_setting(config_class: Any, name: str, text: str) -> Any:
    """Return the value of a setting given as text, by the type of its field.

    Args:
        config_class: A settings class of this module.
        name: The field, with dashes or underscores.
        text: The value; true, false, yes, no, 1 and 0 are booleans; `none` means not set;
            several values are a JSON list of strings, and one alone is itself.

    Raises:
        UsageError: There is no such setting, or the text is not of its type.
    """
    fields = {field.name: str(field.type) for field in dataclasses.fields(config_class)}
    name = name.replace("-", "_")
    if name not in fields:
        raise UsageError(f"Unknown setting '{name}'", hint=did_you_mean(name, fields))
    kind, _, optional = fields[name].partition(" | ")
    if optional and text.lower() == "none":
        return None
    if kind.startswith("tuple"):
        return tuple(_string_list(text)) or (text,)
    several = _string_list(text) if "tuple" in optional else []
    if several:
        return tuple(_path(item) if kind == "Path" else item for item in several)
    if kind == "bool":
        if text.lower() not in BOOLEANS:
            raise UsageError(f"{flag_name(name)} is {text!r}; it must be true or false")
        return BOOLEANS[text.lower()]
    readers: dict[str, Callable[[str], Any]]
    readers = {"int": int, "float": float, "str": str, "Path": _path, "Bytes": parse_bytes}
    try:
        return readers[kind](text)
    except ValueError as error:
        kinds = {"int": "a whole number", "Bytes": "a size, as in 20GB"}
        what = kinds.get(kind, "a number")
        raise UsageError(f"{flag_name(name)} is {text!r}; it must be {what}") from error


def parse_bytes(text: str) -> int:
    """Return a size as bytes, as in `20GB`, `1.5 GiB` or `1000`.

    Raises:
        ValueError: It is not a size.
    """
    found = re.fullmatch(r"([0-9]+(?:\.[0-9]*)?) *([kMGT]i?)?B?", text.strip(), re.IGNORECASE)
    if found is None:
        raise ValueError(f"not a size: {text!r}")
    prefix = (found[2] or "").lower()
    base = 1024 if prefix.endswith("i") else 1000
    power = " kmgt".index(prefix[:1] or " ")
    return int(Decimal(found[1]) * base**power)


def _path(text: str) -> Path:
    """Return a path; no shell has expanded its `~`."""
    return Path(os.path.expanduser(text))  # noqa: PTH111 (Path.expanduser raises for ~nobody)


def _string_list(text: str) -> list[str]:
    """Return the strings of a JSON list; none if the text is something else, as a path."""
    try:
        values = json.loads(text) if text.startswith("[") else None
    except ValueError:
        return []
    if not isinstance(values, list) or not all(isinstance(value, str) for value in values):
        return []
    return values


BOOLEANS = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}


def _is_number(value: Any) -> bool:
    """Whether a value is a finite number, of Python or numpy."""
    real = isinstance(value, numbers.Real) and not isinstance(value, bool)
    return real and math.isfinite(value)


def _range(low: float | None, high: float | None) -> str:
    if low is None:
        return f"at most {high}"
    if high is None:
        return f"at least {low}"
    return f"between {low} and {high}"
