"""Negatives: images that are not photos, drawn with Pillow from a seed.

`capgen calibrate` fits a low confidence to them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
from PIL import Image, ImageDraw, ImageFilter, ImageFont

_SIZE = (400, 320)
_LETTERS = "etaoinshrdlucmfwypvbgkjqxz"
_Random = np.random.Generator


def draw_negatives(count: int, seed: int) -> Iterator[Image.Image]:
    """Yield `count` images, of each kind in `KINDS` in turn."""
    kinds = list(KINDS.values())
    for number in range(count):
        yield kinds[number % len(kinds)](np.random.default_rng((seed, number)))


def _blank(random: _Random) -> Image.Image:
    return Image.new("RGB", _SIZE, _colour(random))


def _gradient(random: _Random) -> Image.Image:
    low, high = Image.new("RGB", _SIZE, _colour(random)), Image.new("RGB", _SIZE, _colour(random))
    shape = Image.linear_gradient("L") if random.random() < 0.5 else Image.radial_gradient("L")
    turned = shape.rotate(float(random.choice([0, 90, 180, 270])))
    return Image.composite(low, high, turned.resize(_SIZE))


def _even_noise(random: _Random) -> Image.Image:
    width, height = _SIZE
    channels = int(random.choice([1, 3]))
    values = random.integers(0, 256, (height, width, channels), dtype=np.uint8)
    return Image.fromarray(np.broadcast_to(values, (height, width, 3)).copy())


def _clouds(random: _Random) -> Image.Image:
    width, height = _SIZE
    coarse = int(random.integers(8, 80))
    values = random.integers(0, 256, (height // coarse + 2, width // coarse + 2, 3), dtype=np.uint8)
    return Image.fromarray(values).resize(_SIZE, Image.Resampling.BICUBIC)


def _page(random: _Random) -> Image.Image:
    dark = random.random() < 0.2
    paper, ink = ((25, 25, 30), (220, 220, 220)) if dark else ((250, 249, 245), (20, 20, 20))
    image = Image.new("RGB", _SIZE, paper)
    draw = ImageDraw.Draw(image)
    size = int(random.integers(9, 26))
    font = ImageFont.load_default(size)
    left = int(random.integers(8, 60))
    for top in range(int(random.integers(8, 60)), _SIZE[1] - size, round(size * 1.5)):
        line = " ".join(_word(random) for _ in range(int(random.integers(3, 14))))
        draw.text((left, top), line, ink, font)
    return image


def _chart(random: _Random) -> Image.Image:
    image = Image.new("RGB", _SIZE, "white")
    draw = ImageDraw.Draw(image)
    draw.line([(40, 20), (40, 290), (385, 290)], "black", 2)
    heights = random.uniform(20, 260, int(random.integers(4, 16)))
    step = 340 / len(heights)
    points = [(45 + step * n, 290 - h) for n, h in enumerate(heights)]
    if random.random() < 0.5:
        colour = _colour(random)
        for x, y in points:
            draw.rectangle([x, y, x + step * 0.7, 290], colour)
    else:
        for _ in range(int(random.integers(1, 4))):
            moved = [(x, min(290.0, y + random.uniform(-50, 50))) for x, y in points]
            draw.line(moved, _colour(random), 3)
    font = ImageFont.load_default(12)
    for x, _ in points:
        draw.text((x, 296), _word(random)[:3], "black", font)
    return image


def _shapes(random: _Random) -> Image.Image:
    image = Image.new("RGB", _SIZE, _colour(random))
    draw = ImageDraw.Draw(image)
    for _ in range(int(random.integers(3, 25))):
        x, y = random.uniform(0, _SIZE[0]), random.uniform(0, _SIZE[1])
        w, h = random.uniform(10, 140, 2)
        if random.random() < 0.5:
            draw.rectangle([x, y, x + w, y + h], _colour(random))
        else:
            draw.polygon([(x, y), (x + w, y + h / 3), (x + w / 3, y + h)], _colour(random))
    return image


def _stripes(random: _Random) -> Image.Image:
    image = Image.new("RGB", _SIZE, _colour(random))
    draw = ImageDraw.Draw(image)
    step, colour = int(random.integers(6, 60)), _colour(random)
    for x in range(0, _SIZE[0], step):
        draw.rectangle([x, 0, x + step // 2, _SIZE[1]], colour)
    if random.random() < 0.5:
        for y in range(0, _SIZE[1], step):
            draw.rectangle([0, y, _SIZE[0], y + step // 3], colour)
    return image.rotate(float(random.choice([0, 45, 90]))).filter(
        ImageFilter.GaussianBlur(float(random.choice([0, 1, 3])))
    )


def _lines(random: _Random) -> Image.Image:
    image = Image.new("RGB", _SIZE, "white")
    draw = ImageDraw.Draw(image)
    for _ in range(int(random.integers(3, 20))):
        box = [*random.uniform(0, 200, 2), *random.uniform(200, 400, 2)]
        if random.random() < 0.5:
            start, end = random.uniform(0, 360, 2)
            draw.arc(box, start, end, "black", int(random.integers(1, 5)))
        else:
            draw.line(box, "black", int(random.integers(1, 5)))
    return image


def _window(random: _Random) -> Image.Image:
    image = Image.new("RGB", _SIZE, (236, 238, 242))
    draw = ImageDraw.Draw(image)
    draw.rectangle([0, 0, _SIZE[0], 28], _colour(random))
    draw.rectangle([0, 28, 90, _SIZE[1]], (210, 214, 222))
    font = ImageFont.load_default(13)
    for top in range(40, 300, 24):
        draw.text((10, top), _word(random), "black", font)
        if random.random() < 0.6:
            box = (100, top, int(random.integers(140, 390)), top + 18)
            draw.rounded_rectangle(box, 3, "white", (180, 180, 190))
            draw.text((106, top + 2), _word(random), (60, 60, 60), font)
    return image


KINDS: dict[str, Callable[[_Random], Image.Image]] = {
    "blank": _blank,
    "gradient": _gradient,
    "even noise": _even_noise,
    "clouds": _clouds,
    "page": _page,
    "chart": _chart,
    "shapes": _shapes,
    "stripes": _stripes,
    "lines": _lines,
    "window": _window,
}


def _colour(random: _Random) -> tuple[int, int, int]:
    red, green, blue = (int(value) for value in random.integers(0, 256, 3))
    return red, green, blue


def _word(random: _Random) -> str:
    return "".join(random.choice(list(_LETTERS), int(random.integers(2, 10))))
