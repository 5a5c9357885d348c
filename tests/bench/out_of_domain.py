"""Two hundred images that are not photographs: a captioner should not be sure of them.

    python -m tests.bench.out_of_domain FOLDER

Charts, screenshots, text pages and drawings are web pages that a headless Chromium draws;
textures and noise are computed. Nothing here is shared with the images that
`capgen calibrate` makes for itself (`capgen.evaluation.calibration.negatives`): other kinds, other
generators, other seeds.
"""

from __future__ import annotations

import argparse
import math
import shutil
import subprocess
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

WIDTH, HEIGHT = 480, 360
COUNTS = {
    "chart": 34,
    "screenshot": 34,
    "text": 34,
    "drawing": 34,
    "texture": 34,
    "noise": 30,
}
LICENSES = Path("/usr/share/common-licenses")
PALETTE = ("#4e79a7", "#f28e2b", "#e15759", "#76b7b2", "#59a14f", "#edc948", "#b07aa1", "#9c755f")
Random = np.random.Generator


def make(folder: Path) -> list[Path]:
    """Write the images as PNG files; return their paths."""
    folder.mkdir(parents=True, exist_ok=True)
    for number, (kind, panel) in enumerate(PANELS.items()):
        random = np.random.default_rng(7000 + number)
        _draw(folder, kind, [panel(random, place) for place in range(COUNTS[kind])])
    for number, (kind, compute) in enumerate(COMPUTED.items()):
        random = np.random.default_rng(9000 + number)
        for place in range(COUNTS[kind]):
            pixels = np.clip(compute(random, place), 0, 255).astype(np.uint8)
            Image.fromarray(pixels).save(folder / f"{kind}-{place:02d}.png")
    return sorted(folder.glob("*.png"))


def _draw(folder: Path, kind: str, panels: list[str]) -> None:
    """Let Chromium draw panels of HTML below each other, and cut the screenshot up."""
    browser = shutil.which("chromium") or shutil.which("google-chrome")
    if browser is None:
        raise SystemExit("This needs Chromium")
    style = (
        "*{box-sizing:border-box}body{margin:0;background:#fff;font:14px sans-serif}"
        f".panel{{position:relative;width:{WIDTH}px;height:{HEIGHT}px;overflow:hidden}}"
    )
    blocks = "".join(f'<div class="panel">{panel}</div>' for panel in panels)
    with tempfile.TemporaryDirectory() as place:
        page, image = Path(place, "page.html"), Path(place, "page.png")
        page.write_text(f"<!DOCTYPE html><meta charset=utf-8><style>{style}</style>{blocks}")
        size = f"--window-size={WIDTH},{HEIGHT * len(panels) + 200}"
        flags = ("--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", size)
        own = (f"--user-data-dir={place}/profile", f"--screenshot={image}")
        command = [browser, *flags, *own, page.as_uri()]
        subprocess.run(command, check=True, capture_output=True, timeout=180)
        with Image.open(image) as opened:
            sheet = opened.convert("RGB")
    for number in range(len(panels)):
        top = number * HEIGHT
        sheet.crop((0, top, WIDTH, top + HEIGHT)).save(folder / f"{kind}-{number:02d}.png")


def _svg(content: str, background: str = "#ffffff") -> str:
    return (
        f'<svg width="{WIDTH}" height="{HEIGHT}" style="background:{background};display:block" '
        f'font-family="sans-serif" font-size="12">{content}</svg>'
    )


