"""Captions that a vocabulary of whole words cannot be made of are refused."""

from __future__ import annotations

import pytest

from capgen.config import train_config
from capgen.errors import UsageError
from capgen.training.model.make_captioner import make_captioner
from capgen.training.model.word_vocabulary import check_spaces
from tests.tiny_models import save_tiny_mini

CHINESE = ["一只狗在草地上奔跑", "两个孩子在玩球"]
THAI = ["สุนัขวิ่งบนหญ้า"]
JAPANESE = ["犬が芝生を走っている"]
SPACED = [
    ["एक कुत्ता घास पर दौड़ रहा है"],
    ["كلب يركض على العشب"],
    ["Ein Hund läuft über die Wiese"],
    ["a sign that says 犬"],
    ["개가 잔디 위를 달린다"],
    [],
]


@pytest.mark.parametrize("captions", [CHINESE, THAI, JAPANESE])
def test_scripts_without_spaces_are_refused_before_training(captions):
    with pytest.raises(UsageError, match="script without spaces") as caught:
        make_captioner(train_config("mini"), captions * 4)
    assert "--preset clip-gpt2" in caught.value.hint


def test_scripts_without_spaces_are_refused_for_a_model_whose_vocabulary_would_grow(tmp_path):
    mini = save_tiny_mini(tmp_path / "mini", ["a dog"])
    with pytest.raises(UsageError, match="script without spaces"):
        make_captioner(train_config("mini", init=str(mini)), CHINESE)


@pytest.mark.parametrize("captions", SPACED)
def test_scripts_with_spaces_are_not_refused(captions):
    check_spaces(captions)


def test_a_set_without_frequent_words_is_refused_before_training():
    with pytest.raises(UsageError, match="No word occurs 4 times") as caught:
        make_captioner(train_config("mini"), ["a dog", "a cat", "a bird"])
    assert "--min-count" in caught.value.hint
