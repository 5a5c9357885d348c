"""The scripts of tests/bench ask for no argument that they do not define."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from tests.pages import ROOT

SCRIPTS = [
    path
    for path in sorted((ROOT / "tests" / "bench").glob("*.py"))
    if "ArgumentParser(" in path.read_text(encoding="utf-8")
]


def undefined_arguments(code: str) -> set[str]:
    """Return the attributes read from `parse_args()` that no `add_argument` defines."""
    tree = ast.parse(code)
    parsed = {
        ast.unparse(node.targets[0])
        for node in ast.walk(tree)
        if isinstance(node, ast.Assign) and "parse_args(" in ast.unparse(node.value)
    }
    defined = {
        argument.value.lstrip("-").replace("-", "_")
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and ast.unparse(node.func).endswith(".add_argument")
        for argument in node.args
        if isinstance(argument, ast.Constant) and isinstance(argument.value, str)
    }
    read = {
        node.attr
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute) and ast.unparse(node.value) in parsed
    }
    return read - defined


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.name)
def test_a_bench_reads_only_arguments_that_it_defines(path: Path) -> None:
    assert undefined_arguments(path.read_text(encoding="utf-8")) == set()


def test_an_undefined_argument_is_seen() -> None:
    code = "p.add_argument('photos')\np.add_argument('--a-b')\nx = p.parse_args()\nx.images, x.a_b"
    assert undefined_arguments(code) == {"images"}
