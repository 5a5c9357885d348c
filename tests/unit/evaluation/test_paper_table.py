"""Scores as rows of a paper."""

from __future__ import annotations

import csv
import dataclasses

import pytest

from capgen.config import EvalConfig
from capgen.evaluation.compare import compare
from capgen.evaluation.evaluate import evaluate
from capgen.evaluation.paper_table import paper_table
from capgen.evaluation.predictions import Predictions
from capgen.evaluation.result import Evaluation
from capgen.evaluation.systems import PredictionsSystem
from capgen.metrics.definitions import shown_name
from tests.unit.evaluation.sets import GOOD, POOR, make_set

CONFIG = EvalConfig(resamples=100, metrics="bleu,cider_d")


@pytest.fixture(scope="module")
def rows() -> list[Evaluation]:
    named = (("good_50%.json", GOOD), ("po|or", POOR))
    return [
        evaluate(
            PredictionsSystem(Predictions(name=name, captions=tuple(said.items()))),
            make_set(),
            config=CONFIG,
        )
        for name, said in named
    ]


def test_latex(rows: list[Evaluation]) -> None:
    about, _, begin, _, heads, _, first, second, _, end = paper_table(rows, "latex").split("\n")
    assert about.startswith("% drawn, test: 6 images, 12 references (2 each); ")
    assert "tokens: PTB" in about
    assert "document frequencies: references of the 6 evaluated images" in about
    assert begin == r"\begin{tabular}{lrrrrr}"
    assert heads == r"Model & BLEU-1 & BLEU-2 & BLEU-3 & BLEU-4 & CIDEr-D \\"
    assert first.startswith(r"good\_50\% & 100.0 & 100.0 & 100.0 & 100.0 & ")
    assert (
        second
        == " & ".join(
            (r"po\textbar{}or", *(f"{100 * value:.1f}" for value in rows[1].scores.corpus.values()))
        )
        + r" \\"
    )
    assert end == r"\end{tabular}"


def test_scores_that_differ_from_the_first_row_have_a_dagger(rows: list[Evaluation]) -> None:
    found = compare(*rows).differences
    unsure = {**found, "BLEU-4": dataclasses.replace(found["BLEU-4"], p_value=0.05)}
    assert found["CIDEr-D"].p_value < 0.05
    _, times, dagger, *lines = paper_table(rows, "latex", differences=[unsure]).split("\n")
    assert times == "% All scores are times 100, CIDEr-D too."
    assert dagger.startswith(r"% $^\dagger$: differs from the first row, p < 0.05")
    first, second = lines[4:6]
    assert "dagger" not in first
    bleu, cider = second.removesuffix(r" \\").split(" & ")[-2:]
    assert (r"$^\dagger$" in bleu, cider.endswith(r"$^\dagger$")) == (False, True)
    told = paper_table(rows, "markdown", differences=[unsure])
    assert told.split("\n")[3].endswith("† |") and "†: differs from the first row" in told
    without = paper_table(rows, "markdown")
    assert "†" not in without and "times 100, CIDEr-D too" in without
    first_row, row = csv.DictReader(paper_table(rows, "csv", differences=[unsure]).split("\n"))
    assert (first_row["CIDEr-D p"], float(row["BLEU-4 p"])) == ("", 0.05)


def test_rows_can_be_named(rows: list[Evaluation]) -> None:
    for format, first in (("latex", r"Ours \& co"), ("markdown", "| Ours & co |"), ("csv", "Ours")):
        text = paper_table(rows, format, names=["Ours & co", "Baseline"])
        assert any(line.startswith(first) for line in text.split("\n"))
        assert "Baseline" in text and "good" not in text


def test_columns_are_in_the_order_of_papers_and_say_which_meteor() -> None:
    (row,) = (
        evaluate(
            PredictionsSystem(Predictions(name="good.json", captions=tuple(GOOD.items()))),
            make_set(),
            config=EvalConfig(resamples=100, metrics="rouge_l,cider_d,meteor,bleu"),
        ),
    )
    heads = paper_table([row], "latex").split("\n")[4]
    assert heads.endswith(r"BLEU-4 & METEOR (NLTK) & ROUGE-L & CIDEr-D \\")
    assert "METEOR" in paper_table([row], "csv").split(",")
    assert shown_name("CIDEr") == "CIDEr (plain)"


