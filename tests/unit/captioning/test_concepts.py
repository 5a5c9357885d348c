"""Concepts go from the runtime into records, each with its image."""

from __future__ import annotations

from pathlib import Path

from capgen.records import Caption, Concept
from tests.colours import colour_captioner, plains

SKY = Concept("sky", 0.4)


def test_each_image_has_its_own_concepts(tmp_path: Path) -> None:
    captioner, _ = colour_captioner(concepts=(SKY,))
    first, second = captioner.caption(plains(tmp_path, 2))
    assert first.concepts == (SKY, Concept("red thing", 0.0))
    assert second.concepts == (SKY, Concept("red thing", 1 / 255))


def test_an_image_that_cannot_be_read_takes_no_concepts(tmp_path: Path) -> None:
    captioner, _ = colour_captioner(concepts=(SKY,))
    _, good = plains(tmp_path, 2)
    bad = tmp_path / "bad.png"
    bad.write_bytes(b"no image")
    found = list(captioner.stream([bad, good]))
    assert [isinstance(record, Caption) for record in found] == [False, True]
    assert isinstance(found[1], Caption)
    assert found[1].concepts == (SKY, Concept("red thing", 1 / 255))


def test_a_model_without_a_concept_head_has_none(tmp_path: Path) -> None:
    captioner, _ = colour_captioner()
    (image,) = plains(tmp_path, 1)
    record = captioner.caption(image)
    assert record.concepts == () and "concepts" not in record.to_dict()
