"""The comparison of models as one HTML page."""

from __future__ import annotations

from pathlib import Path

from capgen.evaluation import report_sections, word_sections
from capgen.pages.page import Table, write_page
from capgen.registry import learning_curves
from capgen.registry.compare import DISAGREEMENTS, ModelComparison
from capgen.registry.entries import ModelEntry
from capgen.registry.speed import Speed


def write_comparison(
    path: Path, comparison: ModelComparison, *, examples: int = DISAGREEMENTS
) -> None:
    """Write a page with all scores and, for each pair of models, `examples` disagreements."""
    data = comparison.evaluations[0].data
    names = ", ".join(entry.name for entry in comparison.entries)
    split = f", {data.split}" if data.split else ""
    write_page(
        path,
        "models.html",
        title=f"{names} on {data.name}{split}",
        part=report_sections,
        words=word_sections,
        curves=learning_curves,
        found=comparison,
        scores=report_sections.scores_table(comparison.evaluations),
        facts=_facts(comparison),
        examples=examples,
    )


def _facts(comparison: ModelComparison) -> Table:
    return Table(
        caption=(
            "The models. Photos/s is the median over rounds (slowest to fastest) in which the "
            "models took turns."
        ),
        heads=("Model", "Encoder and decoder", "Parameters", "Stored as", "Size", "Photos/s", "On"),
        rows=[_facts_of(entry, comparison.speeds.get(entry.name)) for entry in comparison.entries],
    )


def _facts_of(entry: ModelEntry, speed: Speed | None) -> tuple[str, ...]:
    measured = ("", "")
    if speed is not None:
        span = f"({speed.slowest:.1f} to {speed.fastest:.1f})"
        measured = f"{speed.photos_per_second:.1f} {span}", f"{speed.runtime}, {speed.device}"
    return (
        entry.name,
        f"{entry.encoder} and {entry.decoder}",
        "" if entry.parameters is None else f"{entry.parameters / 1e6:,.1f} M",
        entry.precision,
        f"{entry.size / 1e6:,.1f} MB" if entry.size else "",
        *measured,
    )
