"""The concept head: with what probability a caption of an image says which noun.

    pooled (B, 1280) ─┬► classes ─► softmax ─► sum over a concept's classes ─► log ─┐
                      └► norm ─► low-rank map ─────────────────────────────────────┴► logits

A concept is a noun that captions say, such as "dog". The ImageNet classifier knows a thousand
things by name; WordNet's hypernyms tell which of them are dogs. What it does not know, and how
people's words differ from its names, the low-rank map learns from captions.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

# Added to probabilities before their logarithm: a concept without classes gets a constant.
PROBABILITY_FLOOR = 1e-3


class ConceptHead(nn.Module):
    """Multi-label classifier over pooled encoder features.

    Args:
        width: Width of the features.
        num_classes: Classes of the image classifier.
        num_concepts: Concepts.
        rank: Rank of the learned map.
    """

    membership: Tensor

    def __init__(self, width: int, num_classes: int, num_concepts: int, rank: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.classes = nn.Linear(width, num_classes)
        self.down = nn.Linear(width, rank, bias=False)
        self.up = nn.Linear(rank, num_concepts)
        self.slope = nn.Parameter(torch.ones(num_concepts))
        # 1 where the concept names the class or a hypernym of it. Stored as uint8: a model in
        # float16 keeps it, and it is a quarter of the size.
        membership = torch.zeros(num_classes, num_concepts, dtype=torch.uint8)
        self.register_buffer("membership", membership)

    def forward(self, pooled: Tensor) -> Tensor:
        """Map pooled features (B, width) to the logit of each concept (B, C)."""
        return self.concept_logits(pooled, self.classes(pooled))

    def concept_logits(self, pooled: Tensor, class_logits: Tensor) -> Tensor:
        """Return the logits of the concepts (B, C), given those of the classes (B, classes)."""
        members = class_logits.softmax(-1) @ self.membership.to(pooled.dtype)
        learned = self.up(self.down(self.norm(pooled)))
        logits: Tensor = learned + self.slope * torch.log(members + PROBABILITY_FLOOR)
        return logits
