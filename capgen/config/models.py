"""Which model captions, and on which device."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import ClassVar

from capgen.addresses import is_url
from capgen.config.endpoint import EndpointOptions
from capgen.config.fields import setting
from capgen.config.prompts import PromptOptions
from capgen.errors import UsageError

DEVICE_NAMES = "auto, cpu, cuda, cuda:N or mps"
_DEVICE = re.compile(r"auto|cpu|cuda|cuda:[0-9]{1,4}|mps")


def check_device(name: str) -> None:
    """Check the name of a device; the runtime checks whether the machine has it.

    Raises:
        UsageError: No device has such a name.
    """
    if not isinstance(name, str) or not _DEVICE.fullmatch(name):
        raise UsageError(f"--device is {name!r}; it must be {DEVICE_NAMES}")


@dataclass(frozen=True, kw_only=True)
class ModelOptions(PromptOptions, EndpointOptions):
    """The model that a command captions with, where it runs, and what it is asked.

    Raises:
        UsageError: No device has such a name, or a value is out of its range.
    """

    PANEL: ClassVar[str] = "Model"

    model: str | None = setting(
        None,
        "'mini' (bundled), a model folder, RUN/best-eval, a kept model, a short name "
        "(`capgen models list --known`), or a Hub id. "
        "Default: CAPGEN_MODEL, or `capgen models default`, or mini.",
        flags="-m",
    )
    revision: str | None = setting(None, "Branch, tag or commit of a Hub model.")
    trust_remote_code: bool = setting(
        False,
        "Run the model's own Python code, if capgen does not support its type.",
        remembered=False,
    )
    runtime: str = setting("auto", "Runtime: auto, onnx (CPU) or torch.")
    device: str = setting("auto", f"Device: {DEVICE_NAMES}.")
    dtype: str = setting("auto", "Number format: auto, fp32, bf16 or fp16.")

    def __post_init__(self) -> None:
        PromptOptions.__post_init__(self)
        EndpointOptions.__post_init__(self)
        check_device(self.device)

    @property
    def served(self) -> bool:
        """Whether the model is on a server; an address may also stand in place of its name."""
        return self.endpoint is not None or is_url(self.model or "")
