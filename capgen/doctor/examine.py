"""Every area in turn."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

from capgen.doctor import devices, installation, network, storage, versions
from capgen.errors import CapgenError
from capgen.records import SCHEMA_VERSION, Check

Look = Callable[[], Iterator[Check]]
_REINSTALL = (
    "Install it again: pip install --force-reinstall --no-deps PACKAGE, or capgen as a whole."
)


@dataclass(frozen=True)
class Findings:
    """What was found, by area.

    Attributes:
        areas: Area → its checks, in the order they were made.
    """

    areas: dict[str, list[Check]]

    @property
    def faults(self) -> list[Check]:
        """The checks that found something wrong."""
        return [check for checks in self.areas.values() for check in checks if check.ok is False]

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON form."""
        rows = [
            {"area": area, **vars(check)} for area, checks in self.areas.items() for check in checks
        ]
        return {"schema_version": SCHEMA_VERSION, "ok": not self.faults, "checks": rows}


def examine(*, settings: Look, offline: bool = False, full: bool = False) -> Findings:
    """Look at everything. Takes some seconds, most of them for importing torch.

    Args:
        settings: Yields the checks of the user's settings.
        offline: Ask nothing of the network.
        full: Caption with torch too, and compare.
    """
    looks: dict[str, Look] = {
        "versions": versions.look,
        "devices": devices.look,
        "storage": storage.look,
        "caches": storage.look_at_caches,
        "settings": settings,
        "package": installation.look_at_package,
        "model": partial(installation.look_at_model, full=full),
        "network": partial(network.look, offline=offline),
    }
    return Findings({area: list(_guarded(area, look)) for area, look in looks.items()})


def _guarded(area: str, look: Look) -> Iterator[Check]:
    """Yield an area's checks; what stops it is its last one."""
    try:
        yield from look()
    except CapgenError as error:
        yield Check(area, False, error.message, error.hint)
    except (ImportError, OSError) as error:
        # A library whose parts do not fit each other, or this system.
        yield Check(area, False, f"{type(error).__name__}: {error}", _REINSTALL)
