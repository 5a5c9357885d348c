"""capgen: captions images, trains captioners, and scores captions.

    from capgen import Captioner

    captioner = Captioner.from_pretrained()
    print(captioner.caption("photo.jpg").text)

The public names are those in the `__all__` of this package, `capgen.training`, `capgen.evaluation`,
`capgen.metrics`, `capgen.data`, `capgen.hub`, `capgen.registry`, `capgen.distributed`,
`capgen.records` and `capgen.errors`. All other modules are private and may move. Names are loaded
on first use, so `import capgen` is fast.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from capgen.lazy_names import lazy_names

__version__ = "0.2.0"

# From version 1.29, ONNX Runtime writes an identifier of this machine and reports its use to
# Microsoft, unless this is set before it is imported. Set it to 0 to allow that.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")


if TYPE_CHECKING:
    from capgen.captioning.batch.inputs import Inputs
    from capgen.captioning.batch.pipeline import BatchFinished, ImageDone, caption_all
    from capgen.captioning.captioner import Captioner
    from capgen.config import BatchOptions, DecodeOptions, ImageLimits, InputOptions
    from capgen.evaluation.compare import compare
    from capgen.evaluation.evaluate import evaluate
    from capgen.explain.inspect import Inspection, inspect_image
    from capgen.records import Caption, CaptionFailure, Example
else:
    __getattr__, __dir__ = lazy_names(
        __name__,
        {
            "capgen.captioning.batch.inputs": ("Inputs",),
            "capgen.captioning.batch.pipeline": ("BatchFinished", "ImageDone", "caption_all"),
            "capgen.captioning.captioner": ("Captioner",),
            "capgen.config": ("BatchOptions", "DecodeOptions", "ImageLimits", "InputOptions"),
            "capgen.evaluation.compare": ("compare",),
            "capgen.evaluation.evaluate": ("evaluate",),
            "capgen.explain.inspect": ("Inspection", "inspect_image"),
            "capgen.records": ("Caption", "CaptionFailure", "Example"),
        },
    )

__all__ = [
    "BatchFinished",
    "BatchOptions",
    "Caption",
    "CaptionFailure",
    "Captioner",
    "DecodeOptions",
    "Example",
    "ImageDone",
    "ImageLimits",
    "InputOptions",
    "Inputs",
    "Inspection",
    "__version__",
    "caption_all",
    "compare",
    "evaluate",
    "inspect_image",
]
