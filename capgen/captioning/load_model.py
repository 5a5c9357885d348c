"""Loads the model that options name, here or on a server, into a runtime."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

from capgen.captioning.caption_model import CaptionModel
from capgen.captioning.runtimes.select import check_runtime, load_runtime
from capgen.config import ModelOptions
from capgen.models.resolve import resolve_model

if TYPE_CHECKING:
    from capgen.captioning.runtimes.base import Runtime


def load_model(
    options: ModelOptions, *, threads: int | None = None
) -> tuple[CaptionModel, Runtime, Callable[[], Runtime]]:
    """Return a model, its runtime, and what loads the runtime again, which can be pickled.

    `threads` are those of ONNX Runtime; None uses every core. See `Captioner.from_pretrained` and
    `Captioner.from_endpoint` for what is raised.
    """
    if options.served:
        from capgen.captioning.endpoint.served_model import connect, runtime_of

        model, runtime = connect(options)
        return model, runtime, partial(runtime_of, options, model.name)
    check_runtime(options.runtime, options.device, options.dtype)
    folder = resolve_model(
        options.model,
        revision=options.revision,
        trust_remote_code=options.trust_remote_code,
    )
    load = partial(load_runtime, folder, options, threads=threads)
    return folder, load(), load