def test_markdown_with_intervals(rows: list[Evaluation]) -> None:
    lines = paper_table(rows, "markdown", intervals=True).split("\n")
    assert lines[1] == "| --- | ---: | ---: | ---: | ---: | ---: |"
    interval = rows[1].intervals["CIDEr-D"]
    ends = f"({100 * interval.low:.1f} to {100 * interval.high:.1f})"
    assert lines[3].startswith(r"| po\|or | ")
    assert lines[3].endswith(f"{100 * rows[1].scores.corpus['CIDEr-D']:.1f} {ends} |")
    assert lines[-1].startswith("drawn, test: 6 images, 12 references")


def test_csv_has_all_digits(rows: list[Evaluation]) -> None:
    first, second = csv.DictReader(paper_table(rows, "csv", intervals=True).split("\n"))
    assert (first["model"], second["model"]) == ("good_50%", "po|or")
    for name, value in rows[1].scores.corpus.items():
        assert float(second[name]) == value
        assert float(second[f"{name} low"]) == rows[1].intervals[name].low
    assert (second["images"], second["references"]) == ("6", "12")
    assert second["tokenizer"].startswith("PTB")
    assert second["split"] == "test"
    assert "BLEU-1 low" not in paper_table(rows, "csv")


def named(evaluation: Evaluation, name: str) -> Evaluation:
    return dataclasses.replace(evaluation, system={**evaluation.system, "name": name})


def test_names_are_no_formulas_of_spreadsheets(rows: list[Evaluation]) -> None:
    odd = named(rows[0], "=1+1")
    (row,) = csv.DictReader(paper_table([odd], "csv").split("\n"))
    assert row["model"] == "'=1+1"


@pytest.mark.parametrize("name", ["[best].json", "*best.json"])
def test_names_are_no_options_of_the_latex_row_before(rows: list[Evaluation], name: str) -> None:
    lines = paper_table([rows[0], named(rows[1], name)], "latex").split("\n")
    assert lines[6].endswith(r"\\")
    assert lines[7].startswith(f"{{}}{name.removesuffix('.json')} & ")


def test_a_score_that_one_system_lacks(rows: list[Evaluation]) -> None:
    scores = rows[0].scores
    undefined = dataclasses.replace(
        rows[0],
        scores=dataclasses.replace(
            scores,
            corpus={name: value for name, value in scores.corpus.items() if name != "CIDEr-D"},
        ),
        intervals={k: v for k, v in rows[0].intervals.items() if k != "CIDEr-D"},
    )
    for format, cell in (("latex", r"& - \\"), ("markdown", "| - |")):
        text = paper_table([undefined, rows[1]], format, intervals=True)
        assert "nan" not in text
        assert any("good" in line and line.endswith(cell) for line in text.split("\n"))
    first, second = csv.DictReader(paper_table([undefined, rows[1]], "csv").split("\n"))
    assert (first["CIDEr-D"], float(second["CIDEr-D"])) == ("", rows[1].scores.corpus["CIDEr-D"])


def test_rows_of_files_that_differ_by_their_suffix() -> None:
    def row(name: str) -> Evaluation:
        said = Predictions(name=name, captions=tuple(GOOD.items()))
        return evaluate(PredictionsSystem(said), make_set(), config=CONFIG)

    for names, shown in (
        (("a/said.json", "b/said.json"), ["a/said", "b/said"]),
        (("said.json", "said.csv"), ["said.json", "said.csv"]),
        (("said.json", "other.csv"), ["said", "other"]),
    ):
        table = paper_table([row(name) for name in names], "csv")
        assert [line["model"] for line in csv.DictReader(table.split("\n"))] == shown


def test_latex_names_look_as_they_are(rows: list[Evaluation]) -> None:
    """In LaTeX's own fonts < > | are other signs, and two hyphens a dash."""
    for name, written in (
        ("a<b>.json", r"a\textless{}b\textgreater{}"),
        ("user--model---2", "user-{}-model-{}-{}-2"),
        ("a\x1bb", r"a\textbackslash{}x1bb"),
    ):
        line = paper_table([named(rows[0], name)], "latex").split("\n")[6]
        assert line.startswith(f"{written} & ")
