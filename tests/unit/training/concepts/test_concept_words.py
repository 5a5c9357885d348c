"""Which concepts captions say, and what the head learns of them."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from capgen.training.concepts.concept_labels import ConceptLabels
from capgen.training.concepts.concept_words import ConceptWords

NAMES = ("coffee mug", "deer", "dog", "doe", "hot dog", "jeans", "knife", "mug", "player", "woman")
MEMBERSHIP = np.zeros((4, len(NAMES)), np.uint8)
MEMBERSHIP[0, [0, 7]] = 1  # a coffee mug is a mug
MEMBERSHIP[1, 2] = 1
MEMBERSHIP[2, 4] = 1  # a hot dog is not a dog
WORDS = ConceptWords(NAMES, MEMBERSHIP)


@pytest.mark.parametrize(
    ("caption", "said"),
    [
        ("a dog", {"dog"}),
        ("dogs with knives", {"dog", "knife"}),
        ("two women", {"woman"}),
        ("a hot dog", {"hot dog"}),
        ("hot dogs", {"hot dog"}),
        ("a dog beside hot dogs", {"dog", "hot dog"}),
        ("coffee mugs", {"coffee mug", "mug"}),
        ("blue jeans", {"jeans"}),
        ("a jean jacket", {"jeans"}),
        ("it does", set()),  # not the plural of "doe"
        ("", set()),
    ],
)
def test_concepts_of_a_caption(caption, said):
    assert {NAMES[number] for number in WORDS.of_caption(caption.split())} == said


def test_tokens_are_single_words_of_any_form():
    tokens = WORDS.tokens({"<pad>": 0, "dogs": 1, "dog": 2, "hot": 3, "knives": 4, "does": 5})
    assert tokens[NAMES.index("dog")] == (1, 2)
    assert tokens[NAMES.index("knife")] == (4,)
    assert tokens[NAMES.index("hot dog")] == ()
    assert tokens[NAMES.index("doe")] == ()


def test_labels_of_images():
    groups = [["a dog", "a dog and a mug"], ["nothing"], ["a dog"] * 5]
    labels = ConceptLabels.of(groups, WORDS, str.split, len(NAMES))
    batch = labels.batch(torch.tensor([2, 0]))
    assert batch.shape == (2, len(NAMES))
    assert batch.nonzero().tolist() == [[0, 2], [1, 2], [1, 7]]
    # An image with few captions counts less.
    assert labels.weights.tolist() == pytest.approx([0.7, 0.55, 1.0])
    assert labels.shares()[[2, 7, 8]].tolist() == pytest.approx([2 / 3, 1 / 3, 0])
    assert labels.learned.nonzero().flatten().tolist() == [2, 7]
