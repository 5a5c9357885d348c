"""Loading parts of models with transformers: quietly, and with errors that name the model."""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Iterator, Mapping
from logging import ERROR, getLogger
from typing import Any

import torch
import transformers
from huggingface_hub.errors import StrictDataclassError
from safetensors import SafetensorError
from transformers import AutoConfig, AutoTokenizer

import capgen.models.efficientnet  # noqa: F401 (registers the encoder with transformers)
from capgen.errors import ModelError
from capgen.models.folder import ModelFolder

_BITSANDBYTES = getLogger("bitsandbytes")
# transformers builds these into every ViT, no captioner uses them, and many are saved without.
UNUSED_WEIGHTS = ("encoder.pooler.", "pooler.")
_LOADING_ERRORS = (
    # ImportError: weights quantised with a package that is not installed.
    *(OSError, ValueError, KeyError, RuntimeError, ImportError),
    *(SafetensorError, StrictDataclassError),
)


def load_weights(
    folder: ModelFolder,
    model_class: type,
    *,
    dtype: torch.dtype,
    trust_remote_code: bool = False,
    config: Any = None,
    new: tuple[str, ...] = (),
    placement: Mapping[str, Any] | None = None,
) -> object:
    """Load `model_class` from a folder, refusing weights that do not fit the configuration.

    Args:
        folder: The model folder.
        model_class: A class of transformers.
        dtype: Type of the weights in memory.
        trust_remote_code: Run the model's own code.
        config: Configuration in place of the folder's.
        new: Parts of the names of weights that may be missing: they are initialised at random.
        placement: Arguments of transformers on where the weights go and in what form.

    Raises:
        ModelError: Tensors are missing or of the wrong shape, or the file is damaged.
    """
    try:
        model, info = model_class.from_pretrained(  # type: ignore[attr-defined]
            folder.path,
            dtype=dtype,
            use_safetensors=True,
            local_files_only=True,
            output_loading_info=True,
            **({"trust_remote_code": True} if trust_remote_code else {}),
            **({} if config is None else {"config": config}),
            **(placement or {}),
        )
    except _LOADING_ERRORS as error:
        lines = " ".join(str(error).split("\n")[:2]).strip()
        raise ModelError(f"Cannot load {folder.name}: {lines}") from error
    missing = sorted(
        key
        for key in info["missing_keys"]
        if not key.startswith(UNUSED_WEIGHTS) and not any(part in key for part in new)
    )
    if missing:
        raise ModelError(f"{folder.name} lacks {len(missing)} weights, including {missing[0]}")
    return model


def load_config(folder: ModelFolder) -> Any:
    """Load the configuration of a folder; raise ModelError if that is impossible."""
    _ = folder.config  # raises if the folder has none
    with reported(f"{folder.name} has no usable configuration"):
        return AutoConfig.from_pretrained(folder.path, local_files_only=True)


def load_tokenizer(folder: ModelFolder) -> object:
    """Load the tokenizer of a folder; raise ModelError if it is missing or damaged."""
    with reported(f"{folder.name} has no usable tokenizer"):
        tokenizer = AutoTokenizer.from_pretrained(folder.path, local_files_only=True)
    # Without tokenizer files, transformers returns one with special tokens at most.
    if set(tokenizer.get_vocab()) <= set(tokenizer.all_special_tokens):
        raise ModelError(
            f"{folder.name} has no tokenizer",
            hint="Save its tokenizer there: AutoTokenizer.from_pretrained(ORIGINAL)"
            ".save_pretrained(FOLDER).",
        )
    return tokenizer


@contextlib.contextmanager
def reported(message: str) -> Iterator[None]:
    """Turn loading errors of transformers into a ModelError."""
    try:
        yield
    except _LOADING_ERRORS as error:
        raise ModelError(f"{message}: {str(error).strip().split(chr(10))[0]}") from error


@contextlib.contextmanager
def quiet_transformers() -> Iterator[None]:
    """Keep progress bars and advice of transformers and bitsandbytes off the terminal."""
    logging = transformers.utils.logging
    verbosity, bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    _BITSANDBYTES.setLevel(ERROR)
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", module="bitsandbytes")
            yield
    finally:
        logging.set_verbosity(verbosity)
        if bars:
            logging.enable_progress_bar()
