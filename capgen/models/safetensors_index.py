"""The index of a safetensors file: where each tensor lies. Imports neither torch nor onnx."""

from __future__ import annotations

import hashlib
import json
import os
import struct
from dataclasses import dataclass
from pathlib import Path

from capgen.errors import ModelError

MAX_HEADER_BYTES = 100_000_000
# Metadata of an ONNX graph: the weights that its offsets were made for (`header_digest`).
WEIGHTS_DIGEST = "capgen_weights_header"
# Metadata of an ONNX graph: the type it computes in, if not float32.
PRECISION = "capgen_precision"


@dataclass(frozen=True)
class StoredTensor:
    """One tensor of a safetensors file.

    Attributes:
        dtype: Type in the format's terms (`F32`, `F16`, `BF16`, …).
        shape: Its dimensions.
        offset: First byte, from the start of the file.
        length: Number of bytes.
    """

    dtype: str
    shape: tuple[int, ...]
    offset: int
    length: int


def read_index(file: Path) -> dict[str, StoredTensor]:
    """Read a safetensors file's header.

    Raises:
        ModelError: The file cannot be read, is not a safetensors file, or is cut off.
    """
    try:
        with file.open("rb") as stream:
            size = os.fstat(stream.fileno()).st_size
            (length,) = struct.unpack("<Q", stream.read(8))
            if length > MAX_HEADER_BYTES:
                raise ModelError(f"{file} is not a safetensors file")
            if 8 + length > size:
                raise ModelError(f"{file} is cut off: its header is incomplete")
            header = json.loads(stream.read(length))
        header.pop("__metadata__", None)
        start = 8 + length
        index = {name: _entry(entry, start) for name, entry in header.items()}
    except OSError as error:
        raise ModelError(f"{file} cannot be read: {error.strerror}") from error
    except _MALFORMED as error:
        raise ModelError(f"{file} is not a safetensors file") from error
    if any(tensor.offset + tensor.length > size for tensor in index.values()):
        raise ModelError(f"{file} is cut off: weights are missing")
    return index


def header_digest(file: Path) -> str:
    """Return the SHA-256 of a safetensors file's header: names, types, shapes and offsets.

    Two files with the same digest hold their tensors at the same offsets.
    """
    read_index(file)
    with file.open("rb") as stream:
        (length,) = struct.unpack("<Q", stream.read(8))
        return hashlib.sha256(stream.read(length)).hexdigest()


def _entry(entry: dict[str, list[int]], start: int) -> StoredTensor:
    first, last = entry["data_offsets"]
    shape = tuple(entry["shape"])
    numbers = (first, last - first, *shape)
    if not all(isinstance(number, int) and number >= 0 for number in numbers):
        raise ValueError("offsets and dimensions must be whole numbers from 0")
    return StoredTensor(str(entry["dtype"]), shape, start + first, last - first)


_MALFORMED = (struct.error, ValueError, KeyError, TypeError, AttributeError, RecursionError)
