"""`concepts.json` of a model folder: what the logits of its concept head stand for."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from capgen.errors import ModelError
from capgen.json_files import read_json
from capgen.models.folder import CONCEPTS_FILE, ModelFolder
from capgen.paths import write_text
from capgen.records import Concept

Floats = NDArray[np.float32]
_Item = TypeVar("_Item")
# Which concepts records have.
_LEAST_PROBABILITY = 0.1
_MOST = 12
_LARGEST = 1e4
_MAX_BYTES = 16 << 20
_HINT = f"Get the model again; without the head's {CONCEPTS_FILE} it cannot name what it sees."


@dataclass(frozen=True, eq=False)
class ConceptTable:
    """The concepts of a concept head, in the order of its logits.

    A search adds `strength * probability` to the log-probability of a concept's tokens where the
    probability is above the threshold, and takes the margin off, until the caption has said it.

    Attributes:
        names: The nouns.
        tokens: For each the tokens that say it, such as those of "dog" and "dogs"; without any
            the concept has no part in searches.
        strength: (C,) float32, in nats.
        threshold: The probability below which a concept gets nothing.
        margin: (C,) float32, in nats: for words that no caption of the training had.
        prior: (C,) float32, the share of training images whose captions say the concept.
        related: For each the numbers of more general and more special ones: after "dog" neither
            "animal" nor "poodle" gets anything. May be empty for all.
    """

    names: tuple[str, ...]
    tokens: tuple[tuple[int, ...], ...]
    strength: Floats
    threshold: float
    margin: Floats
    prior: Floats
    related: tuple[tuple[int, ...], ...] = ()

    @cached_property
    def ended_by(self) -> tuple[tuple[int, ...], ...]:
        """For each concept the tokens that say it or a related one."""
        if not self.related:
            return self.tokens
        return tuple(
            tuple(sorted({*own, *(token for n in others for token in self.tokens[n])}))
            for own, others in zip(self.tokens, self.related, strict=True)
        )

    def amounts(self, logits: Floats, factor: float) -> Floats:
        """Return what a search adds for each concept that is not yet said.

        Args:
            logits: (B, C) of the concept head.
            factor: Multiplies the strength.

        Returns:
            (B, C) float32, in nats.
        """
        probabilities = sigmoid(logits)
        gains = np.where(probabilities > self.threshold, self.strength * probabilities, 0)
        return (np.float32(factor) * gains - self.margin).astype(np.float32)

    def seen(self, logits: Floats) -> list[tuple[Concept, ...]]:
        """Return the concepts that records have, likeliest first, for logits (B, C)."""
        return [self._seen(row) for row in sigmoid(logits)]

    def _seen(self, probabilities: Floats) -> tuple[Concept, ...]:
        order = np.argsort(-probabilities, kind="stable")[:_MOST]
        kept = order[probabilities[order] > _LEAST_PROBABILITY]
        return tuple(Concept(self.names[n], round(float(probabilities[n]), 4)) for n in kept)

    def write(self, path: Path) -> None:
        """Write the file."""
        content = {
            "names": self.names,
            "tokens": self.tokens,
            "strength": _decimals(self.strength),
            "threshold": self.threshold,
            "margin": _decimals(self.margin),
            "prior": _decimals(self.prior),
        }
        if self.related:
            content["related"] = self.related
        write_text(path, json.dumps(content, ensure_ascii=False) + "\n")

    @classmethod
    def read(cls, path: Path, count: int, vocabulary: int) -> ConceptTable:
        """Read and check a file.

        Args:
            path: The file.
            count: Concepts of the head.
            vocabulary: Tokens of the decoder.

        Raises:
            ModelError: It cannot be read, or does not fit the model.
        """
        try:
            if path.stat().st_size > _MAX_BYTES:
                raise ModelError(f"{path} is too large for a table of concepts", hint=_HINT)
        except OSError as error:
            raise ModelError(f"Cannot read {path}: {error.strerror}", hint=_HINT) from error
        try:
            record = read_json(path, ModelError)
        except ModelError as error:
            raise ModelError(str(error), hint=_HINT) from error
        try:
            return cls(
                names=_each(record, "names", count, _name),
                tokens=_each(record, "tokens", count, lambda one: _ids(one, vocabulary, "token")),
                strength=_numbers(record, "strength", count),
                threshold=_number(record["threshold"]),
                margin=_numbers(record, "margin", count),
                prior=_numbers(record, "prior", count),
                related=_each(
                    record, "related", count, lambda one: _ids(one, count, "related concept")
                )
                if "related" in record
                else (),
            )
        except KeyError as error:
            raise ModelError(f"{path} lacks {error}", hint=_HINT) from error
        except ValueError as error:
            raise ModelError(f"{path} does not fit the model: {error}", hint=_HINT) from error


def num_concepts(folder: ModelFolder) -> int:
    """Return how many concepts the model's head has; 0 without a head."""
    encoder = folder.config.get("encoder")
    count = encoder.get("num_concepts") if isinstance(encoder, Mapping) else None
    return count if isinstance(count, int) else 0


