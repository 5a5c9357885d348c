"""Validation: loss and scores on the val split."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor
from transformers.modeling_outputs import BaseModelOutput

from capgen.errors import TrainingError
from capgen.metrics.language import LanguageStatistics
from capgen.metrics.score import score_captions
from capgen.models.build import Captioning
from capgen.models.loading import quiet_transformers
from capgen.records import Example
from capgen.training.data.inputs import Inputs
from capgen.training.data.packed_captions import CaptionCodec, pack_captions
from capgen.training.objectives.cross_entropy import CaptionObjective
from capgen.training.optimization.memory import is_out_of_memory
from capgen.training.optimization.processes import Alone, Processes

# What is watched of the captions of val, since rewards can narrow a model's language.
LANGUAGE = (
    *("distinct_words", "unique_captions", "mean_length"),
    *("repeated_pairs", "function_word_ends"),
)
_METRICS = ("bleu", "rouge_l", "cider_d", "meteor")


@dataclass(frozen=True, kw_only=True)
class Validation:
    """Result of a validation.

    Attributes:
        images: Images measured.
        loss: Mean cross-entropy a token, without label smoothing.
        metrics: Scores by metric; empty when no captions were generated.
        language: What the captions are like as language, likewise: see `LANGUAGE`.
        captions: Image id → generated caption, likewise.
        per_image: Image id → scores of its caption, likewise.
        protocol: How the scores were computed, for records.
        sets: Of several data sets, the result of each; the rest is then their mean.
    """

    images: int
    loss: float
    metrics: Mapping[str, float] = field(default_factory=dict)
    captions: Mapping[str, str] = field(default_factory=dict)
    language: Mapping[str, float] = field(default_factory=dict)
    per_image: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    protocol: Mapping[str, Any] = field(default_factory=dict)
    sets: Mapping[str, Validation] = field(default_factory=dict)

    @property
    def figures(self) -> dict[str, dict[str, float]]:
        """Loss, scores and images of each of several data sets, for events."""
        return {
            name: {"images": result.images, "loss": result.loss, **result.metrics}
            for name, result in self.sets.items()
        }


class Validator:
    """Measures a captioner on one split.

    Args:
        captioning: The captioner; its generation_config says how to decode.
        objective: Its loss.
        examples: The images with their references.
        inputs: The same images as model inputs.
        codec: How captions become ids.
        batch_size: Images a batch.
        generate: Whether to generate captions and score them.
        processes: Who shares the work.
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
        processes: Processes | None = None,
    ) -> None:
        self.captioning = captioning
        self.objective = objective
        self.examples = examples
        self.inputs = inputs
        self.codec = codec
        self.rows = codec.encode_examples(examples)
        self.batch_size = batch_size
        self.generate = generate
        self.processes = processes or Alone()

    def run(self, poll: Callable[[], None] = lambda: None) -> Validation:
        """Measure the model as it is now; leaves it in evaluation mode.

        Where memory runs out, batches are halved, now and for later.

        Args:
            poll: Called before each batch; may raise to stop.

        Raises:
            TrainingError: Memory runs out with one image a batch.
        """
        self.captioning.model.eval()
        mine = range(self.processes.rank, len(self.examples), self.processes.count)
        total, tokens = 0.0, 0
        texts: dict[int, str] = {}
        done = 0
        while done < len(mine):
            poll()
            numbers = list(mine[done : done + self.batch_size])
            try:
                loss, count, captions = self._batch(torch.tensor(numbers))
            except RuntimeError as error:
                if not is_out_of_memory(error):
                    raise
                if len(numbers) == 1:
                    raise TrainingError("The device has too little memory to validate") from error
                self.batch_size = len(numbers) // 2
                continue
            total, tokens, done = total + loss, tokens + count, done + len(numbers)
            texts.update(zip(numbers, captions, strict=self.generate))
        return self._summary(self.processes.gather((total, tokens, texts)))

    @torch.no_grad()
    def _batch(self, numbers: Tensor) -> tuple[float, int, list[str]]:
        states = self.objective.encode(self.inputs.batch(numbers))
        loss, count = self._loss(states, numbers)
        return loss, count, self._captions(states) if self.generate else []

    def _summary(self, parts: Sequence[tuple[float, int, dict[int, str]]]) -> Validation:
        loss = sum(part[0] for part in parts) / max(sum(part[1] for part in parts), 1)
        if not self.generate:
            return Validation(images=len(self.examples), loss=loss)
        texts = {number: text for part in parts for number, text in part[2].items()}
        captions = {self.examples[n].image_id: texts[n] for n in sorted(texts)}
        references = {example.image_id: example.references for example in self.examples}
        report = score_captions(captions, references, metrics=_METRICS)
        return Validation(
            images=len(self.examples),
            loss=loss,
            metrics=dict(report.corpus),
            language=_language(report.language),
            captions=captions,
            per_image={
                image_id: {name: float(row[index]) for name, row in report.per_image.items()}
                for index, image_id in enumerate(report.image_ids)
            },
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
        with quiet_transformers():  # about masks, which a decoder of captions does not need
            ids = model.generate(encoder_outputs=BaseModelOutput(last_hidden_state=states))
        return [text.strip() for text in tokenizer.batch_decode(ids, skip_special_tokens=True)]


def _language(found: LanguageStatistics) -> dict[str, float]:
    """Return the measures of `LANGUAGE`: a number of words, lengths in words, and shares."""
    values = (
        *(found.vocabulary, found.unique, found.mean_length),
        *(found.repeated_pairs, found.function_word_ends),
    )
    return dict(zip(LANGUAGE, map(float, values), strict=True))
