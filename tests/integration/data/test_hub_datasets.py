"""`capgen data …` with a data set on the Hub, by a stand-in on this machine."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from capgen.cli.main import main
from tests.hub_stand_in import point_at, serving
from tests.minis import make_images, write_parquet


def test_a_data_set_of_the_hub_is_examined_and_imported(
    tmp_path: Path,
    home: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("HF_HUB_DISABLE_XET", "1")
    with serving() as hub:
        point_at(hub, monkeypatch, tmp_path)
        hub.repositories["datasets/ann/dogs"] = {
            "main": write_parquet(tmp_path / "set", make_images())
        }
        assert main(["data", "doctor", "hf:ann/dogs", "--json"]) == 0
        assert json.loads(capsys.readouterr().out)["pictures"] == 10
        assert main(["data", "import", "hf:ann/dogs", "--name", "mine"]) == 0
        assert "mine: 10 images, 50 captions; train 6, val 2, test 2" in capsys.readouterr().out
        assert main(["data", "info", "hf:ann/cats"]) == 1
        error = capsys.readouterr().err
        assert "There is no data set 'ann/cats' on the Hub" in error and "Traceback" not in error
    assert main(["data", "info", "mine", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["pictures"] == 10