def chart(random: Random, place: int) -> str:
    kind = ("line", "bars", "pie", "scatter", "heat")[place % 5]
    colours = list(random.permutation(PALETTE))
    title = f'<text x="240" y="24" text-anchor="middle" font-size="16">Figure {place + 1}</text>'
    axes = '<path d="M50 40V310H460" stroke="#333" fill="none"/>' + "".join(
        f'<text x="44" y="{310 - 54 * n}" text-anchor="end">{n * 20}</text>'
        f'<path d="M50 {310 - 54 * n}H460" stroke="#ddd"/>'
        for n in range(5)
    )
    shapes = []
    if kind == "line":
        for series in range(int(random.integers(1, 4))):
            heights = 180 + np.cumsum(random.normal(0, 22, 12))
            points = " ".join(f"{60 + 35 * n},{h:.0f}" for n, h in enumerate(heights))
            shapes.append(
                f'<polyline points="{points}" fill="none" stroke="{colours[series]}" '
                'stroke-width="2.5"/>'
            )
    elif kind == "bars":
        for bar in range(8):
            h = random.uniform(20, 250)
            shapes.append(
                f'<rect x="{62 + 50 * bar}" y="{310 - h:.0f}" width="34" height="{h:.0f}" '
                f'fill="{colours[bar % 3]}"/><text x="{66 + 50 * bar}" y="328">Q{bar + 1}</text>'
            )
    elif kind == "pie":
        axes, angle = "", 0.0
        for part, share in enumerate(random.dirichlet(np.ones(6))):
            end = angle + share * 2 * math.pi
            x, y = 240 + 130 * math.cos(angle), 195 + 130 * math.sin(angle)
            u, v = 240 + 130 * math.cos(end), 195 + 130 * math.sin(end)
            large = int(share > 0.5)
            shapes.append(
                f'<path d="M240 195L{x:.1f} {y:.1f}A130 130 0 {large} 1 {u:.1f} {v:.1f}Z" '
                f'fill="{colours[part]}" stroke="#fff"/>'
            )
            angle = end
    elif kind == "scatter":
        for x, y in random.normal(0, 1, (90, 2)):
            shapes.append(
                f'<circle cx="{255 + 75 * x:.0f}" cy="{175 - 40 * y - 25 * x:.0f}" r="4" '
                f'fill="{colours[int(x > 0)]}" fill-opacity=".7"/>'
            )
    else:
        for row in range(10):
            for column in range(14):
                shade = random.uniform(20, 95)
                shapes.append(
                    f'<rect x="{55 + 28 * column}" y="{45 + 26 * row}" width="27" height="25" '
                    f'fill="hsl({place * 40 % 360},70%,{shade:.0f}%)"/>'
                )
    return _svg(axes + "".join(shapes) + title)


def screenshot(random: Random, place: int) -> str:
    dark = bool(random.integers(2))
    paper, ink, line = ("#1e1e2a", "#d8d8e4", "#3b3b4d") if dark else ("#fff", "#222", "#d5d9e0")
    accent = str(random.choice(PALETTE))
    words = _words(random)
    bar = (
        f'<div style="background:{accent};color:#fff;padding:10px 14px;font-weight:bold">'
        f"{words(2)}<span style='float:right'>☰</span></div>"
    )
    kind = place % 4
    if kind == 0:
        rows = "".join(
            f"<tr><td>{words(2)}</td><td>{random.integers(10, 9999)}</td><td>{words(1)}</td></tr>"
            for _ in range(11)
        )
        body = f'<table style="width:100%;padding:8px;line-height:1.7">{rows}</table>'
    elif kind == 1:
        fields = "".join(
            f'<p style="margin:10px 16px">{words(1)}<br><span style="display:block;height:26px;'
            f'border:1px solid {line};border-radius:4px;padding:4px">{words(2)}</span></p>'
            for _ in range(4)
        )
        body = (
            f'{fields}<span style="margin:16px;padding:8px 20px;background:{accent};color:#fff;'
            f'border-radius:4px">{words(1)}</span>'
        )
    elif kind == 2:
        sides = ("margin-right:120px", "margin-left:120px")
        body = "".join(
            f'<p style="{sides[n % 2]};margin-top:8px;margin-bottom:8px;padding:9px;'
            f'border-radius:10px;background:{line}">{words(int(random.integers(4, 12)))}</p>'
            for n in range(6)
        )
    else:
        lines = "".join(
            f'<div style="padding-left:{18 * int(random.integers(0, 4))}px">'
            f'<span style="color:{accent}">{words(1)}</span> = {words(1)}({words(1)}, '
            f"{random.integers(99)})</div>"
            for _ in range(16)
        )
        body = f'<div style="font:13px/1.45 monospace;padding:8px 14px">{lines}</div>'
    return f'<div style="background:{paper};color:{ink};height:100%">{bar}{body}</div>'


