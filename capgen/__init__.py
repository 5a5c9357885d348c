"""capgen: image captioning with a CLIP-style encoder and a GPT-2 decoder.

    from capgen import Captioner

    captioner = Captioner.from_pretrained()
    print(captioner.caption("photo.jpg").text)

Names are loaded on first use, so that `import capgen` is cheap.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

# ONNX Runtime 1.29 and newer writes an identifier of this machine and reports its use to its
# maker, unless this is set before it is imported. Whoever wants that sets it to 0.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")

if TYPE_CHECKING:
    from capgen.captioning.captioner import Captioner
    from capgen.evaluation.compare import compare
    from capgen.evaluation.evaluate import evaluate
    from capgen.records import Caption, CaptionFailure, Example

_PUBLIC = {
    "Caption": "capgen.records",
    "CaptionFailure": "capgen.records",
    "Captioner": "capgen.captioning.captioner",
    "Example": "capgen.records",
    "compare": "capgen.evaluation.compare",
    "evaluate": "capgen.evaluation.evaluate",
}

__all__ = [
    "Caption",
    "CaptionFailure",
    "Captioner",
    "Example",
    "__version__",
    "compare",
    "evaluate",
]


def __getattr__(name: str) -> Any:
    if name not in _PUBLIC:
        raise AttributeError(f"module 'capgen' has no attribute {name!r}")
    import importlib

    return getattr(importlib.import_module(_PUBLIC[name]), name)


def __dir__() -> list[str]:
    return sorted(__all__)
