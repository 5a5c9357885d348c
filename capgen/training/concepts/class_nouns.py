"""Nouns that no caption has: models say the names of ImageNet's classes like their relatives.

The classifier is sure of an espresso or a lighthouse, but captions hardly have these words. Such
a word enters the vocabulary with the embedding of its nearest relative there ("coffee"), scaled
down, so that the decoder alone hardly says it; a concept of its own raises it where the
classifier is sure of its classes.
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
from capgen.training.model.extend_vocabulary import add_words

CLASS_NOUNS_FILE = "class_nouns.txt"
# Of the relative's embedding; and of the noun's concept. The bias and the slope give a probability
# of 0.9 to classes that are certainly there, and 1e-5 to those that are not; the strength makes up
# for the small embedding.
_SCALE = 0.5
_STRENGTH, _BIAS, _SLOPE = 9.0, 2.2, 2.0


@dataclass(frozen=True)
class ClassNoun:
    """A noun of ImageNet's classes.

    Attributes:
        word: The noun.
        relative: The word that captions have instead.
        classes: The classes that it names, by their place among the classifier's outputs.
    """

    word: str
    relative: str
    classes: tuple[int, ...]


@torch.no_grad()
def with_class_nouns(captioning: Captioning) -> Captioning:
    """Return a copy of a captioner that also says the nouns of classes that it lacked.

    Without a concept head, or if nothing is lacking, it is the captioner itself.
    """
    table = captioning.concepts
    if table is None or not has_words(captioning.tokenizer):
        return captioning
    known = captioning.tokenizer.get_vocab()
    nouns = list(_lacking(known, table.names))
    if not nouns:
        return captioning
    copied = dataclasses.replace(
        captioning,
        model=copy.deepcopy(captioning.model),
        tokenizer=copy.deepcopy(captioning.tokenizer),
    )
    words = [noun.word for noun in nouns]
    embeddings = copied.model.decoder.get_input_embeddings().weight
    relatives = embeddings[[known[noun.relative] for noun in nouns]].clone()
    add_words(copied, words, _SCALE * relatives)
    _add_concepts(copied.model.encoder, nouns)
    vocabulary = copied.tokenizer.get_vocab()
    return dataclasses.replace(
        copied, concepts=_longer(table, words, [vocabulary[word] for word in words])
    )


def class_nouns() -> Iterator[ClassNoun]:
    """Yield the nouns of the list that comes with capgen."""
    places = {one.synset: place for place, one in enumerate(imagenet_nouns())}
    file = resources.files("capgen.training.concepts") / CLASS_NOUNS_FILE
    for line in file.read_text(encoding="utf-8").splitlines():
        if not line.startswith("#"):
            word, relative, *synsets = line.split()
            yield ClassNoun(word, relative, tuple(places[synset] for synset in synsets))


def nearest_relative(classes: Iterable[int], vocabulary: Collection[str]) -> str | None:
    """Return the hypernym of classes that a vocabulary has, by the fewest steps; None if none."""
    levels = [imagenet_nouns()[number].levels[1:] for number in classes]
    for step in range(max(map(len, levels))):
        for own in levels:
            for name in own[step] if step < len(own) else ():
                if name in vocabulary:
                    return name
    return None


def _lacking(vocabulary: Mapping[str, int], concepts: Collection[str]) -> Iterator[ClassNoun]:
    """Yield the nouns that a model lacks, each with a relative that it has."""
    for noun in class_nouns():
        if noun.word in vocabulary or noun.word in concepts:
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


def _longer(table: ConceptTable, words: Sequence[str], tokens: Sequence[int]) -> ConceptTable:
    zeros = np.zeros(len(words), np.float32)
    return dataclasses.replace(
        table,
        names=(*table.names, *words),
        tokens=(*table.tokens, *((token,) for token in tokens)),
        strength=np.concatenate([table.strength, zeros + np.float32(_STRENGTH)]),
        margin=np.concatenate([table.margin, zeros]),
        prior=np.concatenate([table.prior, zeros]),
    )
