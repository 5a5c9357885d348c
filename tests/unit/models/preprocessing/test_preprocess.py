"""Image to array, held to transformers' own Pillow-backed image processors."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from capgen.errors import ImageError, ModelError
from capgen.models.preprocessing.preprocess import Preprocessor

HALF = (0.5, 0.5, 0.5)
SHAPES = [(375, 500), (500, 375), (224, 224), (50, 60), (1, 1), (7, 640), (641, 333), (225, 226)]
CLIP_OLD = {
    "crop_size": 224,
    "do_center_crop": True,
    "do_normalize": True,
    "do_resize": True,
    "feature_extractor_type": "CLIPFeatureExtractor",
    "image_mean": [0.48145466, 0.4578275, 0.40821073],
    "image_std": [0.26862954, 0.26130258, 0.27577711],
    "resample": 3,
    "size": 224,
}
VIT_OLD = {
    "do_normalize": True,
    "do_resize": True,
    "feature_extractor_type": "ViTFeatureExtractor",
    "image_mean": [0.5, 0.5, 0.5],
    "image_std": [0.5, 0.5, 0.5],
    "resample": 2,
    "size": 224,
}


def noise_image(height: int, width: int, seed: int = 0) -> Image.Image:
    values = np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)
    return Image.fromarray(values)


def stock(name: str):
    """Return transformers' Pillow-backed class, `…Pil` in transformers 5."""
    transformers = pytest.importorskip("transformers")
    for candidate in (f"{name}Pil", name):
        found = getattr(transformers, candidate, None)
        if found is not None:
            return found
    pytest.skip(f"this transformers has no {name}")


