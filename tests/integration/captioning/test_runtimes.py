"""The same model through both runtimes gives the same captions."""

from __future__ import annotations

import math
import pickle
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from PIL import Image
from transformers import SwinConfig, SwinModel, VisionEncoderDecoderModel

from capgen import Captioner
from capgen.captioning.prepare import Prepared
from capgen.captioning.runtimes.base import ModelInput
from capgen.config import DecodeSettings
from capgen.errors import DeviceMemoryError, ModelError
from capgen.models.checkpoint import save_captioning
from capgen.models.folder import ModelFolder
from capgen.models.onnx.export import export_onnx
from capgen.models.provenance import Provenance
from capgen.records import Caption
from tests import tiny_captioners
from tests.colours import colour_captioner
from tests.fakes import draw_image
from tests.tiny_models import save_tiny_mini

SETTINGS: dict[str, dict[str, Any]] = {
    "defaults": {},
    "greedy": {"beams": 1},
    "2 beams": {"beams": 2, "num_captions": 2},
    "5 beams": {"beams": 5, "num_captions": 5},
    "10 beams, three captions": {"beams": 10, "num_captions": 3},
    "long is good": {"beams": 4, "length_penalty": 2.0, "num_captions": 4},
    "short is good": {"beams": 4, "length_penalty": -1.0, "num_captions": 4},
    "length does not count": {"beams": 4, "length_penalty": 0.0, "num_captions": 4},
    "greedy, penalty": {"beams": 1, "repetition_penalty": 1.5},
    "beams, penalty": {"beams": 3, "repetition_penalty": 1.5, "num_captions": 3},
    "greedy, no pair twice": {"beams": 1, "no_repeat_ngram_size": 2},
    "beams, no word twice": {"beams": 3, "no_repeat_ngram_size": 1, "num_captions": 3},
    "beams over scaled scores": {"beams": 4, "temperature": 0.6, "num_captions": 4},
    "beams over flat scores": {"beams": 4, "temperature": 1.8, "num_captions": 4},
    "at most 6": {"beams": 3, "max_length": 6, "num_captions": 3},
    "as short as can be": {"beams": 3, "max_length": 2, "num_captions": 3},
    "at least 18": {"beams": 3, "min_length": 18, "num_captions": 3},
    "greedy, at least 20": {"beams": 1, "min_length": 20},
    "all at once": {
        "beams": 5,
        "num_captions": 3,
        "temperature": 1.3,
        "repetition_penalty": 1.2,
        "no_repeat_ngram_size": 2,
        "min_length": 8,
        "max_length": 16,
        "length_penalty": 0.6,
    },
}


def assert_same(ours: list[Caption], theirs: list[Caption], tolerance: float = 1e-4) -> None:
    for one, other in zip(ours, theirs, strict=True):
        for left, right in zip((one, *one.alternatives), (other, *other.alternatives), strict=True):
            assert left.text == right.text
            assert [token.id for token in left.tokens] == [token.id for token in right.tokens]
            assert left.score == pytest.approx(right.score, abs=tolerance, rel=1e-5)
            np.testing.assert_allclose(
                [token.log_probability for token in left.tokens],
                [token.log_probability for token in right.tokens],
                atol=2e-3,
            )


@pytest.mark.parametrize("name", SETTINGS)
def test_the_bundled_model_is_the_same_in_both(
    name: str, bundled: Captioner, bundled_torch: Captioner, images: list[Path]
) -> None:
    some = images[:3]
    ours = bundled.caption(some, **SETTINGS[name])
    assert_same(ours, bundled_torch.caption(some, **SETTINGS[name]))
    for caption in ours:
        penalty = caption.settings["length_penalty"]
        for one in (caption, *caption.alternatives):
            total = sum(token.log_probability for token in one.tokens)
            assert one.log_probability == pytest.approx(total)
            assert one.score == pytest.approx(total / len(one.tokens) ** penalty)
    assert ours[0].settings["runtime"] == "onnx"


@pytest.mark.parametrize("name", ["bundled", "bundled_torch"])
@pytest.mark.parametrize(
    ("settings", "count"),
    [
        (DecodeSettings(beams=4), 4),
        (DecodeSettings(beams=4, num_captions=2), 4),
        (DecodeSettings(), 1),
        (DecodeSettings(sample=True, seed=1, num_captions=3), 3),
    ],
    ids=str,
)
def test_a_runtime_returns_all_that_a_search_finished(
    name: str, settings: DecodeSettings, count: int, request: pytest.FixtureRequest
) -> None:
    runtime = request.getfixturevalue(name).runtime
    pixels = np.random.default_rng(0).normal(size=(2, 3, *runtime.preprocessor.input_size))
    found = runtime.generate([ModelInput(one) for one in pixels.astype(np.float32)], settings)
    assert [len(image) for image in found.hypotheses] == [count, count]
    for image in found.hypotheses:
        ranks = [one.rank for one in image]
        assert ranks == pytest.approx(sorted(ranks, reverse=True), abs=1e-5)
    assert found.summarise().shape[0] == 2


