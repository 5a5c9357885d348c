"""Attention over the photo: words, grids, and equality with transformers."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from capgen.errors import ModelError
from capgen.inference.attention import _grid, _words, explain, explains
from capgen.inference.captioner import Captioner
from capgen.records import Caption, Token
from tests.minis import draw


def test_every_word_has_a_map_that_sums_to_one(bundled: Captioner) -> None:
    photo = draw(3, (320, 200))
    caption = bundled.caption(photo)
    found = explain(bundled, photo, caption)
    assert " ".join(found.words) == caption.text
    assert found.maps.shape == (len(found.words), 9, 9)
    assert np.allclose(found.maps.sum(axis=(1, 2)), 1, atol=1e-5)
    assert found.maps.min() >= 0
    assert found.picture.size == (320, 200)


def test_it_is_what_transformers_computes(bundled: Captioner, bundled_torch: Captioner) -> None:
    photo = draw(4, (288, 288))
    caption = bundled.caption(photo)
    found = explain(bundled, photo, caption)
    model = bundled_torch.runtime._model  # type: ignore[attr-defined]
    model.decoder.set_attn_implementation("eager")
    start = model.generation_config.decoder_start_token_id
    ids = [start, *[token.id for token in caption.tokens[:-1]]]
    pixels = torch.from_numpy(bundled.runtime.preprocessor.preprocess(photo))[None]
    with torch.inference_mode():
        output = model(
            pixel_values=pixels.to(model.dtype),
            decoder_input_ids=torch.tensor([ids]),
            output_attentions=True,
        )
    layers = torch.stack(output.cross_attentions).float()  # (layers, 1, heads, tokens, cells)
    expected = layers.mean(dim=(0, 2))[0].numpy()[: len(found.words)]
    assert np.allclose(found.maps.reshape(len(found.words), -1), expected, atol=2e-4)


def test_torch_models_have_none(bundled: Captioner, bundled_torch: Captioner) -> None:
    assert explains(bundled) and not explains(bundled_torch)
    with pytest.raises(ModelError, match="attention needs ONNX Runtime"):
        explain(bundled_torch, draw(1), Caption(text="a", log_probability=0, score=0))


def test_a_caption_without_words(bundled: Captioner) -> None:
    end = Token(id=2, text="", log_probability=-0.1)
    for tokens in ((), (end,)):
        found = explain(
            bundled, draw(1), Caption(text="", log_probability=0, score=0, tokens=tokens)
        )
        assert found.words == ()
        assert found.maps.shape == (0, 9, 9)


def tokens(*texts: str) -> list[Token]:
    return [Token(id=number, text=text, log_probability=0) for number, text in enumerate(texts)]


def test_tokens_become_words() -> None:
    assert _words(tokens("a", " sk", "ate", "board", "er", ".", "")) == (
        ["a", "skateboarder."],
        [[0], [1, 2, 3, 4, 5]],
    )
    assert _words(tokens(" a", "", "é", " b")) == (["aé", "b"], [[0, 2], [3]])


@pytest.mark.parametrize(
    ("cells", "size", "expected"),
    [
        (81, (288, 288), (9, 9)),
        (50, (224, 224), (7, 7)),
        (197, (224, 224), (14, 14)),
        (577, (384, 384), (24, 24)),
        (8, (64, 128), (2, 4)),
        (9, (64, 128), (2, 4)),
    ],
)
def test_grids(cells: int, size: tuple[int, int], expected: tuple[int, int]) -> None:
    assert _grid(cells, size, "model") == expected


def test_features_that_are_no_grid() -> None:
    with pytest.raises(ModelError, match="13 image features are no grid"):
        _grid(13, (64, 64), "model")
