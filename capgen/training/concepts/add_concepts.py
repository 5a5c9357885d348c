"""A captioner's concept head before training: made new, or the one that the captioner has."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from itertools import chain
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from capgen.captioning.decoding.noun_lexicon import noun_of, noun_table
from capgen.config import TrainConfig, flag_name
from capgen.errors import UsageError
from capgen.metrics.people import PEOPLE
from capgen.models.build import Captioning
from capgen.models.concept_head import ConceptHead
from capgen.models.concept_table import ConceptTable
from capgen.models.efficientnet import HEAD_CHANNELS, EfficientNetLiteModel
from capgen.models.imagenet import NUM_CLASSES, load_classifier
from capgen.models.vocabulary import caption_words, has_words
from capgen.training.concepts.concept_labels import ConceptLabels
from capgen.training.concepts.concept_list import concept_list
from capgen.training.concepts.concept_words import ConceptWords
from capgen.training.concepts.related_concepts import related_concepts, with_synonyms

# A new head: weight of its classes' log-probability, what that is for a class that is certainly
# not there, and the size of its learned part.
_SLOPE, _ABSENT, _LEARNED = 0.3, -5.0, 0.3
_LEAST_SHARE, _LARGEST_SHARE = 1e-3, 0.9


def prepare_concepts(
    captioning: Captioning,
    groups: Sequence[Sequence[str]],
    config: TrainConfig,
    texts: Sequence[str] = (),
) -> Captioning:
    """Return a captioner with the concept head that the settings ask for, trained or frozen.

    Draws from torch's global generator if the head is new.

    Args:
        captioning: The captioner; a new head is added to its encoder.
        groups: The captions of each training image.
        config: The run's settings.
        texts: Captions without images, whose nouns count too.

    Raises:
        UsageError: The captioner cannot have a concept head.
        MissingDependencyError: The package with the ImageNet classifier is not installed.
    """
    if config.concept_weight and not has_concepts(captioning):
        captioning = _with_new_head(captioning, groups, config, texts)
    elif has_concepts(captioning) and captioning.added_words:
        captioning = _with_new_tokens(captioning)
    if has_concepts(captioning):
        _freeze(captioning.model.encoder.concept_head, config)
    return captioning


def check_concepts(captioning: Captioning, config: TrainConfig) -> None:
    """Raise `UsageError` if a setting needs a concept head that the captioner does not have."""
    for name in ("keep_classes", "class_nouns"):
        if getattr(config, name) and not has_concepts(captioning):
            raise UsageError(
                f"{flag_name(name)} needs a model with a concept head",
                hint="Add --concept-weight 0.05, or start from a model that was trained with it.",
            )


def has_concepts(captioning: Captioning) -> bool:
    """Whether a captioner has a concept head, and knows what its logits stand for."""
    return captioning.concepts is not None


def concept_words(captioning: Captioning) -> ConceptWords:
    """Return what finds the captioner's concepts in captions."""
    assert captioning.concepts is not None
    head = captioning.model.encoder.concept_head
    return ConceptWords(captioning.concepts.names, head.membership.cpu().numpy())


def concept_labels(captioning: Captioning, groups: Sequence[Sequence[str]]) -> ConceptLabels:
    """Return which of the captioner's concepts the captions of each image say."""
    assert captioning.concepts is not None
    tokenizer = captioning.tokenizer.backend_tokenizer
    return ConceptLabels.of(
        groups,
        concept_words(captioning),
        lambda caption: caption_words(tokenizer, caption),
        len(captioning.concepts.names),
    )


def _with_new_tokens(captioning: Captioning) -> Captioning:
    """Let forms of the concepts among the words added to the vocabulary say them, too."""
    table = captioning.concepts
    assert table is not None
    vocabulary = captioning.tokenizer.get_vocab()
    added = {word: vocabulary[word] for word in captioning.added_words}
    new = concept_words(captioning).tokens(added)
    tokens = tuple(old + more for old, more in zip(table.tokens, new, strict=True))
    return dataclasses.replace(captioning, concepts=dataclasses.replace(table, tokens=tokens))


def _with_new_head(
    captioning: Captioning,
    groups: Sequence[Sequence[str]],
    config: TrainConfig,
    texts: Sequence[str],
) -> Captioning:
    encoder, tokenizer = captioning.model.encoder, captioning.tokenizer
    if not isinstance(encoder, EfficientNetLiteModel) or not has_words(tokenizer):
        raise UsageError("--concept-weight is for models of the mini preset")
    vocabulary = tokenizer.get_vocab()
    if noun_table(vocabulary) is None:
        raise UsageError("--concept-weight knows English nouns only, and these captions have none")
    split = tokenizer.backend_tokenizer
    captions = chain(chain.from_iterable(groups), texts)
    words = [caption_words(split, caption) for caption in captions]
    found = concept_list(words, vocabulary, min_count=config.min_count)
    if not found.names:
        raise UsageError(
            "--concept-weight: no noun is frequent enough in the training captions",
            hint="Lower --min-count, or leave --concept-weight out.",
        )
    _add_head(encoder, found.membership)
    captioning = dataclasses.replace(
        captioning, concepts=_table(found.names, found.membership, vocabulary, config)
    )
    shares = concept_labels(captioning, groups).shares()
    _start(encoder.concept_head, shares)
    assert captioning.concepts is not None
    table = dataclasses.replace(captioning.concepts, prior=shares.round(5).astype(np.float32))
    return dataclasses.replace(captioning, concepts=table)


def _add_head(encoder: Any, membership: NDArray[np.uint8]) -> None:
    config = encoder.config
    config.num_classes, config.num_concepts = membership.shape
    head = ConceptHead(HEAD_CHANNELS, NUM_CLASSES, config.num_concepts, config.concept_rank)
    load_classifier(head.classes, config.variant)
    head.membership.copy_(torch.from_numpy(membership))
    encoder.concept_head = head


def _table(
    names: tuple[str, ...],
    membership: NDArray[np.uint8],
    vocabulary: dict[str, int],
    config: TrainConfig,
) -> ConceptTable:
    count = len(names)
    # People are in almost every caption without help.
    strength = [0 if noun_of(name) in PEOPLE else config.concept_strength for name in names]
    return ConceptTable(
        names=names,
        tokens=with_synonyms(names, ConceptWords(names, membership).tokens(vocabulary)),
        strength=np.array(strength, np.float32),
        threshold=config.concept_threshold,
        margin=np.zeros(count, np.float32),
        prior=np.zeros(count, np.float32),
        related=related_concepts(names, membership),
    )


@torch.no_grad()
def _start(head: ConceptHead, shares: NDArray[np.float64]) -> None:
    """Let a head begin with how often captions say each concept, and with its classes."""
    classes = head.membership.any(0).float()
    bounded = torch.from_numpy(shares).float().clamp(_LEAST_SHARE, _LARGEST_SHARE)
    head.slope.copy_(_SLOPE * classes)
    head.up.weight.mul_(_LEARNED)
    # What is likely to be absent must come out as the share.
    head.up.bias.copy_(bounded.logit() - _SLOPE * _ABSENT * classes)


def _freeze(head: ConceptHead, config: TrainConfig) -> None:
    head.requires_grad_(bool(config.concept_weight))
    learned = config.concept_weight or config.keep_classes
    head.classes.requires_grad_(bool(learned) and config.train_encoder != "none")
