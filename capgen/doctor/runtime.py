"""The versions that captions and bugs depend on, without loading what they are of."""

from __future__ import annotations

import platform
import runpy
from importlib.util import find_spec
from pathlib import Path

import capgen
from capgen.doctor.versions import PACKAGE, installed_version

LIBRARIES = ("torch", "transformers", "onnxruntime", "pillow")
_ABSENT = "not installed"


def runtime_versions() -> dict[str, str]:
    """Return the versions of capgen, Python, this system and the libraries that compute captions.

    Takes milliseconds: nothing is imported for it. `check_devices` tells which GPUs there are.

    Returns:
        Name → version, in the order to show them.
    """
    found = {
        PACKAGE: capgen.__version__,
        "Python": platform.python_version(),
        "platform": platform.platform(),
    }
    for name in LIBRARIES:
        found[name] = installed_version(name) or _ABSENT
    if found["torch"] != _ABSENT:
        found["torch"] = _torch_build() or found["torch"]
    return found


def _torch_build() -> str:
    """Return torch's version and what it was built for; empty where its own file does not tell.

    Of the builds on PyPI the package's version does not say whether they are for CUDA.
    """
    spec = find_spec("torch")
    if spec is None or spec.origin is None:
        return ""
    try:
        told = runpy.run_path(str(Path(spec.origin).with_name("version.py")))
        version = str(told["__version__"])
    except (OSError, KeyError, ImportError, SyntaxError):
        return ""
    for name, key in (("CUDA", "cuda"), ("ROCm", "hip")):
        if told.get(key):
            return f"{version}, built with {name} {told[key]}"
    return f"{version}, built without CUDA"
