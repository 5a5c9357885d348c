"""The model folders of a run: `last`, `best-loss` and `best-eval`."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import torch

from capgen.config import TrainConfig
from capgen.data.dataset import Dataset
from capgen.data.mixture import Mixture
from capgen.models.build import Captioning
from capgen.models.checkpoint import save_captioning, stamped
from capgen.models.folder import ModelFolder
from capgen.models.provenance import Provenance
from capgen.models.torch_devices import hardware
from capgen.records import CheckpointSaved
from capgen.training.data.epoch_order import Mix
from capgen.training.model.lora import merged
from capgen.training.run.folder import RunFolder
from capgen.training.validation.validate import Validation


@dataclasses.dataclass(frozen=True, kw_only=True)
class Moment:
    """When in a run a checkpoint is from.

    Attributes:
        epoch: The epoch, from 1.
        step: Steps taken.
        seconds: Since the run began.
    """

    epoch: int
    step: int
    seconds: float


# Settings that a captioner to go on from makes idle: it has those parts and sizes already.
_OF_NEW_CAPTIONERS = ("encoder", "decoder", "image_size", "decoder_layers", "decoder_width")


class Checkpoints:
    """Writes model folders with where they come from.

    Args:
        folder: The run's folder.
        captioning: The captioner, whose present weights are written.
        dataset: What it is trained on.
        config: The run's settings.
        device: Where it is trained.
    """

    def __init__(
        self,
        folder: RunFolder,
        captioning: Captioning,
        dataset: Mixture,
        config: TrainConfig,
        device: torch.device,
    ) -> None:
        self.folder = folder
        self.captioning = captioning
        self.dataset = dataset
        self.config = config
        self.device = device
        self.lineage: Sequence[Mapping[str, Any]] = captioning.lineage

    def save(
        self, name: str, moment: Moment, validation: Validation | None, value: float | None
    ) -> CheckpointSaved:
        """Write a model folder, replacing an older one of that name.

        Args:
            name: The checkpoint's name.
            moment: When it is from.
            validation: What was measured of it, if anything.
            value: What made it the best, or None.

        Raises:
            StorageError: It cannot be written; the older one is as it was.
        """
        path = self.folder.checkpoint(name)
        added = len(self.captioning.added_words)
        metrics = {} if validation is None else {"val": self.figures(validation, "val")}
        provenance = Provenance(
            preset=self._preset(),
            data=mixture_record(self.dataset),
            lineage=self.lineage,
            training={
                **self._settings(),
                **dataclasses.asdict(moment),
                "seconds": round(moment.seconds, 1),
                "hardware": hardware(self.device),
                **({"words_added": added} if added else {}),
            },
            metrics=metrics,
        )
        save_captioning(path, merged(self.captioning), provenance)
        return CheckpointSaved(
            name=name, path=str(path), epoch=moment.epoch, step=moment.step, value=value
        )

    def _preset(self) -> str:
        """Return the preset of the captioner's architecture, or an empty string."""
        if self.config.init is None:
            return self.config.preset
        return str(self.lineage[0].get("preset", "")) if self.lineage else ""

    def _settings(self) -> dict[str, Any]:
        """Return the settings that took effect."""
        idle = () if self.config.init is None else _OF_NEW_CAPTIONERS
        return {key: value for key, value in self.config.to_dict().items() if key not in idle}

    def figures(
        self, validation: Validation, split: str, dataset: str | None = None
    ) -> dict[str, Any]:
        """Return what was measured, on what and how, for records.

        Args:
            validation: What was measured.
            split: On which split.
            dataset: Of which data set; None is all that were measured.
        """
        parts = {
            name: self.figures(result, split, name) for name, result in validation.sets.items()
        }
        return {
            "dataset": dataset or " + ".join(parts) or self.dataset.name,
            "split": split,
            "loss": validation.loss,
            **validation.metrics,
            "images": validation.images,
            **({"sets": parts} if parts else {}),
            "protocol": dict(validation.protocol),
            "decoding": self.captioning.model.generation_config.to_diff_dict(),
        }

    def add_test(self, name: str, validation: Validation) -> None:
        """Add the figures of the test split to a checkpoint.

        Raises:
            StorageError: They cannot be written.
        """
        path = self.folder.checkpoint(name)
        provenance = ModelFolder(path, name).provenance
        metrics = {**provenance.metrics, "test": self.figures(validation, "test")}
        dataclasses.replace(provenance, metrics=metrics).write(path)


def data_record(dataset: Dataset) -> Mapping[str, Any]:
    """Return what identifies a data set, for records."""
    return {
        "name": dataset.name,
        **({"language": dataset.language} if dataset.language else {}),
        "digest": dataset.digest,
        "counts": dataset.counts,
        "split": dataset.split_source,
        "licence": dataset.licence,
    }


def mixture_record(mixture: Mixture) -> Mapping[str, Any]:
    """Return what identifies the data set, or each of several and all of them together.

    Of each it says how much it counts: its weight, and how many of its training images, repeats
    included, an epoch has (`drawn`).
    """
    images = [len(member.split("train")) for member in mixture.members]
    weights = [member.weight for member in mixture.members]
    drawn = Mix(tuple(zip(images, weights, strict=True))).drawn
    if not mixture.several:
        return {**data_record(mixture.members[0].dataset), "weight": weights[0], "drawn": drawn[0]}
    parts = [
        {
            **data_record(member.dataset),
            "name": member.name,
            "weight": member.weight,
            "drawn": count,
            "held_out": len(member.held_out),
        }
        for member, count in zip(mixture.members, drawn, strict=True)
    ]
    licences = dict.fromkeys(str(part["licence"]) for part in parts if part["licence"])
    return {
        "name": mixture.name,
        "digest": mixture.digest,
        "counts": mixture.counts,
        "split": "; ".join(f"{part['name']}: {part['split']}" for part in parts),
        "licence": "; ".join(licences),
        "sets": parts,
    }


def environment(
    dataset: Mixture, device: torch.device, lineage: Sequence[Mapping[str, Any]]
) -> dict[str, Any]:
    """Return what a run depends on besides its settings."""
    return {
        "versions": stamped(Provenance()).versions,
        "hardware": hardware(device),
        "data": mixture_record(dataset),
        "lineage": list(lineage),
    }
