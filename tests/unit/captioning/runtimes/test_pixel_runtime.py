"""What a runtime of pixels must have."""

from __future__ import annotations

import pytest

from capgen.captioning.runtimes.base import Runtime
from capgen.captioning.runtimes.pixel_runtime import PixelRuntime
from tests.pixel_fakes import ScriptedPixels


def test_it_says_all_that_a_runtime_has() -> None:
    asked = {name for name in vars(Runtime) if not name.startswith("_")} | {
        *Runtime.__annotations__
    }
    said = {*dir(PixelRuntime), *PixelRuntime.__annotations__}
    assert "generate" in asked and "dtype" in asked
    assert asked <= said


@pytest.mark.parametrize("name", sorted(PixelRuntime.__abstractmethods__))
def test_one_that_lacks_a_part_cannot_be_made(name: str) -> None:
    lacking = type("Lacking", (ScriptedPixels,), {name: getattr(PixelRuntime, name)})
    ScriptedPixels()
    with pytest.raises(TypeError, match=name):
        lacking()