def test_a_model_whose_encoder_is_not_known_captions_all_the_same(
    tmp_path: Path, images: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = save_tiny_mini(tmp_path / "model", ["a dog runs"])  # without a concept head
    captioner = Captioner.from_pretrained(folder, runtime="torch", device="cpu")
    known = captioner.caption(images[0])

    def unknown(folder: ModelFolder, model: Any) -> Any:
        raise ModelError("not known")

    monkeypatch.setattr("capgen.captioning.runtimes.torch_encoder.image_encoder", unknown)
    assert captioner.caption(images[0]) == known
    prepared = captioner.prepare(images[0])
    assert isinstance(prepared, Prepared)
    found = captioner.runtime.generate([prepared.input], DecodeSettings(max_length=6))
    with pytest.raises(ModelError, match="not known"):
        found.summarise()


@pytest.mark.realdata
def test_real_images_too(bundled: Captioner, bundled_torch: Captioner, realdata: Path) -> None:
    some = sorted((realdata / "coco_sample" / "images").glob("*.jpg"))[:8]
    assert_same(bundled.caption(some, beams=5), bundled_torch.caption(some, beams=5))


@pytest.mark.parametrize(
    "options",
    [{"beams": 1}, {"beams": 5, "num_captions": 2}, {"temperature": 1.2, "seed": 4}],
    ids=str,
)
@pytest.mark.parametrize("which", ["bundled", "bundled_torch"])
def test_a_batch_says_what_single_calls_do(
    which: str, options: dict[str, Any], images: list[Path], request: pytest.FixtureRequest
) -> None:
    captioner: Captioner = request.getfixturevalue(which)
    some = images[:8] if which == "bundled" else images[:4]
    together = captioner.caption(list(some), **options)
    assert_same(together, [captioner.caption(image, **options) for image in some])


@pytest.mark.parametrize("threads", [1, 3])
def test_the_encoder_sees_one_image_at_a_time(
    threads: int, images: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """So that memory does not grow with the batch, nor captions depend on it in the last bit."""
    captioner = Captioner.from_pretrained(threads=threads)
    alone = [captioner.caption(image) for image in images[:4]]
    real, shapes = captioner.runtime._encoder, []

    class Encoder:
        get_outputs = real.get_outputs

        def run(self, names: list[str], feeds: dict[str, Any]) -> Any:
            shapes.append(feeds["pixel_values"].shape)
            return real.run(names, feeds)

    monkeypatch.setattr(captioner.runtime, "_encoder", Encoder())
    together = captioner.caption(list(images[:4]))
    assert shapes == [(1, 3, 288, 288)] * 4
    assert_same(together, alone)


@pytest.mark.parametrize("room", [3, 1])
def test_a_device_with_little_memory_captions_fewer_images_at_once(
    tmp_path: Path, images: list[Path], monkeypatch: pytest.MonkeyPatch, room: int
) -> None:
    save_captioning(
        tmp_path, tiny_captioners.captioning(tiny_captioners.clip_vision()), Provenance()
    )
    captioner = Captioner.from_pretrained(tmp_path, runtime="torch")
    images = images[:8]
    wanted = captioner.caption(images)
    tried = []
    plain = VisionEncoderDecoderModel.generate

    def generate(self: Any, **arguments: Any) -> Any:
        tried.append(len(arguments["pixel_values"]))
        if tried[-1] > room:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")
        return plain(self, **arguments)

    monkeypatch.setattr(VisionEncoderDecoderModel, "generate", generate)
    assert_same(captioner.caption(images), wanted)
    tried.clear()
    assert_same(captioner.caption(images), wanted)
    assert max(tried) <= room  # remembered


def test_a_device_without_memory_for_one_image(
    tmp_path: Path, images: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    save_captioning(
        tmp_path, tiny_captioners.captioning(tiny_captioners.clip_vision()), Provenance()
    )
    captioner = Captioner.from_pretrained(tmp_path, runtime="torch")

    def full(*arguments: Any, **options: Any) -> Any:
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")

    monkeypatch.setattr(VisionEncoderDecoderModel, "generate", full)
    with pytest.raises(DeviceMemoryError, match="with one image") as caught:
        captioner.caption(images)
    assert "--device cpu" in caught.value.hint
    monkeypatch.setattr(torch.nn.Module, "to", full)
    with pytest.raises(DeviceMemoryError, match="does not fit into the memory of cpu") as caught:
        Captioner.from_pretrained(tmp_path, runtime="torch")
    assert "--dtype fp16" in caught.value.hint


@pytest.mark.parametrize("which", ["bundled", "bundled_torch"])
def test_sampling_goes_by_its_seed(
    which: str, images: list[Path], request: pytest.FixtureRequest
) -> None:
    captioner: Captioner = request.getfixturevalue(which)
    torch.manual_seed(0)
    state = torch.random.get_rng_state()
    first = captioner.caption(images[:2], temperature=1.5, seed=1, num_captions=3)
    again = captioner.caption(images[:2], temperature=1.5, seed=1, num_captions=3)
    other = captioner.caption(images[:2], temperature=1.5, seed=2, num_captions=3)
    assert first == again
    assert first != other
    assert torch.equal(torch.random.get_rng_state(), state)
    for caption in first:
        scores = [caption.score, *(other.score for other in caption.alternatives)]
        assert scores == sorted(scores, reverse=True)


def test_unlikely_words_are_left_out_of_a_narrow_sample(
    bundled: Captioner, images: list[Path]
) -> None:
    greedy = bundled.caption(images[:4], beams=1)
    for options in ({"top_k": 1}, {"top_p": 0.01}, {"temperature": 0.1, "top_p": 0.01}):
        narrow = bundled.caption(images[:4], seed=0, **options)
        assert [c.text for c in narrow] == [c.text for c in greedy]


def test_a_length_beyond_the_models_is_clamped(bundled: Captioner, images: list[Path]) -> None:
    caption = bundled.caption(images[0], max_length=100, min_length=24, beams=2)
    assert len(caption.tokens) == 23
    assert "100" in caption.notes[0] and "24" in caption.notes[0]


def test_encoding_once_serves_every_beam(bundled: Captioner, images: list[Path]) -> None:
    """The steps of one beam search, uncached: each prefix fed again from its start."""
    runtime: Any = bundled.runtime
    from capgen.images.load import load_image

    pixels = np.stack([runtime.preprocessor.preprocess(load_image(p).image) for p in images[:2]])
    cross = runtime.encode(pixels)
    caption = bundled.caption(images[1], beams=4, retry=False)
    cached = runtime.start(cross)
    fed = [1, *(token.id for token in caption.tokens[:-1])]
    for length, (token, expected) in enumerate(zip(fed, caption.tokens, strict=True), 1):
        ids = np.array([[token], [token]])
        logits = cached.logits(ids, np.arange(2))
        fresh = runtime.start(cross)
        for again in fed[:length]:
            uncached = fresh.logits(np.array([[again], [again]]), np.arange(2))
        np.testing.assert_allclose(logits, uncached, atol=1e-5)
        log_probs = logits[1] - np.log(np.exp(logits[1].astype(np.float64)).sum())
        assert log_probs[expected.id] == pytest.approx(expected.log_probability, abs=1e-4)


ENCODERS = {
    "CLIP of GPT-2's width": lambda: tiny_captioners.clip_vision(width=32),
    "CLIP of another width": lambda: tiny_captioners.clip_vision(width=48),
    "ViT of another width": lambda: tiny_captioners.vit(width=24),
}


@pytest.mark.parametrize("name", ENCODERS)
@pytest.mark.parametrize("dtype", [None, torch.float16], ids=["fp32", "fp16"])
def test_any_captioner_is_the_same_exported(
    name: str, dtype: torch.dtype | None, tmp_path: Path
) -> None:
    made = tiny_captioners.captioning(ENCODERS[name]())
    has_projection = hasattr(made.model, "enc_to_dec_proj")
    assert has_projection == ("another" in name)
    folder = tmp_path / "model"
    save_captioning(folder, made, Provenance(), dtype=dtype)
    plain = Captioner.from_pretrained(folder)
    assert plain.runtime.name == "torch"  # nothing exported yet
    size = made.preprocessor.input_size
    assert size is not None
    export_onnx(folder, made.model, image_size=size)
    exported = Captioner.from_pretrained(folder)
    assert exported.runtime.name == "onnx"
    graph = onnx.load(folder / "onnx" / "encoder.onnx", load_external_data=False)
    inside = [t for t in graph.graph.initializer if t.data_location != t.EXTERNAL]
    assert sum(math.prod(tensor.dims) for tensor in inside) < 200  # the weights are not inside
    some = [draw_image(seed, (60, 40)) for seed in range(3)]
    for options in (
        {"beams": 1},
        {"beams": 3, "num_captions": 3},
        {"temperature": 0.5, "beams": 2},
    ):
        # Random weights amplify rounding.
        ours, theirs = (captioner.caption(some, **options) for captioner in (exported, plain))
        assert_same(ours, theirs, tolerance=1e-3)


def test_exporting_leaves_the_model_as_it_was(tmp_path: Path) -> None:
    made = tiny_captioners.captioning(tiny_captioners.vit())
    save_captioning(tmp_path / "m", made, Provenance())
    made.model.train()
    modes = [module.training for module in made.model.modules()]
    export_onnx(tmp_path / "m", made.model, image_size=(32, 32))
    assert [module.training for module in made.model.modules()] == modes


def test_exporting_needs_one_file_of_weights(tmp_path: Path) -> None:
    made = tiny_captioners.captioning(tiny_captioners.vit())
    with pytest.raises(ModelError, match=r"model\.safetensors"):
        export_onnx(tmp_path, made.model, image_size=(32, 32))


def test_an_encoder_that_cannot_be_traced_is_named(tmp_path: Path) -> None:
    shape = SwinConfig(
        image_size=32, patch_size=4, embed_dim=16, depths=[1, 1], num_heads=[2, 2], window_size=4
    )
    made = tiny_captioners.captioning(SwinModel(shape))
    save_captioning(tmp_path / "m", made, Provenance())
    with pytest.raises(ModelError, match="torch cannot export this encoder") as caught:
        export_onnx(tmp_path / "m", made.model, image_size=(32, 32))
    assert "--runtime torch" in str(caught.value.hint)


@pytest.mark.parametrize("types", [("float16", "float32"), ("float32", "float16")], ids="-".join)
def test_graphs_that_belong_to_other_weights_are_refused(
    types: tuple[str, str], tmp_path: Path
) -> None:
    """Saved again in another type, the graphs' offsets point at other numbers."""
    made = tiny_captioners.captioning(tiny_captioners.vit())
    folder = tmp_path / "m"
    first, then = (getattr(torch, name) for name in types)
    save_captioning(folder, made, Provenance(), dtype=first)
    export_onnx(folder, made.model, image_size=(32, 32))
    assert Captioner.from_pretrained(folder).runtime.name == "onnx"
    made.model.to(then).save_pretrained(folder)
    with pytest.raises(ModelError, match="graphs"):
        Captioner.from_pretrained(folder)
    assert Captioner.from_pretrained(folder, runtime="torch").runtime.name == "torch"


def test_the_model_folder_is_asked_for_by_its_own_name(bundled: Captioner) -> None:
    assert bundled.name == "mini"
    assert isinstance(bundled.folder, ModelFolder)


def test_the_torch_runtime_knows_our_encoder_in_a_process_of_its_own(tmp_path: Path) -> None:
    """Elsewhere in this process something else may have registered the encoder."""
    image = tmp_path / "x.png"
    Image.new("RGB", (64, 64), "red").save(image)
    command = ["-m", "capgen", "caption", str(image), "--runtime", "torch"]
    done = subprocess.run([sys.executable, *command], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip()


@pytest.mark.parametrize("runtime", ["onnx", "torch"])
def test_a_captioner_can_be_pickled_and_captions_the_same(runtime: str) -> None:
    captioner = Captioner.from_pretrained(runtime=runtime, device="cpu")
    again = pickle.loads(pickle.dumps(captioner))
    assert (again.name, again.runtime.name) == (captioner.name, runtime)
    image = draw_image(1, (60, 40))
    assert again.caption(image, beams=1) == captioner.caption(image, beams=1)


def test_a_captioner_over_a_runtime_of_ones_own_says_that_it_cannot_be_pickled() -> None:
    captioner, _ = colour_captioner()
    with pytest.raises(TypeError, match="from_pretrained"):
        pickle.dumps(captioner)


def test_waiting_threads_do_not_spin() -> None:
    """They took half of the processor time of one caption."""
    runtime = Captioner.from_pretrained().runtime
    for session in (runtime._encoder, runtime._decoder):
        options = session.get_session_options()
        assert options.get_session_config_entry("session.intra_op.allow_spinning") == "0"