def _words(random: Random) -> Callable[[int], str]:
    syllables = ("re", "port", "set", "ting", "user", "in", "dex", "ta", "ble", "or", "der", "mo")

    def words(count: int) -> str:
        made = ("".join(random.choice(syllables, int(random.integers(1, 4)))) for _ in range(count))
        return " ".join(word.capitalize() for word in made)

    return words


def text(random: Random, place: int) -> str:
    """A page of one of the free licences that every Debian system holds."""
    names = ("GPL-2", "Apache-2.0", "Artistic", "LGPL-2.1", "MPL-2.0", "BSD", "GFDL-1.3")
    content = (LICENSES / names[place % len(names)]).read_text(errors="replace")
    start = int(random.integers(0, max(1, len(content) - 2500)))
    size = int(random.choice([9, 11, 13, 17, 24]))
    family = str(random.choice(["serif", "sans-serif", "monospace"]))
    paper = str(random.choice(["#ffffff", "#fdf6e3", "#f2f2f2"]))
    columns = int(random.choice([1, 1, 2]))
    escaped = content[start : start + 2500].replace("&", "&amp;").replace("<", "&lt;")
    return (
        f'<div style="background:{paper};height:100%;padding:22px 28px;font:{size}px/1.4 {family};'
        f'columns:{columns};text-align:justify">{escaped}</div>'
    )


def drawing(random: Random, place: int) -> str:
    colour = lambda: str(random.choice(PALETTE))  # noqa: E731
    pen = f'stroke="#222" stroke-width="{int(random.choice([0, 2, 4, 6]))}"'
    kind = place % 5
    if kind == 0:  # a house under a sun
        x = random.uniform(60, 220)
        shapes = (
            f'<circle cx="{random.uniform(60, 420):.0f}" cy="60" r="34" fill="#edc948" {pen}/>'
            f'<rect x="{x:.0f}" y="170" width="160" height="130" fill="{colour()}" {pen}/>'
            f'<path d="M{x - 20:.0f} 170l100-80 100 80z" fill="{colour()}" {pen}/>'
            f'<rect x="{x + 60:.0f}" y="220" width="40" height="80" fill="{colour()}" {pen}/>'
            f'<path d="M0 300H480" {pen}/>'
        )
    elif kind == 1:  # a face
        shapes = (
            f'<circle cx="240" cy="180" r="130" fill="{colour()}" {pen}/>'
            '<circle cx="195" cy="145" r="16" fill="#222"/><circle cx="285" cy="145" r="16"/>'
            f'<path d="M170 220q70 {random.uniform(-60, 80):.0f} 140 0" fill="none" '
            'stroke="#222" stroke-width="8"/>'
        )
    elif kind == 2:  # a plan of boxes and arrows
        shapes = "".join(
            f'<rect x="{30 + 155 * (n % 3)}" y="{40 + 150 * (n // 3)}" width="110" height="70" '
            f'rx="{int(random.integers(0, 30))}" fill="{colour()}" fill-opacity=".5" '
            f'stroke="#222"/><path d="M{140 + 155 * (n % 3)} {75 + 150 * (n // 3)}h45" '
            'stroke="#222" stroke-width="2"/>'
            for n in range(6)
        )
    elif kind == 3:  # overlapping shapes
        shapes = "".join(
            f'<ellipse cx="{random.uniform(0, 480):.0f}" cy="{random.uniform(0, 360):.0f}" '
            f'rx="{random.uniform(15, 90):.0f}" ry="{random.uniform(15, 90):.0f}" '
            f'fill="{colour()}" fill-opacity=".8" {pen}/>'
            for _ in range(14)
        )
    else:  # a scribble
        points = random.uniform([20, 20], [460, 340], (16, 2))
        path = "M" + " T".join(f"{x:.0f} {y:.0f}" for x, y in points)
        shapes = f'<path d="{path}" fill="none" stroke="#222" stroke-width="3"/>'
    paper = str(random.choice(["#ffffff", "#fff8e7", "#dff1fb"]))
    return _svg(shapes, paper)


