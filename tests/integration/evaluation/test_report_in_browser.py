"""The HTML report in a browser: it shows, runs nothing, asks for nothing, reports no error."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from capgen.captioning.captioner import Captioner
from capgen.config import EvalConfig
from capgen.evaluation.compare import compare
from capgen.evaluation.evaluate import evaluate
from capgen.evaluation.report import write_report
from capgen.evaluation.systems import ModelSystem
from tests.browser import browse, needs_browser
from tests.unit.evaluation.sets import REFERENCES, make_set

HOSTILE = "<script>document.title='taken';console.log('taken')</script>"

pytestmark = needs_browser


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A report with heat maps, a comparison, and captions that try to run."""
    folder = tmp_path_factory.mktemp("report")
    config = EvalConfig(resamples=100, examples=2)
    data = make_set(folder, name=f"drawn{HOSTILE}")
    system = ModelSystem(Captioner.from_pretrained())
    first = evaluate(system, data, config=config)
    second = evaluate(dict.fromkeys(REFERENCES, HOSTILE), data, config=config)
    path = folder / "report.html"
    comparison = compare(first, second)
    write_report(path, comparison.first, comparison=comparison, attend=system.attention)
    return path


def test_the_report_shows_without_errors(report: Path, tmp_path: Path) -> None:
    screen = tmp_path / "screen.png"
    _, errors = browse(report, tmp_path / "profile", f"--screenshot={screen}")
    assert "CONSOLE" not in errors
    with Image.open(screen) as image:
        pixels = np.asarray(image.convert("RGB"))
    assert pixels.shape[:2] == (4000, 1200)
    # Text, images and charts, not one colour: every fifth of the page has much on it.
    for part in np.array_split(pixels, 5)[:4]:
        assert len(np.unique(part.reshape(-1, 3), axis=0)) > 50


def test_captions_do_not_run(report: Path, tmp_path: Path) -> None:
    document, _ = browse(report, tmp_path / "profile", "--dump-dom")
    title = re.search(r"<title>(.*?)</title>", document)
    assert title is not None
    assert title[1] != "taken"
    assert "<script" not in document
    assert "&lt;script&gt;" in document
    assert document.count("Where the model looked") == 6


def test_a_browser_would_have_said_so(tmp_path: Path) -> None:
    """The check above sees what a page writes to its console."""
    page = tmp_path / "page.html"
    page.write_text("<!doctype html><title>x</title><script>console.log('taken')</script>")
    assert "CONSOLE" in browse(page, tmp_path / "profile", f"--screenshot={tmp_path / 'x.png'}")[1]
