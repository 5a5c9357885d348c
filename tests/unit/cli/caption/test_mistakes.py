"""A misspelt file: the one most like it is named."""

from __future__ import annotations

import pytest

from capgen.cli.main import main
from tests.fakes import draw_image


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("photografer.jpg", "hint: Did you mean '{}/photographer.jpg'?\n"),
        ("zebra.png", ""),
        ("nowhere/photographer.jpg", ""),
        ("a\0b.jpg", ""),
    ],
)
def test_a_misspelt_file(name, hint, tmp_path, capsys):
    draw_image(1, (64, 64)).save(tmp_path / "photographer.jpg")
    assert main(["caption", f"{tmp_path}/{name}"]) == 1
    told = capsys.readouterr().err
    assert "no such file\n" in told and told.endswith(hint.format(tmp_path))
    assert told.count("hint") == bool(hint)
