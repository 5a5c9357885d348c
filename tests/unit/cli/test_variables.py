"""Environment variables that are wrong or misspelt are named."""

from __future__ import annotations

import pytest

from capgen.cli.main import main


@pytest.mark.parametrize(
    ("variable", "value", "said"),
    [
        ("CAPGEN_BEAMS", "abc", "integer"),
        ("CAPGEN_BEAMS", "abc", "'abc'"),
        ("CAPGEN_CAPTION_BEAMS", "0", "must be between 1 and"),
        ("CAPGEN_REPEAT_NOUNS", "perhaps", "'perhaps'"),
        ("CAPGEN_DEVICE", "toaster", "must be auto"),
    ],
)
def test_a_wrong_value_of_a_variable_names_the_variable(variable, value, said, monkeypatch, capsys):
    monkeypatch.setenv(variable, value)
    assert main(["caption", "photo.jpg"]) == 2
    error = capsys.readouterr().err
    assert error.startswith(f"error: {variable} in the environment")
    assert said in error


def test_an_option_that_wins_over_a_variable_is_blamed_itself(monkeypatch, capsys):
    monkeypatch.setenv("CAPGEN_BEAMS", "abc")
    assert main(["caption", "photo.jpg", "--beams", "0"]) == 2
    error = capsys.readouterr().err
    assert error.startswith("error: --beams is 0")
    assert "CAPGEN_BEAMS" not in error


def test_misspelt_variables_get_one_line_each(monkeypatch, capsys):
    monkeypatch.setenv("CAPGEN_BEEMS", "3")
    monkeypatch.setenv("CAPGEN_HOEM", "/nowhere")
    monkeypatch.setenv("CAPGEN_UNRELATED", "1")
    monkeypatch.setenv("CAPGEN_ENDPOINT_KEY", "sk-1")
    monkeypatch.setenv("CAPGEN_SEED", "1")
    assert main(["config", "path"]) == 0
    out, error = capsys.readouterr()
    assert error.splitlines() == [
        "note: CAPGEN_BEEMS in the environment is not a setting; did you mean CAPGEN_BEAMS?",
        "note: CAPGEN_HOEM in the environment is not a setting; did you mean CAPGEN_HOME?",
    ]
    assert "note" not in out
