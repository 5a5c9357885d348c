"""Programs called java that behave badly, and a pycocoevalcap that has only files."""

from __future__ import annotations

import os
from pathlib import Path
from types import SimpleNamespace

import pytest

import capgen.metrics.official

VERSION = """
case "$*" in *-version*) {version}; exit 0;; esac
"""
SCORES = """
while [ $# -gt 0 ]; do
  if [ "$1" = -out ]; then out="$2"; fi
  shift
done
echo '{scores}' > "$out"
"""


def install_java(
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    body: str,
    version: str = "echo 'openjdk version \"11.0.2\"' >&2",
) -> None:
    """Put a java first on the PATH that does `body`, and the files of pycocoevalcap."""
    programs = folder / "bin"
    programs.mkdir(exist_ok=True)
    java = programs / "java"
    java.write_text(f"#!/bin/sh\nHERE='{folder}'\n{VERSION.format(version=version)}\n{body}\n")
    java.chmod(0o755)
    monkeypatch.setenv("PATH", f"{programs}{os.pathsep}{os.environ['PATH']}")
    package = folder / "pycocoevalcap"
    (package / "spice" / "lib").mkdir(parents=True, exist_ok=True)
    for name in ("stanford-corenlp-3.6.0.jar", "stanford-corenlp-3.6.0-models.jar"):
        (package / "spice" / "lib" / name).touch()
    spec = SimpleNamespace(submodule_search_locations=[str(package)])
    monkeypatch.setattr(capgen.metrics.official, "find_spec", lambda name: spec)
