"""The preview of a data set in a browser, light and dark: it shows, and reports no error."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from capgen.data.dataset import Dataset
from capgen.data.preview import write_preview
from capgen.records import Example
from tests.browser import browse, needs_browser
from tests.minis import draw

pytestmark = needs_browser
HOSTILE = "<script>console.log('taken')</script>"


@pytest.fixture(scope="module")
def preview(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("set")
    draw(1).save(folder / "a.jpg")
    examples = [
        Example(
            image_id=f"{name}{HOSTILE}", image=folder / name, references=(HOSTILE,), split="val"
        )
        for name in ("a.jpg", "gone.jpg")
    ]
    data = Dataset(name=HOSTILE, root=folder, format="capgen", examples=examples, licence=HOSTILE)
    write_preview(data, folder / "preview.html")
    return folder / "preview.html"


@pytest.mark.parametrize(("scheme", "paper"), [("1", (255, 255, 255)), ("0", (13, 17, 23))])
def test_the_preview_shows_light_and_dark(
    preview: Path, tmp_path: Path, scheme: str, paper: tuple[int, int, int]
) -> None:
    screen = tmp_path / "screen.png"
    flags = (f"--screenshot={screen}", f"--blink-settings=preferredColorScheme={scheme}")
    _, errors = browse(preview, tmp_path / "profile", *flags)
    assert "CONSOLE" not in errors
    with Image.open(screen) as image:
        pixels = np.asarray(image.convert("RGB"))
    assert tuple(pixels[5, 5]) == paper
    assert len(np.unique(pixels[:600].reshape(-1, 3), axis=0)) > 50


def test_the_preview_says_what_it_shows(preview: Path) -> None:
    text = preview.read_text(encoding="utf-8")
    assert "<script" not in text
    assert "default-src 'none'" in text
    assert "2 of 2 images, seed 0." in text
    assert "No image: " in text and "gone.jpg: no such file" in text
    assert text.count("alt=") == 1
