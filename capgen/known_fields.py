"""Makes dataclasses from mappings that hold more than they have fields for."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any, TypeVar

_Made = TypeVar("_Made")


def from_known_fields(kind: type[_Made], content: Mapping[str, Any]) -> _Made:
    """Return a dataclass made from what a mapping holds for its fields.

    Files of newer versions hold names that this one does not know, and the settings of a command
    are those of several classes.

    Raises:
        TypeError: A field without a default is missing.
    """
    names = {field.name for field in dataclasses.fields(kind)}  # type: ignore[arg-type]
    return kind(**{name: value for name, value in content.items() if name in names})
