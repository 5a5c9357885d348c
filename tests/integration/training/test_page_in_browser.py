"""A run's page in a browser, light and dark: it shows, runs nothing, reports no error."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from capgen.training.tracking.page.tracker import PageTracker
from tests.browser import browse, needs_browser
from tests.unit.training.tracking.page.recorded_runs import epoch_of, finished, started

pytestmark = needs_browser


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory, images: list[Path]) -> Path:
    run = tmp_path_factory.mktemp("runs") / "<img src=x onerror=console.log(1)>"
    run.mkdir()
    tracker = PageTracker()
    tracker.start(run, {"preset": "mini", "name": "<script>console.log(2)</script>"})
    events = started()
    for epoch in range(1, 4):
        captions = [f"<script>console.log({epoch})</script>", "a dog"]
        events += epoch_of(epoch, images=images[:2], captions=captions, score=0.1 * epoch)
    for event in [*events, *finished()]:
        tracker.event(event)
    tracker.finish()
    return run / "run.html"


@pytest.mark.parametrize(("scheme", "paper"), [("1", (255, 255, 255)), ("0", (13, 17, 23))])
def test_the_page_shows_without_errors(
    page: Path, tmp_path: Path, scheme: str, paper: tuple[int, int, int]
) -> None:
    screen = tmp_path / "screen.png"
    flags = (f"--screenshot={screen}", f"--blink-settings=preferredColorScheme={scheme}")
    _, errors = browse(page, tmp_path / "profile", *flags)
    assert "CONSOLE" not in errors
    with Image.open(screen) as image:
        pixels = np.asarray(image.convert("RGB"))
    assert tuple(pixels[5, 5]) == paper
    for part in np.array_split(pixels[:2000], 4):  # tables, charts, images: not one colour
        assert len(np.unique(part.reshape(-1, 3), axis=0)) > 50
