"""The devices to compute on."""

from __future__ import annotations

import platform
import shutil
import tempfile
from collections.abc import Iterator
from typing import Any

from capgen.available_memory import available_memory
from capgen.captioning.runtimes.cores import usable_cores
from capgen.records import Check

_CPU_PROVIDER = "CPUExecutionProvider"
_TORCH_BUILDS = "Install the build of torch for it: https://pytorch.org/get-started/locally"
_ONNXRUNTIME = "pip install --force-reinstall --no-deps onnxruntime"
_TORCH = "pip install --force-reinstall torch"


def check_devices() -> Iterator[Check]:
    """Yield checks of ONNX Runtime and its providers, and of torch and its devices."""
    yield _onnxruntime()
    try:
        import torch
    except (ImportError, OSError) as error:
        yield _not_imported(error)
        return
    build = f"CUDA {torch.version.cuda}" if torch.version.cuda else "no CUDA"
    yield Check("torch", True, f"{torch.__version__}, built with {build}")
    yield from _cuda(torch)
    if platform.system() == "Darwin":
        there = torch.backends.mps.is_available()
        yield Check("mps", True if there else None, "available" if there else "not available")
    yield Check("cpu", True, _cpu(torch))
    free = available_memory()
    if free is not None:
        yield Check("memory", True, f"{free / 1e9:.1f} GB free")


def first_line(error: BaseException) -> str:
    """Return the first line of an error's message, or its kind if it has none."""
    return str(error).strip().partition("\n")[0] or type(error).__name__


def _not_imported(error: BaseException) -> Check:
    """Return why torch cannot be imported; where nothing can be written that is no fault."""
    try:
        tempfile.gettempdir()
    except OSError:
        what = "needs a folder for temporary files (the bundled model does not need torch)"
        return Check("torch", None, what, "Set TMPDIR to a folder that can be written.")
    return Check("torch", False, f"cannot be imported: {first_line(error)}", _TORCH)


def _onnxruntime() -> Check:
    try:
        import onnxruntime
    except (ImportError, OSError) as error:
        return Check("onnxruntime", False, f"cannot be imported: {first_line(error)}", _ONNXRUNTIME)
    providers = onnxruntime.get_available_providers()
    detail = f"{onnxruntime.__version__}: {', '.join(providers) or 'no providers'}"
    if _CPU_PROVIDER not in providers:
        return Check("onnxruntime", False, detail, _ONNXRUNTIME)
    return Check("onnxruntime", True, detail)


def _cuda(torch: Any) -> Iterator[Check]:
    """Yield a check for each GPU, or why there is none."""
    if not torch.cuda.is_available():
        driver = shutil.which("nvidia-smi") is not None
        if driver and not torch.version.cuda and not torch.version.hip:
            yield Check(
                "cuda",
                None,
                "this machine has an NVIDIA driver, but this torch cannot use it",
                _TORCH_BUILDS,
            )
        elif driver:
            yield Check("cuda", None, "torch finds no GPU", "Check the output of `nvidia-smi`.")
        else:
            yield Check("cuda", None, "no GPU")
        return
    for number in range(torch.cuda.device_count()):
        gpu = torch.cuda.get_device_properties(number)
        major, minor = gpu.major, gpu.minor
        bf16 = "bf16" if major >= 8 or torch.version.hip else "no bf16"
        detail = f"{gpu.name}, {gpu.total_memory / 1e9:.0f} GB, compute {major}.{minor}, {bf16}"
        yield Check(f"cuda:{number}", True, detail)


def _cpu(torch: Any) -> str:
    """Describe the processor: cores, and what makes bfloat16 fast on it."""
    cores = usable_cores()
    # Newer torch only, and its keys depend on the architecture.
    known: dict[str, Any] = getattr(torch.cpu, "get_capabilities", dict)()
    fast = [label for key, label in _FAST.items() if known.get(key)]
    level = torch.backends.cpu.get_cpu_capability()
    bf16 = f"fast bf16 ({', '.join(fast)})" if fast else "no fast bf16"
    return f"{platform.machine()}, {cores} cores, {level}, {bf16}"


_FAST = {"amx_bf16": "AMX", "avx512_bf16": "AVX-512", "arm_bf16": "Arm", "bf16": "Arm"}
