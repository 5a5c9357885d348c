"""The tables and the examples of the report."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from capgen.captioning.attention import CaptionAttention
from capgen.errors import ImageError, ModelError
from capgen.evaluation.compare import Comparison
from capgen.evaluation.result import Evaluation
from capgen.explain.heat_maps import heat_maps
from capgen.pages.images import image
from capgen.pages.page import table, text
from capgen.records import Caption, Example

Attend = Callable[[Example, Caption], CaptionAttention | None]

_LANGUAGE = {
    "captions": "captions",
    "mean_length": "words a caption, mean",
    "vocabulary": "different words",
    "distinct_1": "distinct-1 (different words / words)",
    "distinct_2": "distinct-2 (different word pairs / word pairs)",
    "duplicates": "share of captions that another image has too",
    "unique": "different captions / captions",
    "repeated_pairs": "share of captions that say a word pair twice",
    "function_word_ends": "share of captions that break off (last word: a, of, is, …)",
    "novel": "share of captions that are not in the training captions",
}


class Album:
    """Makes the examples of a page, and gathers the CSS of their heat maps.

    Args:
        attend: Where the model looked for each word of a caption, or None for no heat maps.
    """

    def __init__(self, attend: Attend | None) -> None:
        self._attend = attend
        self._styles: list[str] = []

    @property
    def style(self) -> str:
        """The CSS that the examples need."""
        return "".join(self._styles)

    def examples(self, evaluation: Evaluation, images: Iterable[str]) -> str:
        """Return a grid of images with captions, references and scores."""
        cards = []
        for image_id in images:
            example = evaluation.data.by_id[image_id]
            said = f'<p class="said">{_caption(evaluation.captions[image_id])}</p>'
            scores = _scores(evaluation.of(image_id))
            heat = self._heat(example, evaluation.records.get(image_id))
            cards.append(_card(example, said + scores, heat))
        return f'<div class="grid">{"".join(cards)}</div>'

    def disagreements(
        self, comparison: Comparison, images: Sequence[tuple[str, float]], metric: str
    ) -> str:
        """Return a grid of images with the captions of both systems."""
        cards = []
        for image_id, difference in images:
            said = ""
            for one in (comparison.first, comparison.second):
                said += f'<p class="soft">{text(one.name)}</p>'
                said += f'<p class="said">{_caption(one.captions[image_id])}</p>'
                said += _scores(one.of(image_id))
            better = comparison.first if difference > 0 else comparison.second
            said += f"<p>{text(better.name)} is ahead by {abs(difference):.3f} {text(metric)}.</p>"
            cards.append(_card(comparison.first.data.by_id[image_id], said, ""))
        return f'<div class="grid">{"".join(cards)}</div>'

    def _heat(self, example: Example, caption: Caption | None) -> str:
        if self._attend is None or caption is None:
            return ""
        try:
            attention = self._attend(example, caption)
        except (ImageError, ModelError) as error:
            return f'<p class="soft">No heat maps: {text(error.message)}</p>'
        if attention is None or not attention.words:
            return ""
        maps, style = heat_maps(attention, f"photo{len(self._styles)}")
        self._styles.append(style)
        return f"<details><summary>Where the model looked</summary>{maps}</details>"


def metrics_table(evaluation: Evaluation) -> str:
    """Return the scores with their intervals."""
    rows = []
    for name, value in evaluation.scores.corpus.items():
        interval = evaluation.intervals.get(name)
        rows.append((name, f"{value:.4f}", *_ends(interval)))
    caption = (
        f"Corpus scores over {len(evaluation.captions):,} images, with 95 % bootstrap intervals"
    )
    return table(caption, ("Metric", "Score", "From", "To"), rows, numbers=1)


def differences_table(comparison: Comparison) -> str:
    """Return the scores of both systems and how they differ."""
    rows = []
    for name, item in comparison.differences.items():
        low, high = _ends(item.difference)
        rows.append(
            (
                name,
                f"{item.first:.4f}",
                f"{item.second:.4f}",
                f"{item.difference.value:+.4f}",
                f"{low} to {high}",
                f"{item.p_value:.3f}",
                f"{item.wins:,} / {item.ties:,} / {item.losses:,}",
            )
        )
    caption = (
        f"First: {comparison.first.name}. Second: {comparison.second.name}. Paired bootstrap "
        f"over the same {len(comparison.first.captions):,} images."
    )
    heads = ("Metric", "First", "Second", "Difference", "95 % interval", "p")
    return table(caption, (*heads, "Better / same / worse"), rows, numbers=1)


def language_table(evaluation: Evaluation) -> str:
    """Return what the captions are like as language."""
    found = evaluation.scores.language.to_dict()
    rows = [
        (label, f"{found[key]:,.3f}" if isinstance(found[key], float) else f"{found[key]:,}")
        for key, label in _LANGUAGE.items()
        if found.get(key) is not None
    ]
    return table("The captions as language", ("", ""), rows, numbers=1)


def stamp_table(evaluation: Evaluation) -> str:
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
    return table(f"How the numbers of {evaluation.name} came about", ("", ""), rows)


def notes(lines: Iterable[str]) -> str:
    """Return what a reader should know."""
    return "".join(f'<p class="note">{text(line)}</p>' for line in lines)


def failures_list(evaluation: Evaluation) -> str:
    """Return the images without captions, the first hundred of them."""
    shown = list(evaluation.failures.items())[:100]
    items = "".join(f"<li>{text(name)}: {text(item.message)}</li>" for name, item in shown)
    more = len(evaluation.failures) - len(shown)
    return f"<ul>{items}</ul>" + (f"<p>And {more:,} more.</p>" if more else "")


def _card(example: Example, said: str, heat: str) -> str:
    references = "".join(f"<li>{text(reference)}</li>" for reference in example.references)
    return (
        f'<article class="card">{image(example.image, f"Image: {example.references[0]}")}'
        f"<h3>{text(example.image_id)}</h3>{said}{heat}"
        f"<details open><summary>{len(example.references)} human captions</summary>"
        f"<ul>{references}</ul></details></article>"
    )


def _caption(caption: str) -> str:
    return text(caption) if caption.strip() else '<span class="soft">(no words)</span>'


def _scores(scores: Mapping[str, float]) -> str:
    items = "".join(
        f"<div><dt>{text(name)}</dt><dd>{value:.3f}</dd></div>" for name, value in scores.items()
    )
    return f'<dl class="scores">{items}</dl>'


def _ends(interval: Any) -> tuple[str, str]:
    return ("", "") if interval is None else (f"{interval.low:.4f}", f"{interval.high:.4f}")


def _plain(value: Any) -> str:
    if isinstance(value, Mapping):
        return ", ".join(f"{key} {_plain(item)}" for key, item in value.items())
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
