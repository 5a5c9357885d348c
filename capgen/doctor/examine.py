"""Every area in turn."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

from capgen.doctor import devices, installation, network, storage, versions
from capgen.errors import CapgenError
from capgen.records import SCHEMA_VERSION, Check

Checks = Callable[[], Iterator[Check]]
_REINSTALL = "Reinstall it: pip install --force-reinstall --no-deps PACKAGE, or reinstall capgen."


@dataclass(frozen=True)
class Findings:
    """The result of all checks.

    Attributes:
        areas: Area → its checks, in order.
    """

    areas: dict[str, list[Check]]

    @property
    def faults(self) -> list[Check]:
        """The checks that failed."""
        return [check for checks in self.areas.values() for check in checks if check.ok is False]

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON form."""
        rows = [
            {"area": area, **vars(check)} for area, checks in self.areas.items() for check in checks
        ]
        return {"schema_version": SCHEMA_VERSION, "ok": not self.faults, "checks": rows}


def examine(*, settings: Checks, offline: bool = False, full: bool = False) -> Findings:
    """Run all checks. Takes a few seconds, mostly to import torch.

    Args:
        settings: Yields the checks of the user's settings.
        offline: Skip the network.
        full: Also caption with torch, and compare.
    """
    areas: dict[str, Checks] = {
        "versions": versions.check_versions,
        "devices": devices.check_devices,
        "storage": storage.check_places,
        "caches": storage.check_caches,
        "settings": settings,
        "package": installation.check_package,
        "model": partial(installation.check_model, full=full),
        "network": partial(network.check_network, offline=offline),
    }
    return Findings({area: list(_guarded(area, check)) for area, check in areas.items()})


def _guarded(area: str, check: Checks) -> Iterator[Check]:
    """Yield an area's checks; an error ends it as a fault."""
    try:
        yield from check()
    except CapgenError as error:
        yield Check(area, False, error.message, error.hint)
    except (ImportError, OSError) as error:
        # A library whose parts do not match each other, or this system.
        yield Check(area, False, f"{type(error).__name__}: {error}", _REINSTALL)
