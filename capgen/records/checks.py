"""The result of a check."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Check:
    """The result of one check of a model, a tracker or the installation.

    Attributes:
        name: What was checked.
        ok: Whether it is right; None if there is nothing to judge.
        detail: The finding.
        cure: What to do if it is not right.
    """

    name: str
    ok: bool | None
    detail: str
    cure: str = ""
