"""Loading and saving whole captioners with torch: the model-folder format."""

from __future__ import annotations

import copy
import dataclasses
import datetime
import os
import platform
import re
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
import transformers
from torch import Tensor
from transformers import VisionEncoderDecoderModel

import capgen
from capgen.errors import ModelError
from capgen.models.build import Captioning
from capgen.models.concept_table import read_concepts
from capgen.models.folder import CONCEPTS_FILE, ModelFolder
from capgen.models.kinds import ENCODER_DECODER, check_captioner
from capgen.models.loading import load_tokenizer, load_weights, quiet_transformers
from capgen.models.preprocessing.preprocess import FILE_NAME as PREPROCESSOR_FILE
from capgen.models.provenance import Provenance
from capgen.paths import storage_errors


def load_captioning(folder: ModelFolder, *, dtype: torch.dtype = torch.float32) -> Captioning:
    """Load a VisionEncoderDecoder captioner for training or evaluation.

    Raises:
        ModelError: The folder holds another model, or its weights do not fit its configuration.
        UnsafeModelError: The only weights are pickled.
    """
    kind = folder.config.get("model_type")
    if kind != ENCODER_DECODER:
        check_captioner(folder.name, folder.config)
        raise ModelError(
            f"{folder.name} is a '{kind}' model, not a {ENCODER_DECODER}",
            hint=f"capgen trains and exports only a {ENCODER_DECODER} with a GPT-2.",
        )
    folder.check_weights()
    with quiet_transformers():
        model: Any = load_weights(folder, VisionEncoderDecoderModel, dtype=dtype)
        tokenizer = load_tokenizer(folder)
    _unmap(model)
    return Captioning(model, tokenizer, folder.preprocessor, concepts=read_concepts(folder))


def _unmap(model: torch.nn.Module) -> None:
    """Copy the weights, which otherwise keep their file mapped.

    Windows cannot replace a mapped file, but training replaces checkpoints and an export moves
    its folder.
    """
    for parameter in model.parameters():
        parameter.data = parameter.data.clone()
    for module in model.modules():
        for name, buffer in module.named_buffers(recurse=False):
            setattr(module, name, buffer.clone())  # a view, which would keep its base


def save_captioning(
    folder: Path,
    captioning: Captioning,
    provenance: Provenance,
    *,
    dtype: torch.dtype | None = None,
    tensors: Mapping[str, Tensor] | None = None,
) -> None:
    """Write a model folder, replacing an older one only when the new one is complete.

    Versions and time of the provenance are filled in here; `dtype` is the type of the stored
    weights, by default the model's own. `tensors` are the model's `state_dict` if calling that
    would change the model.
    """
    temporary = folder.with_name(f".{folder.name}.new")
    with storage_errors(folder), rust_errors():
        shutil.rmtree(temporary, ignore_errors=True)
        temporary.mkdir(parents=True)
        try:
            _write_parts(temporary, captioning, dtype, tensors)
            files = ModelFolder(temporary, folder.name).file_digests()
            dataclasses.replace(stamped(provenance), files=files).write(temporary)
            swap_folder(temporary, folder)
        finally:
            shutil.rmtree(temporary, ignore_errors=True)


def _write_parts(
    folder: Path,
    captioning: Captioning,
    dtype: torch.dtype | None,
    tensors: Mapping[str, Tensor] | None,
) -> None:
    model = captioning.model
    if dtype is not None and dtype != model.dtype:
        model = copy.deepcopy(model).to(dtype)
    model.save_pretrained(folder, state_dict=None if tensors is None else dict(tensors))
    for name in ("is_local", "local_files_only"):  # how it was loaded on this machine
        captioning.tokenizer.init_kwargs.pop(name, None)
    captioning.tokenizer.save_pretrained(folder)
    captioning.preprocessor.to_file(folder / PREPROCESSOR_FILE)
    if captioning.concepts is not None:
        captioning.concepts.write(folder / CONCEPTS_FILE)
    for name, content in captioning.notices.items():
        (folder / name).write_bytes(content)
    for file in folder.iterdir():
        # safetensors writes files that only their owner can read.
        file.chmod(0o644)


@contextmanager
def rust_errors() -> Iterator[None]:
    """Turn the errors of safetensors and tokenizers when they cannot write into an OSError.

    Neither raises an OSError, but both messages end with, say, `(os error 28)`.
    """
    try:
        yield
    except OSError:
        raise
    except Exception as error:
        match = _OS_ERROR.search(str(error))
        if match is None:
            raise
        number = int(match[1])
        # On Windows the number is a Windows code, which the last argument translates.
        raise OSError(number, os.strerror(number), None, number) from error


_OS_ERROR = re.compile(r"\(os error (\d+)\)")


def recover_folder(folder: Path) -> None:
    """Clean up after a `save_captioning` whose process died."""
    old = folder.with_name(f".{folder.name}.old")
    if old.is_dir() and not folder.exists():
        old.rename(folder)
    for leftover in (old, folder.with_name(f".{folder.name}.new")):
        shutil.rmtree(leftover, ignore_errors=True)


def swap_folder(new: Path, folder: Path) -> None:
    """Replace `folder`, which need not exist, by `new`; if that fails, `folder` stays."""
    old = folder.with_name(f".{folder.name}.old")
    shutil.rmtree(old, ignore_errors=True)
    existed = folder.exists()
    if existed:
        folder.rename(old)
    try:
        new.rename(folder)
    except BaseException:
        if existed:
            old.rename(folder)
        raise
    shutil.rmtree(old, ignore_errors=True)


def stamped(provenance: Provenance) -> Provenance:
    """Return the provenance with the current versions and time."""
    return dataclasses.replace(
        provenance,
        versions={
            "capgen": capgen.__version__,
            "torch": torch.__version__,
            "transformers": transformers.__version__,
            "python": platform.python_version(),
        },
        created=datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
    )
