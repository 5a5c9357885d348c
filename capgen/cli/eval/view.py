"""How `capgen eval` looks: tables on stdout, progress and failures on stderr."""

from __future__ import annotations

from collections.abc import Iterable

from rich.table import Table
from rich.text import Text

from capgen.cli.console import Console
from capgen.cli.live_bar import LiveBar
from capgen.cli.tables import add_row, plain_table
from capgen.evaluation.chosen_images import drawn, ranking_metric
from capgen.evaluation.compare import Comparison
from capgen.evaluation.events import (
    EvaluationEvent,
    EvaluationFinished,
    FeaturesComputed,
    ImageCaptioned,
    ImageFailed,
    MetricsLeftOut,
    ScoringStarted,
)
from capgen.evaluation.result import Evaluation
from capgen.images.decoders import printable
from capgen.metrics.bootstrap import Interval
from capgen.metrics.definitions import lower_is_better, shown_name
from capgen.metrics.score_report import left_out_notes
from capgen.metrics.tokenizers import CHARACTERS

_DISAGREEMENTS = 5


def follow(
    events: Iterable[EvaluationEvent], console: Console, label: str, total: int, told: list[str]
) -> Evaluation:
    """Show events, and return the evaluation.

    Args:
        events: The events.
        console: Where they are shown.
        label: What is done, for the bar.
        total: How many images there are.
        told: The notes that were shown already, of other evaluations too; new ones are added.
    """
    with LiveBar(bar=total > 1) as live:
        live.update(label, 0, total)
        for event in events:
            if isinstance(event, ImageCaptioned | ImageFailed):
                live.update(label, event.done, total)
            if isinstance(event, FeaturesComputed):
                live.update(event.what, event.done, event.total)
            if isinstance(event, MetricsLeftOut):
                notes = left_out_notes(event.reasons)
                told += notes
                for note in notes:
                    console.note(note)
            if isinstance(event, ImageFailed):
                console.error(event.failure.message, event.failure.hint)
            if isinstance(event, ScoringStarted) and event.note:
                console.note(event.note)
            if isinstance(event, EvaluationFinished):
                evaluation = event.evaluation
    for note in (*evaluation.system.get("notes", ()), *evaluation.notes):
        if note not in told:
            console.note(note)
            told.append(note)
    return evaluation


def show(
    console: Console, evaluation: Evaluation, comparison: Comparison | None, samples: int
) -> None:
    if comparison is None:
        console.data(f"{printable(evaluation.name)} on {where(evaluation)}")
        console.show(_scores(evaluation))
        _say_what_is_lower(console, evaluation)
        console.show(_language(evaluation))
    else:
        _show_comparison(console, comparison)
    for image_id in drawn(evaluation, samples, seed=evaluation.config.report_seed):
        console.data(f"\n{_image(evaluation, image_id)}")
        console.show(_sample(evaluation, image_id))


def _show_comparison(console: Console, comparison: Comparison) -> None:
    first, second = comparison.first, comparison.second
    # The table comes last, where it is seen: the images fill more than a screen.
    for image_id, difference in comparison.disagreements(_DISAGREEMENTS):
        metric = shown_name(ranking_metric(first.scores))
        console.data(f"{_image(first, image_id)}: {metric} differs by {difference:+.3f}")
        console.show(_disagreement(comparison, image_id))
        console.data("")
    names = f"{printable(first.name)} (first) and {printable(second.name)} (second)"
    console.data(f"{names} on {where(first)}")
    console.show(_differences(comparison))
    console.data("Diff.: first - second; +/=/-: images on which the first is better, equal, worse")
    _say_what_is_lower(console, first)


def _say_what_is_lower(console: Console, evaluation: Evaluation) -> None:
    if lower := lower_is_better(evaluation.scores.corpus):
        console.data(lower)


def _scores(evaluation: Evaluation) -> Table:
    table = _table("Metric", "Score", "95 % interval")
    for name, value in evaluation.scores.corpus.items():
        add_row(table, shown_name(name), f"{value:.4f}", _interval(evaluation.intervals.get(name)))
    return table


def _language(evaluation: Evaluation) -> Text:
    language = evaluation.scores.language
    spaced = evaluation.scores.stamp.tokenizer_key != CHARACTERS
    words = "words" if spaced else "characters"
    novel = ""
    if language.novel is not None:
        novel = f", {language.novel:.1%} not in the training captions"
    coverage = "" if language.coverage is None else f" ({language.coverage:.1%} of the references')"
    frequent = ""
    if language.most_frequent:
        caption, count = language.most_frequent[0]
        said = printable(caption) or "no words"
        frequent = f"\nMost frequent: {said} ({count:,} images)"
    return Text(
        f"{language.mean_length:.1f} {words} per caption, {language.vocabulary:,} different {words}"
        f"{coverage}, distinct-1 {language.distinct_1:.3f}, distinct-2 {language.distinct_2:.3f}, "
        f"{language.duplicates:.1%} used for another image too{novel}, "
        f"{language.repeated_words:.1%} say a content word twice{frequent}\n"
    )


def _differences(comparison: Comparison) -> Table:
    table = _table("Metric", "First", "Second", "Diff.", "95 % interval", "p", "+/=/-")
    for name, item in comparison.differences.items():
        add_row(
            table,
            shown_name(name),
            f"{item.first:.4f}",
            f"{item.second:.4f}",
            f"{item.difference.value:+.4f}",
            _interval(item.difference, sign="+"),
            f"{item.p_value:.3f}",
            f"{item.wins}/{item.ties}/{item.losses}",
        )
    return table


def _disagreement(comparison: Comparison, image_id: str) -> Table:
    table = _table("", "")
    for place, evaluation in (("first", comparison.first), ("second", comparison.second)):
        add_row(table, f"{place} ({evaluation.name})", evaluation.captions[image_id])
    for reference in comparison.first.data.by_id[image_id].references:
        add_row(table, "human", reference)
    return table


def _sample(evaluation: Evaluation, image_id: str) -> Table:
    table = _table("", "")
    add_row(table, "generated", evaluation.captions[image_id])
    for reference in evaluation.data.by_id[image_id].references:
        add_row(table, "human", reference)
    scores = (f"{name} {value:.3f}" for name, value in evaluation.of(image_id).items())
    add_row(table, "scores", "  ".join(scores))
    return table


def _image(evaluation: Evaluation, image_id: str) -> str:
    return printable(evaluation.data.by_id[image_id].image)


def where(evaluation: Evaluation) -> str:
    """Return in one line what scores were computed over, and how."""
    data = evaluation.data
    split = f", {data.split}" if data.split else ""
    return f"{printable(data.name)}{split}: {printable(evaluation.scores.stamp.line())}"


def _interval(interval: Interval | None, sign: str = "") -> str:
    if interval is None:
        return ""
    return f"{interval.low:{sign}.4f}..{interval.high:{sign}.4f}"


def _table(*headers: str) -> Table:
    table = plain_table(*headers)
    for header, column in list(zip(headers, table.columns, strict=True))[1:]:
        if header:  # numbers
            column.justify, column.no_wrap = "right", True
    return table
