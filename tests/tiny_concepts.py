"""Tiny captioners with a concept head, random weights."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from capgen.models.build import Captioning
from capgen.models.checkpoint import save_captioning
from capgen.models.concept_head import ConceptHead
from capgen.models.concept_table import ConceptTable
from capgen.models.efficientnet import HEAD_CHANNELS
from capgen.models.onnx.export import export_onnx
from capgen.models.provenance import Provenance
from tests.tiny_models import tiny_mini

CAPTIONS = ["the cat and the dog", "a horse on the grass with a ball", "two birds near a red car"]
# Name → the words that say it: "animal" shares all of its own; "teddy bear" is never said.
CONCEPTS = {
    "cat": ("cat",),
    "dog": ("dog",),
    "horse": ("horse",),
    "bird": ("birds",),
    "car": ("car",),
    "grass": ("grass",),
    "animal": ("cat", "dog", "horse", "birds"),
    "teddy bear": (),
}
_CLASSES, _RANK = 9, 4


def concept_table(
    made: Captioning, *, strength: float = 4.0, threshold: float = 0.15
) -> ConceptTable:
    """Return a table of `CONCEPTS` in the tokens of a captioner; horses have a margin."""
    count = len(CONCEPTS)
    margin = np.zeros(count, np.float32)
    margin[list(CONCEPTS).index("horse")] = 1.5
    return ConceptTable(
        names=tuple(CONCEPTS),
        tokens=tuple(
            tuple(made.tokenizer.convert_tokens_to_ids(list(words))) for words in CONCEPTS.values()
        ),
        strength=np.full(count, strength, np.float32),
        threshold=threshold,
        margin=margin,
        prior=np.full(count, 0.05, np.float32),
    )


def tiny_concepts(captions: Sequence[str] = CAPTIONS, *, seed: int = 0) -> Captioning:
    """Return a small captioner for images of 64 pixels that has a concept head."""
    made = tiny_mini(captions, seed, positions=16)
    made.model.generation_config.max_length = 16
    encoder = made.model.encoder
    for config in (encoder.config, made.model.config.encoder):
        config.num_concepts, config.num_classes = len(CONCEPTS), _CLASSES
        config.concept_rank = _RANK
    torch.manual_seed(seed)
    head = ConceptHead(HEAD_CHANNELS, _CLASSES, len(CONCEPTS), _RANK)
    torch.nn.init.normal_(head.up.weight, std=2.0)
    torch.nn.init.normal_(head.slope, std=0.3)
    torch.nn.init.normal_(head.classes.weight, std=0.3)
    head.membership.random_(0, 2)
    encoder.concept_head = head.eval()
    return replace(made, concepts=concept_table(made))


def save_tiny_concepts(folder: Path, made: Captioning | None = None) -> Path:
    """Write `tiny_concepts` as a model folder, with ONNX graphs."""
    made = made or tiny_concepts()
    save_captioning(folder, made, Provenance(preset="mini"))
    size = made.preprocessor.input_size
    assert size is not None
    export_onnx(folder, made.model, image_size=size)
    return folder
