"""calibration.json: written, read back, and refused where it is not what it should be."""

from __future__ import annotations

import copy
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from capgen.captioning.confidence.calibration_file import (
    Calibration,
    place_in_folder,
    weights_digest,
)
from capgen.captioning.confidence.model import fitted_settings
from capgen.captioning.decoding.hypotheses import hypothesis
from capgen.config import DecodeSettings
from capgen.errors import ModelError
from capgen.models.folder import CALIBRATION_FILE, ModelFolder
from capgen.paths import bundled_model_dir
from tests.confidences import make_fit

GREEDY = DecodeSettings(max_length=22)
BEAMS = DecodeSettings(beams=3, max_length=22)


@pytest.fixture
def folder(tmp_path: Path) -> ModelFolder:
    (tmp_path / "model.safetensors").write_bytes(b"weights")
    return ModelFolder(tmp_path, "mine")


def test_what_is_written_is_read(tmp_path: Path) -> None:
    path = tmp_path / CALIBRATION_FILE
    Calibration("sha256:1", (make_fit(),)).write(path)
    (fit,) = Calibration.read(path).fits
    caption = [hypothesis([5, 2], [-0.7, -0.2], 1.0), hypothesis([6, 2], [-0.9, -0.2], 1.0)]
    summary = np.array([0.3, -2.0, 0.1, 0.4])
    expected = make_fit().confidence(caption, summary)
    assert fit.confidence(caption, summary) == pytest.approx(expected, abs=1e-5)
    assert fit.definition == {"metric": "METEOR", "threshold": 0.25}
    assert fit.provenance == {"photos": 60}


def test_a_fit_for_each_way_of_decoding() -> None:
    one = Calibration("sha256:1", ()).with_fit(make_fit())
    two = one.with_fit(make_fit(settings=GREEDY.to_dict()))
    assert len(two.fits) == 2
    newer = two.with_fit(make_fit(intercept=3.0))
    assert len(newer.fits) == 2
    found = newer.fit_for(BEAMS)
    assert found is not None and found.intercept == 3.0
    assert newer.fit_for(DecodeSettings(beams=4)) is None
    assert len({one.digest, two.digest, newer.digest}) == 3


def test_no_calibration(folder: ModelFolder) -> None:
    assert place_in_folder(folder).read() == (None, "mine is not calibrated")


def test_a_calibration_for_other_weights_is_not_used(folder: ModelFolder) -> None:
    Calibration(weights_digest(folder), (make_fit(),)).write(folder.path / CALIBRATION_FILE)
    assert place_in_folder(folder).read()[0] is not None
    (folder.path / "model.safetensors").write_bytes(b"other weights")
    found, reason = place_in_folder(folder).read()
    assert found is None
    assert "other weights" in reason


def record() -> dict[str, Any]:
    return json.loads(json.dumps(Calibration("sha256:1", (make_fit(),)).to_dict()))


def put(*path: Any) -> Callable[[dict[str, Any]], None]:
    """Return a change that puts the last of `path` where the others lead."""

    def change(content: dict[str, Any]) -> None:
        *way, last, value = path
        place: Any = content
        for step in way:
            place = place[step]
        place[last] = value

    return change


FIT = ("fits", 0)
FEATURE = (*FIT, "good", "features", 0)
HOSTILE = {
    "another format": put("format", "pickle"),
    "no fits": put("fits", None),
    "many fits": put("fits", [{}] * 1000),
    "a fit that is none": put("fits", [3]),
    "weights no text": put("weights", ["x"]),
    "long text": put("weights", "x" * 100_000),
    "not a number": put(*FEATURE, "weight", float("nan")),
    "infinite": put(*FIT, "good", "bias", float("inf")),
    "huge": put(*FIT, "slope", 1e300),
    "huge whole number": put(*FIT, "slope", 10**400),
    "true for a number": put(*FIT, "slope", True),
    "text for a number": put(*FIT, "intercept", "0"),
    "scale zero": put(*FEATURE, "scale", 0),
    "unknown feature": put(*FEATURE, "name", "__class__"),
    "feature twice": put(*FEATURE, "name", "length"),
    "deviation below zero": put(*FIT, "subspace", "deviation", [1.0, -1.0]),
    "floor zero": put(*FIT, "subspace", "floor", 0),
    "short row": put(*FIT, "subspace", "basis", 0, "1 2"),
    "row of words": put(*FIT, "subspace", "basis", 0, "1 2 three 4"),
    "row of nan": put(*FIT, "subspace", "basis", 0, "1 2 nan 4"),
    "a row too many": put(*FIT, "subspace", "basis", ["1 0 0 0"] * 3),
    "no rows": put(*FIT, "subspace", "basis", []),
    "wide mean": put(*FIT, "subspace", "mean", [0.0] * 20_000),
    "unknown setting": put(*FIT, "settings", "trust", 1),
    "setting of lists": put(*FIT, "settings", "beams", [3]),
    "infinite setting": put(*FIT, "settings", "temperature", float("inf")),
    "no threshold": put(*FIT, "definition", {"metric": "METEOR"}),
    "provenance no object": put(*FIT, "provenance", "mine"),
}