def _colours(random: Random, values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Map values between 0 and 1 to a mix of two colours."""
    first, second = random.uniform(0, 255, (2, 3))
    return first + (second - first) * values[..., None]


def texture(random: Random, place: int) -> NDArray[np.float64]:
    y, x = np.mgrid[0:HEIGHT, 0:WIDTH].astype(float)
    kind = place % 5
    if kind == 0:  # cells around random points
        points = random.uniform(0, [WIDTH, HEIGHT], (40, 2))
        distance = np.sort(np.hypot(x[..., None] - points[:, 0], y[..., None] - points[:, 1]), -1)
        values = np.clip((distance[..., 1] - distance[..., 0]) / 30, 0, 1)
    elif kind == 1:  # rings of wood
        far = np.hypot(x - random.uniform(-200, 0), 3 * (y - 180)) + 12 * np.sin(x / 40)
        values = 0.5 + 0.5 * np.sin(far / random.uniform(5, 14))
    elif kind == 2:  # bricks
        tall, wide = random.uniform(20, 60), random.uniform(50, 120)
        row = np.floor(y / tall)
        values = 1.0 * ((y % tall < 4) | ((x + row % 2 * wide / 2) % wide < 4))
    elif kind == 3:  # weave
        step = random.uniform(6, 30)
        values = (np.sin(x / step) * np.sin(y / step) > 0) * 0.7 + 0.3 * np.sin((x + y) / 7) ** 2
    else:  # marble
        swirl = sum(
            np.sin(x * a + y * b + c) / n
            for n, (a, b, c) in enumerate(random.uniform(-0.06, 0.06, (6, 3)) * [1, 1, 50], 1)
        )
        values = np.abs(np.sin(4 * swirl))
    return _colours(random, values)


def noise(random: Random, place: int) -> NDArray[np.float64]:
    kind = place % 5
    if kind == 0:  # salt and pepper on grey
        grey = np.full((HEIGHT, WIDTH, 3), random.uniform(60, 200))
        hit = random.random((HEIGHT, WIDTH))
        grey[hit < 0.2], grey[hit > 0.8] = 0, 255
        return grey
    if kind == 1:  # 1/f noise
        spectrum = np.fft.rfft2(random.normal(size=(HEIGHT, WIDTH, 3)), axes=(0, 1))
        frequency = np.hypot(np.fft.fftfreq(HEIGHT)[:, None], np.fft.rfftfreq(WIDTH)[None, :]).clip(
            1 / WIDTH
        )
        pink = np.fft.irfft2(spectrum / frequency[..., None], s=(HEIGHT, WIDTH), axes=(0, 1))
        return 128 + 55 * pink / pink.std()
    if kind == 2:  # streaks
        rows = random.uniform(0, 255, (HEIGHT, 1, 3))
        return np.broadcast_to(rows, (HEIGHT, WIDTH, 3))
    if kind == 3:  # a code of black and white blocks
        edge = int(random.choice([6, 10, 20]))
        blocks = random.integers(0, 2, (HEIGHT // edge + 1, WIDTH // edge + 1)) * 255.0
        grown = np.kron(blocks, np.ones((edge, edge)))[:HEIGHT, :WIDTH]
        return np.repeat(grown[..., None], 3, axis=2)
    waves = random.exponential(60, (HEIGHT, WIDTH, 1))  # speckle, as of a radar
    return np.repeat(waves, 3, axis=2)


PANELS: dict[str, Callable[[Random, int], str]] = {
    "chart": chart,
    "screenshot": screenshot,
    "text": text,
    "drawing": drawing,
}
COMPUTED: dict[str, Callable[[Random, int], NDArray[np.float64]]] = {
    "texture": texture,
    "noise": noise,
}


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    print(f"{len(make(parser.parse_args().folder))} images")


if __name__ == "__main__":
    main()
