"""Explanations: the part that holds half of the attention, the page and the image."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from capgen.errors import ProtectedFileError
from capgen.explain.heat_maps import core, outline
from capgen.explain.page import write_explanation
from capgen.explain.sheet import draw_sheet, write_sheet
from capgen.records import Caption, Token
from tests.minis import draw


def explained(*words: str) -> Caption:
    tokens = tuple(
        Token(id=n, text=f" {word}" if n else word, log_probability=-0.5 * (n + 1))
        for n, word in enumerate(words)
    )
    maps = np.random.default_rng(0).random((len(words), 3, 4)).astype(np.float32)
    maps /= maps.sum(axis=(1, 2), keepdims=True)
    text = " ".join(words)
    return Caption(text=text, log_probability=-1, score=-1, tokens=tokens, attention=maps)


def test_the_core_is_the_smallest_part_that_holds_the_share() -> None:
    heat = np.array([[0.4, 0.05], [0.2, 0.35]], np.float32)
    assert core(heat).tolist() == [[True, False], [False, True]]
    assert core(heat, 0.3).tolist() == [[True, False], [False, False]]
    assert core(heat, 1.0).all()
    for seed in range(20):
        heat = np.random.default_rng(seed).dirichlet(np.ones(12)).reshape(3, 4)
        inside = core(heat.astype(np.float32))
        assert heat[inside].sum() >= 0.5 - 1e-6
        assert heat[inside].sum() - heat[inside].min() < 0.5


def test_the_outline_is_closed() -> None:
    assert sorted(outline(np.array([[True]]))) == [
        (0, 0, 0, 1), (0, 0, 1, 0), (0, 1, 1, 1), (1, 0, 1, 1)
    ]  # fmt: skip
    for seed in range(10):
        inside = np.random.default_rng(seed).random((4, 5)) < 0.5
        ends = [point for x0, y0, x1, y1 in outline(inside) for point in ((x0, y0), (x1, y1))]
        assert all(ends.count(point) % 2 == 0 for point in ends)
    assert outline(np.zeros((2, 2), np.bool_)) == []


def test_the_page_says_everything_in_words_too(tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    caption = explained("a", "<b>dog</b>", "runs")
    write_explanation(page, caption, draw(1))
    text = page.read_text(encoding="utf-8")
    assert "<script" not in text and "<b>dog" not in text
    assert "&lt;b&gt;dog&lt;/b&gt;" in text
    assert text.count("half of the attention is in") == 2 * 3  # seen, and read out
    assert text.count('role="img"') == 3
    assert "60.7 %" in text  # exp(-0.5)
    assert "http" not in text.replace("http-equiv", "")


def test_the_sheet_has_a_tile_a_word(tmp_path: Path) -> None:
    caption = explained("a", "dog", "runs", "on", "sand")
    sheet = draw_sheet(caption, draw(1, (400, 300)))
    one_row = draw_sheet(explained("a", "dog"), draw(1, (400, 300)))
    assert sheet.height > 1.5 * one_row.height and sheet.width > 1.5 * one_row.width
    write_sheet(tmp_path / "sheet.png", caption, draw(1, (400, 300)))
    with Image.open(tmp_path / "sheet.png") as found:
        assert (found.format, found.size) == ("PNG", sheet.size)
    plain = np.asarray(draw(1, (300, 225)), np.int16)
    tile = np.asarray(sheet, np.int16)[54 : 54 + 225, 12:312]
    assert np.abs(tile - plain).mean() > 5  # something is drawn over it


@pytest.mark.parametrize(
    ("name", "writer"),
    [("x.html", write_explanation), ("x.png", write_sheet), ("x.jpg", write_sheet)],
)
def test_an_explanation_replaces_an_earlier_one_and_no_image(
    tmp_path: Path, name: str, writer: Callable[[Path, Caption, Image.Image], None]
) -> None:
    path = tmp_path / name
    for _ in range(2):
        writer(path, explained("a", "dog"), draw(1))
    draw(2).save(tmp_path / "photo.png")
    image = (tmp_path / "photo.png").read_bytes()
    path.write_bytes(image)
    with pytest.raises(ProtectedFileError, match="is a PNG image"):
        writer(path, explained("a", "dog"), draw(1))
    assert path.read_bytes() == image


def test_a_sheet_of_a_caption_with_a_line_break() -> None:
    broken = dataclasses.replace(explained("a", "dog"), text="a\ndog")
    whole = dataclasses.replace(broken, text="a dog")
    image = draw(1, (400, 300))
    assert draw_sheet(broken, image).tobytes() == draw_sheet(whole, image).tobytes()


@pytest.mark.parametrize("writer", [write_explanation, write_sheet])
def test_a_caption_without_words(writer: object, tmp_path: Path) -> None:
    writer(tmp_path / "out.jpg", explained(), draw(2))  # type: ignore[operator]
    assert (tmp_path / "out.jpg").stat().st_size > 500
