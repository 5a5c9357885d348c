"""Loading models that answer prompts about images: what transformers maps to image-text-to-text."""

from __future__ import annotations

import math
from collections.abc import Mapping
from importlib import import_module
from importlib.util import find_spec
from typing import Any

import torch
import transformers
from accelerate import init_empty_weights
from transformers import AutoModel, AutoModelForCausalLM, AutoModelForImageTextToText
from transformers.models.auto.modeling_auto import MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING_NAMES

from capgen.errors import MissingDependencyError, ModelError
from capgen.models.adapters import with_adapter
from capgen.models.folder import ModelFolder
from capgen.models.foreign_errors import model_errors
from capgen.models.kinds import PROMPTED_KINDS, check_captioner, own_code_error
from capgen.models.loading import load_config, load_weights, quiet_transformers
from capgen.models.safetensors_index import read_index
from capgen.models.torch_devices import DTYPES, weights_dtype

# In files up to this size it is checked that they hold about as much as the model has.
_SMALL_FILES = 1 << 28
# Most parameters that one stored number holds, in the densest ways to quantise.
_PACKED = 16
_OWN_CLASSES = {
    "AutoModelForImageTextToText": AutoModelForImageTextToText,
    "AutoModelForVision2Seq": AutoModelForImageTextToText,
    "AutoModelForCausalLM": AutoModelForCausalLM,
    "AutoModel": AutoModel,
}


def needs_own_code(folder: ModelFolder) -> bool:
    """Whether a model runs Python code from its folder: transformers does not know its kind."""
    config = folder.config
    return "auto_map" in config and config.get("model_type") not in PROMPTED_KINDS


def load_prompted(
    folder: ModelFolder,
    *,
    dtype: torch.dtype,
    trust_remote_code: bool = False,
    placement: Mapping[str, Any] | None = None,
) -> Any:
    """Load a model that answers prompts, for evaluation, with its adapter if it has one.

    Args:
        folder: The model folder.
        dtype: Type of the weights in memory.
        trust_remote_code: Run the model's own code.
        placement: What `placement` returned.

    Raises:
        ModelError: The folder holds no such model, or its weights do not fit.
        UnsafeModelError: The only weights are pickled, or the model needs its own code.
    """
    check_captioner(folder.name, folder.config, trust_remote_code=trust_remote_code)
    folder.check_weights()
    own_code = needs_own_code(folder)
    if own_code and not trust_remote_code:
        raise own_code_error(folder.name)
    kind = _own_class(folder) if own_code else _known_class(folder)
    if not own_code:
        _check_size(folder, kind)
    with quiet_transformers():
        try:
            model: Any = load_weights(
                folder, kind, dtype=dtype, trust_remote_code=own_code, placement=placement
            )
        except ModelError as error:
            if own_code or "auto_map" not in folder.config:
                raise
            raise ModelError(
                error.message,
                hint="It may be saved for code of its own. Look for the same model saved for "
                "transformers, such as florence-community/Florence-2-base.",
            ) from error
        model = with_adapter(folder, model)
    if not hasattr(model, "generate"):
        raise ModelError(
            f"{folder.name}: its code does not generate as models of transformers do",
            hint="Use a version of it that is saved for AutoModelForImageTextToText.",
        )
    return model.eval()


def _known_class(folder: ModelFolder) -> type:
    kind = folder.config.get("model_type")
    if kind not in MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING_NAMES:
        raise ModelError(
            f"{folder.name} is a '{kind}' model, which transformers {transformers.__version__} "
            "does not load as AutoModelForImageTextToText",
            hint="capgen is tested with these: " + ", ".join(PROMPTED_KINDS),
        )
    return AutoModelForImageTextToText


def _check_size(folder: ModelFolder, kind: Any) -> None:
    """Check that a small file is not meant for a large model: the rest would be filled at random.

    A configuration without sizes has those of a model of billions of parameters.
    """
    files = folder.weight_files()
    if sum(file.stat().st_size for file in files) > _SMALL_FILES:
        return
    stored = sum(math.prod(item.shape) for file in files for item in read_index(file).values())
    with model_errors(folder.name, "its config.json describes no model"), init_empty_weights():
        config = load_config(folder)
        needed = sum(weight.numel() for weight in kind.from_config(config).parameters())
    if stored * _PACKED < needed:
        raise ModelError(
            f"{folder.name} has {stored:,} parameters, and its config.json describes a model "
            f"with {needed:,}",
            hint="Its weights or its config.json are of another model, or incomplete.",
        )


def _own_class(folder: ModelFolder) -> type:
    mapped = folder.config["auto_map"]
    known = (kind for name, kind in _OWN_CLASSES.items() if name in mapped)
    return next(known, AutoModel)


def prompted_dtype(name: str, folder: ModelFolder, device: torch.device) -> torch.dtype:
    """Return the type of weights and arithmetic.

    `auto` is fp32 on the CPU, and elsewhere bf16 for models that were saved in it, since many of
    them overflow in fp16.
    """
    if name != "auto" or device.type == "cpu":
        return weights_dtype(name, device)
    config = folder.config
    parts = (config, config.get("text_config") or {})
    saved = [str(part.get(key)) for part in parts for key in ("dtype", "torch_dtype")]
    return DTYPES["bf16" if "bfloat16" in saved else "fp16"]


def placement(
    device: torch.device, device_map: str | None, quantize: str | None, dtype: torch.dtype
) -> dict[str, Any]:
    """Return transformers' arguments for where the weights go, and in what form.

    Raises:
        MissingDependencyError: No package that quantises is installed.
    """
    chosen: dict[str, Any] = {}
    if quantize is not None:
        chosen["quantization_config"] = _quantization(quantize, dtype)
        chosen["device_map"] = {"": str(device)}
    if device_map is not None:
        chosen["device_map"] = device_map
    return chosen


def _quantization(quantize: str, dtype: torch.dtype) -> Any:
    if find_spec("bitsandbytes") is not None:
        from transformers import BitsAndBytesConfig

        if quantize == "int8":
            return BitsAndBytesConfig(load_in_8bit=True)
        return BitsAndBytesConfig(
            load_in_4bit=True, bnb_4bit_quant_type="nf4", bnb_4bit_compute_dtype=dtype
        )
    if find_spec("torchao") is not None:
        from transformers import TorchAoConfig

        # Not a dependency of any extra: bitsandbytes runs on more machines.
        torchao = import_module("torchao.quantization")
        return TorchAoConfig(getattr(torchao, f"{quantize.title()}WeightOnlyConfig")())
    raise MissingDependencyError("bitsandbytes", extra="quantize", purpose="--quantize")
