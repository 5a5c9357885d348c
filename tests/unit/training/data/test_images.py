"""Images and features as model inputs."""

from __future__ import annotations

import importlib.util
import sys

import numpy as np
import pytest
import torch
from PIL import Image

from capgen.config import train_config
from capgen.data.cache.images import decode
from capgen.errors import DataError, ModelError
from capgen.models.preprocessing.preprocess import Preprocessor
from capgen.models.torch_devices import autocast_dtype
from capgen.records import Example, Notice
from capgen.training.data import frozen_features
from capgen.training.data.frozen_features import FrozenFront, feature_array
from capgen.training.data.images import decoded_images, shape_of
from capgen.training.data.inputs import FeatureInputs, ImageInputs
from capgen.training.objectives.cross_entropy import LastHiddenState
from tests.minis import draw
from tests.tiny_models import tiny_mini

CPU = torch.device("cpu")
CLIP = Preprocessor(
    shortest_edge=24, crop=(24, 24), resample=3, mean=(0.5, 0.4, 0.3), std=(0.2, 0.3, 0.4)
)
EXACT = Preprocessor(size=(64, 64), mean=(127 / 255,) * 3, std=(128 / 255,) * 3)


@pytest.fixture
def examples(tmp_path, monkeypatch):
    monkeypatch.setenv("CAPGEN_HOME", str(tmp_path / "home"))
    made = []
    for seed in range(5):
        path = tmp_path / f"{seed}.png"
        draw(seed).save(path)
        made.append(Example(image_id=path.name, image=path, references=("a",), split="train"))
    return made


def _finish(steps):
    while True:
        try:
            next(steps)
        except StopIteration as end:
            return end.value


@pytest.mark.parametrize("preprocessor", [CLIP, EXACT])
def test_pixels_are_those_of_inference(examples, preprocessor):
    images = _finish(decoded_images(examples, preprocessor, split="train", workers=2))
    assert images.pixels.dtype == np.uint8
    inputs = ImageInputs(images.pixels, preprocessor, train_config("mini"), CPU, rows=images.rows)
    expected = np.stack([preprocessor.preprocess(Image.open(item.image)) for item in examples])
    given = inputs.batch(torch.tensor([3, 0]))
    assert np.allclose(given.numpy(), expected[[3, 0]], atol=1e-5)


def test_varied_images_follow_the_generator(examples):
    images = _finish(decoded_images(examples, EXACT, split="train", workers=1))
    inputs = ImageInputs(images.pixels, EXACT, train_config("mini"), CPU, rows=images.rows)
    numbers = torch.arange(5)
    one, same = (inputs.batch(numbers, torch.Generator().manual_seed(2)) for _ in range(2))
    assert torch.equal(one, same)
    assert not torch.equal(one, inputs.batch(numbers))


def test_features_by_onnxruntime_and_torch_agree(examples):
    backbone = tiny_mini(["a"]).model.encoder.backbone
    front = FrozenFront(backbone, EXACT, CPU)
    array = _finish(feature_array(examples, front, split="train", digest="d", workers=1))
    assert array.dtype == np.float16
    pixels = np.stack([EXACT.preprocess(Image.open(item.image)) for item in examples])
    with torch.inference_mode():
        expected = backbone(torch.from_numpy(pixels))
    given = FeatureInputs(array, CPU).batch(torch.arange(5))
    assert given.dtype == torch.float32
    assert given.shape == (5, 1280, 2, 2)
    assert torch.allclose(given, expected, atol=1e-2)
    assert expected.std() > 0.05


def test_features_of_our_encoder_need_no_exporter(examples, monkeypatch):
    """A plain `pip install capgen` computes them with ONNX Runtime."""
    monkeypatch.setitem(sys.modules, "onnx", None)
    monkeypatch.setitem(sys.modules, "onnxscript", None)
    monkeypatch.setattr(frozen_features, "_torch_runner", None)
    front = FrozenFront(tiny_mini(["a"]).model.encoder.backbone, EXACT, CPU)
    assert _notices(front, examples) == []


def test_a_teachers_whole_encoder_needs_no_exporter(monkeypatch):
    monkeypatch.setattr(frozen_features, "_trace", None)
    encoder = LastHiddenState(tiny_mini(["a"]).model.encoder)
    pixels = np.random.default_rng(0).normal(size=(3, 3, 64, 64)).astype(np.float32)
    run, slow = FrozenFront(encoder, EXACT, CPU).runner()
    assert slow == ""
    with torch.inference_mode():
        expected = encoder.eval()(torch.from_numpy(pixels)).numpy()
    np.testing.assert_allclose(run(pixels), expected, atol=1e-4)


@pytest.fixture
def foreign() -> torch.nn.Module:
    """A small encoder with depthwise convolutions that is not ours."""
    return torch.nn.Sequential(torch.nn.Conv2d(3, 6, 8, stride=8, groups=3), torch.nn.ReLU())


def test_splits_share_the_encoders_graph(examples, monkeypatch, foreign):
    made = []
    monkeypatch.setattr(frozen_features, "_trace", lambda *given: made.append(given))
    monkeypatch.setattr(
        frozen_features, "_onnx_runner", lambda graph: frozen_features._torch_runner(foreign, CPU)
    )
    front = FrozenFront(foreign, EXACT, CPU)
    for split in ("train", "val"):
        _finish(feature_array(examples, front, split=split, digest="e", workers=1))
    assert len(made) == 1


def _notices(front, examples):
    events = feature_array(examples, front, split="train", digest="n", workers=1)
    return [event.message for event in events if isinstance(event, Notice)]


def test_features_without_the_exporter_are_told_to_be_slower(examples, monkeypatch, foreign):
    front = FrozenFront(foreign, EXACT, CPU)
    found = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name: None if name == "onnxscript" else found(name)
    )
    (message,) = _notices(front, examples)
    assert "not ONNX Runtime: without onnxscript; pip install 'capgen[export]'" in message
    assert _notices(front, examples) == []  # they are cached


def test_an_encoder_that_cannot_be_exported_is_computed_by_torch(examples, monkeypatch, foreign):
    def fail(*given):
        raise ModelError("torch cannot export this encoder to ONNX: why")

    monkeypatch.setattr(frozen_features, "_trace", fail)
    front = FrozenFront(foreign, EXACT, CPU)
    (message,) = _notices(front, examples)
    assert message.endswith("not ONNX Runtime: torch cannot export this encoder to ONNX: why")


def test_an_encoder_without_depthwise_convolutions_needs_no_graph(examples, monkeypatch):
    monkeypatch.setattr(frozen_features, "_trace", None)
    front = FrozenFront(torch.nn.Conv2d(3, 4, 8, stride=8), EXACT, CPU)
    assert _notices(front, examples) == []


def test_a_broken_image_is_named(tmp_path):
    path = tmp_path / "broken.jpg"
    path.write_bytes(b"\xff\xd8\xff\xe0 nothing more")
    with pytest.raises(DataError, match=r"broken\.jpg") as caught:
        decode(path, shape_of(EXACT))
    assert "capgen data doctor" in caught.value.hint


def test_a_model_without_one_size_cannot_be_trained():
    with pytest.raises(ModelError, match="own shape"):
        shape_of(Preprocessor(shortest_edge=24))


def test_precision():
    assert autocast_dtype("auto", CPU) == torch.float32
    assert autocast_dtype("bf16", CPU) == torch.bfloat16
