"""Print pip constraints that pin each direct dependency to its lowest allowed version.

python -m capgen._build.lowest_versions > lowest.txt
"""

from __future__ import annotations

import tomllib
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

_LOWER = (">=", "==", "~=")
PROJECT = Path(__file__).parent.parent.parent / "pyproject.toml"


def lowest_versions() -> dict[str, str]:
    """Return package → lower bound, for capgen and its extras, from pyproject.toml."""
    project = tomllib.loads(PROJECT.read_text(encoding="utf-8"))["project"]
    lowest: dict[str, str] = {}
    for lines in (project["dependencies"], *project["optional-dependencies"].values()):
        for requirement in map(Requirement, lines):
            name = canonicalize_name(requirement.name)
            if name == project["name"]:
                continue
            bounds = [part.version for part in requirement.specifier if part.operator in _LOWER]
            if len(bounds) != 1 or lowest.setdefault(name, bounds[0]) != bounds[0]:
                raise ValueError(f"{requirement} must have the same lower bound everywhere")
    return dict(sorted(lowest.items()))


if __name__ == "__main__":
    print(*(f"{name}=={version}" for name, version in lowest_versions().items()), sep="\n")
