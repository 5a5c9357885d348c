"""The HTML report of an evaluation."""

from __future__ import annotations

from pathlib import Path

import capgen.evaluation.report_sections as report_sections
import capgen.evaluation.word_sections as word_sections
from capgen.evaluation.chosen_images import best, drawn, ranking_metric, worst
from capgen.evaluation.compare import Comparison
from capgen.evaluation.report_sections import Attend
from capgen.evaluation.result import Evaluation
from capgen.evaluation.word_recall import word_recalls
from capgen.pages.page import write_page

# Anchor, heading, lead sentences, and images of a group of examples.
Group = tuple[str, str, tuple[str, ...], list[str]]


def write_report(
    path: Path,
    evaluation: Evaluation,
    *,
    comparison: Comparison | None = None,
    attend: Attend | None = None,
) -> None:
    """Write an evaluation, and optionally its comparison with another, as one HTML file.

    Args:
        path: The file to write.
        evaluation: The evaluation; its settings give the number of examples of each kind.
        comparison: A comparison whose first evaluation is `evaluation`.
        attend: `attention` of the system that made the captions, for heat maps.

    Raises:
        ProtectedFileError: `path` exists and is not a web page.
    """
    split = f", {evaluation.data.split}" if evaluation.data.split else ""
    systems = [evaluation] if comparison is None else [evaluation, comparison.second]
    names = " and ".join(system.name for system in systems)
    write_page(
        path,
        "report.html",
        title=f"{names} on {evaluation.data.name}{split}",
        part=report_sections,
        evaluation=evaluation,
        comparison=comparison,
        systems=systems,
        words=word_sections,
        said=word_recalls(systems),
        groups=_groups(evaluation),
        heat_maps_of=report_sections.heat_maps_by(attend),
    )


def _groups(evaluation: Evaluation) -> tuple[Group, ...]:
    count, seed = evaluation.config.examples, evaluation.config.report_seed
    if not count:
        return ()
    ranked = f"Ranked by {ranking_metric(evaluation.scores)}."
    leads = (ranked, _about_heat_maps(evaluation))
    return (
        ("best", "Best captions", leads, best(evaluation, count)),
        ("worst", "Worst captions", (ranked,), worst(evaluation, count)),
        ("random", "Random captions", (f"Seed {seed}.",), drawn(evaluation, count, seed=seed)),
    )


def _about_heat_maps(evaluation: Evaluation) -> str:
    if evaluation.system.get("runtime"):
        return (
            "Heat maps (only for models with cross-attention) show where the model attended when "
            "it chose a word, averaged over layers and heads. Each map is scaled to its own "
            "maximum."
        )
    return "No heat maps: the captions come from a file, without the model."
