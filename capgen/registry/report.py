"""The comparison of models as one HTML page, of the parts that evaluation reports are made of."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from capgen.evaluation import report_sections
from capgen.evaluation.chosen_images import ranking_metric
from capgen.evaluation.compare import Comparison
from capgen.evaluation.report import comparison_section, distributions
from capgen.evaluation.report_sections import Album
from capgen.overwriting import WEB_PAGE, check_output
from capgen.pages.page import page, table, text
from capgen.paths import write_text
from capgen.registry.compare import DISAGREEMENTS, ModelComparison

Section = tuple[str, str, str]


def write_comparison(path: Path, found: ModelComparison, *, examples: int = DISAGREEMENTS) -> None:
    """Write a page with the scores of all models and the images that they disagree on most.

    Args:
        path: The file to write.
        found: The comparison.
        examples: Images for each pair of models.

    Raises:
        ProtectedFileError: There is a file that is not a web page.
        StorageError: The file cannot be written.
    """
    check_output(path, WEB_PAGE)
    data = found.evaluations[0].data
    names = ", ".join(entry.name for entry in found.entries)
    split = f", {data.split}" if data.split else ""
    parts = list(_sections(found, examples))
    write_text(path, page(f"{names} on {data.name}{split}", parts))


def _sections(found: ModelComparison, examples: int) -> Iterator[Section]:
    lead = report_sections.notes(found.notes)
    yield "models", "Models", lead + _scores(found) + _facts(found)
    for number, comparison in enumerate(found.comparisons, start=1):
        first, second = comparison.first, comparison.second
        title = f"{first.name} and {second.name}"
        yield f"comparison-{number}", title, comparison_section(comparison)
        yield (
            f"disagreements-{number}",
            f"Where {title} differ most",
            _disagreements(comparison, examples),
        )
        yield (
            f"distributions-{number}",
            f"Distributions over the images: {title}",
            distributions(first, comparison),
        )
    language = "".join(
        f"<h3>{text(item.name)}</h3>{report_sections.language_table(item)}"
        for item in found.evaluations
    )
    yield "language", "Language", language
    stamps = "".join(report_sections.stamp_table(item) for item in found.evaluations)
    yield "stamp", "How the numbers came about", stamps


def _disagreements(comparison: Comparison, examples: int) -> str:
    images = comparison.disagreements(examples)
    if not images:
        return "<p>They score the same on every image.</p>"
    metric = ranking_metric(comparison.first.scores)
    return Album(None).disagreements(comparison, images, metric)


def _scores(found: ModelComparison) -> str:
    rows = []
    for metric in found.evaluations[0].scores.corpus:
        cells = []
        for evaluation in found.evaluations:
            interval = evaluation.intervals.get(metric)
            ends = "" if interval is None else f" ({interval.low:.3f} to {interval.high:.3f})"
            cells.append(f"{evaluation.scores.corpus[metric]:.4f}{ends}")
        rows.append((metric, *cells))
    heads = ("Metric", *(evaluation.name for evaluation in found.evaluations))
    images = len(found.evaluations[0].captions)
    return table(
        f"Corpus scores over {images:,} images, with 95 % bootstrap intervals",
        heads,
        rows,
        numbers=1,
    )


def _facts(found: ModelComparison) -> str:
    rows = []
    for entry in found.entries:
        speed = found.speeds.get(entry.name)
        rows.append(
            (
                entry.name,
                f"{entry.encoder} and {entry.decoder}",
                "" if entry.parameters is None else f"{entry.parameters / 1e6:,.1f} M",
                entry.precision,
                f"{entry.size / 1e6:,.1f} MB",
                ""
                if speed is None
                else f"{speed.photos_per_second:.1f} ({speed.slowest:.1f} to {speed.fastest:.1f})",
                "" if speed is None else f"{speed.runtime}, {speed.device}",
            )
        )
    heads = ("Model", "Encoder and decoder", "Parameters", "Stored as", "Size", "Photos/s", "On")
    caption = (
        "What the models are. Photos/s: median round (slowest to fastest), the models taking turns."
    )
    return table(caption, heads, rows)
