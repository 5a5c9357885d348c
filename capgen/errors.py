"""Every error that capgen raises on purpose.

CapgenError                  exit code 1, unless another is given
├── UsageError               a wrong value or combination of values (exit code 2)
│   └── ProtectedFileError   an output would replace an input, or somebody's image
├── ImageError               one image cannot be read; `code` names the kind of fault
├── ModelError               a model is missing, unsafe, or not a captioner
│   ├── ModelNotFoundError
│   └── UnsafeModelError
├── DataError                captions or images of a data set are missing or malformed
├── MetricError              predictions and references cannot be scored
├── DeviceMemoryError        a device has too little memory for a model or a batch
├── TrainingError            training cannot start or continue
│   ├── TrainingStopped      training was asked to stop (exit code 130 or 143)
│   └── ProcessLostError     another process of a run has ended
├── NetworkError             a server cannot be reached, or refuses
│   └── EndpointError        a model server refuses: the address, the key or the model
├── StorageError             a file cannot be written, for lack of permission for example
│   └── DiskFullError        no space is left, for this file or any other
└── MissingDependencyError   an optional package is needed

A message says what happened and with which value; `hint` says what to do next.
Any other exception is a bug in capgen.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from typing import Any

# The codes of images in records, and what each says. They are stable: none is renamed.
IMAGE_CODES = {
    "missing": "there is no such file",
    "permission": "it may not be read",
    "empty": "it has no bytes",
    "not_an_image": "it is something else, whatever its name",
    "truncated": "its end is missing",
    "too_large": "more than `--max-pixels` or `--max-bytes`, or too many parts",
    "memory": "it takes more memory than is left; the next run tries again",
    "unsupported": "this installation cannot read the format (HEIC without its extra, say)",
    "unreadable": "it is damaged; `--log-level debug` logs the decoder's traceback",
    "download": "its address could not be fetched",
    "refused_address": "its address is on a private network",
    "malformed": "a row of the manifest names no image, or a line of the records cannot be read",
    "prompt": "what its name and metadata make of `--prompt` cannot be used, mostly for its length",
    "low_confidence": "its caption is below `--min-confidence`",
    "endpoint": "the model server refuses it, or gives no caption",
    "unavailable": "the model server failed, or the store that has it; the next run tries again",
    "crashed": "with `--engine ray`, every process that captioned it died",
    "sidecar": "it has a caption, which could not be written beside it",
    "metadata": "it has a caption, which could not be written into it",
    "imagefolder": "it has a caption, which could not be written for it",
    "changed": "`capgen apply` writes nothing: it is no longer what was captioned",
    "not_a_file": "`capgen apply` writes nothing: it is in an archive or on the network",
}


class CapgenError(Exception):
    """Base of all errors that a user can cause or meet.

    Args:
        message: One line: what happened, and to which file or value.
        hint: What the user can do about it, or an empty string.
    """

    exit_code = 1

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __reduce__(self) -> tuple[Any, ...]:
        # Exceptions are unpickled with their message alone, and some of these take more.
        return _unpickled, (type(self), self.args), vars(self)


class UsageError(CapgenError):
    """A value or a combination of values that capgen does not accept."""

    exit_code = 2


class ProtectedFileError(UsageError):
    """An output would replace an input, or a file that must not be lost; nothing was written."""


class ImageError(CapgenError):
    """One image cannot be captioned.

    Args:
        message: One line naming the image.
        code: Stable name of the fault, a key of `IMAGE_CODES`.
    """

    def __init__(self, message: str, *, code: str, hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.code = code


class ModelError(CapgenError):
    """A model folder or repository cannot be used."""


class ModelNotFoundError(ModelError):
    """No model goes by that name."""


class UnsafeModelError(ModelError):
    """Using the model would run foreign code or unpickle a file."""


class DataError(CapgenError):
    """Captions or images of a data set are missing or malformed."""


class MetricError(CapgenError):
    """Predictions and references cannot be scored."""


class DeviceMemoryError(CapgenError):
    """A device, such as a GPU, has too little memory for a model or a batch."""


class TrainingError(CapgenError):
    """Training cannot start or continue."""


class TrainingStopped(TrainingError):  # noqa: N818 - nothing went wrong
    """Training was asked to stop by a signal, and its state is saved.

    Args:
        message: One line: where it stopped.
        signal: Number of the signal.
    """

    def __init__(self, message: str, *, signal: int, hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.exit_code = 128 + signal


class ProcessLostError(TrainingError):
    """Another process of a run has ended, and with it the run.

    Args:
        message: One line: which one, and how, as far as that is known.
        stopped: It was asked to stop.
    """

    def __init__(self, message: str, *, hint: str = "", stopped: bool = False) -> None:
        super().__init__(message, hint=hint)
        self.stopped = stopped


class NetworkError(CapgenError):
    """A server cannot be reached, or refuses."""


class EndpointError(NetworkError):
    """A model server refuses: its address, the key or the model is wrong, or it keeps failing."""


class StorageError(CapgenError):
    """A file cannot be written."""


class DiskFullError(StorageError):
    """No space is left on the disk, or in the quota."""


class MissingDependencyError(CapgenError):
    """An optional package is needed.

    Args:
        package: The package that is missing.
        extra: The extra of capgen that installs it, if any.
        purpose: What needs it, as in "exporting to ONNX".
    """

    def __init__(self, package: str, *, extra: str | None, purpose: str) -> None:
        needed = package if extra is None else f"'capgen[{extra}]'"
        super().__init__(
            f"{purpose} needs the package {package}, which is not installed",
            hint=f"pip install {needed}",
        )


def _unpickled(kind: type[CapgenError], arguments: tuple[Any, ...]) -> CapgenError:
    return kind.__new__(kind, *arguments)


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Return a hint with the closest known name, or with all of them."""
    names = sorted(known)
    close = difflib.get_close_matches(name, names, n=1)
    if close:
        return f"Did you mean '{close[0]}'?"
    return "Known: " + ", ".join(names) if names else ""
