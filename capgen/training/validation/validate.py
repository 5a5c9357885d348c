"""Validation: loss and scores on a split, for each data set and for all together."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor
from transformers import LogitsProcessorList
from transformers.modeling_outputs import BaseModelOutput

from capgen.captioning.decoding.concept_bonus import ConceptBonus, concept_bonus
from capgen.captioning.decoding.noun_lexicon import noun_table
from capgen.captioning.runtimes.torch_processors import Concepts, NounsOnce
from capgen.config import DecodeOptions, TrainConfig
from capgen.errors import TrainingError
from capgen.metrics.language import LanguageStatistics
from capgen.metrics.score import score_captions
from capgen.models.loading import quiet_transformers
from capgen.models.out_of_memory import is_out_of_memory
from capgen.records import Example
from capgen.training.concepts.add_concepts import has_concepts
from capgen.training.data.inputs import Inputs
from capgen.training.data.packed_captions import Ids
from capgen.training.objectives.learner import Learner
from capgen.training.processes.base import Alone, Processes

# Measures of the captions' language: rewards can narrow it.
LANGUAGE = (
    *("distinct_words", "unique_captions", "mean_length"),
    *("repeated_pairs", "repeated_words", "function_word_ends"),
)
_METRICS = ("bleu", "rouge_l", "cider_d", "meteor")


@dataclass(frozen=True, kw_only=True)
class Scores:
    """The captions that a validation generated, scored.

    Attributes:
        metrics: Score by metric.
        language: What the captions are like as language (see `LANGUAGE`).
        captions: Image id → caption.
        per_image: Image id → scores of its caption.
    """

    metrics: Mapping[str, float]
    language: Mapping[str, float]
    captions: Mapping[str, str]
    per_image: Mapping[str, Mapping[str, float]]


@dataclass(frozen=True, kw_only=True)
class Validation:
    """Result of a validation.

    Attributes:
        images: Images measured.
        loss: Mean cross-entropy per token, without label smoothing.
        scores: The captions and their scores; None if none were generated.
        protocol: How the numbers were computed, for records.
        sets: The result of each data set, if this is the mean over several.
    """

    images: int
    loss: float
    scores: Scores | None = None
    protocol: Mapping[str, Any] = field(default_factory=dict)
    sets: Mapping[str, Validation] | None = None

    @property
    def metrics(self) -> Mapping[str, float]:
        """Score by metric, for events."""
        return self.scores.metrics if self.scores else {}

    @property
    def language(self) -> Mapping[str, float]:
        """Measures of language, for events."""
        return self.scores.language if self.scores else {}

    @property
    def figures(self) -> dict[str, dict[str, float]]:
        """Loss, scores and images of each of several data sets, for events."""
        return {
            name: {"images": result.images, "loss": result.loss, **result.metrics}
            for name, result in (self.sets or {}).items()
        }


@dataclass(frozen=True)
class ValidationSet:
    """A data set's images of a split: their references, and the same images as model inputs."""

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
        shares: The share of each data set in the mean; None if there is only one.
        processes: The processes that share the work.
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
        default = 256 if learner.device.type == "cuda" else 64
        self.batch_size = config.eval_batch_size or default
        self.generate = config.eval
        self.shares = shares
        self.processes = processes or Alone()
        nouns = noun_table(learner.captioning.tokenizer.get_vocab()) if config.eval else None
        self._once = [] if nouns is None else [NounsOnce(nouns)]

    def run(self, poll: Callable[[], None] = lambda: None) -> Validation:
        """Measure the current weights; leaves the model in evaluation mode.

        If memory runs out, batches are halved from then on.

        Args:
            poll: Called before each batch; may raise to stop.
        """
        self.captioning.model.eval()
        results = {name: self._measure(name, poll) for name in self.sets}
        if self.shares is None:
            (only,) = results.values()
            return only
        return mean_validation(results, self.shares)

    def _measure(self, name: str, poll: Callable[[], None]) -> Validation:
        part, rows = self.sets[name], self.rows[name]
        own = range(self.processes.rank, len(part.examples), self.processes.count)
        total, tokens = 0.0, 0
        texts: dict[int, str] = {}
        done = 0
        while done < len(own):
            poll()
            self.processes.check()
            numbers = list(own[done : done + self.batch_size])
            try:
                inputs = part.inputs.batch(torch.tensor(numbers))
                loss, count, captions = self._batch(inputs, [rows[number] for number in numbers])
            except RuntimeError as error:
                if not is_out_of_memory(error):
                    raise
                if len(numbers) == 1:
                    raise TrainingError(
                        "The device has too little memory to validate",
                        hint="Add --no-validation, or choose another --device.",
                    ) from error
                self.batch_size = len(numbers) // 2
                continue
            total, tokens, done = total + loss, tokens + count, done + len(numbers)
            texts.update(zip(numbers, captions, strict=self.generate))
        totals, counts, parts = zip(*self.processes.gather((total, tokens, texts)), strict=True)
        loss = sum(totals) / max(sum(counts), 1)
        if not self.generate:
            return Validation(images=len(part.examples), loss=loss)
        everything = {number: text for own in parts for number, text in own.items()}
        return _scored(part.examples, loss, everything)

    @torch.no_grad()
    def _batch(self, inputs: Tensor, rows: Sequence[Sequence[Ids]]) -> tuple[float, int, list[str]]:
        """Return a batch's summed loss, its number of tokens and, if wanted, its captions."""
        features = self.objective.features(inputs)
        states = self.objective.back(features)
        packed = self.codec.pack(rows)
        loss = self.objective.loss_sum(states, packed.to(states.device), label_smoothing=0.0)
        captions = self._captions(states, self._bonus(features)) if self.generate else []
        return loss.item(), packed.tokens, captions

    def _bonus(self, features: Tensor) -> ConceptBonus | None:
        """Return what the concept head adds in captioning with the saved model, if it has one."""
        if not has_concepts(self.captioning):
            return None
        head = self.captioning.model.encoder.concept_head
        logits = head(features.float().mean((2, 3))).cpu().numpy()
        return concept_bonus(self.captioning.concepts, logits, DecodeOptions.concept_bonus)

    def _captions(self, states: Tensor, bonus: ConceptBonus | None) -> list[str]:
        model, tokenizer = self.captioning.model, self.captioning.tokenizer
        processors = LogitsProcessorList(self._once)
        if bonus is not None:
            processors.append(Concepts(bonus))
        with quiet_transformers():  # about attention masks, which are not needed here
            ids = model.generate(
                encoder_outputs=BaseModelOutput(last_hidden_state=states),
                logits_processor=processors,
            )
        return [text.strip() for text in tokenizer.batch_decode(ids, skip_special_tokens=True)]


