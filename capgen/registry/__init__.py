"""The models on this machine: list, describe, compare, verify, export, rename, remove.

entries   describes a model from its files, without loading it
listing   lists models and resolves their names
default   the default model
changes   renames and removes models, only inside the registry's own folders
verify    checks hashes and weights, loads the model, captions a probe image
compare   several models over the same images, with size and speed
learning_curves  how the runs behind compared models went
speed     images per second, measured side by side
report    the comparison as an HTML page
export    exports to ONNX, and to int8 ONNX
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from capgen.lazy_names import lazy_names

if TYPE_CHECKING:
    from capgen.registry.entries import ModelEntry
    from capgen.registry.export import export_model
    from capgen.registry.listing import find_model, list_models
    from capgen.registry.verify import verify_model
else:
    __getattr__, __dir__ = lazy_names(
        __name__,
        {
            "capgen.registry.entries": ("ModelEntry",),
            "capgen.registry.export": ("export_model",),
            "capgen.registry.listing": ("find_model", "list_models"),
            "capgen.registry.verify": ("verify_model",),
        },
    )

__all__ = [
    "ModelEntry",
    "export_model",
    "find_model",
    "list_models",
    "verify_model",
]
