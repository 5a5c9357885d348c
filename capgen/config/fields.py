"""Declares settings, checks them, and reads them from text."""

from __future__ import annotations

import dataclasses
import json
import math
import numbers
import os
import re
from collections.abc import Callable, Iterable, Mapping
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
        low: Smallest value.
        high: Largest value.
        choices: The possible values.
        flags: The option's flags, separated by spaces, if it has a short one or another name
            than the field; `/` comes before the flag that switches it off.
        panel: The panel of help that shows it, if not the class's own (`PANEL`).
        remembered: Whether the environment and the user's settings file can set it.
    """
    metadata = {"help": help, "low": low, "high": high, "choices": choices}
    metadata |= {"flags": flags, "panel": panel, "remembered": remembered}
    return dataclasses.field(default=default, metadata=metadata)


def flag_name(field_name: str) -> str:
    """Return the command-line flag of a field, as in `max_length` → `--max-length`."""
    return "--" + field_name.replace("_", "-")


def described(field: Any) -> str:
    """Return a field's help with the values it accepts, as in `Number of beams (1 to 64).`"""
    help = field.metadata["help"].rstrip(".")
    low, high = (_short(field.metadata[end]) for end in ("low", "high"))
    if field.metadata["choices"]:
        values = ", ".join(field.metadata["choices"])
    elif low is None:
        return f"{help}."
    else:
        values = f"at least {low}" if high is None else f"{low} to {high}"
    # One pair of brackets: `(mini only; 1 to 48)`.
    return f"{help[:-1]}; {values})." if help.endswith(")") else f"{help} ({values})."


def _short(number: float | None) -> str | None:
    if number is None:
        return None
    return f"{number:g}" if isinstance(number, float) else str(number)


def check_ranges(config: Any, too_low: Mapping[str, str] | None = None) -> None:
    """Check each field of a settings object against its declared range.

    Args:
        config: The settings.
        too_low: Hints for fields that are below their range.

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
            only = ", ".join(choices) if len(choices) == 1 else f"one of {', '.join(choices)}"
            raise UsageError(f"{flag_name(field.name)} is {value!r}; it must be {only}")
        if low is None and high is None:
            continue
        if not is_number(value):
            raise UsageError(f"{flag_name(field.name)} is {value!r}; it must be a number")
        if "float" not in str(field.type) and not isinstance(value, numbers.Integral):
            raise UsageError(f"{flag_name(field.name)} is {value!r}; it must be a whole number")
        if (low is not None and value < low) or (high is not None and value > high):
            below = low is not None and value < low
            raise UsageError(
                f"{flag_name(field.name)} is {value}; it must be {_range(low, high)}",
                hint=(too_low or {}).get(field.name, "") if below else "",
            )


def check_names(names: Iterable[str], kind: type, what: str) -> None:
    """Raise UsageError for a name that is no field of a settings class, with the closest one."""
    known = {field.name for field in dataclasses.fields(kind)}
    for name in names:
        if name not in known:
            raise UsageError(f"Unknown {what} '{name}'", hint=did_you_mean(name, known))


def parse_setting(config_class: Any, name: str, text: str) -> Any:
    """Return the value of a setting given as text, by the type of its field.

    Args:
        config_class: A settings class of this module.
        name: The field, with dashes or underscores.
        text: The value. Booleans are true, false, yes, no, 1 or 0; `none` means not set;
            several values are a JSON list of strings, a single one is itself.

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
    match = re.fullmatch(r"([0-9]+(?:\.[0-9]*)?) *([kMGT]i?)?B?", text.strip(), re.IGNORECASE)
    if match is None:
        raise ValueError(f"not a size: {text!r}")
    prefix = (match[2] or "").lower()
    base = 1024 if prefix.endswith("i") else 1000
    power = " kmgt".index(prefix[:1] or " ")
    return int(Decimal(match[1]) * base**power)


def _path(text: str) -> Path:
    """Return a path, with `~` expanded: no shell has done that."""
    return Path(os.path.expanduser(text))  # noqa: PTH111 (Path.expanduser raises for ~nobody)


def _string_list(text: str) -> list[str]:
    """Return the strings of a JSON list; none if the text is anything else, such as a path."""
    try:
        values = json.loads(text) if text.startswith("[") else None
    except ValueError:
        return []
    if not isinstance(values, list) or not all(isinstance(value, str) for value in values):
        return []
    return values


BOOLEANS = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}


def is_number(value: Any) -> bool:
    """Whether a value is a finite number, of Python or numpy."""
    real = isinstance(value, numbers.Real) and not isinstance(value, bool)
    try:
        return real and math.isfinite(value)
    except OverflowError:  # a whole number that no float can hold
        return False


def _range(low: float | None, high: float | None) -> str:
    if low is None:
        return f"at most {high}"
    if high is None:
        return f"at least {low}"
    return f"between {low} and {high}"
