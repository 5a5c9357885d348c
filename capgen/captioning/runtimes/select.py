"""Which runtime a model runs in: ONNX Runtime where it can, torch elsewhere.

Each is imported only when it is chosen.
"""

from __future__ import annotations

import logging
import tempfile
from typing import TYPE_CHECKING

from capgen.captioning.runtimes.generation_settings import torch_only
from capgen.config import ModelOptions
from capgen.config.fields import flag_name
from capgen.errors import ModelError, StorageError, UsageError
from capgen.models.folder import ModelFolder
from capgen.models.kinds import check_captioner, follows_prompts

if TYPE_CHECKING:
    from capgen.captioning.runtimes.base import Runtime

logger = logging.getLogger(__name__)
RUNTIMES = ("auto", "onnx", "torch")


def check_runtime(runtime: str, device: str, dtype: str) -> None:
    """Check the arguments before looking for the model; raise UsageError if they do not fit."""
    if runtime not in RUNTIMES:
        raise UsageError(f"--runtime is '{runtime}'; it must be one of {', '.join(RUNTIMES)}")
    if runtime == "onnx" and not _is_plain(device, dtype):
        raise UsageError("--runtime onnx computes on the CPU in fp32 only")


def load_runtime(
    folder: ModelFolder, options: ModelOptions, *, threads: int | None = None
) -> Runtime:
    """Load a model into the runtime that options name, or into the one that `auto` means for it.

    `threads` are those of ONNX Runtime; None uses every core.
    """
    runtime, device, dtype = options.runtime, options.device, options.dtype
    trust_remote_code = options.trust_remote_code
    check_captioner(folder.name, folder.config, trust_remote_code=trust_remote_code)
    if follows_prompts(folder.config):
        return _prompted(folder, options)
    for name in ("device_map", "quantize"):
        if getattr(options, name) is not None:
            raise UsageError(
                f"{flag_name(name)} is for models that follow prompts, and {folder.name} does not"
            )
    obstacle = _onnx_obstacle(folder)
    if runtime == "onnx" and obstacle:
        raise ModelError(
            f"{folder.name} {obstacle}", hint="Use --runtime torch, or omit --runtime."
        )
    if runtime == "onnx" or (runtime == "auto" and _is_plain(device, dtype) and not obstacle):
        from capgen.captioning.runtimes.onnx_runtime import OnnxRuntime

        why = "--runtime onnx" if runtime == "onnx" else "it has ONNX graphs, and runs on the CPU"
        logger.info("%s in %s runs in ONNX Runtime (%s)", folder.name, folder.path, why)
        return OnnxRuntime(folder, threads=threads)
    _check_temporary_folder()
    from capgen.captioning.runtimes.torch_runtime import TorchRuntime

    why = (
        "--runtime torch" if runtime == "torch" else obstacle or f"for --device {device} in {dtype}"
    )
    logger.info("%s in %s runs in torch (%s)", folder.name, folder.path, why)
    return TorchRuntime(folder, device=device, dtype=dtype, trust_remote_code=trust_remote_code)


def _prompted(folder: ModelFolder, options: ModelOptions) -> Runtime:
    if options.runtime == "onnx":
        raise ModelError(
            f"{folder.name} follows prompts, and ONNX Runtime runs no such model",
            hint="Use --runtime torch, or omit --runtime.",
        )
    _check_temporary_folder()
    from capgen.captioning.runtimes.torch_prompted import PromptedRuntime

    logger.info("%s in %s follows prompts, and runs in torch", folder.name, folder.path)
    return PromptedRuntime(folder, options)


def _check_temporary_folder() -> None:
    """Check that there is a folder for temporary files: torch asks for it while it is imported."""
    try:
        tempfile.gettempdir()
    except OSError as error:
        raise StorageError(
            "torch needs a folder for temporary files, and none can be written",
            hint="Set TMPDIR to one. Containers take `--tmpfs /tmp`.",
        ) from error


def may_use_gpus(options: ModelOptions) -> bool:
    """Whether the model that options name may run on a GPU, as far as options tell."""
    if options.served or options.runtime == "onnx" or options.device == "cpu":
        return False
    bundled = options.model is None or options.model.partition(":")[0] == "mini"
    return not bundled or options.runtime == "torch" or not _is_plain(options.device, options.dtype)


def _is_plain(device: str, dtype: str) -> bool:
    """Whether ONNX Runtime can compute there, in that type."""
    return device in ("auto", "cpu") and dtype in ("auto", "fp32")


def _onnx_obstacle(folder: ModelFolder) -> str:
    """Return why a model cannot run in ONNX Runtime, or an empty string."""
    if not folder.has_onnx:
        return "has no ONNX graphs"
    name = torch_only(folder.generation)
    return f"sets {name}, which only the torch runtime supports" if name else ""
