"""Teachers: existing captioners that a run learns from, and what they must share with it."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from typing import Any

import numpy as np
import tokenizers
import torch
from numpy.typing import NDArray
from transformers import GPT2Config

from capgen.addresses import is_url, without_credentials
from capgen.config import TrainConfig
from capgen.errors import UsageError
from capgen.models.build import Captioning
from capgen.models.checkpoint import load_captioning
from capgen.models.folder import ModelFolder
from capgen.models.loading import load_tokenizer
from capgen.models.resolve import resolve_model
from capgen.models.vocabulary import SPECIAL_TOKENS
from capgen.records import Example, Notice, PreparationEvent
from capgen.training.data.frozen_features import FrozenFront, feature_inputs
from capgen.training.data.inputs import Inputs
from capgen.training.data.packed_captions import CaptionCodec, Ids
from capgen.training.objectives.cross_entropy import CaptionObjective, LastHiddenState
from capgen.training.objectives.distill.loss import SequenceTeaching, Teaching, TokenTeaching
from capgen.training.objectives.distill.teacher_captions import teachers_captions
from capgen.training.objectives.learner import Learner
from capgen.training.processes.crews import Crew

TOKEN = "token"
# Captions that both tokenizers must cut in the same way.
_COMPARED = 200


def teachers_digest(config: TrainConfig) -> str:
    """Return what identifies a run's teachers; empty if it has none."""
    return "".join(
        f" {without_credentials(name) if is_url(name) else resolve_model(name).fingerprint}"
        for name in config.teachers
    )


def taught_vocabulary(config: TrainConfig) -> tokenizers.Tokenizer | None:
    """Return the first teacher's words for a new small model, which must share them.

    None unless teachers of `--distill token` have a word vocabulary.
    """
    if not config.teachers or config.distill != TOKEN:
        return None
    tokenizer: Any = load_tokenizer(resolve_model(config.teachers[0]))
    vocabulary = tokenizer.get_vocab()
    return tokenizer.backend_tokenizer if all(t in vocabulary for t in SPECIAL_TOKENS) else None


def make_teaching(
    config: TrainConfig,
    student: Learner,
    examples: Sequence[Example],
    used: NDArray[np.int64],
    digest: str,
    crew: Crew,
) -> Generator[PreparationEvent | Notice, None, Teaching | None]:
    """Return the teachers' loss, if the run has teachers.

    Args:
        config: The run's settings.
        student: The captioner that learns.
        examples: The training images.
        used: The numbers of those that the run uses.
        digest: That of the data set.
        crew: The processes that cache what the teachers say.
    """
    if not config.teachers:
        return None
    if config.distill == TOKEN:
        return (yield from _token_teaching(config, examples, used, digest, student.device, crew))
    some = [examples[number] for number in used.tolist()]
    with crew.leader_first():
        captions = yield from teachers_captions(config, some, digest, student.device)
    rows: list[list[Ids]] = [[] for _ in examples]
    for number, encoded in zip(used.tolist(), student.codec.encode_groups(captions), strict=True):
        rows[number] = encoded
    return SequenceTeaching(student.objective, rows, student.codec)


def _token_teaching(
    config: TrainConfig,
    examples: Sequence[Example],
    used: NDArray[np.int64],
    digest: str,
    device: torch.device,
    crew: Crew,
) -> Generator[PreparationEvent | Notice, None, TokenTeaching]:
    """Load the teachers, and compute or read their encoders' states for the training images."""
    taught: list[tuple[CaptionObjective, Inputs]] = []
    for name in config.teachers:
        teacher = load_captioning(resolve_model(name))
        teacher.model.eval().requires_grad_(False).to(device)
        front = FrozenFront(LastHiddenState(teacher.model.encoder), teacher.preprocessor, device)
        states = yield from feature_inputs(
            examples, used, front, "train", digest, config.workers, crew
        )
        taught.append((CaptionObjective(teacher.model, cached=True), states))
    return TokenTeaching(taught, config.distill_temperature)


def check_teachers(config: TrainConfig, student: Learner, captions: Sequence[str]) -> None:
    """Raise `UsageError` unless teachers of `--distill token` share the student's vocabulary."""
    if config.distill == TOKEN:
        for name in config.teachers:
            _check(resolve_model(name), student.captioning, student.codec, captions[:_COMPARED])


def _check(
    teacher: ModelFolder, student: Captioning, codec: CaptionCodec, captions: Sequence[str]
) -> None:
    hint = "Use --distill sequence, which learns from the captions of any captioner."
    decoder, generation = teacher.config.get("decoder") or {}, teacher.generation
    if decoder.get("model_type") != "gpt2":
        raise UsageError(f"--teacher {teacher.name} has no GPT-2 decoder", hint=hint)
    tokenizer: Any = load_tokenizer(teacher)
    end = generation.get("eos_token_id")
    size = student.model.config.decoder.vocab_size
    same = (
        tokenizer.get_vocab() == student.tokenizer.get_vocab()
        and decoder.get("vocab_size", GPT2Config().vocab_size) == size
        and generation.get("decoder_start_token_id") == codec.start
        and (end[0] if isinstance(end, list) else end) == codec.end
        and _ids(tokenizer, captions) == _ids(student.tokenizer, captions)
    )
    if not same:
        raise UsageError(
            f"--teacher {teacher.name} and the trained model have different vocabularies "
            f"({len(tokenizer)} and {len(student.tokenizer)} tokens)",
            hint=hint,
        )
    positions = teacher.positions
    if positions is not None and positions < codec.max_tokens:
        raise UsageError(
            f"--teacher {teacher.name} reads at most {positions} tokens",
            hint=f"Add --max-tokens {positions}.",
        )


def _ids(tokenizer: Any, captions: Sequence[str]) -> list[list[int]]:
    return [list(ids) for ids in tokenizer(list(captions), add_special_tokens=False)["input_ids"]]
