"""The models of this machine: listed, described, compared, checked, exported, renamed, removed.

entries   what is known of a model from its files, without loading it
listing   which models there are, and what a name means
default   the model that is used where none is named
changes   rename and remove; never outside the registry's own folders
verify    hashes, loading, a probe image
compare   several models over the same images, with size and speed
speed     images a second, measured side by side
report    the comparison as a page
export    ONNX, and ONNX in int8
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
            "capgen.registry.listing": (
                "find_model",
                "list_models",
            ),
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
