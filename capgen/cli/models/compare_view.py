"""How `capgen models compare` looks."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from capgen.cli.console import Console
from capgen.cli.models.view import megabytes
from capgen.cli.tables import add_row, plain_table
from capgen.images.decoders import printable

if TYPE_CHECKING:
    from capgen.evaluation.word_recall import WordRecalls
    from capgen.registry.compare import ComparisonEvent, ModelComparison


def follow_comparison(events: Iterable[ComparisonEvent], console: Console) -> ModelComparison:
    from capgen.cli.eval.view import follow
    from capgen.registry.compare import ComparisonFinished, ModelStarted

    stream = iter(events)
    told: list[str] = []
    for event in stream:
        if isinstance(event, ModelStarted):
            # Takes the events of one model, up to its evaluation.
            label = f"captioning ({event.name})"
            follow(_until_finished(stream), console, label, event.images, told)
        elif isinstance(event, ComparisonFinished):
            return event.comparison
    raise AssertionError("the comparison ended without a result")


def _until_finished(events: Iterable[Any]) -> Iterable[Any]:
    from capgen.evaluation.events import EvaluationFinished

    for event in events:
        yield event
        if isinstance(event, EvaluationFinished):
            return


def show_comparison(console: Console, comparison: ModelComparison) -> None:
    from capgen.cli.eval.view import show, where
    from capgen.metrics.definitions import shown_name
    from capgen.registry import learning_curves

    console.data(where(comparison.evaluations[0]))
    table = plain_table("", *(entry.name for entry in comparison.entries))
    for metric in comparison.evaluations[0].scores.corpus:
        cells = []
        for evaluation in comparison.evaluations:
            value, interval = evaluation.scores.corpus.get(metric), evaluation.intervals.get(metric)
            ends = "" if interval is None else f" ({interval.low:.3f}..{interval.high:.3f})"
            cells.append("" if value is None else f"{value:.4f}{ends}")
        add_row(table, shown_name(metric), *cells)
    add_row(table, "parameters", *(_millions(entry.parameters) for entry in comparison.entries))
    add_row(table, "stored as", *(entry.precision for entry in comparison.entries))
    add_row(table, "size", *(megabytes(entry.size) for entry in comparison.entries))
    if comparison.speeds:
        speeds = [comparison.speeds[entry.name] for entry in comparison.entries]
        add_row(
            table,
            "images/s",
            *(f"{s.photos_per_second:.1f} ({s.slowest:.1f}..{s.fastest:.1f})" for s in speeds),
        )
    console.show(table)
    if comparison.learning.runs:
        one = learning_curves.table(comparison.learning)
        _show_table(console, one.caption, one.heads, one.rows)
    if comparison.words is not None:
        _show_words(console, comparison.words)
    for pair in comparison.comparisons:
        console.data("")
        show(console, pair.first, pair, 0)
    for note in (*comparison.learning.notes, *comparison.notes):
        console.note(note)


def _show_words(console: Console, found: WordRecalls) -> None:
    from capgen.evaluation import word_sections

    tables = [
        *word_sections.class_tables(found),
        *word_sections.object_tables(found),
        *word_sections.missed_tables(found),
    ]
    for one in tables:
        _show_table(console, one.caption, one.heads, one.rows)
    console.data(word_sections.ABOUT)


def _show_table(
    console: Console, caption: str, heads: Sequence[str], rows: Sequence[Sequence[object]]
) -> None:
    console.data(f"\n{printable(caption)}")
    table = plain_table(*heads)
    for row in rows:
        add_row(table, *map(str, row))
    console.show(table)


def _millions(count: int | None) -> str:
    return "" if count is None else f"{count / 1e6:,.1f} M"
