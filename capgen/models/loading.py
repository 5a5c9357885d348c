"""Parts of models as transformers loads them: quietly, and with errors that name the model."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import torch
import transformers
from huggingface_hub.errors import StrictDataclassError
from safetensors import SafetensorError
from transformers import AutoConfig, AutoTokenizer

import capgen.models.efficientnet  # noqa: F401 (registers the encoder with transformers)
from capgen.errors import ModelError
from capgen.models.folder import ModelFolder

# What transformers builds into every ViT and no captioner uses; many are saved without.
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
) -> object:
    """Load `model_class` from a folder, refusing weights that do not fit the configuration.

    Args:
        folder: The model folder.
        model_class: A class of transformers.
        dtype: Type of the weights in memory.
        trust_remote_code: Run code that comes with the model.
        config: Configuration in place of the folder's.
        new: Parts of the names of weights that need not be there: they are made at random.

    Raises:
        ModelError: Tensors are missing, of the wrong shape, or the file is damaged.
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
        )
    except _LOADING_ERRORS as error:
        first_line = " ".join(str(error).split("\n")[:2]).strip()
        raise ModelError(f"Cannot load {folder.name}: {first_line}") from error
    missing = sorted(
        key
        for key in info["missing_keys"]
        if not key.startswith(UNUSED_WEIGHTS) and not any(part in key for part in new)
    )
    if missing:
        raise ModelError(f"{folder.name} lacks {len(missing)} weights, {missing[0]} among them")
    return model


def load_config(folder: ModelFolder) -> Any:
    """Load the configuration of a folder.

    Raises:
        ModelError: It is missing or damaged, or of a kind that transformers does not know.
    """
    _ = folder.config  # says what a folder without one is
    try:
        return AutoConfig.from_pretrained(folder.path, local_files_only=True)
    except _LOADING_ERRORS as error:
        first_line = str(error).strip().split("\n")[0]
        raise ModelError(f"{folder.name} has no usable configuration: {first_line}") from error


def load_tokenizer(folder: ModelFolder) -> object:
    """Load the tokenizer of a folder.

    Raises:
        ModelError: It is missing or damaged.
    """
    try:
        tokenizer = AutoTokenizer.from_pretrained(folder.path, local_files_only=True)
    except _LOADING_ERRORS as error:
        first_line = str(error).strip().split("\n")[0]
        raise ModelError(f"{folder.name} has no usable tokenizer: {first_line}") from error
    # What transformers makes of a folder without its files knows special tokens at most.
    if set(tokenizer.get_vocab()) <= set(tokenizer.all_special_tokens):
        raise ModelError(f"{folder.name} has no tokenizer")
    return tokenizer


@contextlib.contextmanager
def quiet_transformers() -> Iterator[None]:
    """Keep transformers' progress bars and advice off the terminal."""
    logging = transformers.utils.logging
    verbosity, bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.set_verbosity(verbosity)
        if bars:
            logging.enable_progress_bar()
