"""The random order of reviews."""

from __future__ import annotations

from capgen.records import Caption, CaptionFailure, Record
from capgen.reviews.sampling import sample_order


def caption(path: str | None, text: str = "a dog", sha256: str | None = "ab") -> Caption:
    return Caption(path=path, text=text, log_probability=None, score=None, sha256=sha256)


def test_the_order_is_fixed_by_path_and_bytes() -> None:
    records: list[Record] = [caption(f"{number}.jpg") for number in range(10)]
    assert sample_order(records) == [2, 8, 9, 1, 4, 5, 3, 0, 6, 7]
    reworded = [caption(f"{number}.jpg", text=f"{number} dogs") for number in range(10)]
    assert sample_order(reworded) == sample_order(records)
    changed = [caption(f"{number}.jpg", sha256="cd") for number in range(10)]
    assert sample_order(changed) != sample_order(records)


def test_an_image_keeps_its_place_among_the_others_wherever_its_record_is() -> None:
    records: list[Record] = [caption(f"{number}.jpg") for number in range(50)]
    paths = [records[place].path for place in sample_order(records)]
    backwards = records[::-1]
    assert [backwards[place].path for place in sample_order(backwards)] == paths
    half = records[::2]
    assert [half[place].path for place in sample_order(half)] == [
        path for path in paths if path in {record.path for record in half}
    ]


def test_it_is_a_permutation_of_any_records() -> None:
    failure = CaptionFailure(path="b\udce9.jpg", code="missing", message="gone")
    records: list[Record] = [
        caption("a.jpg"),
        caption("a.jpg"),
        failure,
        caption(None, sha256=None),
    ]
    order = sample_order(records)
    assert sorted(order) == [0, 1, 2, 3]
    assert order.index(0) < order.index(1)  # the same image twice