@pytest.mark.parametrize("change", HOSTILE.values(), ids=HOSTILE.keys())
def test_hostile_values_are_refused(
    change: Callable[[dict[str, Any]], None], tmp_path: Path
) -> None:
    content = copy.deepcopy(record())
    change(content)
    path = tmp_path / CALIBRATION_FILE
    path.write_text(json.dumps(content))
    with pytest.raises(ModelError, match=r"calibration\.json"):
        Calibration.read(path)


@pytest.mark.parametrize("text", ["", "[]", "3", "{", '{"format": {}}', "[" * 100_000, "\udcff"])
def test_what_is_no_such_json(text: str, tmp_path: Path) -> None:
    path = tmp_path / CALIBRATION_FILE
    path.write_bytes(text.encode("utf-8", "surrogatepass"))
    with pytest.raises(ModelError, match=r"calibration\.json"):
        Calibration.read(path)


def test_the_record_that_the_hostile_ones_come_from_is_read(tmp_path: Path) -> None:
    path = tmp_path / CALIBRATION_FILE
    path.write_text(json.dumps(record()))
    assert len(Calibration.read(path).fits) == 1


def test_the_bundled_model_is_calibrated(tmp_path: Path) -> None:
    """For its weights as they are and its own settings."""
    folder = ModelFolder(bundled_model_dir(), "mini")
    calibration, problem = place_in_folder(folder).read()
    assert calibration is not None, problem
    generation = folder.generation
    settings = DecodeSettings(
        beams=generation["num_beams"],
        max_length=generation["max_length"],
        repeat_nouns=False,
        concept_bonus=1.0,
    )
    assert calibration.fit_for(settings) is not None
    copied = shutil.copy(folder.path / CALIBRATION_FILE, tmp_path / CALIBRATION_FILE)
    Calibration.read(copied).write(tmp_path / "again.json")
    assert (tmp_path / "again.json").read_text() == Path(copied).read_text()


def test_a_fit_for_each_prompt(tmp_path: Path) -> None:
    asked = {"prompt": "a photo of"}
    plain = Calibration("sha256:1", (make_fit(),))
    both = plain.with_fit(make_fit(asked=asked, intercept=2.0))
    assert plain.fit_for(BEAMS, asked) is None
    both.write(tmp_path / CALIBRATION_FILE)
    read = Calibration.read(tmp_path / CALIBRATION_FILE)
    assert len(read.fits) == 2
    found, other = read.fit_for(BEAMS, asked), read.fit_for(BEAMS)
    assert found is not None and (found.intercept, dict(found.asked)) == (2.0, asked)
    assert other is not None and (other.intercept, dict(other.asked)) == (0.0, {})
    assert read.fit_for(BEAMS, {"prompt": "another"}) is None
    newer = read.with_fit(make_fit(asked=asked, intercept=3.0))
    assert len(newer.fits) == 2
    # Files of models without a prompt stay as they were.
    assert all("asked" not in fit for fit in plain.to_dict()["fits"])


@pytest.mark.parametrize("asked", [5, {"prompt": 5}, ["prompt"], {"prompt": "x" * 70000}])
def test_a_prompt_that_is_no_text_is_refused(asked: object, tmp_path: Path) -> None:
    content = Calibration("sha256:1", (make_fit(),)).to_dict()
    content["fits"][0]["asked"] = asked
    path = tmp_path / CALIBRATION_FILE
    path.write_text(json.dumps(content))
    with pytest.raises(ModelError, match="is not a capgen calibration"):
        Calibration.read(path)


@pytest.mark.parametrize("changes", [{"concept_bonus": 1.0}, {"avoid_words": "cat"}], ids=str)
def test_settings_that_records_mostly_lack_are_read_again(
    changes: dict[str, Any], tmp_path: Path
) -> None:
    """And such a fit is for captions that are made so, not for others."""
    settings = DecodeSettings(beams=3, **changes)
    fit = make_fit(settings=fitted_settings(settings))
    Calibration("sha256:1", (fit,)).write(tmp_path / "calibration.json")
    again = Calibration.read(tmp_path / "calibration.json")
    found = again.fit_for(settings)
    assert found is not None and found.settings == fit.settings
    assert again.fit_for(DecodeSettings(beams=3)) is None
