"""Confidence of the bundled model: both runtimes, all outputs, abstaining, calibrating."""

from __future__ import annotations

import csv
import dataclasses
import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import typer.main

from capgen import Captioner
from capgen.captioning.confidence.advice import _NOT_CALIBRATED
from capgen.captioning.confidence.calibration_file import Calibration
from capgen.captioning.confidence.model import IRRELEVANT
from capgen.captioning.runtimes.base import ModelInput
from capgen.cli.app import build_app
from capgen.cli.main import main
from capgen.config import DecodeOptions, DecodeSettings, flag_name
from capgen.errors import ImageError, UsageError
from capgen.evaluation.calibration.negatives import draw_negatives
from capgen.models.folder import CALIBRATION_FILE
from capgen.paths import bundled_model_dir
from capgen.records import Caption, record_from_dict
from tests import tiny_captioners
from tests.minis import make_images, write_flickr8k

ROOT = Path(__file__).parents[3]
IMAGE = ROOT / "capgen" / "images" / "bundled" / "photographer.jpg"


@pytest.fixture(scope="module")
def noise(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return an image of noise."""
    path = tmp_path_factory.mktemp("noise") / "noise.png"
    list(draw_negatives(3, seed=1))[2].save(path)
    return path


def test_both_runtimes_are_equally_sure(
    bundled: Captioner,
    bundled_torch: Captioner,
    images: list[Path],
    noise: Path,
) -> None:
    various = [IMAGE, noise, *images[:8]]
    ours = bundled.caption(various, confidence=True, retry=False)
    theirs = bundled_torch.caption(various, confidence=True, retry=False)
    assert [one.text for one in ours] == [one.text for one in theirs]
    found = np.array([[one.confidence for one in side] for side in (ours, theirs)])
    assert np.abs(found[0] - found[1]).max() < 1e-3
    assert found[0][0] > 0.2 > found[0][1]


def test_asking_for_confidence_changes_no_caption(bundled: Captioner, images: list[Path]) -> None:
    for options in ({"retry": False}, {"num_captions": 2, "retry": False}):
        plain = bundled.caption(images[:4], **options)
        sure = bundled.caption(images[:4], confidence=True, **options)
        for one, other in zip(plain, sure, strict=True):
            assert one.confidence is None and other.confidence is not None
            assert (one.text, one.tokens) == (other.text, other.tokens)
            assert [a.text for a in one.alternatives] == [a.text for a in other.alternatives]
    batched = bundled.caption(images[:4], confidence=True, retry=False)
    for path, expected in zip(images, batched, strict=False):
        alone = bundled.caption(path, confidence=True, retry=False).confidence
        assert alone == pytest.approx(expected.confidence, abs=1e-6)


def test_settings_without_a_fit(bundled: Captioner) -> None:
    caption = bundled.caption(IMAGE, beams=4, confidence=True)
    assert caption.confidence is None
    assert "no confidence: mini is not calibrated for these decoding settings" in caption.notes
    with pytest.raises(UsageError, match="--min-confidence: mini is not calibrated for these"):
        bundled.caption(IMAGE, beams=4, min_confidence=0.5)


@pytest.mark.parametrize(
    ("options", "advice"),
    [
        (
            {"beams": 4},
            "Leave out --beams (there is confidence for --beams 1 or 3 or 5), or make it for these "
            "settings: capgen calibrate mini --dataset NAME --beams 4",
        ),
        (
            {"max_words": 5, "repeat_nouns": True, "seed": 3, "suffix": "."},
            "Leave out --max-words and --repeat-nouns (there is confidence for --beams 1 or 3 or "
            "5), or make it for these settings: capgen calibrate mini --dataset NAME "
            "--max-words 5 --repeat-nouns",
        ),
        ({"diverse": 2}, "Leave out --diverse (there is confidence for --beams 1 or 3 or 5)."),
    ],
    ids=str,
)
def test_settings_without_a_fit_say_what_to_do(
    bundled: Captioner, options: dict[str, Any], advice: str
) -> None:
    with pytest.raises(UsageError) as caught:
        bundled.caption(IMAGE, min_confidence=0.5, **options)
    assert caught.value.hint == advice


def test_the_advice_is_for_options_that_there_are() -> None:
    """Every setting of decoding that it may name is one of `capgen calibrate`."""
    command: Any = typer.main.get_command(build_app()).commands["calibrate"]  # type: ignore[attr-defined]
    known = {name for parameter in command.params for name in parameter.opts}
    for field in dataclasses.fields(DecodeOptions):
        if field.name not in (*IRRELEVANT, *_NOT_CALIBRATED):
            assert flag_name(field.name) in known


def test_a_model_without_any_fit_says_how_to_make_one(tmp_path: Path) -> None:
    folder = tiny_captioners.blip(tmp_path / "blip")
    with pytest.raises(UsageError, match="is not calibrated") as caught:
        Captioner.from_pretrained(folder).caption(IMAGE, min_confidence=0.5)
    assert caught.value.hint == f"Make it: capgen calibrate {folder} --dataset NAME"


def test_the_library_abstains(bundled: Captioner, noise: Path) -> None:
    with pytest.raises(ImageError, match=r"noise\.png: not confident enough") as caught:
        bundled.caption(noise, min_confidence=0.2)
    assert caught.value.code == "low_confidence"
    sure, unsure = bundled.stream([IMAGE, noise], DecodeOptions(min_confidence=0.2))
    assert isinstance(sure, Caption) and sure.confidence is not None and sure.confidence > 0.2
    assert unsure.confidence is not None and unsure.confidence < 0.2
    assert record_from_dict(json.loads(json.dumps(unsure.to_dict()))) == unsure


def test_one_image_with_scores(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["caption", str(IMAGE), "--scores"]) == 0
    text, sure, score = capsys.readouterr().out.rstrip("\n").split("\t")
    assert text and 0 < float(sure) < 1 and float(score) < 0
    assert main(["caption", str(IMAGE), "--scores", "--beams", "4"]) == 0
    printed = capsys.readouterr()
    assert printed.out.split("\t")[1] == "-"
    assert "not calibrated for these" in printed.err


def test_one_image_that_it_says_nothing_about(
    noise: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["caption", str(noise), "--min-confidence", "0.2"]) == 1
    printed = capsys.readouterr()
    assert printed.out == ""
    assert "noise.png: not confident enough" in printed.err
    assert main(["caption", str(noise), "--min-confidence", "0.2", "--fail-on", "none"]) == 0
    assert main(["caption", str(noise), "--min-confidence", "2"]) == 2
    assert main(["caption", str(noise), "--min-confidence", "0.2", "--beams", "4"]) == 2


def test_every_format_says_who_it_abstained_on(
    noise: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    base = ["caption", str(IMAGE), str(noise), "--min-confidence", "0.2"]
    for name in ("x.jsonl", "x.json", "x.csv", "x.txt", "x.html"):
        assert main([*base, "-o", str(tmp_path / name)]) == 1, name
    sure, unsure = map(json.loads, (tmp_path / "x.jsonl").read_text().splitlines())
    assert sure["confidence"] > 0.2 and sure["error"]["code"] == ""
    assert unsure["caption"] is None and unsure["error"]["code"] == "low_confidence"
    assert unsure["confidence"] < 0.2
    assert unsure["settings"]["min_confidence"] == 0.2
    assert json.loads((tmp_path / "x.json").read_text()) == [sure, unsure]
    rows = list(csv.DictReader((tmp_path / "x.csv").open()))
    assert [row["error_code"] for row in rows] == ["", "low_confidence"]
    assert float(rows[1]["confidence"]) == pytest.approx(unsure["confidence"])
    assert (tmp_path / "x.txt").read_text().count("\n") == 1
    page = (tmp_path / "x.html").read_text()
    assert "low_confidence" in page and f"confidence {sure['confidence']:.2f}" in page
    capsys.readouterr()
    assert main([*base, "--json"]) == 1
    printed = json.loads(capsys.readouterr().out)
    assert [one["confidence"] for one in printed] == [sure["confidence"], unsure["confidence"]]
    assert main(["caption", str(IMAGE), str(noise), "--scores"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split("\t")[2] for line in lines][1] == f"{unsure['confidence']:.3f}"


def test_another_threshold_is_another_run(noise: Path, tmp_path: Path) -> None:
    output = tmp_path / "x.jsonl"
    base = ["caption", str(IMAGE), str(noise), "-o", str(output), "-q"]
    assert main([*base, "--min-confidence", "0.2"]) == 1
    assert main([*base, "--min-confidence", "0"]) == 0
    captions = [json.loads(line)["caption"] for line in output.read_text().splitlines()]
    assert len(captions) == 2 and all(captions)


def test_a_damaged_calibration(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    model = shutil.copytree(bundled_model_dir(), tmp_path / "model")
    (model / CALIBRATION_FILE).write_text('{"format": "capgen calibration", "fits": [1e999]}')
    assert main(["caption", str(IMAGE), "--model", str(model)]) == 0  # not asked for, not read
    assert main(["caption", str(IMAGE), "--model", str(model), "--scores"]) == 1
    assert "calibration.json is not a capgen calibration" in capsys.readouterr().err


def test_calibrate_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    model = shutil.copytree(bundled_model_dir(), tmp_path / "model")
    (model / CALIBRATION_FILE).unlink(missing_ok=True)
    data = write_flickr8k(tmp_path / "data", make_images(300))
    # Captions of drawn blocks have a word or two in common with the made-up references.
    again = write_flickr8k(tmp_path / "again", make_images(60, seed=9))
    command = ["calibrate", str(model), "--data-dir", str(data), "--beams", "1"]
    more = ["--data-dir", str(again), "--drawn", "10", "--threshold", "0.1"]
    assert main([*command, *more]) == 0
    printed = capsys.readouterr()
    assert "good: METEOR from 0.1" in printed.out
    assert "calibration error" in printed.out
    (fit,) = Calibration.read(model / CALIBRATION_FILE).fits
    assert fit.settings["beams"] == 1
    assert [one["split"] for one in fit.provenance["data"]] == ["val", "val"]
    assert fit.provenance["photos"] == 60 + 12
    captioner = Captioner.from_pretrained(model)
    assert captioner.caption(IMAGE, confidence=True).confidence is None
    assert captioner.caption(IMAGE, confidence=True, beams=1).confidence is not None
    assert main([*command, *more, "--prompt", "a photo of"]) == 0
    capsys.readouterr()
    assert [dict(one.asked) for one in Calibration.read(model / CALIBRATION_FILE).fits] == [
        {},
        {"prompt": "a photo of"},
    ]
    begun = [Captioner.from_pretrained(model, prompt=each) for each in ("a photo of", "a dog", "")]
    sure = [one.caption(IMAGE, confidence=True, beams=1).confidence for one in begun]
    assert sure[0] is not None and sure[1] is None and sure[2] not in (None, sure[0])
    assert main([*command, "--drawn", "0", "--limit", "4"]) == 1
    assert "needs at least 50 images, and has 4" in capsys.readouterr().err
    assert main([*command[:2], "--data-dir", f"{data}=2"]) == 2
    assert "Data sets can be weighted for training only" in capsys.readouterr().err


@pytest.mark.parametrize("kind", ["blip", "git"])
def test_other_captioners_have_summaries(kind: str, tmp_path: Path) -> None:
    folder = getattr(tiny_captioners, kind)(tmp_path / kind)
    runtime = Captioner.from_pretrained(folder, device="cpu").runtime
    pixels = np.random.default_rng(0).normal(size=(3, 3, 32, 32)).astype(np.float32)
    inputs = [ModelInput(one) for one in pixels]
    found = runtime.generate(inputs, DecodeSettings(beams=2, max_length=8))
    summaries = found.summarise()
    assert len(found.hypotheses) == len(summaries) == 3
    alone = runtime.generate(inputs[1:2], DecodeSettings(max_length=8)).summarise()
    assert summaries[1] == pytest.approx(alone[0], abs=1e-4)
    assert not np.allclose(summaries[0], summaries[1])
