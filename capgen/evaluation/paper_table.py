"""Scores as the rows of a paper's table: LaTeX, Markdown or CSV."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Sequence
from pathlib import PurePath

from capgen.evaluation.result import Evaluation
from capgen.evaluation.systems import is_predictions
from capgen.metrics.bootstrap import Interval
from capgen.tables.formulas import spreadsheet_text

# What `--format` may be, besides the table of the terminal.
FORMATS = ("latex", "markdown", "csv")
_LATEX = {
    **{character: f"\\{character}" for character in "&%$#_{}"},
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
}
_MARKDOWN = frozenset("\\`*_[]<>|")


def paper_table(evaluations: Sequence[Evaluation], format: str, *, intervals: bool = False) -> str:
    """Return a row of scores for each of some evaluations over the same images.

    In LaTeX and Markdown scores are multiplied by 100 and rounded to one decimal, as papers have
    them; CSV has all digits, and columns for what the scores depend on. A file of predictions is
    named without its suffix.

    Args:
        evaluations: The evaluations.
        format: One of `FORMATS`.
        intervals: Whether the bootstrap intervals stand beside the scores.
    """
    write: dict[str, Callable[[Sequence[Evaluation], bool], str]]
    write = {"latex": _latex, "markdown": _markdown, "csv": _csv}
    return write[format](evaluations, intervals)


def _latex(evaluations: Sequence[Evaluation], intervals: bool) -> str:
    metrics = _metrics(evaluations)
    lines = [
        f"% {_under(evaluations[0])}",
        rf"\begin{{tabular}}{{l{'r' * len(metrics)}}}",
        r"\hline",
        " & ".join(map(_latex_text, ("Model", *metrics))) + r" \\",
        r"\hline",
        *(
            " & ".join((_latex_text(_row_name(one)), *_cells(one, metrics, intervals))) + r" \\"
            for one in evaluations
        ),
        r"\hline",
        r"\end{tabular}",
    ]
    return "\n".join(lines)


def _markdown(evaluations: Sequence[Evaluation], intervals: bool) -> str:
    metrics = _metrics(evaluations)
    rows = [
        ("Model", *metrics),
        ("---", *("---:" for _ in metrics)),
        *((_row_name(one), *_cells(one, metrics, intervals)) for one in evaluations),
    ]
    lines = [f"| {' | '.join(map(_markdown_text, row))} |" for row in rows]
    return "\n".join((*lines, "", _markdown_text(_under(evaluations[0]))))


def _csv(evaluations: Sequence[Evaluation], intervals: bool) -> str:
    metrics = _metrics(evaluations)
    ends = [f"{name} {end}" for name in metrics for end in ("low", "high")] if intervals else []
    about = ("data", "images", "references", "tokenizer", "document frequencies", "split")
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(("model", *metrics, *ends, *about))
    for one in evaluations:
        stamp = one.scores.stamp
        bounds = [_bounds(one.intervals.get(name)) for name in metrics] if intervals else []
        writer.writerow(
            (
                spreadsheet_text(_row_name(one)),
                *(_digits(one.scores.corpus.get(name)) for name in metrics),
                *(end for pair in bounds for end in pair),
                *(spreadsheet_text(one.data.name), stamp.images, stamp.references, stamp.tokenizer),
                *(stamp.document_frequencies, one.data.split),
            )
        )
    return text.getvalue().removesuffix("\n")


def _row_name(evaluation: Evaluation) -> str:
    name, kind = evaluation.name, evaluation.system["kind"]
    return PurePath(name).stem if kind == "predictions" and is_predictions(name) else name


def _metrics(evaluations: Sequence[Evaluation]) -> list[str]:
    """Return the names of all scores: some may be undefined, or left out for one system only."""
    return list(dict.fromkeys(name for one in evaluations for name in one.scores.per_image))


def _cells(evaluation: Evaluation, metrics: Sequence[str], intervals: bool) -> list[str]:
    cells = []
    for name in metrics:
        value, interval = evaluation.scores.corpus.get(name), evaluation.intervals.get(name)
        cell = "-" if value is None else f"{100 * value:.1f}"
        if intervals and interval is not None:
            cell += f" ({100 * interval.low:.1f} to {100 * interval.high:.1f})"
        cells.append(cell)
    return cells


def _under(evaluation: Evaluation) -> str:
    data = evaluation.data
    place = f"{data.name}, {data.split}" if data.split else data.name
    return f"{_one_line(f'{place}: {evaluation.scores.stamp.line()}')}; scores times 100"


def _bounds(interval: Interval | None) -> tuple[str, str]:
    return ("", "") if interval is None else (repr(interval.low), repr(interval.high))


def _digits(value: float | None) -> str:
    return "" if value is None else repr(value)


def _latex_text(text: str) -> str:
    escaped = "".join(_LATEX.get(character, character) for character in _one_line(text))
    # After the end of a row, LaTeX takes these for options of it.
    return f"{{}}{escaped}" if escaped.startswith(("[", "*")) else escaped


def _markdown_text(text: str) -> str:
    return "".join(f"\\{c}" if c in _MARKDOWN else c for c in _one_line(text))


def _one_line(text: str) -> str:
    return " ".join(text.split())
