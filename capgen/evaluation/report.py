"""What the report shows, in which order."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np

import capgen.evaluation.report_sections as report_sections
from capgen.evaluation.chosen_images import best, drawn, ranking_metric, worst
from capgen.evaluation.compare import Comparison
from capgen.evaluation.report_sections import Album, Attend
from capgen.evaluation.result import Evaluation
from capgen.metrics.corpus import Floats
from capgen.overwriting import WEB_PAGE, check_output
from capgen.pages.histogram import histogram
from capgen.pages.page import page, text
from capgen.paths import write_text

Section = tuple[str, str, str]

_CHARTS = ("CIDEr-D", "METEOR", "ROUGE-L", "BLEU-4", "SPICE", "METEOR-1.5")


def write_report(
    path: Path,
    evaluation: Evaluation,
    *,
    comparison: Comparison | None = None,
    attend: Attend | None = None,
) -> None:
    """Write the report of an evaluation, and of its comparison with another, as one HTML file.

    Args:
        path: The file to write.
        evaluation: What to report; its settings say how many examples of each kind.
        comparison: A comparison of which `evaluation` is the first.
        attend: `attention` of the system that made the captions, for heat maps.

    Raises:
        ProtectedFileError: There is a file that is not a web page.
        StorageError: The file cannot be written.
    """
    check_output(path, WEB_PAGE)
    album = Album(attend)
    split = f", {evaluation.data.split}" if evaluation.data.split else ""
    title = f"{evaluation.name} on {evaluation.data.name}{split}"
    parts = list(_sections(evaluation, comparison, album))
    if comparison is not None:
        title = f"{evaluation.name} and {comparison.second.name} on {evaluation.data.name}{split}"
    write_text(path, page(title, parts, style=album.style))


def _sections(
    evaluation: Evaluation, comparison: Comparison | None, album: Album
) -> Iterator[Section]:
    counts = evaluation.config.examples
    metric = ranking_metric(evaluation.scores)
    scores = report_sections.notes(evaluation.notes) + report_sections.metrics_table(evaluation)
    yield "scores", "Scores", scores
    if comparison is not None:
        yield (
            "comparison",
            f"Compared with {comparison.second.name}",
            comparison_section(comparison),
        )
        found = comparison.disagreements(counts)
        if found:
            yield (
                "disagreements",
                "Where they differ most",
                album.disagreements(comparison, found, metric),
            )
    yield "distributions", "Distributions over the images", distributions(evaluation, comparison)
    if counts:
        ranked = f'<p class="soft">By {text(metric)}.</p>'
        seed = evaluation.config.report_seed
        hint = f'<p class="soft">{_about_heat_maps(evaluation)}</p>'
        groups = (
            ("best", "Best captions", ranked + hint, best(evaluation, counts)),
            ("worst", "Worst captions", ranked, worst(evaluation, counts)),
            (
                "random",
                "Captions drawn at random",
                f'<p class="soft">Seed {seed}.</p>',
                drawn(evaluation, counts, seed=seed),
            ),
        )
        for anchor, heading, lead, images in groups:
            yield anchor, heading, lead + album.examples(evaluation, images)
    if evaluation.failures:
        yield "failures", "Images without a caption", report_sections.failures_list(evaluation)
    yield "language", "Language", report_sections.language_table(evaluation)
    stamps = report_sections.stamp_table(evaluation)
    if comparison is not None:
        stamps += report_sections.stamp_table(comparison.second)
    yield "stamp", "How the numbers came about", stamps


def comparison_section(comparison: Comparison) -> str:
    """Return the scores of two systems and how they differ."""
    return (
        report_sections.notes(comparison.notes)
        + report_sections.differences_table(comparison)
        + '<p class="soft">The difference is the first system minus the second. p: how often '
        "the choice of images alone would make such a difference, two-sided.</p>"
    )


def distributions(evaluation: Evaluation, comparison: Comparison | None) -> str:
    """Return charts of the scores of single images, of both systems where there are two."""
    charts = []
    other = None if comparison is None else comparison.second
    names = () if other is None else (f"{evaluation.name} (bars)", f"{other.name} (line)")
    for name in _CHARTS:
        values = evaluation.scores.per_image.get(name)
        if values is None:
            continue
        second = None if other is None else other.scores.per_image.get(name)
        charts.append(histogram(name, values, second, names=names))
    lengths = None if other is None else _lengths(other)
    charts.append(histogram("Words a caption", _lengths(evaluation), lengths, names=names))
    return f'<div class="grid">{"".join(charts)}</div>'


def _lengths(evaluation: Evaluation) -> Floats:
    return np.array([len(caption.split()) for caption in evaluation.captions.values()], float)


def _about_heat_maps(evaluation: Evaluation) -> str:
    if evaluation.system.get("runtime"):
        return (
            "Heat maps (of models that have cross-attention): where it lay on the image when a "
            "word was chosen, averaged over layers and heads; each word's is scaled to its own "
            "highest value."
        )
    return "No heat maps: the captions come from a file, without the model."
