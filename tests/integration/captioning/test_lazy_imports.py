"""A plain caption loads nothing that was not asked for."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.colours import plain

# What only some settings, models and commands need.
NOT_ASKED_FOR = (
    *("captioning.endpoint", "captioning.placeholders", "captioning.word_notes"),
    *("captioning.edit_captions", "captioning.decoding.word_constraints", "models.prompted"),
    *("captioning.attention", "captioning.runtimes.torch_runtime", "images.metadata"),
)
PROGRAM = """
import sys
from capgen.captioning.captioner import Captioner
Captioner.from_pretrained().caption(sys.argv[1], **eval(sys.argv[2]))
print(*sorted(name.removeprefix("capgen.") for name in sys.modules))
"""


def loaded(image: Path, **options: object) -> list[str]:
    command = [sys.executable, "-c", PROGRAM, str(image), repr(options)]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()


@pytest.fixture
def image(tmp_path: Path) -> Path:
    return plain(tmp_path, "a.png", 9)


def test_a_plain_caption_loads_nothing_else(image: Path) -> None:
    assert not [name for name in loaded(image) if name.startswith(NOT_ASKED_FOR)]


def test_what_is_asked_for_is_loaded(image: Path) -> None:
    """The names above are those of modules."""
    names = loaded(image, avoid_words="plate", suffix="!")
    needed = ("word_notes", "edit_captions", "decoding.word_constraints")
    assert {f"captioning.{name}" for name in needed} <= set(names)


# What other commands need, or the libraries of the command line for other values than these.
NOT_FOR_ONE_CAPTION = (
    *("cli.train", "cli.models", "cli.data", "cli.eval", "cli.hub", "cli.doctor", "cli.review"),
    *("cli.accept", "cli.calibrate", "cli.caption.many", "training.plan", "evaluation"),
    *("pydantic", "rich", "asyncio", "http", "ssl", "email", "importlib.metadata"),
    *("huggingface_hub", "torch", "transformers", "jinja2", "nltk", "wandb", "safetensors"),
)
COMMAND = """
import sys
from capgen.cli.main import main
assert main(sys.argv[1:]) == 0
print(*sorted(name.removeprefix("capgen.") for name in sys.modules))
"""


def loaded_by(*arguments: str) -> list[str]:
    command = [sys.executable, "-c", COMMAND, *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()


def test_the_command_of_one_caption_loads_nothing_else(image: Path) -> None:
    names = loaded_by("caption", str(image), "--beams", "5", "--max-length", "20")
    assert not [name for name in names if name.startswith(NOT_FOR_ONE_CAPTION)]


def test_another_command_loads_what_is_its_own() -> None:
    names = loaded_by("models", "list")
    assert "cli.models.command" in names
    assert "cli.caption.command" not in names
