"""Joining pretrained parts: what is broken is told before training, and nothing else is."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import (
    AutoTokenizer,
    BlipVisionConfig,
    BlipVisionModel,
    SiglipConfig,
    SiglipModel,
    ViTMAEConfig,
    ViTMAEModel,
)

from capgen.errors import CapgenError, ModelError, UnsafeModelError
from capgen.models.build import build_clip_gpt2
from tests.tiny_models import save_tiny_clip, save_tiny_gpt2
from tests.training_runs import SENTENCES


@pytest.fixture
def parts(tmp_path: Path) -> tuple[Path, Path]:
    return save_tiny_clip(tmp_path / "clip"), save_tiny_gpt2(tmp_path / "gpt2", SENTENCES)


def drop(folder: Path, part: str) -> None:
    """Leave the weights out that have `part` in their names."""
    file = folder / "model.safetensors"
    kept = {name: tensor for name, tensor in load_file(file).items() if part not in name}
    save_file(kept, file, metadata={"format": "pt"})


def test_parts_are_joined_without_advice(parts, capsys):
    encoder, decoder = parts
    capsys.readouterr()
    captioning = build_clip_gpt2(str(encoder), str(decoder))
    assert captioning.model.config.model_type == "vision-encoder-decoder"
    printed = capsys.readouterr()
    assert (printed.out, printed.err) == ("", "")


@pytest.mark.parametrize(
    ("which", "part"),
    [(0, "layers.1.mlp.fc1"), (1, "h.0.attn.c_attn"), (1, "wpe")],
)
def test_weights_that_lack_are_not_made_at_random(parts, which, part):
    drop(parts[which], part)
    with pytest.raises(ModelError, match=r"lacks \d weights.*" + part.replace(".", r"\.")):
        build_clip_gpt2(str(parts[0]), str(parts[1]))


@pytest.mark.parametrize("which", [0, 1])
@pytest.mark.parametrize(
    ("file", "content"),
    [
        ("model.safetensors", b"x"),
        ("config.json", b"{"),
        ("config.json", b'{"model_type": "no such kind"}'),
    ],
)
def test_damaged_parts_are_named(parts, which, file, content):
    (parts[which] / file).write_bytes(content)
    with pytest.raises(CapgenError) as caught:
        build_clip_gpt2(str(parts[0]), str(parts[1]))
    assert parts[which].name in caught.value.message


def test_a_decoder_without_its_tokenizer(parts):
    for file in parts[1].glob("tokenizer*"):
        file.unlink()
    with pytest.raises(ModelError, match="gpt2 has no tokenizer"):
        build_clip_gpt2(str(parts[0]), str(parts[1]))


def test_pickled_weights_are_refused(parts):
    (parts[0] / "model.safetensors").rename(parts[0] / "pytorch_model.bin")
    with pytest.raises(UnsafeModelError):
        build_clip_gpt2(str(parts[0]), str(parts[1]))


def test_the_wrong_kind_of_part(parts):
    with pytest.raises(ModelError, match="not a GPT-2"):
        build_clip_gpt2(str(parts[0]), str(parts[0]))
    with pytest.raises(ModelError, match="not a vision encoder"):
        build_clip_gpt2(str(parts[1]), str(parts[1]))


SHAPE = {"hidden_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2}
SHAPE |= {"intermediate_size": 64}
VISION = {**SHAPE, "image_size": 32, "patch_size": 8}


def set_tokens(folder: Path, **tokens: str | None) -> None:
    """Change the special tokens that a tokenizer names; None leaves one out."""
    file = folder / "tokenizer_config.json"
    content = {**json.loads(file.read_text()), **tokens}
    content = {name: token for name, token in content.items() if token is not None}
    file.write_text(json.dumps(content))


def set_config(folder: Path, **settings: object) -> None:
    file = folder / "config.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), **settings}))


def ends(captioning) -> tuple[int, int]:
    generation = captioning.model.generation_config
    return generation.decoder_start_token_id, generation.eos_token_id


def test_a_tokenizer_without_a_start_token_starts_with_the_end_token(parts):
    set_tokens(parts[1], bos_token=None)
    captioning = build_clip_gpt2(str(parts[0]), str(parts[1]))
    assert ends(captioning) == (captioning.tokenizer.eos_token_id,) * 2


def test_a_tokenizer_without_special_tokens_has_those_of_the_models_config(parts):
    end = json.loads((parts[1] / "config.json").read_text())["eos_token_id"]
    set_tokens(parts[1], bos_token=None, eos_token=None, unk_token=None)
    captioning = build_clip_gpt2(str(parts[0]), str(parts[1]))
    assert ends(captioning) == (end, end)
    assert captioning.tokenizer.eos_token_id == captioning.tokenizer.pad_token_id == end


def test_a_bert_tokenizer_starts_with_cls_and_ends_with_sep(parts):
    set_tokens(parts[1], bos_token=None, eos_token=None, cls_token="a", sep_token="b")
    captioning = build_clip_gpt2(str(parts[0]), str(parts[1]))
    assert ends(captioning) == tuple(captioning.tokenizer.convert_tokens_to_ids(["a", "b"]))


def test_a_tokenizer_without_an_end_token_is_refused(parts):
    set_tokens(parts[1], bos_token=None, eos_token=None)
    set_config(parts[1], eos_token_id=None, bos_token_id=None)
    with pytest.raises(ModelError, match="gpt2: its tokenizer has no end token"):
        build_clip_gpt2(str(parts[0]), str(parts[1]))


def test_a_tokenizer_larger_than_the_embeddings_is_refused(parts):
    tokenizer = AutoTokenizer.from_pretrained(parts[1])
    tokenizer.add_tokens(["<lighthouse>"])
    tokenizer.save_pretrained(parts[1])
    with pytest.raises(ModelError, match=r"its tokenizer has \d+ tokens, its embeddings \d+ rows"):
        build_clip_gpt2(str(parts[0]), str(parts[1]))


def test_a_decoder_with_few_positions_makes_short_captions(tmp_path, parts):
    drop(parts[1], "wpe")
    file = parts[1] / "model.safetensors"
    weights = {**load_file(file), "transformer.wpe.weight": torch.zeros(16, 64)}
    save_file(weights, file, metadata={"format": "pt"})
    set_config(parts[1], n_positions=16)
    captioning = build_clip_gpt2(str(parts[0]), str(parts[1]))
    assert captioning.model.generation_config.max_length == 16


def test_the_part_of_siglip_that_sees_is_an_encoder(parts, tmp_path):
    text = {**SHAPE, "vocab_size": 50, "max_position_embeddings": 16}
    SiglipModel(SiglipConfig(text_config=text, vision_config=VISION)).save_pretrained(
        tmp_path / "siglip"
    )
    processor = {
        "image_processor_type": "SiglipImageProcessor",
        "size": {"height": 32, "width": 32},
    }
    (tmp_path / "siglip" / "preprocessor_config.json").write_text(json.dumps(processor))
    captioning = build_clip_gpt2(str(tmp_path / "siglip"), str(parts[1]))
    assert captioning.model.config.encoder.model_type == "siglip_vision_model"


def test_an_encoder_that_hides_parts_of_images_is_refused(parts, tmp_path):
    ViTMAEModel(ViTMAEConfig(**VISION)).save_pretrained(tmp_path / "mae")
    with pytest.raises(ModelError, match="hides three quarters of every image"):
        build_clip_gpt2(str(tmp_path / "mae"), str(parts[1]))


def test_an_encoder_that_transformers_cannot_join_is_named_and_not_listed(parts, tmp_path):
    BlipVisionModel(BlipVisionConfig(**VISION)).save_pretrained(tmp_path / "blip")
    with pytest.raises(ModelError, match=r"blip_vision_model\) is not a vision encoder") as caught:
        build_clip_gpt2(str(tmp_path / "blip"), str(parts[1]))
    assert len(caught.value.message) < 200
