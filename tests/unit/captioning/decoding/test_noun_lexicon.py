"""Which tokens of which vocabularies begin a noun."""

from __future__ import annotations

import json
from collections.abc import Iterable

import numpy as np
import pytest

from capgen.captioning.decoding.noun_lexicon import noun_table
from capgen.models.folder import TOKENIZER_FILE
from capgen.paths import bundled_model_dir

COMMON = ("<s>", "a", "the", "is", "on", "with", "of", "and", "two")


def nouns(*tokens: str, common: Iterable[str] = COMMON) -> dict[str, int]:
    """Return the tokens that begin a noun, with its number."""
    vocabulary = {token: number for number, token in enumerate((*common, *tokens))}
    table = noun_table(vocabulary)
    assert table is not None
    assert len(table.numbers) == len(vocabulary)
    return {t: int(table.numbers[n]) for t, n in vocabulary.items() if table.numbers[n]}


@pytest.mark.parametrize(
    "word",
    [
        *("cat", "dog", "man", "woman", "people", "children", "women", "kitchen", "bathroom"),
        *("table", "plate", "pizza", "giraffe", "zebras", "skateboard", "hat", "shirt", "beach"),
        *(
            "puppies",
            "glasses",
            "feet",
            "snow",
            "building",
            "train",
            "umbrella",
            "bear",
            "book",
            "van",
        ),
    ],
)
def test_things_and_living_beings_are_nouns(word: str) -> None:
    assert word in nouns(word)


@pytest.mark.parametrize("word", ["tennis", "baseball", "soccer", "volleyball"])
def test_sports_are_nouns(word: str) -> None:
    assert word in nouns(word)  # not "holding a tennis racket on a tennis court"


@pytest.mark.parametrize(
    "word",
    [
        # colours and other adjectives, which clothes of two people may share
        *("red", "white", "black", "brown", "orange", "blue", "gray", "young", "little", "wooden"),
        *("playing", "standing", "running", "jumps", "sitting", "holding", "watches", "stands"),
        *("front", "top", "left", "right", "next", "background", "one", "two", "another", "a"),
        *("side", "hand", "face", "arm"),  # "side by side", "hand in hand"
        *("'s", "-", "3", "é", ""),
    ],
)
def test_what_may_be_said_twice(word: str) -> None:
    assert word not in nouns(*({word} - {*COMMON}))


def test_forms_of_a_noun_are_nouns_of_their_own_and_cases_are_not() -> None:
    found = nouns("dog", "dogs", "Dog", "cat")
    assert found["dog"] == found["Dog"]
    assert len(set(found.values())) == 3


def test_the_nouns_of_the_bundled_model() -> None:
    file = bundled_model_dir() / TOKENIZER_FILE
    vocabulary = json.loads(file.read_text(encoding="utf-8"))["model"]["vocab"]
    table = noun_table(vocabulary)
    assert table is not None
    found = {word for word, number in vocabulary.items() if table.numbers[number]}
    assert {"cat", "bathroom", "kitchen", "plate", "people", "woman"} <= found
    assert not found & {"black", "white", "a", "<unk>", "is", "wearing", "top"}
    assert 0.3 < len(found) / len(vocabulary) < 0.6


BYTE_LEVEL = ("Ġa", "Ġthe", "Ġis", "Ġof", "dog", "s", "Ġred", "Ġdog", "ĠDog", "Ġdogs", "board")


@pytest.mark.parametrize("mark", ["Ġ", "▁"], ids=["GPT-2", "SentencePiece"])
class TestPieces:
    def found(self, mark: str, *more: str) -> dict[str, int]:
        tokens = (token.replace("Ġ", mark) for token in (*BYTE_LEVEL, *more))
        return {t.replace(mark, "Ġ"): n for t, n in nouns(*tokens, common=()).items()}

    def test_a_token_within_a_word_begins_nothing(self, mark: str) -> None:
        found = self.found(mark)
        assert set(found) == {"Ġdog", "ĠDog", "Ġdogs"}
        assert found["Ġdog"] == found["ĠDog"] != found["Ġdogs"]

    def test_a_noun_of_several_pieces_is_known_by_the_first(self, mark: str) -> None:
        found = self.found(mark, "Ġgir", "affe", "Ġskate", "Ġumb", "rella", "Ġz")
        assert {"Ġgir", "Ġskate", "Ġumb"} <= set(found)
        assert not {"affe", "rella", "Ġz"} & set(found)

    def test_a_word_that_a_noun_begins_with_is_not_one(self, mark: str) -> None:
        """ "Stand" begins "standpipe", "the" begins "theatre"."""
        found = self.found(mark, "Ġstand", "Ġblack", "Ġplay", "Ġjumps", "Ġat", "Ġher")
        assert set(found) == {"Ġdog", "ĠDog", "Ġdogs"}

    def test_a_piece_of_nouns_that_are_tokens_themselves_is_not_needed(self, mark: str) -> None:
        assert "Ġgir" in self.found(mark, "Ġgir")
        whole = ("girl", "girls", "giraffe", "girdle", "girder", "girlfriend", "girlhood", "giro")
        ones = [token for word in whole for token in (f"Ġ{word}",)]
        still = self.found(mark, "Ġgir", *ones)
        assert "Ġgirl" in still


def test_pieces_of_bert() -> None:
    found = nouns("dog", "##dog", "##s", "fr", "##is", "##bee", "skate", "##board")
    assert {"dog", "fr", "skate"} <= set(found)
    assert not any(token.startswith("##") for token in found)


@pytest.mark.parametrize(
    "tokens",
    [
        ("ein", "eine", "der", "mann", "hat", "und", "hand", "die", "ball"),
        ("de", "la", "un", "con", "perro", "pan", "the", "dog", "of"),  # of several languages
        ("Ġde", "Ġder", "Ġund", "Ġthe", "Ġhat", "Ġhand", "Ġball"),
        ("a</w>", "the</w>", "dog</w>", "dog", "cat</w>"),  # where do words begin?
        ("dog", "cat"),  # too little to tell
        ("的", "人", "在", "一", "dog"),
        ("Ġ", "##", "▁"),
        (),
    ],
    ids=" ".join,
)
def test_other_vocabularies_have_no_table(tokens: tuple[str, ...]) -> None:
    assert noun_table({token: number for number, token in enumerate(tokens)}) is None


def test_ids_may_have_gaps() -> None:
    table = noun_table({"the": 3, "dog": 40, "a": 2})
    assert table is not None
    assert np.flatnonzero(table.numbers).tolist() == [40]
