"""The chart of intervals."""

from __future__ import annotations

from capgen.pages.interval_chart import Bounds, interval_chart


def test_each_interval_is_where_its_numbers_are() -> None:
    rows = [
        ("objects", [Bounds(0.5, 0.4, 0.6), Bounds(0.2, 0.0, 0.3)]),
        ("colours", [Bounds(0.9, 0.8, 1.0), Bounds(0.7, 0.6, 0.8)]),
    ]
    chart = interval_chart("Recall", ["one", "other"], rows)
    area = chart.area
    assert len(chart.curves) == 4
    first = chart.curves[0]
    assert [x for x, _ in first.places] == [area.x(v) for v in (0.4, 0.5, 0.5, 0.5, 0.5, 0.6)]
    heights = [curve.places[0][1] for curve in chart.curves]
    assert heights == sorted(heights)
    assert [curve.name for curve in chart.curves] == ["one", "other", "", ""]
    assert [curve.style for curve in chart.curves[:2]] == ["curve curve0", "curve curve1"]
    assert {"objects", "colours", "0", "1"} <= {label.text for label in chart.labels}
    assert chart.summary == "objects: one 0.50, other 0.20; colours: one 0.90, other 0.70"
