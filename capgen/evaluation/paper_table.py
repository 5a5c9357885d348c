"""Scores as the rows of a paper's table: LaTeX, Markdown or CSV."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath

import capgen.metrics.bleu as bleu
from capgen.evaluation.result import Evaluation
from capgen.evaluation.systems import is_predictions
from capgen.images.decoders import printable
from capgen.metrics.bootstrap import Difference, Interval
from capgen.metrics.definitions import lower_is_better, shown_name
from capgen.metrics.meteor_1_5 import resources
from capgen.tables.formulas import spreadsheet_text

# What `--format` may be, besides the table of the terminal.
FORMATS = ("latex", "markdown", "csv")
_LATEX = {
    **{character: f"\\{character}" for character in "&%$#_{}"},
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    # In LaTeX's own fonts these are other signs.
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
}
_MARKDOWN = frozenset("\\`*_[]<>|")
# The columns that come first, in the order of most papers.
_FIRST = (*bleu.NAMES, resources.NAME, "METEOR", "ROUGE-L")
# Differences with a lower p-value are marked.
_SIGNIFICANT = 0.05


@dataclass(frozen=True)
class _Row:
    name: str
    evaluation: Evaluation
    differences: Mapping[str, Difference]

    def marked(self, metric: str) -> bool:
        found = self.differences.get(metric)
        return found is not None and found.p_value < _SIGNIFICANT


def paper_table(
    evaluations: Sequence[Evaluation],
    format: str,
    *,
    intervals: bool = False,
    names: Sequence[str] = (),
    differences: Sequence[Mapping[str, Difference]] = (),
) -> str:
    """Return a row of scores for each of some evaluations over the same images.

    In LaTeX and Markdown scores are multiplied by 100 and rounded to one decimal, as papers have
    them, and those that differ significantly from the first row's have a dagger; CSV has all
    digits, the p-values, and columns for what the scores depend on.

    Args:
        evaluations: The evaluations.
        format: One of `FORMATS`.
        intervals: Whether the bootstrap intervals stand beside the scores.
        names: What the rows are called; by default the models' names, and those of files of
            predictions without their suffix.
        differences: For each row after the first, metric → the first row minus this one.
    """
    names = names or _row_names(evaluations)
    compared = [{}, *differences] if differences else [{} for _ in evaluations]
    rows = list(map(_Row, names, evaluations, compared))
    write: dict[str, Callable[[Sequence[_Row], bool], str]]
    write = {"latex": _latex, "markdown": _markdown, "csv": _csv}
    return write[format](rows, intervals)


def _latex(rows: Sequence[_Row], intervals: bool) -> str:
    metrics = _metrics(rows)
    lines = [
        f"% {_about(rows[0].evaluation)}",
        *(f"% {line}" for line in _explained(rows, r"$^\dagger$")),
        rf"\begin{{tabular}}{{l{'r' * len(metrics)}}}",
        r"\hline",
        " & ".join(map(_latex_text, ("Model", *map(shown_name, metrics)))) + r" \\",
        r"\hline",
        *(
            " & ".join((_latex_text(row.name), *_cells(row, metrics, intervals, r"$^\dagger$")))
            + r" \\"
            for row in rows
        ),
        r"\hline",
        r"\end{tabular}",
    ]
    return "\n".join(lines)


def _markdown(rows: Sequence[_Row], intervals: bool) -> str:
    metrics = _metrics(rows)
    cells = [
        ("Model", *map(shown_name, metrics)),
        ("---", *("---:" for _ in metrics)),
        *((row.name, *_cells(row, metrics, intervals, "†")) for row in rows),
    ]
    lines = [f"| {' | '.join(map(_markdown_text, row))} |" for row in cells]
    about = _markdown_text(_about(rows[0].evaluation))
    return "\n".join((*lines, "", f"{about}. {' '.join(_explained(rows, '†'))}"))


def _csv(rows: Sequence[_Row], intervals: bool) -> str:
    metrics = _metrics(rows)
    ends = [f"{name} {end}" for name in metrics for end in ("low", "high")] if intervals else []
    tested = metrics if any(row.differences for row in rows) else []
    about = ("data", "images", "references", "tokenizer", "document frequencies", "split")
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(("model", *metrics, *ends, *(f"{name} p" for name in tested), *about))
    for row in rows:
        one = row.evaluation
        stamp = one.scores.stamp
        bounds = [_bounds(one.intervals.get(name)) for name in metrics] if intervals else []
        found = [row.differences.get(name) for name in tested]
        writer.writerow(
            (
                spreadsheet_text(row.name),
                *(_digits(one.scores.corpus.get(name)) for name in metrics),
                *(end for pair in bounds for end in pair),
                *(_digits(None if item is None else item.p_value) for item in found),
                *(spreadsheet_text(one.data.name), stamp.images, stamp.references, stamp.tokenizer),
                *(stamp.document_frequencies, one.data.split),
            )
        )
    return text.getvalue().removesuffix("\n")


def _row_names(evaluations: Sequence[Evaluation]) -> list[str]:
    names = [one.name for one in evaluations]
    short = [
        str(PurePosixPath(one.name).with_suffix(""))
        if one.system["kind"] == "predictions" and is_predictions(one.name)
        else one.name
        for one in evaluations
    ]
    # `said.json` and `said.csv` keep their suffixes.
    return short if len(set(short)) == len(set(names)) else names


def _metrics(rows: Sequence[_Row]) -> list[str]:
    """Return the names of all scores: some may be undefined, or left out for one system only."""
    names = dict.fromkeys(name for row in rows for name in row.evaluation.scores.per_image)
    return [*(name for name in _FIRST if name in names), *(n for n in names if n not in _FIRST)]


def _cells(row: _Row, metrics: Sequence[str], intervals: bool, mark: str) -> list[str]:
    cells = []
    for name in metrics:
        value = row.evaluation.scores.corpus.get(name)
        interval = row.evaluation.intervals.get(name)
        cell = "-" if value is None else f"{100 * value:.1f}"
        if row.marked(name):
            cell += mark
        if intervals and interval is not None:
            cell += f" ({100 * interval.low:.1f} to {100 * interval.high:.1f})"
        cells.append(cell)
    return cells


def _about(evaluation: Evaluation) -> str:
    data = evaluation.data
    place = f"{data.name}, {data.split}" if data.split else data.name
    return _one_line(f"{place}: {evaluation.scores.stamp.line()}")


def _explained(rows: Sequence[_Row], mark: str) -> list[str]:
    """Return sentences that a reader of the numbers needs."""
    told = ["All scores are times 100, CIDEr-D too."]
    if lower := lower_is_better(_metrics(rows)):
        told.append(lower)
    if any(row.differences for row in rows):
        told.append(f"{mark}: differs from the first row, p < {_SIGNIFICANT} (paired bootstrap).")
    return told


def _bounds(interval: Interval | None) -> tuple[str, str]:
    return ("", "") if interval is None else (repr(interval.low), repr(interval.high))


def _digits(value: float | None) -> str:
    return "" if value is None else repr(value)


def _latex_text(text: str) -> str:
    escaped = "".join(_LATEX.get(character, character) for character in _one_line(text))
    escaped = escaped.replace("--", "-{}-").replace("--", "-{}-")  # two would be a dash
    # After the end of a row, LaTeX takes these for options of it.
    return f"{{}}{escaped}" if escaped.startswith(("[", "*")) else escaped


def _markdown_text(text: str) -> str:
    return "".join(f"\\{c}" if c in _MARKDOWN else c for c in _one_line(text))


def _one_line(text: str) -> str:
    return printable(" ".join(text.split()))
