"""The settings, data and captioner of a run."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import chain

import numpy as np
import torch
from numpy.typing import NDArray

from capgen.config import TrainConfig
from capgen.data.import_set import left_out
from capgen.data.mixture import Mixture, open_mixture
from capgen.errors import DataError, UsageError
from capgen.models.part_names import part_name
from capgen.models.torch_devices import choose_device
from capgen.records import Example, Notice, RunStarted
from capgen.training.concepts.add_concepts import check_concepts, prepare_concepts
from capgen.training.data.caption_coverage import coverage_notices
from capgen.training.data.epoch_order import Mix
from capgen.training.data.text_captions import TextCaptions, text_captions
from capgen.training.model.make_captioner import make_captioner
from capgen.training.objectives.distill.teachers import check_teachers
from capgen.training.objectives.learner import Learner
from capgen.training.objectives.scst.noun_settings import check_noun_settings
from capgen.training.optimization.trainer import Trainer
from capgen.training.processes.base import Processes
from capgen.training.processes.crews import ALONE, Crew, crew_of
from capgen.training.run.folder import RunFolder
from capgen.training.validation.language_limits import check_limits

# With fewer training images a new captioner hardly learns to speak; with fewer val images, scores
# cannot tell one epoch or run from the next.
_FEW_TRAIN, _FEW_VAL = 1000, 100


_PRECISIONS = {torch.float32: "fp32", torch.bfloat16: "bf16", torch.float16: "fp16"}


@dataclass(frozen=True, kw_only=True)
class RunData:
    """The settings, data and captioner of a run.

    Attributes:
        config: The run's settings.
        dataset: The data set, or several, to train on.
        parts: Split → data set → examples: `train` and, if they are to be measured, `val` and
            `test`.
        learner: The captioner.
        processes: The processes that share the work.
        texts: Captions without images.
        crew: The processes among them that make and read the same caches.
    """

    config: TrainConfig
    dataset: Mixture
    parts: Mapping[str, Mapping[str, Sequence[Example]]]
    learner: Learner
    processes: Processes
    texts: TextCaptions = field(default_factory=TextCaptions)
    crew: Crew = ALONE

    @property
    def digest(self) -> str:
        """What identifies the data set and the captions without images."""
        return " ".join(filter(None, (self.dataset.digest, self.texts.digest)))

    @cached_property
    def splits(self) -> Mapping[str, Sequence[Example]]:
        """The examples of each split, one data set after the other."""
        return {
            split: list(chain.from_iterable(parts.values())) for split, parts in self.parts.items()
        }

    @cached_property
    def mix(self) -> Mix:
        """How often the training images of each data set come."""
        return Mix.of(
            self.dataset.member(name).counted(examples)
            for name, examples in self.parts["train"].items()
        )

    @property
    def used(self) -> NDArray[np.int64]:
        """The numbers of the training images that the run uses, over all data sets, in order."""
        return np.flatnonzero(self._used)

    def needed(self, split: str, name: str) -> NDArray[np.int64]:
        """Return the numbers of a data set's images of a split that the run uses, in order.

        Those are all, except of a training set with a weight below 1: its other images never come.
        """
        every = np.arange(len(self.parts[split][name]))
        if split != "train":
            return every
        first = 0
        for other, examples in self.parts["train"].items():
            if other == name:
                break
            first += len(examples)
        return every[self._used[first : first + len(every)]]

    @cached_property
    def _used(self) -> NDArray[np.bool_]:
        return self.mix.used(self.config.seed, self.config.num_epochs).numpy()


def open_run_data(config: TrainConfig, processes: Processes) -> RunData:
    """Open the data and make the captioner; finds most mistakes before a run starts.

    Of several processes, one for each disk comes first, and downloads what is needed.
    """
    crew = crew_of(processes)
    with crew.leader_first():
        return dataclasses.replace(_opened(config, processes), crew=crew)


def _opened(config: TrainConfig, processes: Processes) -> RunData:
    if config.shard_decoder and processes.count == 1:
        raise UsageError(
            "--shard-decoder spreads the decoder over processes, and this run has only one",
            hint="Start it with torchrun, or leave the option out; a run goes on in one process "
            "with --resume RUN --no-shard-decoder.",
        )
    device = processes.device or choose_device(config.device)
    dataset = open_mixture(config.dataset, config.data_dir)
    parts = _parts(config, dataset)
    torch.manual_seed(config.seed)
    examples = chain.from_iterable(parts["train"].values())
    groups = [example.references for example in examples]
    captions = [text for group in groups for text in group]
    texts = text_captions(config, dataset)
    if not config.sees_images and not texts.captions:
        raise DataError(
            "There is nothing to learn: validation and test images have all captions of the text "
            "data",
            hint="Give other --text-data.",
        )
    captioning = make_captioner(config, [*captions, *texts.captions])
    captioning = prepare_concepts(captioning, groups, config, texts.captions)
    check_concepts(captioning, config)
    learner = Learner.of(captioning, config, device)
    check_noun_settings(config, captioning.tokenizer)
    if config.teachers:
        check_teachers(config, learner, captions)
    return RunData(
        config=config,
        dataset=dataset,
        parts=parts,
        learner=learner,
        processes=processes,
        texts=texts,
    )


def _parts(config: TrainConfig, dataset: Mixture) -> dict[str, Mapping[str, Sequence[Example]]]:
    """Return the splits that a run uses: split → data set → examples."""
    parts: dict[str, Mapping[str, Sequence[Example]]] = {"train": dataset.parts("train")}
    if not config.sees_images:
        pass  # captions of images would only show that nothing is known of them yet
    elif config.validation and not dataset.lacks("val"):
        parts["val"] = dataset.parts("val", config.eval_limit)
    elif config.patience is not None:
        reason = f"{dataset.name} has no val split" if config.validation else "--no-validation"
        raise UsageError(f"--patience counts validations, and there are none: {reason}")
    check_limits(config, val=not dataset.lacks("val"))
    if config.test and config.sees_images and "test" in dataset.counts:
        parts["test"] = dataset.parts("test", config.eval_limit)
    return parts


def shares(data: RunData, split: str) -> dict[str, float]:
    """Return the share of each data set in the mean of the results on a split.

    It is its share of the training images per epoch, among the data sets that have the split.
    """
    drawn = dict(zip(data.parts["train"], data.mix.drawn, strict=True))
    total = sum(drawn[name] for name in data.parts[split])
    return {name: drawn[name] / total for name in data.parts[split]}


def set_figures(data: RunData) -> dict[str, dict[str, float]]:
    """Return the size and the share of each data set, for events.

    Empty if an epoch is simply each image of one data set, or has no images.
    """
    dataset = data.dataset
    if not data.config.sees_images:
        return {}
    if not dataset.several and all(weight == 1 for _, weight in data.mix.parts):
        return {}
    drawn = dict(zip(data.parts["train"], data.mix.drawn, strict=True))
    measured = shares(data, "val") if "val" in data.parts else {}
    return {
        name: {
            "weight": dataset.member(name).weight,
            "drawn": drawn[name],
            "share": measured.get(name, 0.0),
            **{split: len(parts[name]) for split, parts in data.parts.items() if name in parts},
        }
        for name in drawn
    }


def run_started(data: RunData, folder: RunFolder, trainer: Trainer) -> RunStarted:
    """Return the event that a run begins with."""
    config, processes, model = data.config, data.processes, data.learner.captioning.model
    parameters = list(model.parameters())
    parts = model.config.to_dict()
    seen = config.sees_images
    return RunStarted(
        run=str(folder.path),
        preset=config.preset,
        device=data.learner.device.type,
        precision=_PRECISIONS[trainer.dtype],
        parameters=sum(p.numel() for p in parameters),
        trained=sum(p.numel() for p in parameters if p.requires_grad),
        images={name: len(examples) if seen else 0 for name, examples in data.splits.items()},
        captions=sum(len(row) for row in trainer.rows),
        epochs=config.num_epochs,
        steps=trainer.steps,
        sets=set_figures(data),
        init=config.init or "",
        encoder=part_name(parts, "encoder"),
        decoder=part_name(parts, "decoder"),
        processes=processes.count,
        machines=processes.machines,
    )


def data_notices(data: RunData) -> Iterator[Notice]:
    """Yield notices about the data and the vocabulary."""
    for member in data.dataset.members:
        for notice in left_out(member.dataset):
            yield Notice(message=notice.message)
        if member.held_out:
            yield Notice(
                message=f"Left out {len(member.held_out)} training images of {member.name}: "
                "another data set has them in val or test"
            )
        if member.name not in data.parts.get("val", {member.name}):
            yield Notice(message=f"{member.name} has no val split and is not measured")
    if "val" not in data.parts:
        reason = f"{data.dataset.name} has no val split: " if data.config.validation else ""
        reason = reason if data.config.sees_images else "Learning from text alone: "
        yield Notice(message=f"{reason}no validation; best-eval is the model of the last epoch")
    yield from _small_splits(data)
    yield from data.texts.notices
    yield from coverage_notices(data.learner.codec, data.splits["train"])
    words = data.learner.captioning.added_words
    if words:
        some = ", ".join(words[:10]) + (", …" if len(words) > 10 else "")
        yield Notice(message=f"New words in the vocabulary ({len(words)}): {some}")


def _small_splits(data: RunData) -> Iterator[Notice]:
    seen, val = len(data.splits["train"]), len(data.splits.get("val", ()))
    if data.config.init is None and data.config.sees_images and seen < _FEW_TRAIN:
        yield Notice(
            message=f"{seen:,} training images are few for a new captioner; --init mini goes on "
            "from the bundled one"
        )
    if 0 < val < _FEW_VAL and data.config.eval_limit is None:
        yield Notice(
            message=f"val has {val} images: with fewer than {_FEW_VAL}, scores depend much on "
            "which they are"
        )
