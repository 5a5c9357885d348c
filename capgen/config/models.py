"""Which model captions, and on which device."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import ClassVar

from capgen.addresses import is_url
from capgen.config.endpoint import EndpointOptions
from capgen.config.fields import flag_name, setting
from capgen.config.prompts import PromptOptions
from capgen.errors import UsageError

DEVICE_NAMES = "auto, cpu, cuda, cuda:N or mps"
DEVICE_MAPS = ("auto", "balanced", "balanced_low_0", "sequential")
QUANTIZATIONS = ("int8", "int4")
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
        UsageError: A value is not one of those that there are, or two contradict each other.
    """

    PANEL: ClassVar[str] = "Model"

    model: str | None = setting(
        None,
        "'mini' or the faster 'mini:int8' (bundled), a model folder, RUN/best-eval, a kept model, "
        "a short name (`capgen models list --known`), or a Hub id. "
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

    device_map: str | None = setting(
        None,
        "Spread a model that follows prompts over several devices: "
        f"{', '.join(DEVICE_MAPS)} (see accelerate).",
    )
    quantize: str | None = setting(
        None,
        "Hold the weights of a model that follows prompts in 8 or 4 bits: int8 or int4 (extra "
        "'quantize').",
    )

    def __post_init__(self) -> None:
        PromptOptions.__post_init__(self)
        EndpointOptions.__post_init__(self)
        check_device(self.device)
        choices = (("device_map", DEVICE_MAPS), ("quantize", QUANTIZATIONS))
        for name, known in choices:
            value = getattr(self, name)
            if value is not None and value not in known:
                raise UsageError(
                    f"{flag_name(name)} is {value!r}; it must be one of {', '.join(known)}"
                )
        if self.device_map is not None and self.device != "auto":
            raise UsageError(
                f"--device {self.device} and --device-map {self.device_map} cannot be used together"
            )

    @property
    def served(self) -> bool:
        """Whether the model is on a server; an address may also stand in place of its name."""
        return self.endpoint is not None or is_url(self.model or "")
