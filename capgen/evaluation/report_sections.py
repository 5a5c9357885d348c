"""The tables, the charts and the examples of reports."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from capgen.captioning.attention import CaptionAttention
from capgen.errors import ImageError, ModelError
from capgen.evaluation.chosen_images import ranking_metric
from capgen.evaluation.compare import Comparison
from capgen.evaluation.result import Evaluation
from capgen.explain.heat_maps import HeatMaps, heat_maps
from capgen.metrics.corpus import Floats
from capgen.pages.chart import Chart
from capgen.pages.histogram import histogram
from capgen.pages.images import InlineImage
from capgen.pages.page import Table
from capgen.records import Caption, Example

Attend = Callable[[Example, Caption], CaptionAttention | None]

_CHARTS = ("CIDEr-D", "METEOR", "ROUGE-L", "BLEU-4", "SPICE", "METEOR-1.5")
_LANGUAGE = {
    "captions": "captions",
    "mean_length": "words per caption, mean",
    "vocabulary": "different words",
    "distinct_1": "distinct-1 (different words / words)",
    "distinct_2": "distinct-2 (different word pairs / word pairs)",
    "duplicates": "share of captions that another image has too",
    "unique": "different captions / captions",
    "repeated_pairs": "share of captions that say a word pair twice",
    "function_word_ends": "share of captions that break off (last word: a, of, is, …)",
    "novel": "share of captions that are not in the training captions",
}


@dataclass(frozen=True, kw_only=True)
class ScoredCaption:
    """A caption with its scores, and the system that made it, where there are several."""

    text: str
    scores: Mapping[str, float]
    system: str = ""


@dataclass(frozen=True, kw_only=True)
class Card:
    """An image with its captions.

    Attributes:
        name: The image's name.
        image: The image.
        references: What people wrote.
        captions: What the systems wrote.
        verdict: Which system is ahead, and by how much.
        heat_maps: Where the model looked.
        fault: Why there are no heat maps.
    """

    name: str
    image: InlineImage
    references: Sequence[str]
    captions: Sequence[ScoredCaption]
    verdict: str = ""
    heat_maps: HeatMaps | None = None
    fault: str = ""


@dataclass(frozen=True, kw_only=True)
class Compared:
    """Two systems compared.

    Attributes:
        first: Name of the first system.
        second: Name of the second.
        notes: What a reader should know.
        table: The scores of both and how they differ.
        cards: The images on which they differ most.
        distributions: Scores of single images, of both.
    """

    first: str
    second: str
    notes: Sequence[str]
    table: Table
    cards: Sequence[Card]
    distributions: Sequence[Chart]


def compared(comparison: Comparison, examples: int) -> Compared:
    """Return what reports show of two systems, with that many images at most."""
    return Compared(
        first=comparison.first.name,
        second=comparison.second.name,
        notes=comparison.notes,
        table=_differences_table(comparison),
        cards=_disagreements(comparison, examples),
        distributions=distributions(comparison.first, comparison.second),
    )


def example_cards(
    evaluation: Evaluation, images: Iterable[str], attend: Attend | None
) -> list[Card]:
    """Return images with captions, references, scores and heat maps."""
    cards = []
    for image_id in images:
        example = evaluation.data.by_id[image_id]
        caption = ScoredCaption(text=evaluation.captions[image_id], scores=evaluation.of(image_id))
        heat, fault = _heat(example, evaluation.records.get(image_id), attend)
        cards.append(_card(example, (caption,), heat_maps=heat, fault=fault))
    return cards


def distributions(evaluation: Evaluation, other: Evaluation | None = None) -> list[Chart]:
    """Return charts of the scores of single images, of both systems where there are two."""
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
        (name, f"{value:.4f}", *_ends(evaluation.intervals.get(name)))
        for name, value in evaluation.scores.corpus.items()
    ]
    return Table(
        caption=scores_caption(evaluation),
        heads=("Metric", "Score", "From", "To"),
        rows=rows,
        numbers=1,
    )


def scores_caption(evaluation: Evaluation) -> str:
    """Return what a table of scores shows."""
    images = len(evaluation.captions)
    return f"Corpus scores over {images:,} images, with 95 % bootstrap intervals"


def language_table(evaluation: Evaluation) -> Table:
    """Return what the captions are like as language."""
    found = evaluation.scores.language.to_dict()
    rows = [
        (label, f"{found[key]:,.3f}" if isinstance(found[key], float) else f"{found[key]:,}")
        for key, label in _LANGUAGE.items()
        if found.get(key) is not None
    ]
    return Table(caption="The captions as language", rows=rows, numbers=1)


def stamp_table(evaluation: Evaluation) -> Table:
    """Return how the numbers came about."""
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
    return Table(caption=f"How the numbers of {evaluation.name} came about", rows=rows)


def _differences_table(comparison: Comparison) -> Table:
    first, second = comparison.first, comparison.second
    rows = [
        (
            name,
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
        f"First: {first.name}. Second: {second.name}. Paired bootstrap over the same "
        f"{len(first.captions):,} images."
    )
    return Table(caption=caption, heads=(*heads, "Better / same / worse"), rows=rows, numbers=1)


def _disagreements(comparison: Comparison, examples: int) -> list[Card]:
    metric = ranking_metric(comparison.first.scores)
    systems = (comparison.first, comparison.second)
    cards = []
    for image_id, difference in comparison.disagreements(examples):
        captions = tuple(
            ScoredCaption(text=one.captions[image_id], scores=one.of(image_id), system=one.name)
            for one in systems
        )
        better = systems[0] if difference > 0 else systems[1]
        verdict = f"{better.name} is ahead by {abs(difference):.3f} {metric}."
        example = comparison.first.data.by_id[image_id]
        cards.append(_card(example, captions, verdict=verdict))
    return cards


def _card(example: Example, captions: Sequence[ScoredCaption], **more: Any) -> Card:
    return Card(
        name=example.image_id,
        image=InlineImage.read(example.image, f"Image: {example.references[0]}"),
        references=example.references,
        captions=captions,
        **more,
    )


def _heat(
    example: Example, caption: Caption | None, attend: Attend | None
) -> tuple[HeatMaps | None, str]:
    """Return heat maps, or why there are none."""
    if attend is None or caption is None:
        return None, ""
    try:
        attention = attend(example, caption)
    except (ImageError, ModelError) as error:
        return None, error.message
    return (heat_maps(attention) if attention and attention.words else None), ""


def _lengths(evaluation: Evaluation) -> Floats:
    return np.array([len(caption.split()) for caption in evaluation.captions.values()], float)


def _ends(interval: Any) -> tuple[str, str]:
    return ("", "") if interval is None else (f"{interval.low:.4f}", f"{interval.high:.4f}")


def _plain(value: Any) -> str:
    if isinstance(value, Mapping):
        return ", ".join(f"{key} {_plain(item)}" for key, item in value.items())
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
