"""Nouns that no caption has, or few: models say ImageNet's classes by their names.

The classifier is sure of an espresso or a lighthouse, but captions hardly have these words. A
word that is not in the vocabulary enters it with the embedding of its nearest relative there
("coffee"), scaled down, so that the decoder alone hardly says it. A concept raises the word where
the classifier is sure of its classes; that of a rare word no longer follows its few captions.
"""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib import resources
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from capgen.models.build import Captioning
from capgen.models.concept_head import ConceptHead
from capgen.models.concept_table import ConceptTable
from capgen.models.imagenet_nouns import imagenet_nouns
from capgen.models.vocabulary import has_words
from capgen.training.concepts.related_concepts import related_concepts
from capgen.training.model.extend_vocabulary import add_words

CLASS_NOUNS_FILE = "class_nouns.txt"
# Of the relative's embedding.
_SCALE = 0.5
# The bias and the slope give classes that are certainly there a probability of 0.96, and others
# hardly any; the strength of new nouns makes up for the small embedding.
_BIAS, _SLOPE = 3.3, 4.0
_STRENGTH, _RARE_STRENGTH = 18.0, 16.0
# The largest share of training images whose captions say a rare noun.
_RARE = 1.1e-3


@dataclass(frozen=True)
class ClassNoun:
    """A noun of ImageNet's classes.

    Attributes:
        word: The noun.
        relative: The word that captions have instead; empty if they have the noun.
        classes: The classes that it names, by their place among the classifier's outputs; empty
            where they are those of the concept.
    """

    word: str
    relative: str
    classes: tuple[int, ...]


@torch.no_grad()
def with_class_nouns(captioning: Captioning) -> Captioning:
    """Return a copy of a captioner that also says the nouns of classes that captions lacked.

    Without a concept head it is the captioner itself.
    """
    table = captioning.concepts
    if table is None or not has_words(captioning.tokenizer):
        return captioning
    copied = dataclasses.replace(
        captioning,
        model=copy.deepcopy(captioning.model),
        tokenizer=copy.deepcopy(captioning.tokenizer),
    )
    known = captioning.tokenizer.get_vocab()
    head = copied.model.encoder.concept_head
    listed = list(class_nouns())
    table = _sharpened(head, table, {noun.word for noun in listed})
    nouns = list(_lacking(listed, known, table.names))
    if nouns:
        embeddings = copied.model.decoder.get_input_embeddings().weight
        relatives = embeddings[[known[noun.relative] for noun in nouns]].clone()
        add_words(copied, [noun.word for noun in nouns], _SCALE * relatives)
        _add_concepts(copied.model.encoder, nouns)
        table = _longer(table, nouns, copied.tokenizer.get_vocab(), head.membership)
    return dataclasses.replace(copied, concepts=table)


def class_nouns() -> Iterator[ClassNoun]:
    """Yield the nouns of the list that comes with capgen."""
    places = {one.synset: place for place, one in enumerate(imagenet_nouns())}
    file = resources.files("capgen.training.concepts") / CLASS_NOUNS_FILE
    for line in file.read_text(encoding="utf-8").splitlines():
        if line and not line.startswith("#"):
            word, relative, *synsets = [*line.split(), ""]
            yield ClassNoun(word, relative, tuple(places[one] for one in synsets if one))


def nearest_relative(classes: Iterable[int], vocabulary: Collection[str]) -> str | None:
    """Return the hypernym of classes that a vocabulary has, by the fewest steps; None if none."""
    levels = [imagenet_nouns()[number].levels[1:] for number in classes]
    for step in range(max(map(len, levels))):
        for own in levels:
            for name in own[step] if step < len(own) else ():
                if name in vocabulary:
                    return name
    return None


def _sharpened(head: ConceptHead, table: ConceptTable, listed: Collection[str]) -> ConceptTable:
    """Let concepts of nouns that few captions have follow their classes alone."""
    has_classes = head.membership.any(0).tolist()
    rare = [
        number
        for number, name in enumerate(table.names)
        if name in listed and has_classes[number] and table.prior[number] <= _RARE
    ]
    head.up.weight[rare], head.up.bias[rare], head.slope[rare] = 0, _BIAS, _SLOPE
    strength = table.strength.copy()
    strength[rare] = np.maximum(strength[rare], _RARE_STRENGTH)
    return dataclasses.replace(table, strength=strength)


def _lacking(
    nouns: Iterable[ClassNoun], vocabulary: Mapping[str, int], concepts: Collection[str]
) -> Iterator[ClassNoun]:
    """Yield the nouns that a model lacks, each with a relative that it has."""
    for noun in nouns:
        if noun.word in vocabulary or noun.word in concepts or not noun.classes:
            continue
        known = noun.relative in vocabulary
        relative = noun.relative if known else nearest_relative(noun.classes, vocabulary)
        if relative is not None:
            yield dataclasses.replace(noun, relative=relative)


def _add_concepts(encoder: Any, nouns: Sequence[ClassNoun]) -> None:
    head: ConceptHead = encoder.concept_head
    count = len(nouns)

    def longer(old: Tensor, value: float) -> nn.Parameter:
        new = torch.full((count, *old.shape[1:]), value, dtype=old.dtype, device=old.device)
        return nn.Parameter(torch.cat([old, new]), requires_grad=old.requires_grad)

    head.up.weight, head.up.bias = longer(head.up.weight, 0), longer(head.up.bias, _BIAS)
    head.slope = longer(head.slope, _SLOPE)
    head.up.out_features += count
    columns = head.membership.new_zeros(len(head.membership), count)
    for column, noun in enumerate(nouns):
        columns[list(noun.classes), column] = 1
    head.membership = torch.cat([head.membership, columns], 1)
    encoder.config.num_concepts += count


def _longer(
    table: ConceptTable, nouns: Sequence[ClassNoun], vocabulary: Mapping[str, int], members: Tensor
) -> ConceptTable:
    zeros = np.zeros(len(nouns), np.float32)
    names = (*table.names, *(noun.word for noun in nouns))
    return dataclasses.replace(
        table,
        names=names,
        tokens=(*table.tokens, *((vocabulary[noun.word],) for noun in nouns)),
        strength=np.concatenate([table.strength, zeros + np.float32(_STRENGTH)]),
        margin=np.concatenate([table.margin, zeros]),
        prior=np.concatenate([table.prior, zeros]),
        related=related_concepts(names, members.cpu().numpy()),
    )
