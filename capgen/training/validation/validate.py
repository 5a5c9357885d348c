"""Validation: loss and scores on a split, of each data set and of all together."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor
from transformers import LogitsProcessorList
from transformers.modeling_outputs import BaseModelOutput

from capgen.captioning.decoding.noun_lexicon import noun_table
from capgen.captioning.runtimes.torch_processors import NounsOnce
from capgen.config import TrainConfig
from capgen.errors import TrainingError
from capgen.metrics.language import LanguageStatistics
from capgen.metrics.score import score_captions
from capgen.models.loading import quiet_transformers
from capgen.records import Example
from capgen.training.data.inputs import Inputs
from capgen.training.data.packed_captions import Ids, pack_captions
from capgen.training.objectives.learner import Learner
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
        loss: Mean cross-entropy per token, without label smoothing.
        metrics: Scores by metric; empty when no captions were generated.
        language: What the captions are like as language (see `LANGUAGE`), or empty.
        captions: Image id → generated caption, or empty.
        per_image: Image id → scores of its caption, or empty.
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


@dataclass(frozen=True)
class ValidationSet:
    """One data set's images of a split.

    Attributes:
        examples: The images with their references.
        inputs: The same images as model inputs.
    """

    examples: Sequence[Example]
    inputs: Inputs


class Validator:
    """Measures a captioner on one split, each data set on its own.

    Captions of different data sets are never scored together: document frequencies, lengths
    and references differ.

    Args:
        learner: The captioner; its generation_config says how to decode.
        sets: The split of each data set.
        config: Images per batch, and whether to generate captions and score them.
        shares: Of a run on several data sets: the share of each in the mean; they sum to 1.
            None is one data set, whose result is the whole.
        processes: Who shares the work.
    """

    def __init__(
        self,
        learner: Learner,
        sets: Mapping[str, ValidationSet],
        config: TrainConfig,
        *,
        shares: Mapping[str, float] | None = None,
        processes: Processes | None = None,
    ) -> None:
        self.captioning = learner.captioning
        self.objective = learner.objective
        self.codec = learner.codec
        self.sets = sets
        self.rows = {
            name: learner.codec.encode_examples(part.examples) for name, part in sets.items()
        }
        usual = 256 if learner.device.type == "cuda" else 64
        self.batch_size = config.eval_batch_size or usual
        self.generate = config.eval
        self.shares = shares
        self.processes = processes or Alone()
        nouns = noun_table(learner.captioning.tokenizer.get_vocab()) if config.eval else None
        self._once = LogitsProcessorList([] if nouns is None else [NounsOnce(nouns)])

    def run(self, poll: Callable[[], None] = lambda: None) -> Validation:
        """Measure the model as it is now; leaves it in evaluation mode.

        Where memory runs out, batches are halved, now and for later.

        Args:
            poll: Called before each batch; may raise to stop.

        Raises:
            TrainingError: Memory runs out with one image per batch.
        """
        self.captioning.model.eval()
        results = {name: self._measure(name, poll) for name in self.sets}
        if self.shares is None:
            (only,) = results.values()
            return only
        return mean_validation(results, self.shares)

    def _measure(self, name: str, poll: Callable[[], None]) -> Validation:
        part, rows = self.sets[name], self.rows[name]
        mine = range(self.processes.rank, len(part.examples), self.processes.count)
        total, tokens = 0.0, 0
        texts: dict[int, str] = {}
        done = 0
        while done < len(mine):
            poll()
            numbers = list(mine[done : done + self.batch_size])
            try:
                inputs = part.inputs.batch(torch.tensor(numbers))
                loss, count, captions = self._batch(inputs, [rows[number] for number in numbers])
            except RuntimeError as error:
                if not is_out_of_memory(error):
                    raise
                if len(numbers) == 1:
                    raise TrainingError("The device has too little memory to validate") from error
                self.batch_size = len(numbers) // 2
                continue
            total, tokens, done = total + loss, tokens + count, done + len(numbers)
            texts.update(zip(numbers, captions, strict=self.generate))
        found = self.processes.gather((total, tokens, texts))
        loss = sum(each[0] for each in found) / max(sum(each[1] for each in found), 1)
        if not self.generate:
            return Validation(images=len(part.examples), loss=loss)
        everything = {number: text for each in found for number, text in each[2].items()}
        return _scored(part.examples, loss, everything)

    @torch.no_grad()
    def _batch(self, inputs: Tensor, rows: Sequence[Sequence[Ids]]) -> tuple[float, int, list[str]]:
        """Return a batch's summed loss, its tokens and, if wanted, its captions."""
        states = self.objective.encode(inputs)
        pad = self.captioning.model.generation_config.pad_token_id
        packed = pack_captions(rows, pad=pad, unknown=self.codec.unknown)
        loss = self.objective.loss_sum(states, packed.to(states.device), label_smoothing=0.0)
        captions = self._captions(states) if self.generate else []
        return loss.item(), packed.tokens, captions

    def _captions(self, states: Tensor) -> list[str]:
        model, tokenizer = self.captioning.model, self.captioning.tokenizer
        with quiet_transformers():  # about masks, which a decoder of captions does not need
            ids = model.generate(
                encoder_outputs=BaseModelOutput(last_hidden_state=states),
                logits_processor=self._once,
            )
        return [text.strip() for text in tokenizer.batch_decode(ids, skip_special_tokens=True)]


def _scored(examples: Sequence[Example], loss: float, texts: Mapping[int, str]) -> Validation:
    """Score the captions of a data set's images, by their number."""
    captions = {examples[number].image_id: texts[number] for number in sorted(texts)}
    references = {example.image_id: example.references for example in examples}
    report = score_captions(captions, references, metrics=_METRICS)
    return Validation(
        images=len(examples),
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


def mean_validation(results: Mapping[str, Validation], shares: Mapping[str, float]) -> Validation:
    """Return the mean of what was measured on several data sets, with the parts in it.

    Args:
        results: What was measured on each.
        shares: Share of each; they sum to 1.
    """
    first = next(iter(results.values()))
    return Validation(
        images=sum(result.images for result in results.values()),
        loss=sum(shares[name] * result.loss for name, result in results.items()),
        metrics={
            metric: sum(shares[name] * result.metrics[metric] for name, result in results.items())
            for metric in first.metrics
        },
        language={
            measure: sum(
                shares[name] * result.language[measure] for name, result in results.items()
            )
            for measure in first.language
        },
        captions={
            key: text for result in results.values() for key, text in result.captions.items()
        },
        per_image={
            key: scores for result in results.values() for key, scores in result.per_image.items()
        },
        protocol={"mean_over_sets": dict(shares)},
        sets=dict(results),
    )


def _language(found: LanguageStatistics) -> dict[str, float]:
    """Return the measures of `LANGUAGE`: a number of words, lengths in words, and shares."""
    values = (
        *(found.vocabulary, found.unique, found.mean_length),
        *(found.repeated_pairs, found.function_word_ends),
    )
    return dict(zip(LANGUAGE, map(float, values), strict=True))
