"""Tables and charts of the words that models say and miss; pages and the terminal show them."""

from __future__ import annotations

from collections.abc import Sequence

from capgen.evaluation.word_recall import LEAST_IMAGES, NEEDED, WordRecall, WordRecalls
from capgen.metrics.bootstrap import Interval
from capgen.pages.chart import Chart
from capgen.pages.interval_chart import Bounds, interval_chart
from capgen.pages.page import Table

ABOUT = (
    f"A caption is asked for the words that at least {NEEDED} of its image's references have. "
    "Recall: the share of them that it says. Precision: of what it says, the share that a "
    "reference has. The class of a word is a guess from WordNet and word lists. Intervals: 95 %."
)
_OBJECTS = 10


def class_chart(found: WordRecalls) -> Chart:
    """Return the chart of recall by class of word."""
    rows = [
        (item.name, [Bounds(one.value, one.low, one.high) for one in item.recall])
        for item in found.classes
    ]
    return interval_chart("Recall by class of word", found.names, rows)


def class_tables(found: WordRecalls) -> list[Table]:
    """Return recall and precision by class of word.

    Of more than two models each is a table of its own: together they are too wide for a terminal.
    """
    images = f"over {found.images:,} images"
    recalls = [list(map(share, item.recall)) for item in found.classes]
    precisions = list(map(_precisions, found.classes))
    if len(found.names) > 2:
        return [
            _by_class(found, f"Recall by class of word, {images}", found.names, recalls),
            _by_class(found, f"Precision by class of word, {images}", found.names, precisions),
        ]
    heads = [f"{what} of {name}" for what in ("Recall", "Precision") for name in found.names]
    cells = [recall + precision for recall, precision in zip(recalls, precisions, strict=True)]
    about = f"What the captions say, by class of word, {images}"
    return [_by_class(found, about, heads, cells)]


def _by_class(
    found: WordRecalls, caption: str, heads: Sequence[str], cells: Sequence[Sequence[str]]
) -> Table:
    return Table(
        caption=caption,
        heads=("Class", "Asked for", *heads),
        rows=[
            (item.name, f"{item.asked:,}", *row)
            for item, row in zip(found.classes, cells, strict=True)
        ],
        numbers=1,
    )


def object_tables(found: WordRecalls) -> list[Table]:
    """Return, for each model compared with the first, the objects that either says better."""
    tables = []
    for other in range(1, len(found.names)):
        for by_first in (True, False):
            items = found.said_better(other, _OBJECTS, by_first=by_first)
            if items:
                tables.append(_better(found, other, items, by_first=by_first))
    return tables


def missed_tables(found: WordRecalls) -> list[Table]:
    """Return the objects that each model misses most."""
    tables = []
    for model, name in enumerate(found.names):
        items = found.missed(model, _OBJECTS)
        if items:
            tables.append(
                Table(
                    caption=f"Objects that {name} misses on the most images",
                    heads=("Object", "Images", "Missed", "Recall"),
                    rows=[
                        (
                            item.name,
                            f"{item.asked:,}",
                            f"{round(item.asked * (1 - item.recall[model].value)):,}",
                            share(item.recall[model]),
                        )
                        for item in items
                    ],
                    numbers=1,
                )
            )
    return tables


def share(interval: Interval, sign: str = "") -> str:
    """Return a share with its interval, as in `0.52 (0.48 to 0.56)`."""
    return f"{interval.value:{sign}.2f} ({interval.low:{sign}.2f} to {interval.high:{sign}.2f})"


def _better(
    found: WordRecalls, other: int, items: Sequence[WordRecall], *, by_first: bool
) -> Table:
    names = (found.names[0], found.names[other])
    ahead, behind = names if by_first else names[::-1]
    return Table(
        caption=(
            f"Objects that {ahead} says on more images than {behind}; of those that "
            f"{LEAST_IMAGES} images or more ask for"
        ),
        heads=("Object", "Images", *(f"Recall of {name}" for name in names), "Difference"),
        rows=[
            (
                item.name,
                f"{item.asked:,}",
                share(item.recall[0]),
                share(item.recall[other]),
                share(item.difference[other - 1], "+"),
            )
            for item in items
        ],
        numbers=1,
    )


def _precisions(item: WordRecall) -> list[str]:
    return ["" if value is None else f"{value:.2f}" for value in item.precision]
