"""What makes the captions that are judged: a model, or a file of predictions."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

from capgen.captioning.attention import CaptionAttention
from capgen.captioning.captioner import DEFAULT_BATCH_SIZE, Captioner
from capgen.config import DecodeOptions, ImageLimits
from capgen.data.cache.file_hashes import hash_files
from capgen.errors import UsageError
from capgen.evaluation.evaluation_set import EvaluationSet
from capgen.evaluation.predictions import SUFFIXES, Predictions, read_predictions
from capgen.explain.explain import explain, explains
from capgen.images.load import DEFAULT_LIMITS
from capgen.records import Caption, CaptionFailure, Example

Outcome = str | Caption | CaptionFailure


class System(Protocol):
    """Makes one caption for each image.

    Attributes:
        name: What reports call it.
        computes: Whether captions are made, rather than read.
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
        """Return where it looked for each word of a caption of its own, or None."""
        ...


class ModelSystem:
    """A captioner with its decoding settings.

    Args:
        captioner: The model.
        options: How to decode; what is left open is the model's default.
        batch_size: Images the model sees at once.
        limits: The largest image to decode.

    Raises:
        UsageError: More than one caption per image was asked for, or the options do not suit
            the model.
    """

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
        if self._options.num_captions not in (None, 1):
            raise UsageError(
                f"--num-captions is {self._options.num_captions}; one caption per image is scored"
            )
        self._settings, self._notes = captioner.settings(self._options)

    def captions(self, data: EvaluationSet) -> Iterator[tuple[str, Outcome]]:
        """Yield the id and the record of each image, as the model gets to them."""
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
            "revision": self.captioner.folder.revision,
            "weights": _weights(self.captioner.folder.path),
            "runtime": runtime.name,
            "device": str(runtime.device),
            "settings": self._settings.to_dict(),
            "notes": list(self._notes),
        }

    def attention(self, example: Example, caption: Caption) -> CaptionAttention | None:
        """Return where the model looked for each word; None without cross-attention."""
        if not explains(self.captioner):
            return None
        return explain(self.captioner, example.image, caption, limits=self._limits)


class PredictionsSystem:
    """Captions that were made elsewhere.

    Args:
        predictions: The captions.
    """

    computes = False

    def __init__(self, predictions: Predictions) -> None:
        self.name = predictions.name
        self._predictions = predictions

    def captions(self, data: EvaluationSet) -> Iterator[tuple[str, Outcome]]:
        """Yield the id and the caption of each image."""
        yield from self._predictions.outcomes(data).items()

    def describe(self) -> dict[str, Any]:
        """Return the file and its SHA-256, and the model where the file names it."""
        return {"kind": "predictions", "name": self.name, **self._predictions.details}

    def attention(self, example: Example, caption: Caption) -> None:
        """Return None: there is no model."""
        return


def as_system(
    source: System | Captioner | Mapping[str, str] | str | os.PathLike[str] | None,
    options: DecodeOptions | None = None,
    *,
    batch_size: int = DEFAULT_BATCH_SIZE,
) -> System:
    """Return the system that `source` means.

    Args:
        source: A system, a loaded captioner, captions by image, the path of a .json or
            .jsonl file of predictions, or a model's name (None is the bundled one).
        options: How a model decodes.
        batch_size: Images a model sees at once.

    Raises:
        DataError: The file of predictions is malformed.
        ModelError: The model cannot be found or is not a captioner.
    """
    if isinstance(source, Captioner):
        return ModelSystem(source, options, batch_size=batch_size)
    if isinstance(source, Mapping):
        return PredictionsSystem(Predictions(name="predictions", captions=tuple(source.items())))
    if source is None or isinstance(source, str | os.PathLike):
        if source is not None and is_predictions(source):
            return PredictionsSystem(read_predictions(Path(source)))
        captioner = Captioner.from_pretrained(source)
        return ModelSystem(captioner, options, batch_size=batch_size)
    return source


def is_predictions(source: str | os.PathLike[str]) -> bool:
    """Whether a name means a file of predictions rather than a model."""
    return Path(source).suffix.lower() in SUFFIXES


def _weights(folder: Path) -> dict[str, str]:
    """Return the SHA-256 of each file of weights, by name."""
    files: Sequence[Path] = sorted(folder.glob("*.safetensors"))
    digests = hash_files(files)
    return {file.name: digest.hex() for file, digest in zip(files, digests, strict=True)}
