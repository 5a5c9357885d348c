"""Systems from a name, a file, a mapping or a loaded model."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from capgen.captioning.captioner import Captioner
from capgen.config import DecodeOptions, EvalConfig
from capgen.errors import DataError, MetricError, UsageError
from capgen.evaluation.evaluate import evaluation_events
from capgen.evaluation.evaluation_set import EvaluationSet
from capgen.evaluation.systems import ModelSystem, PredictionsSystem, as_system
from capgen.paths import bundled_model_dir
from capgen.records import Example
from tests.unit.evaluation.sets import GOOD, make_set


def test_a_model_says_what_it_is(bundled: Captioner) -> None:
    record = as_system(bundled, DecodeOptions(beams=2)).describe()
    assert record["name"] == "mini"
    assert record["runtime"] == "onnx"
    assert record["settings"]["beams"] == 2
    weights = (bundled_model_dir() / "model.safetensors").read_bytes()
    import hashlib

    assert record["weights"] == {"model.safetensors": hashlib.sha256(weights).hexdigest()}
    assert json.loads(json.dumps(record)) == record


def test_a_model_captions_the_images_in_order(bundled: Captioner, tmp_path: Path) -> None:
    data = make_set(tmp_path)
    (tmp_path / "cat.jpg").write_bytes(b"no image")
    outcomes = dict(ModelSystem(bundled, batch_size=2).captions(data))
    assert list(outcomes) == list(GOOD)
    assert outcomes["cat.jpg"].code == "not_an_image"  # type: ignore[union-attr]
    alone = bundled.caption(tmp_path / "boat.jpg")
    assert outcomes["boat.jpg"].text == alone.text  # type: ignore[union-attr]


def test_several_captions_per_image(bundled: Captioner, tmp_path: Path) -> None:
    system = ModelSystem(bundled, DecodeOptions(num_captions=3, beams=3))
    assert system.several and not ModelSystem(bundled).several
    data = make_set(tmp_path, limit=1)
    ((_, record),) = system.captions(data)
    assert len(record.alternatives) == 2  # type: ignore[union-attr]
    with pytest.raises(UsageError, match="several captions per image"):
        next(evaluation_events(bundled, data, config=EvalConfig(metrics="diversity")))


def test_a_file_says_what_it_is(tmp_path: Path) -> None:
    path = tmp_path / "said.json"
    path.write_text(json.dumps(GOOD))
    system = as_system(path)
    assert isinstance(system, PredictionsSystem)
    record = system.describe()
    assert (record["kind"], record["file"], len(record["sha256"])) == (
        "predictions",
        "said.json",
        64,
    )
    assert system.attention(make_set().examples[0], None) is None  # type: ignore[arg-type,func-returns-value]


def test_a_name_with_a_file_suffix_is_a_file() -> None:
    with pytest.raises(DataError, match=r"nothing\.jsonl"):
        as_system("nothing.jsonl")


def test_ids_of_captions_may_be_numbers() -> None:
    captions = dict.fromkeys((391895, 522418), "a dog")
    system = as_system(captions)  # type: ignore[arg-type]
    pool = tuple(
        Example(image_id=f"{n:012}", image=Path(f"{n:012}.jpg"), references=("x",), split="test")
        for n in captions
    )
    data = EvaluationSet(name="coco", split="test", pool=pool)
    assert dict(system.captions(data)) == {f"{n:012}": "a dog" for n in captions}


@pytest.mark.parametrize("caption", [None, 5, ["a dog"], b"a dog"])
def test_captions_by_image_are_strings(caption: object) -> None:
    with pytest.raises(MetricError, match=r"not a string for 1 image \('dog.jpg'\)"):
        as_system({**GOOD, "dog.jpg": caption})  # type: ignore[dict-item]
