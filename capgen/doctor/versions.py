"""Python and the installed packages, against the ranges in capgen's own metadata."""

from __future__ import annotations

import importlib.metadata
import platform
import re
import sys
from collections.abc import Iterator
from pathlib import Path

from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet

import capgen
from capgen.records import Check

PACKAGE = "capgen"


def check_versions() -> Iterator[Check]:
    """Yield a check for capgen, Python, each required package, and the extras."""
    place = Path(capgen.__file__).parent
    yield Check(PACKAGE, None, f"{capgen.__version__}, in {place}")
    try:
        metadata = importlib.metadata.metadata(PACKAGE)
    except importlib.metadata.PackageNotFoundError:
        yield Check(
            "metadata", None, "capgen is not installed, so the versions it needs are unknown"
        )
        return
    if metadata["Version"] != capgen.__version__:
        yield Check(
            "metadata",
            None,
            f"of capgen {metadata['Version']}: another copy than the one that runs",
        )
    yield _python(metadata["Requires-Python"] or "")
    requirements = [Requirement(line) for line in metadata.get_all("Requires-Dist") or []]
    for requirement in requirements:
        if requirement.marker is None or requirement.marker.evaluate({"extra": ""}):
            yield check_requirement(requirement)
    yield from _extras(requirements, metadata.get_all("Provides-Extra") or [])


def check_requirement(requirement: Requirement) -> Check:
    """Check that an installed package is in the required range."""
    name, wanted = requirement.name, str(requirement.specifier) or "any version"
    cure = f"pip install '{name}{requirement.specifier}'"
    version = installed_version(name)
    if version is None:
        return Check(name, False, f"not installed; {wanted} is needed", cure)
    if not requirement.specifier.contains(version, prereleases=True):
        return Check(name, False, f"{version}; {wanted} is needed", cure)
    return Check(name, True, f"{version} ({wanted})")


def installed_version(name: str) -> str | None:
    """Return a package's version, or None if it is not installed."""
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None


def _python(wanted: str) -> Check:
    version = platform.python_version()
    detail = f"{version} ({wanted}), {platform.system()} {platform.machine()}, {sys.prefix}"
    if SpecifierSet(wanted).contains(version, prereleases=True):
        return Check("Python", True, detail)
    return Check("Python", False, detail, f"Install capgen with Python {wanted}.")


def _extras(requirements: list[Requirement], names: list[str]) -> Iterator[Check]:
    """Report the installed extras; any of their packages must be in its range."""
    complete: list[str] = []
    missing: list[str] = []
    for extra in names:
        own = [
            item
            for item in requirements
            if item.marker is not None
            and re.search(r"\bextra\b", str(item.marker))
            and item.marker.evaluate({"extra": extra})
            and item.name != PACKAGE
        ]
        present = [item for item in own if installed_version(item.name) is not None]
        (complete if len(present) == len(own) else missing).append(extra)
        if extra != "dev":
            yield from (check for check in map(check_requirement, present) if check.ok is False)
    installed = ", ".join(complete) or "none"
    yield Check("extras", None, f"{installed}; not installed: {', '.join(missing) or 'none'}")
