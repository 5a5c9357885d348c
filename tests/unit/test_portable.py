"""capgen without what Python has on POSIX only. Simulated: see `tests/windows.py`."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.fakes import draw_image
from tests.windows import LACKING, MODULES, open_files_stay

PACKAGE = Path(__file__).parent.parent.parent / "capgen"

# Where POSIX's own names are used: each has a branch for Windows.
GUARDED = {
    ("captioning/runtimes/cores.py", "os.sched_getaffinity"),
    ("ending_signals.py", "signal.SIGHUP"),
    ("file_attributes.py", "os.chown"),
    ("locks.py", "fcntl"),
    ("available_memory.py", "os.sysconf"),
    ("metrics/java.py", "os.killpg"),
    ("metrics/java.py", "signal.SIGKILL"),
    ("reviews/journal.py", "os.O_DIRECTORY"),
    ("service/open_files.py", "resource"),
    ("temporary_files.py", "fcntl"),
    ("training/optimization/memory_use.py", "resource"),
    ("training/tracking/wandb/process.py", "os.getpgrp"),
    ("training/tracking/wandb/process.py", "os.killpg"),
    ("training/tracking/wandb/worker.py", "os.killpg"),
    ("training/tracking/wandb/worker.py", "signal.SIGKILL"),
}


def test_names_of_posix_are_used_where_windows_has_a_branch() -> None:
    found = set()
    for file in PACKAGE.rglob("*.py"):
        module = file.relative_to(PACKAGE).as_posix()
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            found |= {(module, name) for name in posix_names(node)}
    assert found == GUARDED


def posix_names(node: ast.AST) -> set[str]:
    """Return what a part of a program uses of that which Windows lacks."""
    if isinstance(node, ast.Import):
        return {alias.name for alias in node.names} & set(MODULES)
    if isinstance(node, ast.ImportFrom):
        module = node.module or ""
        names = {alias.name for alias in node.names} & LACKING.get(module, frozenset())
        return {f"{module}.{name}" for name in names} | ({module} & set(MODULES))
    if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
        lacking = node.attr in LACKING.get(node.value.id, ())
        return {f"{node.value.id}.{node.attr}"} if lacking else set()
    return set()


CODE = """
import importlib, pkgutil, sys
from tests.windows import open_files_stay, pretend_windows
pretend_windows()
from capgen.cli.main import main
images, journal, heavy = sys.argv[1], sys.argv[2], ("torch", "transformers")
with open_files_stay():
    assert main(["caption", images, "-o", journal]) == 0
    assert main(["caption", images, "-o", journal]) == 0
    assert main(["config", "set", "caption.beams", "2"]) == 0
import capgen
for module in pkgutil.walk_packages(capgen.__path__, "capgen."):
    if not module.name.endswith("__main__") and "._build" not in module.name:
        importlib.import_module(module.name)
from capgen.captioning.runtimes.cores import usable_cores
from capgen.training.optimization.memory_use import memory_used, trim_memory
import torch
assert usable_cores() >= 1 and memory_used(torch.device("cpu")) == 0
trim_memory()
"""


@pytest.mark.slow
def test_captioning_and_every_import_without_posix(tmp_path: Path) -> None:
    images = tmp_path / "photos"
    images.mkdir()
    for number in range(2):
        draw_image(number, (64, 48)).save(images / f"{number}.png")
    done = subprocess.run(
        [sys.executable, "-c", CODE, str(images), str(tmp_path / "captions.jsonl")],
        env={**os.environ, "PYTHONPATH": str(PACKAGE.parent)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert len((tmp_path / "captions.jsonl").read_text().splitlines()) == 2
    assert not (tmp_path / "captions.jsonl.journal").exists()


@pytest.mark.skipif(not Path("/proc/self/maps").exists(), reason="there is no /proc")
def test_the_stand_in_refuses_what_windows_refuses(tmp_path: Path) -> None:
    file, other = tmp_path / "folder" / "x", tmp_path / "y"
    file.parent.mkdir()
    for path in (file, other):
        path.write_text("x")
    with open_files_stay():
        with file.open():
            for change in (file.unlink, lambda: other.replace(file)):
                with pytest.raises(PermissionError):
                    change()
            with pytest.raises(PermissionError):
                file.parent.rename(tmp_path / "new")
        other.replace(file)
        file.parent.rename(tmp_path / "new")
