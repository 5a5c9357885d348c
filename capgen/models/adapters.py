"""LoRA adapters: small weights that change a base model, saved by peft without it."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from functools import cached_property
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from capgen.digests import files_digest
from capgen.errors import MissingDependencyError, ModelError, UnsafeModelError
from capgen.json_files import read_json
from capgen.models.folder import CONFIG_FILE, ModelFolder
from capgen.models.kinds import ADAPTER_FILE

ADAPTER_WEIGHTS = "adapter_model.safetensors"


@dataclass(frozen=True)
class AdaptedFolder(ModelFolder):
    """The folder of a base model, with the folder of an adapter.

    Args:
        path: The base model's folder.
        name: The user's name for the adapter.
        revision: Commit of the adapter's repository, or an empty string.
        adapter: The adapter's folder.
        base: The base model.
    """

    adapter: Path = Path()
    base: ModelFolder | None = None

    @cached_property
    def fingerprint(self) -> str:
        """Identifies adapter and base model."""
        files = [self.adapter / ADAPTER_FILE, self.adapter / ADAPTER_WEIGHTS]
        own = self.revision or f"sha256:{files_digest(files, ModelError)[:16]}"
        return own if self.base is None else f"{own}+{self.base.fingerprint}"


def is_adapter(folder: Path) -> bool:
    """Whether a folder holds an adapter without its base model."""
    return (folder / ADAPTER_FILE).is_file() and not (folder / CONFIG_FILE).is_file()


def base_name(adapter: Path, name: str) -> str:
    """Return the name of an adapter's base model, as peft recorded it.

    Raises:
        ModelError: The adapter names none, or is not of a kind that peft merges.
        UnsafeModelError: Its only weights are pickled.
    """
    base = read_json(adapter / ADAPTER_FILE, ModelError).get("base_model_name_or_path")
    if not isinstance(base, str) or not base:
        raise ModelError(
            f"{name} is an adapter that does not name its base model",
            hint=f"Name it in {ADAPTER_FILE} (base_model_name_or_path): a folder, or an id of the "
            "Hub.",
        )
    if not (adapter / ADAPTER_WEIGHTS).is_file():
        pickled = (adapter / "adapter_model.bin").is_file()
        if pickled:
            raise UnsafeModelError(
                f"{name} has pickled weights (adapter_model.bin), which can run any code",
                hint="Convert it to safetensors in a sandbox (docs/hub.md).",
            )
        raise ModelError(
            f"{adapter} has no weights ({ADAPTER_WEIGHTS})",
            hint="Save them again with save_pretrained of peft.",
        )
    return base


def with_adapter(folder: ModelFolder, model: Any) -> Any:
    """Return a model with the adapter of its folder merged in, if there is one.

    Raises:
        MissingDependencyError: peft is not installed.
        ModelError: The adapter does not fit the model.
    """
    if not isinstance(folder, AdaptedFolder):
        return model
    if find_spec("peft") is None:
        raise MissingDependencyError("peft", extra="lora", purpose=f"The adapter {folder.name}")
    from peft import PeftModel
    from safetensors import SafetensorError

    try:
        with warnings.catch_warnings():
            # Between peft and transformers, and no news to the user.
            warnings.simplefilter("ignore", FutureWarning)
            adapted: Any = PeftModel.from_pretrained(model, str(folder.adapter))
            return adapted.merge_and_unload()
    except (ValueError, KeyError, RuntimeError, OSError, TypeError, SafetensorError) as error:
        first = str(error).strip().split("\n")[0]
        raise ModelError(f"The adapter {folder.name} does not fit its base: {first}") from error
