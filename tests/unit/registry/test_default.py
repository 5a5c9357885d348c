"""The default model: precedence, and changes to the settings file."""

from __future__ import annotations

import tomllib

import pytest

from capgen.errors import UsageError
from capgen.paths import config_file
from capgen.registry.default import default_model, save_default


def test_flag_then_variable_then_file_then_bundled(monkeypatch: pytest.MonkeyPatch) -> None:
    assert (default_model().name, default_model().source) == ("mini", "default")
    save_default("run/best-eval")
    assert (default_model().name, default_model().source) == ("run/best-eval", str(config_file()))
    monkeypatch.setenv("CAPGEN_MODEL", "user/model@v1")
    assert (default_model().name, default_model().source) == ("user/model@v1", "CAPGEN_MODEL")
    assert default_model("other").name == "other"
    monkeypatch.setenv("CAPGEN_MODEL", "")
    assert default_model().name == "run/best-eval"


BEFORE = '# mine\ncolour = "red" # yes\nmodel = "old"\n\n[section]\nmodel = "not this"\n'


def test_other_lines_of_the_file_stay() -> None:
    config_file().parent.mkdir(parents=True)
    config_file().write_text(BEFORE)
    save_default('a "quoted" é\\name')
    text = config_file().read_text()
    assert [line for line in text.splitlines() if "quoted" not in line] == [
        line for line in BEFORE.splitlines() if "old" not in line
    ]
    assert tomllib.loads(text)["model"] == 'a "quoted" é\\name'
    assert tomllib.loads(text)["section"] == {"model": "not this"}
    save_default(None)
    assert config_file().read_text() == BEFORE.replace('model = "old"\n', "")
    assert default_model().name == "mini"


def test_removing_what_is_not_set_writes_nothing() -> None:
    save_default(None)
    assert not config_file().exists()


@pytest.mark.parametrize("text", [b"model =", b"\xff", b"model = 3", b'model = ""', b"[model]"])
def test_a_bad_file_is_named(text: bytes) -> None:
    config_file().parent.mkdir(parents=True)
    config_file().write_bytes(text)
    with pytest.raises(UsageError, match=r"config\.toml"):
        default_model()
