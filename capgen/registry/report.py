"""The comparison of models as one HTML page."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from capgen.evaluation import report_sections, word_sections
from capgen.evaluation.result import Evaluation
from capgen.metrics.definitions import shown_name
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
        scores=_scores(comparison.evaluations),
        facts=_facts(comparison),
        examples=examples,
    )


def _scores(evaluations: Sequence[Evaluation]) -> Table:
    first = evaluations[0]
    return Table(
        caption=report_sections.scores_caption(first),
        heads=("Metric", *(evaluation.name for evaluation in evaluations)),
        rows=[
            (shown_name(metric), *(_score(evaluation, metric) for evaluation in evaluations))
            for metric in first.scores.corpus
        ],
        numbers=1,
    )


def _score(evaluation: Evaluation, metric: str) -> str:
    interval = evaluation.intervals.get(metric)
    ends = "" if interval is None else f" ({interval.low:.3f} to {interval.high:.3f})"
    value = evaluation.scores.corpus.get(metric)
    return "" if value is None else f"{value:.4f}{ends}"


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
