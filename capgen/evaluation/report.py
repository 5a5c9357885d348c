"""The report of an evaluation: what it shows, in which order."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from capgen.evaluation import report_sections
from capgen.evaluation.chosen_images import best, drawn, ranking_metric, worst
from capgen.evaluation.compare import Comparison
from capgen.evaluation.report_sections import Attend, Card
from capgen.evaluation.result import Evaluation
from capgen.pages.page import write_page


@dataclass(frozen=True)
class _Group:
    """Examples under a heading, with what is said before them."""

    anchor: str
    heading: str
    lead: Sequence[str]
    cards: Sequence[Card]


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
    compared = comparison and report_sections.compared(comparison, evaluation.config.examples)
    write_page(
        path,
        "report.html",
        title=f"{names} on {evaluation.data.name}{split}",
        remarks=evaluation.notes,
        scores=report_sections.metrics_table(evaluation),
        comparison=compared,
        distributions=(
            compared.distributions if compared else report_sections.distributions(evaluation)
        ),
        groups=list(_groups(evaluation, attend)),
        failures=[f"{name}: {item.message}" for name, item in evaluation.failures.items()],
        language=report_sections.language_table(evaluation),
        stamps=[report_sections.stamp_table(system) for system in systems],
    )


def _groups(evaluation: Evaluation, attend: Attend | None) -> Iterator[_Group]:
    counts, seed = evaluation.config.examples, evaluation.config.report_seed
    if not counts:
        return

    def cards(images: Iterable[str]) -> list[Card]:
        return report_sections.example_cards(evaluation, images, attend)

    ranked, hint = f"By {ranking_metric(evaluation.scores)}.", _about_heat_maps(evaluation)
    yield _Group("best", "Best captions", (ranked, hint), cards(best(evaluation, counts)))
    yield _Group("worst", "Worst captions", (ranked,), cards(worst(evaluation, counts)))
    chosen = cards(drawn(evaluation, counts, seed=seed))
    yield _Group("random", "Captions drawn at random", (f"Seed {seed}.",), chosen)


def _about_heat_maps(evaluation: Evaluation) -> str:
    if evaluation.system.get("runtime"):
        return (
            "Heat maps (of models that have cross-attention): where it lay on the image when a "
            "word was chosen, averaged over layers and heads; each word's is scaled to its own "
            "highest value."
        )
    return "No heat maps: the captions come from a file, without the model."
