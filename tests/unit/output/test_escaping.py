"""Text from outside that must not act."""

from __future__ import annotations

import pytest

from capgen.output.escaping import one_line


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("a\x1b[31mred", r"a\x1b[31mred"),
        ("a\r\n\tb", r"a\r\n\tb"),
        ("a\u2028b\x85", r"a\u2028b\x85"),
        ("photo\u202egpj.exe", r"photo\u202egpj.exe"),
    ],
)
def test_what_acts_is_escaped(text: str, shown: str) -> None:
    assert one_line(text) == shown


@pytest.mark.parametrize(
    "text",
    ["a b", "Bild ü.jpg", "at 10.00\u202fAM.png", "👩\u200d👧.jpg", "می\u200cشود", "\udcff.jpg"],
)
def test_what_people_name_files_stays(text: str) -> None:
    assert one_line(text) == text
