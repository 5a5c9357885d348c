"""`capgen caption --explain` and `--debug`: what lies behind one image's caption."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from rich.console import Group
from rich.table import Table
from rich.text import Text

from capgen.captioning.attention import seen_part, with_attention
from capgen.captioning.captioner import Captioner
from capgen.captioning.to_record import caption_or_raise
from capgen.cli.console import Console
from capgen.config import DecodeOptions, ImageLimits
from capgen.errors import UsageError
from capgen.explain.explain import prepare_to_explain
from capgen.explain.inspect import Inspection, Statistics, inspect_image
from capgen.explain.page import write_explanation
from capgen.explain.sheet import write_sheet
from capgen.output.drawings import write_drawing
from capgen.paths import check_place
from capgen.records import Caption

# What writes an explanation, by the suffix of its file.
WRITERS = {
    **dict.fromkeys((".png", ".jpg", ".jpeg"), write_sheet),
    **dict.fromkeys((".html", ".htm"), write_explanation),
}


def check_explanation(path: Path) -> None:
    """Check that an explanation can be written under this name, before any work is done."""
    if path.suffix.lower() not in WRITERS:
        raise UsageError(f"--explain {path}: '{path.suffix}' is not one of {', '.join(WRITERS)}")
    check_place(path)


def explain_image(
    captioner: Captioner,
    image: str,
    options: DecodeOptions,
    limits: ImageLimits,
    path: Path,
) -> Caption:
    """Caption one image and write where the model looked; return the caption."""
    prepared, upright = prepare_to_explain(captioner, image, limits)
    settings, notes = captioner.settings(options)
    (record,) = captioner.caption_prepared([prepared], settings, notes)
    caption = with_attention(
        captioner.runtime, prepared.pixels, caption_or_raise(record), captioner.name
    )
    seen = seen_part(captioner.runtime.preprocessor, upright)
    WRITERS[path.suffix.lower()](path, caption, seen)
    return caption


def debug_image(
    console: Console,
    captioner: Captioner,
    image: str,
    options: DecodeOptions,
    limits: ImageLimits,
    *,
    save_input: Path | None,
    as_json: bool,
) -> None:
    """Show what lies behind the caption of one image, as tables or as JSON."""
    found = inspect_image(captioner, image, options, limits=limits)
    if save_input is not None:
        write_drawing(save_input, found.seen)
        console.note(f"the image as the encoder saw it: {save_input}")
    if as_json:
        console.json(found.to_dict())
    else:
        console.show(_view(found))


def _view(found: Inspection) -> Group:
    caption = found.caption
    size = (
        f"{caption.width}×{caption.height} pixels, seen at {found.seen.width}×{found.seen.height}"
    )
    facts = _table("", "")
    facts.add_row("image", Text(f"{caption.path}: {size}"))
    facts.add_row("caption", Text(caption.text))
    facts.add_row("score", f"{caption.score:.4f}")
    for note in (*caption.notes, *found.notes):
        facts.add_row("note", Text(note))
    if caption.retry is not None:
        facts.add_row("retry", Text(f"{caption.retry.reason}: {caption.retry.rejected[0]}"))
    return Group(facts, _steps(found), _others(found), _statistics(found.statistics))


def _steps(found: Inspection) -> Table:
    table = _table("token", "id", "said with", "by the model", "rank", "runners-up")
    for step in found.steps:
        model = "" if step.model_probability is None else _percent(step.model_probability)
        others = ", ".join(
            f"{_shown(one.text)} {_percent(one.probability)}" for one in step.runners_up
        )
        table.add_row(
            Text(_shown(step.text)),
            str(step.id),
            _percent(step.probability),
            model,
            "" if step.rank is None else str(step.rank),
            Text(others),
        )
    return table


def _others(found: Inspection) -> Table:
    table = _table("decoding", "caption", "score")
    for name, caption in found.others.items():
        table.add_row(name, Text(caption.text), f"{caption.score:.4f}")
    return table


def _statistics(every: tuple[Statistics, ...]) -> Table:
    table = _table("numbers", "shape", "mean", "std", "least", "most")
    for one in every:
        shape = "×".join(map(str, one.shape))
        values: list[Any] = [one.mean, one.std, one.least, one.most]
        table.add_row(one.name, shape, *(f"{value:.3f}" for value in values))
    return table


def _table(*heads: str) -> Table:
    table = Table(box=None, pad_edge=False, show_header=any(heads))
    for head in heads:
        table.add_column(head)
    return table


def _percent(share: float) -> str:
    return f"{100 * share:.1f}%"


def _shown(text: str) -> str:
    """Return a token's text without its space, or a sign where it adds none."""
    return text.strip() or "∅"