def _scored(examples: Sequence[Example], loss: float, texts: Mapping[int, str]) -> Validation:
    """Score the captions of a data set's images, by image number."""
    captions = {examples[number].image_id: texts[number] for number in sorted(texts)}
    references = {example.image_id: example.references for example in examples}
    report = score_captions(captions, references, metrics=_METRICS)
    scores = Scores(
        metrics=dict(report.corpus),
        language=_language(report.language),
        captions=captions,
        per_image={
            image_id: {name: float(row[index]) for name, row in report.per_image.items()}
            for index, image_id in enumerate(report.image_ids)
        },
    )
    protocol = dataclasses.asdict(report.stamp)
    return Validation(images=len(examples), loss=loss, scores=scores, protocol=protocol)


def mean_validation(results: Mapping[str, Validation], shares: Mapping[str, float]) -> Validation:
    """Return the mean of the results of several data sets, weighted by shares that sum to 1."""
    scored = {name: result.scores for name, result in results.items() if result.scores}
    return Validation(
        images=sum(result.images for result in results.values()),
        loss=sum(shares[name] * result.loss for name, result in results.items()),
        scores=_mean_scores(scored, shares) if scored else None,
        protocol={"mean_over_sets": dict(shares)},
        sets=results,
    )


def _mean_scores(scores: Mapping[str, Scores], shares: Mapping[str, float]) -> Scores:
    def mean(values: Mapping[str, Mapping[str, float]]) -> dict[str, float]:
        keys = next(iter(values.values()))
        return {key: sum(shares[name] * own[key] for name, own in values.items()) for key in keys}

    return Scores(
        metrics=mean({name: own.metrics for name, own in scores.items()}),
        language=mean({name: own.language for name, own in scores.items()}),
        captions={key: text for own in scores.values() for key, text in own.captions.items()},
        per_image={key: row for own in scores.values() for key, row in own.per_image.items()},
    )


def _language(statistics: LanguageStatistics) -> dict[str, float]:
    """Return the measures of `LANGUAGE`: counts and lengths in words, and shares."""
    values = (
        *(statistics.vocabulary, statistics.unique, statistics.mean_length),
        *(statistics.repeated_pairs, statistics.repeated_words, statistics.function_word_ends),
    )
    return dict(zip(LANGUAGE, map(float, values), strict=True))
