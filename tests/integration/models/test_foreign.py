"""Captioners that others saved, and folders that are damaged."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import transformers
from transformers import AutoTokenizer, VisionEncoderDecoderModel

from capgen import Captioner
from capgen.captioning.runtimes.base import ModelInput
from capgen.errors import CapgenError, ModelError, StorageError, UnsafeModelError
from capgen.models import checkpoint
from capgen.models.checkpoint import load_captioning, save_captioning
from capgen.models.folder import ModelFolder
from capgen.models.provenance import Provenance
from capgen.paths import bundled_model_dir
from tests import tiny_captioners
from tests.fakes import draw_image, names

IMAGE = draw_image(3, (60, 40))
KINDS: dict[str, Callable[[Path], Path]] = {
    "ViT and GPT-2": lambda folder: tiny_captioners.save_plainly(
        folder, tiny_captioners.captioning(tiny_captioners.vit())
    ),
    "CLIP and GPT-2": lambda folder: tiny_captioners.save_plainly(
        folder, tiny_captioners.captioning(tiny_captioners.clip_vision())
    ),
    "BLIP": tiny_captioners.blip,
    "GIT": tiny_captioners.git,
}


# transformers 5.17 counts the image's cells among the positions of GIT's words.
OLD = tuple(map(int, transformers.__version__.split(".")[:2])) < (5, 23)
GIT = pytest.param(
    "GIT", marks=pytest.mark.skipif(OLD, reason="GIT is broken in transformers 5.17")
)
EVERY_KIND = [GIT if kind == "GIT" else kind for kind in KINDS]


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("foreign")
    return {kind: make(folder / str(number)) for number, (kind, make) in enumerate(KINDS.items())}


@pytest.fixture
def folder(saved: dict[str, Path], tmp_path: Path) -> Path:
    """A copy of a small captioner, to be damaged."""
    return Path(shutil.copytree(saved["ViT and GPT-2"], tmp_path / "model"))


@pytest.mark.parametrize("kind", EVERY_KIND)
def test_captioners_of_others_caption(kind: str, saved: dict[str, Path]) -> None:
    captioner = Captioner.from_pretrained(saved[kind])
    greedy = captioner.caption(IMAGE, beams=1, max_length=8)
    assert 1 <= len(greedy.tokens) <= 7
    assert greedy.settings["runtime"] == "torch"
    found = captioner.caption(IMAGE, beams=4, num_captions=3, max_length=8)
    everything = (found, *found.alternatives)
    assert len({tuple(t.id for t in one.tokens) for one in everything}) == 3
    assert [c.score for c in everything] == sorted((c.score for c in everything), reverse=True)
    for one in (greedy, *everything):
        assert all(token.log_probability <= 1e-6 for token in one.tokens)
        assert one.score == pytest.approx(one.log_probability / len(one.tokens))
    sampled = captioner.caption([IMAGE, IMAGE], temperature=1.5, seed=3, max_length=8)
    assert sampled[0] == sampled[1]


def test_attention_of_captioners_of_others(saved: dict[str, Path]) -> None:
    grids = {"ViT and GPT-2": (4, 4), "CLIP and GPT-2": (3, 3), "BLIP": (4, 4)}
    for kind, grid in grids.items():
        captioner = Captioner.from_pretrained(saved[kind])
        caption = captioner.caption(IMAGE, max_length=8, num_captions=2, return_attention=True)
        for one in (caption, *caption.alternatives):
            assert one.attention is not None
            assert one.attention.shape == (len(one.words), *grid)
            np.testing.assert_allclose(one.attention.sum(axis=(1, 2)), 1, atol=1e-5)


def test_a_captioner_without_cross_attention_says_so(saved: dict[str, Path]) -> None:
    captioner = Captioner.from_pretrained(saved["GIT"])
    assert captioner.runtime.obstacle()
    with pytest.raises(ModelError, match="'git' model has no cross-attention"):
        captioner.caption(IMAGE, return_attention=True)
    pixels = captioner.runtime.preprocessor.preprocess(IMAGE)
    with pytest.raises(ModelError, match="no cross-attention"):
        captioner.runtime.replay(ModelInput(pixels), [1])


def test_what_is_not_known_of_a_model_with_its_own_code_is_said(folder: Path) -> None:
    captioner = Captioner.from_pretrained(folder)
    runtime: Any = captioner.runtime
    edit("config.json", model_type="mine")(folder)
    runtime.folder = ModelFolder(folder, "mine/model")
    runtime._model = torch.nn.Linear(1, 1)  # no part of it is called as in other models
    runtime._model.dtype = torch.float32
    pixels = captioner.runtime.preprocessor.preprocess(IMAGE)
    assert "does not know the cross-attention of a 'mine' model" in runtime.obstacle()
    with pytest.raises(ModelError, match="does not know the image encoder of a 'mine' model"):
        runtime.features(ModelInput(pixels))


@pytest.mark.parametrize("kind", ["BLIP", GIT])
def test_nothing_follows_the_end(kind: str, saved: dict[str, Path]) -> None:
    """The end token is the last, and no padding behind it counts."""
    captioner = Captioner.from_pretrained(saved[kind])
    images = [draw_image(seed, (50, 40)) for seed in range(6)]
    ended = 0
    for caption in captioner.caption(images, temperature=2.0, seed=0, num_captions=5):
        for one in (caption, *caption.alternatives):
            ids = [token.id for token in one.tokens]
            ended += ids[-1] == 3
            assert 3 not in ids[:-1]
            assert 0 not in ids[ids.index(3) :] if 3 in ids else True
    assert ended


@pytest.mark.parametrize("kind", EVERY_KIND)
def test_a_length_beyond_the_positions_is_clamped(kind: str, saved: dict[str, Path]) -> None:
    captioner = Captioner.from_pretrained(saved[kind])
    limit = captioner.folder.positions
    assert limit in (20, 40, 64)
    caption = captioner.caption(IMAGE, beams=1, max_length=1000, min_length=limit)
    assert len(caption.tokens) == limit - 1
    assert str(limit) in caption.notes[0]


def test_the_loss_of_greedy_decoding_is_what_the_model_says(saved: dict[str, Path]) -> None:
    """Log-probabilities are those of one forward pass over the finished caption."""
    captioner = Captioner.from_pretrained(saved["CLIP and GPT-2"])
    runtime: Any = captioner.runtime
    caption = captioner.caption(IMAGE, beams=3)
    ids = torch.tensor([[256, *(token.id for token in caption.tokens)]])
    pixels = torch.from_numpy(runtime.preprocessor.preprocess(IMAGE))[None]
    with torch.inference_mode():
        logits = runtime._model(pixel_values=pixels, decoder_input_ids=ids[:, :-1]).logits
    log_probs = torch.log_softmax(logits[0], -1).gather(1, ids[0, 1:, None])[:, 0]
    expected = [token.log_probability for token in caption.tokens]
    assert log_probs.tolist() == pytest.approx(expected, abs=1e-3)


@pytest.mark.parametrize("dtype", ["bf16", "fp16"])
def test_other_types(dtype: str, saved: dict[str, Path]) -> None:
    captioner = Captioner.from_pretrained(saved["CLIP and GPT-2"], device="cpu", dtype=dtype)
    assert captioner.caption(IMAGE, beams=2).tokens


def test_what_capgen_saves_loads_in_plain_transformers(tmp_path: Path) -> None:
    made = tiny_captioners.captioning(tiny_captioners.clip_vision(width=48))
    save_captioning(tmp_path / "model", made, Provenance(preset="clip-gpt2"))
    model, info = VisionEncoderDecoderModel.from_pretrained(
        tmp_path / "model", output_loading_info=True
    )
    assert not info["missing_keys"] and not info["unexpected_keys"]
    for name, tensor in made.model.state_dict().items():
        assert torch.equal(model.state_dict()[name], tensor)
    tokenizer = AutoTokenizer.from_pretrained(tmp_path / "model")
    text = "a dog é"
    assert tokenizer(text)["input_ids"] == made.tokenizer(text)["input_ids"]
    pixels = torch.from_numpy(made.preprocessor.preprocess(IMAGE))[None]
    ids = model.eval().generate(pixels)[0]
    ours = Captioner.from_pretrained(tmp_path / "model").caption(IMAGE, retry=False)
    assert tokenizer.decode(ids, skip_special_tokens=True).strip() == ours.text
    again = load_captioning(ModelFolder(tmp_path / "model", "m"))
    assert again.preprocessor == made.preprocessor
    provenance = ModelFolder(tmp_path / "model", "m").provenance
    assert provenance.preset == "clip-gpt2"
    assert provenance.versions["torch"] == torch.__version__
    assert provenance.created.startswith("20")


class TestSaving:
    """A new folder takes the old one's place only when it is complete."""

    def contents(self, folder: Path) -> dict[str, bytes]:
        return {path.name: path.read_bytes() for path in folder.iterdir()}

    def test_replaces_an_older_one(self, folder: Path) -> None:
        (folder / "stale.txt").write_text("old")
        made = tiny_captioners.captioning(tiny_captioners.vit(seed=5))
        save_captioning(folder, made, Provenance(), dtype=torch.float16)
        assert "stale.txt" not in names(folder)
        assert names(folder.parent) == ["model"]
        assert ModelFolder(folder, "m").config["dtype"] == "float16"
        assert made.model.dtype == torch.float32  # the one in memory stays as it was
        assert all(path.stat().st_mode & 0o044 == 0o044 for path in folder.iterdir())

    @pytest.mark.parametrize("failing", ["_write_parts", "stamped", "swap_folder"])
    @pytest.mark.parametrize("failure", [KeyboardInterrupt, RuntimeError])
    def test_an_interruption_leaves_the_old_one(
        self,
        folder: Path,
        failing: str,
        failure: type[BaseException],
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        def fail(*arguments: object) -> None:
            raise failure

        before = self.contents(folder)
        monkeypatch.setattr(checkpoint, failing, fail)
        with pytest.raises(failure):
            save_captioning(folder, tiny_captioners.captioning(tiny_captioners.vit()), Provenance())
        assert self.contents(folder) == before
        assert names(folder.parent) == ["model"]

    def test_a_failed_renaming_puts_the_old_one_back(
        self, folder: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        before = self.contents(folder)
        rename = Path.rename

        def fail(self: Path, target: Path) -> Path:
            if self.name.endswith(".new"):
                raise PermissionError(13, "Permission denied")
            return rename(self, target)

        monkeypatch.setattr(Path, "rename", fail)
        with pytest.raises(StorageError):
            save_captioning(folder, tiny_captioners.captioning(tiny_captioners.vit()), Provenance())
        monkeypatch.undo()
        assert self.contents(folder) == before

    def test_a_full_disk(self, small_disk: Path) -> None:
        made = tiny_captioners.captioning(tiny_captioners.vit())
        with pytest.raises(StorageError, match="No space left"):
            save_captioning(small_disk / "model", made, Provenance())
        assert names(small_disk) == []


def edit(name: str, **changed: Any) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        content = json.loads((folder / name).read_text())
        for key, value in changed.items():
            inner = content
            *outer, last = key.split("__")
            for part in outer:
                inner = inner[part]
            if value is None:
                inner.pop(last, None)
            else:
                inner[last] = value
        (folder / name).write_text(json.dumps(content))

    return change


def remove(*files: str) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        for name in files:
            (folder / name).unlink()

    return change


def overwrite(name: str, content: bytes) -> Callable[[Path], None]:
    return lambda folder: (folder / name).write_bytes(content) and None


def cut(name: str, share: float) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        content = (folder / name).read_bytes()
        (folder / name).write_bytes(content[: int(len(content) * share)])

    return change


def no_end_token(folder: Path) -> None:
    edit("generation_config.json", eos_token_id=None)(folder)
    edit("config.json", eos_token_id=None)(folder)


def no_start_token(folder: Path) -> None:
    edit("generation_config.json", decoder_start_token_id=None, bos_token_id=None)(folder)
    edit("config.json", decoder_start_token_id=None)(folder)


def pickled(folder: Path) -> None:
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")


DAMAGE: dict[str, Callable[[Path], None]] = {
    "no config": remove("config.json"),
    "config cut off": cut("config.json", 0.5),
    "config of nothing": overwrite("config.json", b"{}"),
    "unknown kind": edit("config.json", model_type="llama"),
    "unknown encoder": edit("config.json", encoder__model_type="nonsense"),
    "no encoder": edit("config.json", encoder=None),
    "no decoder": edit("config.json", decoder=None),
    "decoder of the wrong type": edit("config.json", decoder__n_layer="two"),
    "heads that do not divide": edit("config.json", decoder__n_head=5),
    "no weights": remove("model.safetensors"),
    "empty weights": overwrite("model.safetensors", b""),
    "weights cut off": cut("model.safetensors", 0.5),
    "weights that are text": overwrite("model.safetensors", b"hello world, this is no model"),
    "wider decoder": edit("config.json", decoder__n_embd=64),
    "more layers": edit("config.json", decoder__n_layer=3),
    "larger vocabulary": edit("config.json", decoder__vocab_size=300),
    "no tokenizer": remove("tokenizer.json", "tokenizer_config.json"),
    "tokenizer cut off": cut("tokenizer.json", 0.5),
    "tokenizer that is none": overwrite("tokenizer.json", b'{"version": "1.0"}'),
    "no preprocessor": remove("preprocessor_config.json"),
    "preprocessor cut off": cut("preprocessor_config.json", 0.5),
    "images of another size": edit("preprocessor_config.json", size={"height": 9, "width": 9}),
    "generation config cut off": cut("generation_config.json", 0.5),
    "generation config of words": edit("generation_config.json", num_beams="two"),
    "no end token": no_end_token,
    "no start token": no_start_token,
    "pickled": pickled,
}


@pytest.mark.parametrize("name", DAMAGE)
def test_a_damaged_folder_is_said_in_one_line(name: str, folder: Path) -> None:
    DAMAGE[name](folder)
    with pytest.raises(ModelError) as caught:
        Captioner.from_pretrained(folder).caption(IMAGE)
    assert "\n" not in caught.value.message
    if name == "pickled":
        assert isinstance(caught.value, UnsafeModelError)


def test_a_blip_without_its_tokenizer_is_refused(saved: dict[str, Path], tmp_path: Path) -> None:
    """transformers makes one of special tokens then, and every caption is empty."""
    folder = Path(shutil.copytree(saved["BLIP"], tmp_path / "model"))
    for file in (*folder.glob("tokenizer*"), folder / "vocab.txt"):
        file.unlink(missing_ok=True)
    with pytest.raises(ModelError, match="has no tokenizer"):
        Captioner.from_pretrained(folder)


ONNX_DAMAGE = {
    **{
        name: DAMAGE[name]
        for name in (
            *("no config", "config cut off", "no decoder", "decoder of the wrong type"),
            *("no weights", "empty weights", "weights that are text", "weights cut off"),
            *("no tokenizer", "tokenizer cut off", "tokenizer that is none"),
            *("no preprocessor", "images of another size"),
            *("generation config cut off", "no end token", "no start token"),
        )
    },
    "encoder graph cut off": cut("onnx/encoder.onnx", 0.5),
    "decoder graph empty": overwrite("onnx/decoder.onnx", b""),
    "graphs that are text": overwrite("onnx/encoder.onnx", b"hello"),
    "heads of another number": edit("config.json", decoder__n_head=4),
    "layers of another number": edit("config.json", decoder__n_layer=2),
}


@pytest.mark.parametrize("name", ONNX_DAMAGE)
def test_a_damaged_exported_folder_is_said_in_one_line(name: str, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(bundled_model_dir(), tmp_path / "model"))
    ONNX_DAMAGE[name](folder)
    with pytest.raises(ModelError) as caught:
        Captioner.from_pretrained(folder).caption(IMAGE)
    assert "\n" not in caught.value.message


def test_code_that_comes_with_a_model_is_not_run(folder: Path) -> None:
    edit("config.json", model_type="mine", auto_map={"AutoModel": "mine.Model"})(folder)
    (folder / "mine.py").write_text("raise SystemExit('foreign code ran')")
    with pytest.raises(UnsafeModelError, match="its own code"):
        Captioner.from_pretrained(folder)


@pytest.mark.parametrize(
    "options",
    [
        {"runtime": "jax"},
        {"device": "tpu"},
        {"device": "cuda:99"},
        {"device": "cuda:x"},
        {"dtype": "fp8", "runtime": "torch"},
        {"runtime": "onnx", "device": "cuda"},
        {"runtime": "onnx"},
    ],
    ids=str,
)
def test_ways_to_run_that_are_not_there(options: dict[str, str], folder: Path) -> None:
    with pytest.raises(CapgenError) as caught:
        Captioner.from_pretrained(folder, **options)  # type: ignore[arg-type]
    assert "\n" not in caught.value.message
