"""Tables, charts and heat maps of reports; the page templates call these functions."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from capgen.captioning.attention import CaptionAttention
from capgen.errors import ImageError, ModelError
from capgen.evaluation.chosen_images import ranking_metric
from capgen.evaluation.compare import Comparison
from capgen.evaluation.result import Evaluation
from capgen.explain.heat_maps import HeatMaps, heat_maps
from capgen.metrics.corpus import Floats
from capgen.metrics.definitions import LOWER_IS_BETTER, shown_name
from capgen.pages.chart import Chart
from capgen.pages.histogram import histogram
from capgen.pages.page import Table
from capgen.records import Caption, Example

Attend = Callable[[Example, Caption], CaptionAttention | None]

_CHARTS = (
    *("CIDEr-D", "METEOR", "ROUGE-L", "BLEU-4", "SPICE", "METEOR-1.5", "CIDEr", "CIDEr-R"),
    *("SPIDEr", "CLIPScore", "RefCLIPScore", "BERTScore-F1", "self-CIDEr", "mBLEU-4"),
)
_LANGUAGE = {
    "captions": "captions",
    "mean_length": "mean words per caption",
    "vocabulary": "distinct words",
    "distinct_1": "distinct-1 (distinct words / words)",
    "distinct_2": "distinct-2 (distinct word pairs / word pairs)",
    "duplicates": "share of captions that another image has too",
    "unique": "distinct captions / captions",
    "repeated_pairs": "share of captions that repeat a word pair",
    "repeated_words": "share of captions that say a content word twice",
    "function_word_ends": "share of captions that break off (last word: a, of, is, …)",
    "novel": "share of captions that are not in the training captions",
    "coverage": "share of the references' distinct words that the captions use",
}


def heat_maps_by(attend: Attend | None) -> Callable[[Example, Caption | None], HeatMaps | str]:
    """Return a function that gives the heat maps of a caption, or why there are none."""

    def find(example: Example, caption: Caption | None) -> HeatMaps | str:
        if attend is None or caption is None or example.outside:
            return ""
        try:
            attention = attend(example, caption)
        except (ImageError, ModelError) as error:
            return error.message
        return heat_maps(attention) if attention is not None and attention.words else ""

    return find


def distributions(evaluation: Evaluation, other: Evaluation | None = None) -> list[Chart]:
    """Return charts of the per-image scores of one system or two."""
    charts = []
    names = () if other is None else (f"{evaluation.name} (bars)", f"{other.name} (line)")
    for name in _CHARTS:
        values = evaluation.scores.per_image.get(name)
        if values is None:
            continue
        second = None if other is None else other.scores.per_image.get(name)
        charts.append(histogram(name, values, second, names=names))
    lengths = None if other is None else _lengths(other)
    charts.append(histogram("Words per caption", _lengths(evaluation), lengths, names=names))
    return charts


def metrics_table(evaluation: Evaluation) -> Table:
    """Return the scores with their intervals."""
    rows = [
        (shown_name(name), f"{value:.4f}", *_ends(evaluation.intervals.get(name)))
        for name, value in evaluation.scores.corpus.items()
    ]
    return Table(
        caption=scores_caption(evaluation),
        heads=("Metric", "Score", "From", "To"),
        rows=rows,
        numbers=1,
    )


def scores_table(evaluations: Sequence[Evaluation]) -> Table:
    """Return the scores of several systems over the same images, with their intervals."""
    first = evaluations[0]
    return Table(
        caption=scores_caption(first),
        heads=("Metric", *(evaluation.name for evaluation in evaluations)),
        rows=[
            (shown_name(metric), *(_score(evaluation, metric) for evaluation in evaluations))
            for metric in first.scores.corpus
        ],
        numbers=1,
    )


def scores_caption(evaluation: Evaluation) -> str:
    """Return the caption of a table of scores."""
    return f"Corpus scores with 95 % bootstrap intervals over {evaluation.scores.stamp.line()}"


def verdict(comparison: Comparison, difference: float) -> str:
    """Return a sentence: which system is ahead on an image, and by how much."""
    metric = ranking_metric(comparison.first.scores)
    first = (difference > 0) != (metric in LOWER_IS_BETTER)
    better = comparison.first if first else comparison.second
    return f"{better.name} is ahead by {abs(difference):.3f} {metric}."


def language_table(evaluation: Evaluation) -> Table:
    """Return the language statistics of the captions."""
    values = evaluation.scores.language.to_dict()
    rows = [
        (label, f"{value:,.3f}" if isinstance(value, float) else f"{value:,}")
        for key, label in _LANGUAGE.items()
        if (value := values.get(key)) is not None
    ]
    rows += [
        (f"most frequent: {f'“{caption}”' if caption else 'no words'}", f"{count:,}")
        for caption, count in evaluation.scores.language.most_frequent
    ]
    return Table(caption="Language of the captions", rows=rows, numbers=1)


def stamp_table(evaluation: Evaluation) -> Table:
    """Return how the numbers were computed."""
    record = evaluation.to_dict()
    stamp = record["stamp"]
    facts = {
        **{f"system: {key}": value for key, value in record["system"].items()},
        **{f"data: {key}": value for key, value in record["data"].items()},
        **{key: value for key, value in stamp.items() if key != "definitions"},
        **{f"metric: {key}": value for key, value in stamp["definitions"].items()},
        **record["config"],
    }
    rows = [(key.replace("_", " "), _plain(value)) for key, value in facts.items() if value]
    return Table(caption=f"How the numbers of {evaluation.name} were computed", rows=rows)


def differences_table(comparison: Comparison) -> Table:
    """Return the scores of both systems and how they differ."""
    first, second = comparison.first, comparison.second
    rows = [
        (
            shown_name(name),
            f"{item.first:.4f}",
            f"{item.second:.4f}",
            f"{item.difference.value:+.4f}",
            " to ".join(_ends(item.difference)),
            f"{item.p_value:.3f}",
            f"{item.wins:,} / {item.ties:,} / {item.losses:,}",
        )
        for name, item in comparison.differences.items()
    ]
    heads = ("Metric", "First", "Second", "Difference", "95 % interval", "p")
    caption = (
        f"First: {first.name}. Second: {second.name}. Paired bootstrap over the same images: "
        f"{first.scores.stamp.line()}."
    )
    return Table(caption=caption, heads=(*heads, "Better / same / worse"), rows=rows, numbers=1)


def _score(evaluation: Evaluation, metric: str) -> str:
    interval = evaluation.intervals.get(metric)
    ends = "" if interval is None else f" ({interval.low:.3f} to {interval.high:.3f})"
    value = evaluation.scores.corpus.get(metric)
    return "" if value is None else f"{value:.4f}{ends}"


def _lengths(evaluation: Evaluation) -> Floats:
    return np.array([len(caption.split()) for caption in evaluation.captions.values()], float)


def _ends(interval: Any) -> tuple[str, str]:
    return ("", "") if interval is None else (f"{interval.low:.4f}", f"{interval.high:.4f}")


def _plain(value: Any) -> str:
    if isinstance(value, Mapping):
        return ", ".join(f"{key} {_plain(item)}" for key, item in value.items())
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
