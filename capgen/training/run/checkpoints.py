"""The model folders of a run: `last`, `best-loss` and `best-eval`."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from capgen.config import TrainConfig
from capgen.data.dataset import Dataset
from capgen.data.mixture import Mixture
from capgen.models.build import Captioning
from capgen.models.checkpoint import save_captioning, stamped
from capgen.models.folder import ModelFolder
from capgen.models.provenance import Provenance
from capgen.models.torch_devices import hardware
from capgen.records import CheckpointSaved
from capgen.training.concepts.class_nouns import with_class_nouns
from capgen.training.data.epoch_order import Mix
from capgen.training.data.text_captions import TextCaptions
from capgen.training.model.lora import merged
from capgen.training.run.folder import RunFolder
from capgen.training.validation.validate import Validation

# Settings without effect if training starts from a captioner, which has its own parts and sizes.
_OF_NEW_CAPTIONERS = ("encoder", "decoder", "image_size", "decoder_layers", "decoder_width")


class Checkpoints:
    """Writes a captioner's model folders, with a record of their origin."""

    def __init__(
        self,
        folder: RunFolder,
        captioning: Captioning,
        dataset: Mixture,
        config: TrainConfig,
        device: torch.device,
        *,
        texts: TextCaptions | None = None,
    ) -> None:
        self.folder = folder
        self.captioning = captioning
        self.config = config
        self.lineage: Sequence[Mapping[str, Any]] = captioning.lineage
        self.data = {**mixture_record(dataset), **(texts or TextCaptions()).record}
        self.hardware = hardware(device)
        idle = () if config.init is None else _OF_NEW_CAPTIONERS
        self.settings = {key: value for key, value in config.to_dict().items() if key not in idle}

    def environment(self) -> dict[str, Any]:
        """Return what the run depends on in addition to its settings."""
        return {
            "versions": stamped(Provenance()).versions,
            "hardware": self.hardware,
            "data": self.data,
            "lineage": list(self.lineage),
        }

    def save(
        self,
        name: str,
        validation: Validation | None,
        value: float | None,
        *,
        epoch: int,
        step: int,
        seconds: float,
        tensors: Mapping[str, Tensor] | None = None,
    ) -> CheckpointSaved:
        """Write a model folder, replacing an older one of that name.

        `value` is the figure that made it the best, if any; `seconds` counts from the run's start;
        `tensors` are the model's, if it cannot be asked for them.
        """
        path = self.folder.checkpoint(name)
        added = len(self.captioning.added_words)
        provenance = Provenance(
            preset=self._preset(),
            data=self.data,
            lineage=self.lineage,
            training={
                **self.settings,
                "epoch": epoch,
                "step": step,
                "seconds": round(seconds, 1),
                "hardware": self.hardware,
                **({"words_added": added} if added else {}),
            },
            metrics={"val": self.figures(validation, "val")} if validation else {},
        )
        whole = merged(self.captioning) if self.config.lora_rank else self.captioning
        if self.config.class_nouns:
            whole = with_class_nouns(whole)
        save_captioning(path, whole, provenance, tensors=tensors)
        return CheckpointSaved(name=name, path=str(path), epoch=epoch, step=step, value=value)

    def _preset(self) -> str:
        """Return the preset of the captioner's architecture, or an empty string."""
        if self.config.init is None:
            return self.config.preset
        return str(self.lineage[0].get("preset", "")) if self.lineage else ""

    def figures(
        self, validation: Validation, split: str, dataset: str | None = None
    ) -> dict[str, Any]:
        """Return the results on a split, of one data set or of all, for records."""
        parts = {
            name: self.figures(result, split, name)
            for name, result in (validation.sets or {}).items()
        }
        return {
            "dataset": dataset or " + ".join(parts) or self.data["name"],
            "split": split,
            "loss": validation.loss,
            **(validation.scores.metrics if validation.scores else {}),
            "images": validation.images,
            **({"sets": parts} if parts else {}),
            "protocol": dict(validation.protocol),
            "decoding": self.captioning.model.generation_config.to_diff_dict(),
        }

    def add_test(self, name: str, validation: Validation) -> None:
        """Add the results on the test split to a checkpoint."""
        path = self.folder.checkpoint(name)
        provenance = ModelFolder(path, name).provenance
        metrics = {**provenance.metrics, "test": self.figures(validation, "test")}
        dataclasses.replace(provenance, metrics=metrics).write(path)


def _data_record(dataset: Dataset) -> Mapping[str, Any]:
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

    A data set counts by its weight; `drawn` is its number of training images per epoch, repeats
    included.
    """
    weights = [member.weight for member in mixture.members]
    drawn = Mix.of(member.counted(member.split("train")) for member in mixture.members).drawn
    if not mixture.several:
        return {**_data_record(mixture.members[0].dataset), "weight": weights[0], "drawn": drawn[0]}
    parts = [
        {
            **_data_record(member.dataset),
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
