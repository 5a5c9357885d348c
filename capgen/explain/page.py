"""Where a captioner looked, word by word, as a page to open in a browser.

Attention is shown three ways, so that none needs colour: shading, a line around the cells that
hold half of it, and numbers. Like the report, the page has no script and asks for nothing.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from capgen.explain.heat_maps import heat_image, place_of_most
from capgen.explain.outlines import Floats, core, outline
from capgen.overwriting import WEB_PAGE, check_output
from capgen.pages.images import data_uri
from capgen.pages.page import page, table, text
from capgen.paths import write_text
from capgen.records import Caption, Word

_SIDE = 640
_HOW = (
    "Shading shows how the model's cross-attention for a word was spread over the image, "
    "averaged over all its layers and heads. The dashed line surrounds the fewest cells that "
    "hold half of it; the number in a cell is its share in per cent (the three highest). "
    "Attention says which cells were read while the word was chosen. It does not prove that "
    "the word was chosen because of them: cells carry what lies around them too."
)
_STYLE = """
.strip { display: flex; flex-wrap: wrap; gap: .5rem; list-style: none; padding: 0; }
.strip a { display: block; padding: .3rem .7rem; border: 1px solid var(--line);
  border-radius: .5rem; background: var(--panel); text-decoration: none; }
.strip b { display: block; font-size: 1.15rem; color: var(--ink); }
.strip span { font-size: .85rem; color: var(--soft); font-variant-numeric: tabular-nums; }
.looks { display: grid; gap: 1.25rem;
  grid-template-columns: repeat(auto-fill, minmax(min(20rem, 100%), 1fr)); }
.word { margin: 0; padding: .8rem; background: var(--panel); border: 1px solid var(--line);
  border-radius: .5rem; min-width: 0; scroll-margin-top: 1rem; }
.word:target { outline: 3px solid var(--accent); }
.word h3 { margin: 0 0 .5rem; font-size: 1.15rem; }
.word svg { position: absolute; inset: 0; height: 100%; }
.word svg .back { stroke: #000; stroke-width: 5; fill: none; vector-effect: non-scaling-stroke; }
.word svg .front { stroke: #fff; stroke-width: 2.5; stroke-dasharray: 7 5; fill: none;
  vector-effect: non-scaling-stroke; }
.word .share { position: absolute; transform: translate(-50%, -50%); font-size: .75rem;
  line-height: 1; padding: .1rem .2rem; color: #fff; background: #000c; border-radius: .2rem; }
.plain { max-width: 40rem; width: 100%; height: auto; display: block; border-radius: .5rem; }
.word figcaption { margin-top: .5rem; color: var(--ink); }
.cells td, .cells th { padding: .1rem .45rem .1rem 0; font-size: .75rem; min-width: 0 !important; }
@media (forced-colors: active) { .word .share { forced-color-adjust: none; } }
"""


def write_explanation(path: Path, caption: Caption, image: Image.Image) -> None:
    """Write a self-contained HTML page that shows where the model looked for each word.

    Args:
        path: The file to write.
        caption: The caption, with its `attention`.
        image: RGB, what the attention maps cover.

    Raises:
        ProtectedFileError: There is a file that is not a web page.
        StorageError: The file cannot be written.
    """
    check_output(path, WEB_PAGE)
    assert caption.attention is not None
    small = image.copy()
    small.thumbnail((_SIDE, _SIDE), Image.Resampling.LANCZOS)
    uri = data_uri(small, "JPEG")
    style = (
        f"{_STYLE}.seen {{ background-image: url({uri}); "
        f"aspect-ratio: {small.width} / {small.height}; }}\n"
    )
    looks = "".join(
        _figure(number, word, heat)
        for number, (word, heat) in enumerate(zip(caption.words, caption.attention, strict=True), 1)
    )
    sections = [
        ("caption", "Caption", _overview(caption, uri, small.size)),
        (
            "words",
            "Word by word",
            f'<div class="looks">{looks}</div>' if looks else "<p>No words.</p>",
        ),
        ("how", "How to read this", f'<p class="note">{text(_HOW)}</p>{_facts(caption)}'),
    ]
    write_text(path, page(f"Where the model looked: {caption.text}", sections, style=style))


def _overview(caption: Caption, uri: str, size: tuple[int, int]) -> str:
    links = "".join(
        f'<li><a href="#word-{number}"><b>{text(word.text)}</b>'
        f"<span>{_percent(word.probability)}</span></a></li>"
        for number, word in enumerate(caption.words, 1)
    )
    return (
        f'<img class="plain" src="{uri}" alt="{text(f"The image: {caption.text}")}" '
        f'width="{size[0]}" height="{size[1]}">'
        "<p>Each word with the probability that the model gave it after the words before it. "
        f'Choose one to see where it looked.</p><ol class="strip">{links}</ol>'
    )


def _figure(number: int, word: Word, heat: Floats) -> str:
    inside = core(heat)
    cells = f"{int(inside.sum())} of {heat.size} cells"
    words = (
        f"Most at the {place_of_most(heat)}; half of the attention is in {cells} "
        f"({_percent(inside.mean())} of the image)."
    )
    return (
        f'<figure class="word" id="word-{number}"><h3>{number}. {text(word.text)}: '
        f"{_percent(word.probability)}</h3>"
        f'<div class="look seen" role="img" aria-label="{text(f"For {word.text}: {words}")}">'
        f'<img src="{data_uri(heat_image(heat), "PNG")}" alt="">{_line(inside)}{_shares(heat)}'
        f"</div><figcaption>{text(words)}</figcaption>"
        f"<details><summary>All {heat.size} shares</summary>{_numbers(word, heat)}</details>"
        "</figure>"
    )


def _line(inside: np.ndarray) -> str:
    rows, columns = inside.shape
    path = "".join(f"M{x0} {y0}L{x1} {y1}" for x0, y0, x1, y1 in outline(inside))
    return (
        f'<svg viewBox="0 0 {columns} {rows}" preserveAspectRatio="none" aria-hidden="true">'
        f'<path class="back" d="{path}"/><path class="front" d="{path}"/></svg>'
    )


def _shares(heat: Floats) -> str:
    """Return the highest shares as numbers on their cells."""
    rows, columns = heat.shape
    places = np.argsort(-heat, axis=None, kind="stable")[:3]
    labels = []
    for place in map(int, places):
        left, top = (place % columns + 0.5) / columns, (place // columns + 0.5) / rows
        labels.append(
            f'<span class="share" aria-hidden="true" style="left:{100 * left:.1f}%;'
            f'top:{100 * top:.1f}%">{100 * heat.flat[place]:.0f}</span>'
        )
    return "".join(labels)


def _numbers(word: Word, heat: Floats) -> str:
    rows = [
        (f"row {number}", *(f"{100 * value:.1f}" for value in row))
        for number, row in enumerate(heat, 1)
    ]
    heads = ("", *map(str, range(1, heat.shape[1] + 1)))
    title = f"Attention of '{word.text}' in per cent, by row and column of the image"
    return f'<div class="cells">{table(title, heads, rows, numbers=1)}</div>'


def _facts(caption: Caption) -> str:
    rows = [
        ("image", caption.path or "(in memory)"),
        ("model", f"{caption.model} {caption.revision}".strip()),
        *((key.replace("_", " "), str(value)) for key, value in caption.settings.items()),
    ]
    return table("How the caption came about", ("", ""), rows)


def _percent(share: float) -> str:
    return f"{100 * share:.1f} %"
