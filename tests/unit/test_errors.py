"""The error tree: exit codes, hints, and the drawing in the module's docstring."""

from __future__ import annotations

import ast
import inspect
import pickle
from pathlib import Path

import pytest

from capgen import errors
from capgen.errors import CapgenError, ImageError, MissingDependencyError, UsageError, did_you_mean

CLASSES = [
    value
    for value in vars(errors).values()
    if inspect.isclass(value) and issubclass(value, CapgenError)
]


def test_every_class_stands_in_the_drawn_tree() -> None:
    drawn = (errors.__doc__ or "").split("\n\n")[1]
    for kind in CLASSES:
        assert kind.__name__ in drawn


def test_exit_codes() -> None:
    usage = {"UsageError", "ProtectedFileError"}
    assert {kind.__name__ for kind in CLASSES if kind.exit_code != 1} == usage
    assert UsageError.exit_code == 2


def test_an_error_carries_message_and_hint() -> None:
    error = ImageError("x.jpg: gone", code="missing", hint="Look again.")
    assert (str(error), error.message, error.hint, error.code) == (
        *("x.jpg: gone", "x.jpg: gone"),
        *("Look again.", "missing"),
    )


@pytest.mark.parametrize(
    "error",
    [
        ImageError("x.jpg: gone", code="missing", hint="Look again."),
        MissingDependencyError("onnx", extra="export", purpose="exporting to ONNX"),
        errors.TrainingStopped("stopped at step 3", signal=15, hint="Go on."),
        UsageError("--beams is 0", hint="Use 1."),
    ],
    ids=lambda error: type(error).__name__,
)
def test_an_error_reaches_another_process_whole(error: CapgenError) -> None:
    other = pickle.loads(pickle.dumps(error))
    assert type(other) is type(error)
    assert (str(other), other.args, vars(other)) == (str(error), error.args, vars(error))


def test_a_missing_package_names_its_extra() -> None:
    error = MissingDependencyError("onnx", extra="export", purpose="exporting to ONNX")
    assert error.message == "exporting to ONNX needs the package onnx, which is not installed"
    assert error.hint == "pip install 'capgen[export]'"


@pytest.mark.parametrize(
    ("name", "known", "hint"),
    [
        ("flikr8k", ["coco", "flickr8k"], "Did you mean 'flickr8k'?"),
        ("zzz", ["b", "a"], "Known: a, b"),
        ("zzz", [], ""),
    ],
)
def test_did_you_mean(name: str, known: list[str], hint: str) -> None:
    assert did_you_mean(name, known) == hint


def _image_codes() -> set[str]:
    """Return the codes that are given to `ImageError` as they stand in the package."""
    found = set()
    for file in Path(errors.__file__).parent.rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and ast.unparse(node.func) == "ImageError":
                found |= {
                    word.value.value
                    for word in node.keywords
                    if word.arg == "code" and isinstance(word.value, ast.Constant)
                }
    return found


def test_every_code_of_an_image_is_explained() -> None:
    found = _image_codes()
    assert len(found) > 8
    assert found <= set(errors.IMAGE_CODES)
