"""Joining pretrained parts: what is broken is told before training, and nothing else is."""

from __future__ import annotations

from pathlib import Path

import pytest
from safetensors.torch import load_file, save_file

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
