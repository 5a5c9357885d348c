"""Validation: loss and scores on the val split."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor
from transformers.modeling_outputs import BaseModelOutput

from capgen.metrics.score import score
from capgen.models.build import Captioning
from capgen.records import Example
from capgen.training.captions import CaptionCodec, pack_captions
from capgen.training.inputs import Inputs
from capgen.training.objective import CaptionObjective

# The score that `best-eval` is chosen by.
EVAL_METRIC = "CIDEr-D"
_METRICS = ("bleu", "rouge_l", "cider_d")


@dataclass(frozen=True, kw_only=True)
class Validation:
    """Result of a validation.

    Attributes:
        loss: Mean cross-entropy a token, without label smoothing.
        metrics: Scores by metric; empty when no captions were generated.
        captions: Image id → generated caption, likewise.
        protocol: How the scores were computed, for records.
    """

    loss: float
    metrics: Mapping[str, float] = field(default_factory=dict)
    captions: Mapping[str, str] = field(default_factory=dict)
    protocol: Mapping[str, Any] = field(default_factory=dict)


class Validator:
    """Measures a captioner on one split.

    Args:
        captioning: The captioner; its generation_config says how to decode.
        objective: Its loss.
        examples: The photos with their references.
        inputs: The same photos as model inputs.
        codec: How captions become ids.
        batch_size: Photos a batch.
        generate: Whether to generate captions and score them.
    """

    def __init__(
        self,
        captioning: Captioning,
        objective: CaptionObjective,
        examples: Sequence[Example],
        inputs: Inputs,
        codec: CaptionCodec,
        *,
        batch_size: int,
        generate: bool,
    ) -> None:
        self.captioning = captioning
        self.objective = objective
        self.examples = examples
        self.inputs = inputs
        self.codec = codec
        self.rows = codec.encode_examples(examples)
        self.batch_size = batch_size
        self.generate = generate

    @torch.no_grad()
    def run(self) -> Validation:
        """Measure the model as it is now; leaves it in evaluation mode."""
        self.captioning.model.eval()
        total, tokens = 0.0, 0
        captions: dict[str, str] = {}
        for start in range(0, len(self.examples), self.batch_size):
            numbers = torch.arange(start, min(start + self.batch_size, len(self.examples)))
            states = self.objective.encode(self.inputs.batch(numbers))
            loss, count = self._loss(states, numbers)
            total, tokens = total + loss, tokens + count
            if self.generate:
                texts = self._captions(states)
                captions.update(
                    (self.examples[number].image_id, text)
                    for number, text in zip(numbers.tolist(), texts, strict=True)
                )
        loss = total / max(tokens, 1)
        if not self.generate:
            return Validation(loss=loss)
        references = {example.image_id: example.references for example in self.examples}
        report = score(captions, references, metrics=_METRICS)
        return Validation(
            loss=loss,
            metrics=dict(report.corpus),
            captions=captions,
            protocol=dataclasses.asdict(report.stamp),
        )

    def _loss(self, states: Tensor, numbers: Tensor) -> tuple[float, int]:
        pad = self.captioning.model.generation_config.pad_token_id
        packed = pack_captions(
            [self.rows[number] for number in numbers.tolist()],
            pad=pad,
            unknown=self.codec.unknown,
        )
        moved = packed.to(states.device)
        loss = self.objective.loss_sum(states, moved, label_smoothing=0.0)
        return loss.item(), packed.tokens

    def _captions(self, states: Tensor) -> list[str]:
        model, tokenizer = self.captioning.model, self.captioning.tokenizer
        ids = model.generate(encoder_outputs=BaseModelOutput(last_hidden_state=states))
        return [text.strip() for text in tokenizer.batch_decode(ids, skip_special_tokens=True)]
