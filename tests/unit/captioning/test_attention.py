"""Attention over the image: words, grids, and equality with transformers."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
import torch

from capgen.captioning.attention import _grid
from capgen.captioning.captioner import Captioner
from capgen.captioning.runtimes.base import ModelInput
from capgen.errors import ModelError
from capgen.explain.explain import explain, explains
from capgen.records import Caption, Token
from tests.minis import draw


def test_every_word_has_a_map_that_sums_to_one(bundled: Captioner) -> None:
    image = draw(3, (320, 200))
    caption = bundled.caption(image)
    found = explain(bundled, image, caption)
    assert " ".join(found.words) == caption.text
    assert found.maps.shape == (len(found.words), 9, 9)
    assert np.allclose(found.maps.sum(axis=(1, 2)), 1, atol=1e-5)
    assert found.maps.min() >= 0
    assert found.image.size == (320, 200)


def test_it_is_what_transformers_computes(bundled: Captioner, bundled_torch: Captioner) -> None:
    image = draw(4, (288, 288))
    caption = bundled.caption(image)
    found = explain(bundled, image, caption)
    model = bundled_torch.runtime._model  # type: ignore[attr-defined]
    model.decoder.set_attn_implementation("eager")
    start = model.generation_config.decoder_start_token_id
    ids = [start, *[token.id for token in caption.tokens[:-1]]]
    pixels = torch.from_numpy(bundled.runtime.preprocessor.preprocess(image))[None]
    with torch.inference_mode():
        output = model(
            pixel_values=pixels.to(model.dtype),
            decoder_input_ids=torch.tensor([ids]),
            output_attentions=True,
        )
    layers = torch.stack(output.cross_attentions).float()  # (layers, 1, heads, tokens, cells)
    expected = layers.mean(dim=(0, 2))[0].numpy()[: len(found.words)]
    assert np.allclose(found.maps.reshape(len(found.words), -1), expected, atol=2e-4)


def test_both_runtimes_look_at_the_same(
    bundled: Captioner, bundled_torch: Captioner, images: list[Path]
) -> None:
    assert explains(bundled) and explains(bundled_torch)
    for image in images[:4]:
        caption = bundled.caption(image, num_captions=2, return_attention=True)
        for one in (caption, *caption.alternatives):
            assert one.attention is not None
            theirs = explain(bundled_torch, image, one).maps
            np.testing.assert_allclose(one.attention, theirs, atol=1e-4)


def test_torch_attends_in_the_way_it_did_before(bundled_torch: Captioner) -> None:
    """Attention that can be had is slower: it is there for the replay only."""
    decoder = bundled_torch.runtime._model.decoder  # type: ignore[attr-defined]
    decoder.set_attn_implementation("sdpa")
    caption = bundled_torch.caption(draw(4), return_attention=True)
    assert caption.attention is not None
    assert decoder.config._attn_implementation == "sdpa"


def test_a_replay_gives_the_probabilities_of_decoding(bundled: Captioner) -> None:
    image = draw(5, (320, 200))
    for options in ({"beams": 2}, {"beams": 4}):
        caption = bundled.caption(image, retry=False, **options)
        pixels = bundled.runtime.preprocessor.preprocess(image)
        ids = [token.id for token in caption.tokens]
        replayed = bundled.runtime.replay(ModelInput(pixels), ids)
        said = [token.log_probability for token in caption.tokens]
        np.testing.assert_allclose(replayed.log_probs[np.arange(len(ids)), ids], said, atol=1e-4)
        assert replayed.log_probs.shape[0] == replayed.attention.shape[0] == len(ids)


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
    def words(*texts: str) -> list[tuple[str, tuple[int, ...]]]:
        caption = Caption(text="", log_probability=0, score=0, tokens=tuple(tokens(*texts)))
        return [(word.text, word.places) for word in caption.words]

    assert words("a", " sk", "ate", "board", "er", ".", "") == [
        ("a", (0,)),
        ("skateboarder.", (1, 2, 3, 4, 5)),
    ]
    assert words(" a", "", "é", " b") == [("aé", (0, 2)), ("b", (3,))]


def test_a_word_is_as_likely_as_its_tokens_together() -> None:
    parts = (
        Token(id=1, text="skate", log_probability=math.log(0.5)),
        Token(id=2, text="board", log_probability=math.log(0.4)),
    )
    (word,) = Caption(text="skateboard", log_probability=0, score=0, tokens=parts).words
    assert word.probability == pytest.approx(0.2)
    assert parts[0].probability == pytest.approx(0.5)


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
    with pytest.raises(ModelError, match="13 image features do not form a grid"):
        _grid(13, (64, 64), "model")