def membership_size(config: Mapping[str, Any]) -> int:
    """Return how many stored numbers are no parameters: which class belongs to which concept."""
    encoder = config.get("encoder")
    if not isinstance(encoder, Mapping):
        return 0
    classes, concepts = encoder.get("num_classes"), encoder.get("num_concepts")
    return classes * concepts if isinstance(classes, int) and isinstance(concepts, int) else 0


def read_concepts(folder: ModelFolder) -> ConceptTable | None:
    """Return a model's table of concepts; None without a concept head.

    A head whose table was lost, as when transformers saves the model anew, is not used either.

    Raises:
        ModelError: The table is damaged, or does not fit the model.
    """
    count, path = num_concepts(folder), folder.path / CONCEPTS_FILE
    if not count or not path.exists():
        return None
    decoder = folder.config.get("decoder")
    vocabulary = decoder.get("vocab_size") if isinstance(decoder, Mapping) else None
    if not isinstance(vocabulary, int):
        raise ModelError(f"{folder.name}: its config.json does not tell the decoder's vocab_size")
    return ConceptTable.read(path, count, vocabulary)


def has_lost_concepts(folder: ModelFolder) -> bool:
    """Whether a model has a concept head, and not the table that says what it sees."""
    return bool(num_concepts(folder)) and not (folder.path / CONCEPTS_FILE).exists()


def sigmoid(logits: Floats) -> Floats:
    """Return 1 / (1 + exp(-logits)), without overflow, in float32."""
    return (0.5 * (1 + np.tanh(0.5 * logits.astype(np.float32)))).astype(np.float32)


def _each(
    record: Mapping[str, Any], key: str, count: int, checked: Callable[[Any], _Item]
) -> tuple[_Item, ...]:
    values = record[key]
    if not isinstance(values, list):
        raise ValueError(f"its {key} are not a list")
    if len(values) != count:
        raise ValueError(f"it has {len(values)} {key}, and the concept head {count} concepts")
    return tuple(map(checked, values))


def _name(value: Any) -> str:
    if not isinstance(value, str) or not value.strip() or not value.isprintable():
        raise ValueError(f"the name {value!r} is not a word")
    return value


def _ids(value: Any, count: int, what: str) -> tuple[int, ...]:
    """Return a list of whole numbers below `count`, which are numbers of `what`."""
    if not isinstance(value, list):
        raise ValueError(f"the {what}s {value!r} are not a list")
    for number in value:
        if type(number) is not int or not 0 <= number < count:
            raise ValueError(f"there is no {what} {number!r}")
    return tuple(value)


def _numbers(record: Mapping[str, Any], key: str, count: int) -> Floats:
    return np.array(_each(record, key, count, _number), np.float32)


def _number(value: Any) -> float:
    if type(value) not in (int, float) or abs(value) > _LARGEST or math.isnan(value):
        raise ValueError(f"{value!r} is not a number that it can use")
    return float(value)


def _decimals(values: Floats) -> list[float]:
    """Return float32 numbers in as few digits as tell them apart."""
    return [float(str(value)) for value in values]
