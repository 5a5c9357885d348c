"""The chart of lines."""

from __future__ import annotations

import pytest

from capgen.pages.axes import Scale
from capgen.pages.line_chart import line_chart
from capgen.pages.panel import Line, Panel


@pytest.mark.parametrize(
    ("low", "high"), [(0.00401, 0.00412), (0.1216, 0.1227), (123.1, 123.3), (0.0, 40.0)]
)
def test_no_two_ticks_have_the_same_label(low: float, high: float) -> None:
    scale = Scale.of(low, high)
    assert len(set(scale.labels)) == len(scale.ticks) > 2
    assert [float(text) for text in scale.labels] == pytest.approx(scale.ticks)


def test_scores_that_are_all_but_zero_are_a_line_at_zero() -> None:
    line = Line(name="BLEU-4", points=((1, 3.2e-9), (2, 1.1e-9), (3, 1.4e-9)))
    chart = line_chart(Panel(title="BLEU-4", lines=(line,)))
    up = [label.text for label in chart.labels if label.anchor == "end"][:6]
    assert up == ["0", "0.2", "0.4", "0.6", "0.8", "1"]
    assert chart.summary == "BLEU-4 0 to 0, lowest 0, highest 0"