CONFIGS = {
    "vit": ("ViTImageProcessor", {}),
    "vit-288": (
        "ViTImageProcessor",
        {
            "size": {"height": 288, "width": 288},
            "image_mean": [127 / 255] * 3,
            "image_std": [128 / 255] * 3,
        },
    ),
    "vit-oblong": ("ViTImageProcessor", {"size": {"height": 96, "width": 160}}),
    "clip": ("CLIPImageProcessor", {}),
    "clip-odd": ("CLIPImageProcessor", {"size": {"shortest_edge": 113}, "crop_size": 111}),
    "clip-padded": (
        "CLIPImageProcessor",
        {"size": {"shortest_edge": 60}, "crop_size": {"height": 97, "width": 80}},
    ),
    "clip-no-crop": ("CLIPImageProcessor", {"do_center_crop": False}),
    "clip-longest": (
        "CLIPImageProcessor",
        {"size": {"shortest_edge": 224, "longest_edge": 300}, "do_center_crop": False},
    ),
    "clip-bare": ("CLIPImageProcessor", {"do_resize": False, "do_rescale": False}),
    # A step set to null is not done.
    "clip-null": ("CLIPImageProcessor", {"do_center_crop": None, "do_normalize": None}),
    "blip": ("BlipImageProcessor", {}),
    "deit": ("DeiTImageProcessor", {}),
    "siglip": ("SiglipImageProcessor", {}),
}


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("case", CONFIGS)
def test_equals_transformers(case: str, shape: tuple[int, int]) -> None:
    name, config = CONFIGS[case]
    theirs = stock(name)(**config)
    image = noise_image(*shape)
    expected = theirs(image, return_tensors="np")["pixel_values"][0]
    ours = Preprocessor.from_dict({"image_processor_type": name, **config})
    got = ours.preprocess(image)
    assert got.shape == expected.shape
    # transformers subtracts and divides in float32; one multiplication and one addition round
    # differently in the last place. Values of the "bare" case reach 1,000.
    np.testing.assert_allclose(got, expected, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("case", CONFIGS)
def test_stock_processors_read_what_we_write(case: str) -> None:
    name, config = CONFIGS[case]
    ours = Preprocessor.from_dict({"image_processor_type": name, **config})
    written = json.loads(json.dumps(ours.to_dict()))
    assert Preprocessor.from_dict(written) == ours
    theirs = stock(written["image_processor_type"])(**written)
    image = noise_image(100, 140)
    expected = theirs(image, return_tensors="np")["pixel_values"][0]
    np.testing.assert_allclose(ours.preprocess(image), expected, rtol=1e-6, atol=1e-6)


def test_auto_class_loads_our_file(tmp_path: Path) -> None:
    transformers = pytest.importorskip("transformers")
    ours = Preprocessor(size=(40, 56), resample=3, mean=HALF, std=(0.25, 0.25, 0.5))
    ours.to_file(tmp_path / "preprocessor_config.json")
    try:
        theirs = transformers.AutoImageProcessor.from_pretrained(tmp_path)
    except ImportError as error:
        pytest.skip(f"transformers {transformers.__version__} needs torchvision here: {error}")
    image = noise_image(90, 70)
    expected = theirs(image, return_tensors="np")["pixel_values"][0]
    # Where torchvision is installed transformers resizes with it: a grey level off here and there.
    grey_level = 1 / 255 / 0.25 if importlib.util.find_spec("torchvision") else 0.0
    np.testing.assert_allclose(
        ours.preprocess(image), expected, rtol=1e-6, atol=1.01 * grey_level + 1e-6
    )


def test_exact_values() -> None:
    ours = Preprocessor(mean=(127 / 255,) * 3, std=(128 / 255,) * 3)
    image = Image.fromarray(np.array([[[0, 127, 255]]], dtype=np.uint8))
    array = ours.preprocess(image)
    assert array.dtype == np.float32
    assert array.shape == (3, 1, 1)
    np.testing.assert_allclose(array.ravel(), [-127 / 128, 0, 1], atol=1e-6)


def test_without_rescaling_or_normalising_pixels_stay() -> None:
    image = noise_image(5, 4)
    array = Preprocessor(rescale_factor=None).preprocess(image)
    np.testing.assert_array_equal(array, np.asarray(image, dtype=np.float32).transpose(2, 0, 1))


@pytest.mark.parametrize(
    ("config", "expected"),
    [
        (CLIP_OLD, {"shortest_edge": 224, "crop": (224, 224), "resample": 3}),
        (VIT_OLD, {"size": (224, 224), "resample": 2, "mean": HALF, "std": HALF}),
        ({"image_processor_type": "ViTImageProcessorFast"}, {"size": (224, 224), "mean": HALF}),
        ({"image_processor_type": "CLIPImageProcessorPil"}, {"shortest_edge": 224, "resample": 3}),
        ({"image_processor_type": "ViTFeatureExtractor", "size": 384}, {"size": (384, 384)}),
        ({"image_processor_type": "BlipImageProcessor"}, {"size": (384, 384), "crop": None}),
        ({"image_processor_type": "CLIPImageProcessor", "size": None}, {"shortest_edge": 224}),
        ({"image_processor": {"image_processor_type": "ViTImageProcessor"}}, {"size": (224, 224)}),
        ({**VIT_OLD, "size": [96, 64]}, {"size": (96, 64)}),
        (
            {**VIT_OLD, "do_resize": False},
            {"size": None, "shortest_edge": None, "input_size": None},
        ),
        ({**VIT_OLD, "do_normalize": False}, {"mean": None, "std": None}),
        ({**VIT_OLD, "do_rescale": False}, {"rescale_factor": None}),
        ({**VIT_OLD, "image_mean": 0.25, "image_std": [0.5]}, {"mean": (0.25,) * 3, "std": HALF}),
        (
            {**VIT_OLD, "feature_extractor_type": "SomebodysFeatureExtractor"},
            {"size": (224, 224), "mean": HALF},
        ),
        (
            {**VIT_OLD, "size": {"shortest_edge": 200, "longest_edge": 333}},
            {"shortest_edge": 200, "longest_edge": 333, "input_size": None},
        ),
    ],
)
def test_configs_as_found_on_the_hub(config: dict, expected: dict) -> None:
    ours = Preprocessor.from_dict(config)
    assert {key: getattr(ours, key) for key in expected} == expected


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"do_pad": True}, "do_pad"),
        ({"do_thumbnail": True}, "do_thumbnail"),
        ({"crop_pct": 0.875}, "crop_pct"),
        ({"size": {"max_height": 3, "max_width": 4}}, "max_height"),
        ({"size": "big"}, "big"),
        ({"size": True}, "True"),
        ({"size": {"height": "tall", "width": 2}}, "tall"),
        ({"size": {"height": -1, "width": 2}}, "-1"),
        ({"size": {"height": 10**9, "width": 2}}, "1000000000"),
        ({"size": 10.5}, "10.5"),
        ({"image_mean": [0.5, 0.5]}, "image_mean"),
        ({"image_mean": [float("nan")] * 3}, "image_mean"),
        ({"image_std": [0, 1, 1]}, "std"),
        ({"resample": 9}, "9"),
        ({"resample": "bicubic"}, "bicubic"),
        ({"rescale_factor": "1/255"}, "rescale_factor"),
        ({"do_center_crop": True}, "crop_size"),
        ({"do_center_crop": True, "crop_size": {"height": 3}}, "crop_size"),
    ],
)
def test_what_cannot_be_done_is_named(change: dict, named: str) -> None:
    with pytest.raises(ModelError, match=named):
        Preprocessor.from_dict({**VIT_OLD, **change})


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ("git", {"shortest_edge": 32, "crop": (224, 224), "resample": 3}),
        ("blip", {"size": (32, 32), "crop": None, "resample": 3}),
        ("vit", {"size": (32, 32), "mean": HALF, "resample": 2}),
    ],
)
def test_a_file_without_a_class_means_that_of_the_model(kind: str, expected: dict) -> None:
    ours = Preprocessor.from_dict({"size": 32}, kind=kind)
    for name, value in expected.items():
        assert getattr(ours, name) == value, name
    named = Preprocessor.from_dict({"image_processor_type": "ViTImageProcessor"}, kind=kind)
    assert named == Preprocessor.from_dict({}, kind="vit")


