"""`capgen caption --explain` and `--debug`, and the page in a real browser."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from PIL import Image

from capgen.captioning.runtimes.onnx_runtime import OnnxRuntime
from capgen.cli.main import main
from capgen.records import Concept
from tests.browser import browse, needs_browser
from tests.fakes import draw_image


@pytest.fixture
def image(tmp_path: Path) -> Path:
    path = tmp_path / "photo.jpg"
    draw_image(3).save(path)
    return path


def test_explain_writes_a_image_and_prints_the_caption(
    image: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["caption", str(image)]) == 0
    plain = capsys.readouterr().out
    assert main(["caption", str(image), "--explain", str(tmp_path / "out.png")]) == 0
    out, err = capsys.readouterr()
    assert out == plain
    assert "out.png" in err
    with Image.open(tmp_path / "out.png") as sheet:
        assert sheet.width > 600


def test_explain_with_json_prints_the_record(
    image: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    page = tmp_path / "out.html"
    assert main(["caption", str(image), "--explain", str(page), "--json"]) == 0
    (record,) = json.loads(capsys.readouterr().out)
    assert f"looked: {record['caption']}" in page.read_text(encoding="utf-8")


def test_both_show_what_the_model_sees(
    image: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    generate = OnnxRuntime.generate
    seen = (Concept("teddy bear", 0.9), Concept("bed", 0.4))
    monkeypatch.setattr(OnnxRuntime, "gives_concepts", True)
    monkeypatch.setattr(
        OnnxRuntime,
        "generate",
        lambda runtime, inputs, settings: replace(
            generate(runtime, inputs, settings), concepts=[seen] * len(inputs)
        ),
    )
    assert main(["caption", str(image), "--debug"]) == 0
    assert "teddy bear 90.0%, bed 40.0%" in capsys.readouterr().out
    arguments = ["caption", str(image), "--explain", str(tmp_path / "out.png"), "--tags"]
    assert main(arguments) == 0
    assert capsys.readouterr().out.endswith("\tteddy bear\n")


def test_debug_shows_tokens_runners_up_and_other_decodings(
    image: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    seen = tmp_path / "seen.png"
    arguments = ["caption", str(image), "--debug", "--save-input", str(seen)]
    assert main([*arguments, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    with Image.open(seen) as shown:
        assert shown.size == (found["input"]["width"], found["input"]["height"]) == (288, 288)
    steps, tokens = found["steps"], found["caption"]["tokens"]
    assert [step["id"] for step in steps] == [token["id"] for token in tokens]
    for step in steps:
        assert len(step["runners_up"]) == 5
        assert step["id"] not in [other["id"] for other in step["runners_up"]]
        likelier = sum(o["probability"] > step["model_probability"] for o in step["runners_up"])
        assert likelier == min(step["rank"] - 1, 5)
        assert step["model_probability"] == pytest.approx(step["probability"], abs=1e-4)
    assert {"greedy", "5 beams"} < set(found["others"])
    names = [one["name"] for one in found["statistics"]]
    assert names[:4] == ["input, red", "input, green", "input, blue", "cross_key_0"]
    assert main(arguments) == 0
    shown = capsys.readouterr().out
    assert found["caption"]["caption"] in shown and "runners-up" in shown


def test_diverse_captions(image: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["caption", str(image), "--diverse", "4"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(set(lines)) == 4
    assert main(["caption", str(image), str(image), "--diverse", "4"]) == 0
    many = capsys.readouterr().out.splitlines()
    assert [line.split("\t")[1] for line in many] == lines * 2


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--explain", "out.gif"], "'.gif' is not one of"),
        (["--explain", "out.png", "-o", "x.json"], "--explain takes one image"),
        (["--debug", "--sidecar", ".txt"], "--debug takes one image"),
        (["--save-input", "x.png"], "--save-input needs --debug"),
        (["--diverse", "3", "--beams", "4"], "--diverse 3 and --beams cannot be used together"),
        (["--diverse", "3", "--top-p", "0.5"], "--diverse 3 and --top-p cannot be used together"),
    ],
)
def test_what_does_not_go_together(
    image: Path, arguments: list[str], says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["caption", str(image), *arguments]) == 2
    assert says in capsys.readouterr().err


def test_a_bad_image_is_an_error_and_leaves_no_file(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bad = tmp_path / "bad.jpg"
    bad.write_text("no image")
    for arguments in (["--explain", str(tmp_path / "out.html")], ["--debug"]):
        assert main(["caption", str(bad), *arguments]) == 1
        assert "not an image" in capsys.readouterr().err
    assert not (tmp_path / "out.html").exists()


@needs_browser
@pytest.mark.parametrize("dark", [False, True])
def test_the_page_in_a_browser(image: Path, tmp_path: Path, dark: bool) -> None:
    page, shot = tmp_path / "out.html", tmp_path / "shot.png"
    assert main(["caption", str(image), "--explain", str(page)]) == 0
    scheme = ["--blink-settings=preferredColorScheme=0"] if dark else []
    _, errors = browse(page, tmp_path / "profile", f"--screenshot={shot}", *scheme)
    assert "CONSOLE" not in errors
    with Image.open(shot) as shown:
        corner = shown.convert("L").getpixel((5, 5))
    assert (corner < 60) == dark
