"""What produces the captions to evaluate: a model, or a predictions file."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

from capgen.captioning.attention import CaptionAttention
from capgen.captioning.batch_size import DEFAULT_BATCH_SIZE
from capgen.captioning.caption_model import CaptionModel
from capgen.captioning.captioner import Captioner
from capgen.config import DecodeOptions, ImageLimits
from capgen.data.cache.file_hashes import hash_files
from capgen.errors import MetricError
from capgen.evaluation.caption_files import SUFFIXES
from capgen.evaluation.evaluation_set import EvaluationSet
from capgen.evaluation.predictions import Predictions, read_predictions
from capgen.explain.explain import explain, explains
from capgen.images.load import DEFAULT_LIMITS
from capgen.metrics.corpus import some_images
from capgen.models.folder import ModelFolder
from capgen.records import Caption, CaptionFailure, Example

Outcome = str | Caption | CaptionFailure


class System(Protocol):
    """Gives a caption of each image, and perhaps alternatives, which it `computes` or reads.

    Its `name` is for reports.
    """

    name: str
    computes: bool

    def captions(self, data: EvaluationSet) -> Iterator[tuple[str, Outcome]]:
        """Yield the id and the caption of each image of `data`, in order."""
        ...

    def describe(self) -> dict[str, Any]:
        """Return what identifies the system, as built-in types."""
        ...

    def attention(self, example: Example, caption: Caption) -> CaptionAttention | None:
        """Return the attention for each word of a caption that it made, or None."""
        ...


class ModelSystem:
    """A captioner with its decoding settings; of several captions the first is scored."""

    computes = True

    def __init__(
        self,
        captioner: Captioner,
        options: DecodeOptions | None = None,
        *,
        batch_size: int = DEFAULT_BATCH_SIZE,
        limits: ImageLimits = DEFAULT_LIMITS,
    ) -> None:
        self.captioner = captioner
        self.name = captioner.name
        self._options = options or DecodeOptions()
        self._batch_size = batch_size
        self._limits = limits
        self._settings, self._notes = captioner.settings(self._options)

    @property
    def several(self) -> bool:
        """Whether it is to make several captions of each image."""
        return self._settings.num_captions > 1

    def captions(self, data: EvaluationSet) -> Iterator[tuple[str, Outcome]]:
        """Yield the id and the record of each image."""
        images = [example.image for example in data.examples]
        records = self.captioner.stream(
            images, self._options, batch_size=self._batch_size, limits=self._limits
        )
        for example, record in zip(data.examples, records, strict=True):
            yield example.image_id, record

    def describe(self) -> dict[str, Any]:
        """Return name, revision, weights, runtime and decoding settings."""
        runtime = self.captioner.runtime
        return {
            "kind": "model",
            "name": self.name,
            "model": self.name,
            "revision": self.captioner.model.revision,
            "weights": _weights(self.captioner.model),
            "runtime": runtime.name,
            "device": str(runtime.device),
            "settings": {**self._settings.to_dict(), **self._asked()},
            "notes": list(self._notes),
        }

    def _asked(self) -> dict[str, Any]:
        """Return what the model was asked, if anything."""
        recorded = self.captioner.record_settings(self._settings)
        return {name: recorded[name] for name in ("prompt", "system") if name in recorded}

    def attention(self, example: Example, caption: Caption) -> CaptionAttention | None:
        """Return the cross-attention for each word; None if the model has none."""
        if not explains(self.captioner):
            return None
        return explain(self.captioner, example.image, caption, limits=self._limits)


class PredictionsSystem:
    """Captions that were made elsewhere."""

    computes = False

    def __init__(self, predictions: Predictions) -> None:
        self.name = predictions.name
        self._predictions = predictions

    def captions(self, data: EvaluationSet) -> Iterator[tuple[str, Outcome]]:
        """Yield the id and the caption of each image."""
        alternatives = self._predictions.alternatives_of(data)
        for image_id, outcome in self._predictions.outcomes(data).items():
            said = alternatives.get(image_id)
            if said and isinstance(outcome, str):
                yield image_id, _with_alternatives(outcome, said)
            else:
                yield image_id, outcome

    def describe(self) -> dict[str, Any]:
        """Return the file and its SHA-256, and the model where the file names it."""
        return {"kind": "predictions", "name": self.name, **self._predictions.details}

    def attention(self, example: Example, caption: Caption) -> None:
        """Return None: there is no model to ask."""
        return


def _with_alternatives(text: str, alternatives: Sequence[str]) -> Caption:
    first, *rest = (
        Caption(text=each, log_probability=None, score=None) for each in (text, *alternatives)
    )
    return dataclasses.replace(first, alternatives=tuple(rest))


def as_system(
    source: System | Captioner | Mapping[str, str] | str | os.PathLike[str] | None,
    options: DecodeOptions | None = None,
    *,
    batch_size: int = DEFAULT_BATCH_SIZE,
) -> System:
    """Return the system for a `source` as `evaluate` takes it.

    Raises:
        CapgenError: The model or file cannot be used, or a caption is not a string.
    """
    if isinstance(source, Captioner):
        return ModelSystem(source, options, batch_size=batch_size)
    if isinstance(source, Mapping):
        odd = [image for image, text in source.items() if not isinstance(text, str)]
        if odd:
            raise MetricError(f"The prediction is not a string for {some_images(odd)}")
        pairs = tuple((str(image), text) for image, text in source.items())  # ids may be numbers
        return PredictionsSystem(Predictions(name="predictions", captions=pairs))
    if source is not None and not isinstance(source, str | os.PathLike):
        return source
    if source is not None and is_predictions(source):
        return PredictionsSystem(read_predictions(Path(source)))
    return ModelSystem(Captioner.from_pretrained(source), options, batch_size=batch_size)


def is_predictions(source: str | os.PathLike[str]) -> bool:
    """Return whether a name denotes a predictions file rather than a model."""
    return Path(source).suffix.lower() in SUFFIXES


def _weights(model: CaptionModel) -> dict[str, str]:
    """Return the SHA-256 of each weights file, by file name; none of a model on a server."""
    if not isinstance(model, ModelFolder):
        return {}
    files: Sequence[Path] = sorted(model.path.glob("*.safetensors"))
    digests = hash_files(files)
    return {file.name: digest.hex() for file, digest in zip(files, digests, strict=True)}