@pytest.mark.parametrize("key", ["size", "image_mean", "image_std"])
def test_unknown_type_needs_complete_keys(key: str) -> None:
    config = {**VIT_OLD, "feature_extractor_type": "SomebodysFeatureExtractor"}
    del config[key]
    with pytest.raises(ModelError, match=key):
        Preprocessor.from_dict(config)


def test_files(tmp_path: Path) -> None:
    path = tmp_path / "preprocessor_config.json"
    with pytest.raises(ModelError, match=r"Cannot read .*preprocessor_config\.json: No such file"):
        Preprocessor.from_file(path)
    ours = Preprocessor(shortest_edge=50, crop=(48, 40), mean=HALF, std=HALF)
    ours.to_file(path)
    assert Preprocessor.from_file(path) == ours
    for broken in ("{", "[]", "\udc80", '{"do_pad": true}', "[" * 100_000):
        path.write_bytes(broken.encode("utf-8", "surrogateescape"))
        with pytest.raises(ModelError, match=r"preprocessor_config\.json"):
            Preprocessor.from_file(path)


@pytest.mark.parametrize("shape", [(40, 20000), (20000, 40), (1, 60000), (60000, 1)], ids=str)
@pytest.mark.parametrize("crop", [(224, 224), (230, 200)], ids=str)
def test_needles_are_resized_in_part(shape: tuple[int, int], crop: tuple[int, int]) -> None:
    ours = Preprocessor.from_dict({**CLIP_OLD, "crop_size": crop})
    array = ours.preprocess(noise_image(*shape))
    assert array.shape == (3, *crop)
    assert np.isfinite(array).all()


def test_resizing_in_part_equals_resizing_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    for crop in ((50, 40), (90, 40), (40, 400)):
        ours = Preprocessor(shortest_edge=64, crop=crop, rescale_factor=None)
        image = noise_image(60, 300)
        whole = ours.preprocess(image)
        with monkeypatch.context() as patch:
            patch.setattr("capgen.models.preprocessing.preprocess._WHOLE_RESIZE_LIMIT", 0)
            part = ours.preprocess(image)
        # Noise, so that being off by a fraction of a pixel would show.
        assert np.abs(whole - part).max() <= 1


def test_needle_without_crop_is_refused() -> None:
    ours = Preprocessor(shortest_edge=224)
    with pytest.raises(ImageError, match="60000×1") as caught:
        ours.preprocess(noise_image(1, 60000))
    assert caught.value.code == "too_large"


@settings(max_examples=60, deadline=None)
@given(
    height=st.integers(1, 300),
    width=st.integers(1, 300),
    edge=st.integers(1, 90),
    longest=st.none() | st.integers(90, 200),
    crop=st.none() | st.tuples(st.integers(1, 90), st.integers(1, 90)),
)
def test_any_shape_equals_transformers(
    height: int, width: int, edge: int, longest: int | None, crop: tuple[int, int] | None
) -> None:
    ours = Preprocessor(shortest_edge=edge, longest_edge=longest, crop=crop, mean=HALF, std=HALF)
    theirs = stock("CLIPImageProcessor")(**ours.to_dict())
    image = noise_image(height, width)
    try:
        expected = theirs(image, return_tensors="np")["pixel_values"][0]
    except ValueError as error:  # transformers rounds the short side of a needle to 0 pixels
        assert "height and width must be > 0" in str(error)
        return
    np.testing.assert_allclose(ours.preprocess(image), expected, rtol=1e-6, atol=1e-6)


def test_impossible_settings() -> None:
    good = Preprocessor(size=(8, 8), mean=HALF, std=HALF)
    for change in ({"shortest_edge": 8}, {"std": None}, {"crop": (0, 8)}, {"std": (1, 1, 0)}):
        with pytest.raises(ModelError):
            replace(good, **change)


def test_imports_stay_light() -> None:
    code = (
        "import sys, capgen.models.preprocessing.preprocess, capgen.images.load;"
        "import capgen.images.folders;"
        "print([m for m in ('torch', 'transformers', 'onnxruntime') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
