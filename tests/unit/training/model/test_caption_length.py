"""How long generated captions may become."""

from __future__ import annotations

import pytest

from capgen.training.model.caption_length import fit_generation_length, usual_length
from tests.tiny_models import tiny_mini


@pytest.mark.parametrize(
    ("lengths", "usual"),
    [([], 0), ([7], 9), ([5] * 97 + [60] * 3, 7), ([5] * 96 + [60] * 4, 62)],
)
def test_a_few_very_long_captions_do_not_count(lengths, usual):
    assert usual_length(lengths) == usual


@pytest.mark.parametrize(
    ("words", "most", "longest"),
    [
        (5, 64, 22),  # never shorter than the model's own
        (28, 64, 30),
        (28, 26, 26),  # training captions are cut there
        (70, 64, 40),  # the decoder has no more positions
    ],
)
def test_the_models_length_follows_the_training_captions(words, most, longest):
    captioning = tiny_mini(["a dog"], positions=40)
    fit_generation_length(captioning, ["dog " * words], most)
    assert captioning.model.generation_config.max_length == longest
