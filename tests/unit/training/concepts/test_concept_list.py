"""Which nouns become concepts."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from capgen.models.imagenet_nouns import imagenet_nouns
from capgen.training.concepts.concept_list import ConceptList, concept_list


def concepts_of(captions: Sequence[str], min_count: int = 1) -> ConceptList:
    rows = [caption.split() for caption in captions]
    return concept_list(rows, {word for row in rows for word in row}, min_count=min_count)


def classes_of(found: ConceptList, name: str) -> list[str]:
    column = found.membership[:, found.names.index(name)]
    return [imagenet_nouns()[number].levels[0][0] for number in np.flatnonzero(column)]


def test_the_table_has_the_classes_in_the_order_of_the_classifier() -> None:
    classes = imagenet_nouns()
    assert len(classes) == 1000
    assert classes[0].levels[0] == ("tench", "tinca tinca")
    assert classes[207].levels[:3] == (("golden retriever",), ("retriever",), ("sporting dog",) + classes[207].levels[2][1:])  # fmt: skip
    assert "toilet tissue" in classes[999].levels[0]


def test_nouns_of_classes_and_of_their_hypernyms() -> None:
    found = concepts_of([*["a beagle"] * 2, *["two dogs and a dog"] * 5, *["an espresso"] * 2])
    assert found.names == ("beagle", "dog", "espresso")
    assert found.membership.shape == (1000, 3)
    assert found.membership.dtype == np.uint8
    assert classes_of(found, "beagle") == ["beagle"]
    assert len(classes_of(found, "dog")) == 118
    assert "beagle" in classes_of(found, "dog")
    assert classes_of(found, "espresso") == ["espresso"]


def test_far_hypernyms_must_be_more_frequent_than_near_ones() -> None:
    near = [*["a retriever"] * 2, *["an animal"] * 4]  # the hypernym of a class, and one far up
    assert concepts_of(near).names == ("retriever",)
    assert concepts_of([*near, "an animal"]).names == ("animal", "retriever")
    assert concepts_of(near, min_count=2).names == ()


def test_nouns_without_classes_must_be_frequent() -> None:
    assert concepts_of(["a giraffe"] * 14).names == ()
    found = concepts_of([*["a giraffe"] * 8, *["giraffes"] * 7])
    assert found.names == ("giraffe",)
    assert not found.membership.any()


def test_words_that_are_no_things_and_words_that_say_nothing_are_left_out() -> None:
    captions = ["an object in front of a piece of equipment that runs quickly over there"] * 50
    assert concepts_of(captions).names == ()


def test_some_nouns_do_not_name_their_classes() -> None:
    found = concepts_of(["a man with a cap and a can on the snow"] * 20)
    assert {"cap", "snow"} <= {*found.names}
    assert not classes_of(found, "cap")


def test_two_words() -> None:
    found = concepts_of(["a teddy bear", "two teddy bears", "hot dogs", "a hot dog"])
    assert {"teddy bear", "hot dog"} <= {*found.names}
    assert classes_of(found, "hot dog") == ["hotdog"]


def test_a_noun_that_captions_say_in_the_plural_is_known_by_it() -> None:
    assert "jeans" in concepts_of(["blue jeans"] * 20).names
    assert "jean" not in concepts_of(["blue jeans"] * 20).names


def test_concepts_are_words_of_the_vocabulary() -> None:
    rows = [["a", "dog"]] * 30
    assert concept_list(rows, {"a"}, min_count=1).names == ()
