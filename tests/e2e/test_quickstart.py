"""Every command of the quickstart runs, in order, as a user would type it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.conftest import ROOT
from tests.fakes import draw_image
from tests.forked_commands import needs_fork, starter
from tests.pages import blocks, commands
from tests.training_runs import SENTENCES

PAGE = ROOT / "docs" / "quickstart.md"


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """Make what the page says is there."""
    for folder in ("holiday", "my-photos"):
        (tmp_path / folder).mkdir()
    for number in range(3):
        draw_image(number, (160, 120)).save(tmp_path / "holiday" / f"{number}.jpg")
    (tmp_path / "photo.jpg").write_bytes(
        (ROOT / "capgen/images/bundled/photographer.jpg").read_bytes()
    )
    lines = ["image,caption"]
    for number in range(10):
        draw_image(100 + number, (96, 96)).save(tmp_path / "my-photos" / f"{number}.jpg")
        sentence = SENTENCES[number % len(SENTENCES)]
        lines += [f"{number}.jpg,{sentence}", f"{number}.jpg,{sentence} today"]
    (tmp_path / "my-photos" / "captions.csv").write_text("\n".join(lines) + "\n")
    return tmp_path


@needs_fork
def test_every_command_runs(place, tmp_path):
    from tests.hub_stand_in import serving

    with serving() as hub:
        hub.users = {"hf_quickstart": "me"}
        environment = {
            **os.environ,
            "HF_ENDPOINT": hub.url,
            "HF_HOME": str(tmp_path / "hf"),
            "HF_TOKEN": "hf_quickstart",
        }
        said: dict[str, str] = {}
        with starter(tmp_path / "said", environment) as commands_of_user:
            shown = [command.words[1:] for block in blocks(PAGE) for command in commands(block)]
            for words in shown:
                code, out, err = commands_of_user.run(*words, cwd=place)
                assert code == 0, f"{words}: {err}"
                assert "Traceback" not in err
                said[" ".join(words)] = out
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    assert f"that prints `{said['caption photo.jpg'].strip()}`" in readme
    mine = said["caption photo.jpg --model first/best-eval"]
    assert mine and said["caption photo.jpg --model me/first"] == mine
    for made in ("why.html", "captions.json", "gallery.html", "sure.csv", "report.html"):
        assert (place / made).stat().st_size > 0
    assert (place / "comparison.html").is_file() and (place / "holiday" / "0.txt").is_file()
    assert "hf_quickstart" not in "".join(said.values())
