"""The report of an evaluation: what it shows, in which order."""

from __future__ import annotations

from pathlib import Path

import capgen.evaluation.report_sections as report_sections
from capgen.evaluation.chosen_images import best, drawn, ranking_metric, worst
from capgen.evaluation.compare import Comparison
from capgen.evaluation.report_sections import Attend
from capgen.evaluation.result import Evaluation
from capgen.pages.page import write_page

# Anchor, heading, what is said before the examples, and their images.
Group = tuple[str, str, tuple[str, ...], list[str]]


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
        groups=_groups(evaluation),
        heat_maps_of=report_sections.heat_maps_by(attend),
    )


def _groups(evaluation: Evaluation) -> tuple[Group, ...]:
    counts, seed = evaluation.config.examples, evaluation.config.report_seed
    if not counts:
        return ()
    ranked, hint = f"By {ranking_metric(evaluation.scores)}.", _about_heat_maps(evaluation)
    at_random = drawn(evaluation, counts, seed=seed)
    return (
        ("best", "Best captions", (ranked, hint), best(evaluation, counts)),
        ("worst", "Worst captions", (ranked,), worst(evaluation, counts)),
        ("random", "Captions drawn at random", (f"Seed {seed}.",), at_random),
    )


def _about_heat_maps(evaluation: Evaluation) -> str:
    if evaluation.system.get("runtime"):
        return (
            "Heat maps (of models that have cross-attention): where it lay on the image when a "
            "word was chosen, averaged over layers and heads; each word's is scaled to its own "
            "highest value."
        )
    return "No heat maps: the captions come from a file, without the model."
