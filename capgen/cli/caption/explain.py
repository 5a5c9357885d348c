"""`capgen caption --explain` and `--debug`: how the caption of one image came about."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from rich.console import Group
from rich.table import Table

from capgen.captioning.attention import seen_part, with_attention
from capgen.captioning.captioner import Captioner
from capgen.captioning.to_record import caption_or_raise
from capgen.cli.console import Console
from capgen.cli.tables import add_row, plain_table
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
    """Check, before the work, that an explanation can be written under this name."""
    if path.suffix.lower() not in WRITERS:
        raise UsageError(f"--explain {path}: '{path.suffix}' is not one of {', '.join(WRITERS)}")
    check_place(path)


def explain_image(
    captioner: Captioner, image: str, options: DecodeOptions, limits: ImageLimits, path: Path
) -> Caption:
    prepared, upright = prepare_to_explain(captioner, image, limits)
    settings, notes = captioner.settings(options)
    (record,) = captioner.caption_prepared([prepared], settings, notes)
    caption = with_attention(
        captioner.runtime, prepared.input, caption_or_raise(record), captioner.name
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
    inspection = inspect_image(captioner, image, options, limits=limits)
    if save_input is not None:
        write_drawing(save_input, inspection.seen)
        console.note(f"image as the encoder saw it: {save_input}")
    if as_json:
        console.json(inspection.to_dict())
    else:
        console.show(_view(inspection))


def _view(inspection: Inspection) -> Group:
    caption, seen = inspection.caption, inspection.seen
    size = f"{caption.width}×{caption.height} pixels, seen at {seen.width}×{seen.height}"
    facts = plain_table("", "")
    add_row(facts, "image", f"{caption.path}: {size}")
    add_row(facts, "caption", caption.text)
    add_row(facts, "score", f"{caption.score:.4f}")
    if caption.concepts:
        found = (f"{one.name} {_percent(one.probability)}" for one in caption.concepts)
        add_row(facts, "concepts", ", ".join(found))
    for note in (*caption.notes, *inspection.notes):
        add_row(facts, "note", note)
    if caption.retry is not None:
        add_row(facts, "retry", f"{caption.retry.reason}: {caption.retry.rejected[0]}")
    return Group(facts, _steps(inspection), _others(inspection), _statistics(inspection.statistics))


def _steps(inspection: Inspection) -> Table:
    table = plain_table("token", "id", "decoding", "model", "rank", "runners-up")
    for step in inspection.steps:
        others = (f"{_shown(item.text)} {_percent(item.probability)}" for item in step.runners_up)
        add_row(
            table,
            _shown(step.text),
            str(step.id),
            _percent(step.probability),
            "" if step.model_probability is None else _percent(step.model_probability),
            "" if step.rank is None else str(step.rank),
            ", ".join(others),
        )
    return table


def _others(inspection: Inspection) -> Table:
    table = plain_table("other decoding", "caption", "score")
    for name, caption in inspection.others.items():
        add_row(table, name, caption.text, f"{caption.score:.4f}")
    return table


def _statistics(statistics: tuple[Statistics, ...]) -> Table:
    table = plain_table("array", "shape", "mean", "std", "min", "max")
    for row in statistics:
        values: list[Any] = [row.mean, row.std, row.least, row.most]
        shape = "×".join(map(str, row.shape))
        add_row(table, row.name, shape, *(f"{value:.3f}" for value in values))
    return table


def _percent(share: float) -> str:
    return f"{100 * share:.1f}%"


def _shown(text: str) -> str:
    """Return a token's text without its space, or a sign for no text."""
    return text.strip() or "∅"
