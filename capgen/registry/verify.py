"""Is a model what it says it is, and does it work?

Hashes are compared with those that were recorded when the model was saved (`capgen.json`), and
for a model of the Hub with the names of the files in its cache, which are their hashes.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

from capgen.captioning.captioner import Captioner
from capgen.digests import file_digest
from capgen.errors import CapgenError, ModelError
from capgen.hub_client.repository import git_blob
from capgen.models.folder import ModelFolder
from capgen.models.resolve import resolve_model
from capgen.models.safetensors_index import read_index
from capgen.records import Check

_FLOATS = {"F16": np.float16, "F32": np.float32, "F64": np.float64}
_PROBE_SIZE = (320, 240)


def verify_model(name: str, *, revision: str | None = None) -> Iterator[Check]:
    """Check a model: hashes, weights that are numbers, loading, captioning a probe image.

    Args:
        name: Anything that `--model` takes.
        revision: Branch, tag or commit of a Hub model.

    Yields:
        Checks named `hash of FILE`, `weights`, `loads` and `captions`; what would follow from a
        failed one is not tried.

    Raises:
        ModelNotFoundError: Nothing goes by that name.
        NetworkError: It would have to be fetched, and the Hub cannot be reached.
    """
    folder = resolve_model(name, revision=revision)
    good = True
    for make in (_hashes, _weights, _works):
        if not good:
            return
        try:
            for check in make(folder):
                good = good and check.ok is not False
                yield check
        except CapgenError as error:
            good = False
            yield Check(make.__name__.strip("_"), False, error.message)


def probe_image() -> Image.Image:
    """Return the image that `verify` captions: a red ball over green, under blue."""
    width, height = _PROBE_SIZE
    image = Image.new("RGB", _PROBE_SIZE, (90, 150, 230))
    pen = ImageDraw.Draw(image)
    pen.rectangle((0, height // 2, width, height), fill=(60, 140, 50))
    pen.ellipse((120, 90, 200, 170), fill=(210, 40, 40))
    return image


def _hashes(folder: ModelFolder) -> Iterator[Check]:
    found = folder.file_digests()
    recorded = dict(folder.provenance.files)
    for file in sorted({*found, *recorded}):
        expected = recorded.get(file)
        if expected is None:
            if _cached_digest(folder.path / file) is None:
                yield Check(f"hash of {file}", None, "none was recorded")
            continue
        ok = found.get(file) == expected
        wrong = "is not the recorded one" if file in found else "the file is missing"
        yield Check(f"hash of {file}", ok, f"sha256 {expected[:12]}…" if ok else wrong)
    for path in sorted(folder.path.rglob("*")):
        expected = _cached_digest(path)
        if expected is not None:
            ok = _digest(path, expected) == expected
            detail = f"{expected[:12]}…" if ok else "is not that of the Hub's file"
            yield Check(f"hash of {path.relative_to(folder.path)}", ok, detail)


def _cached_digest(path: Path) -> str | None:
    """Return the hash that a file in the Hub's cache is named by, or None elsewhere."""
    if not path.is_symlink() or not path.is_file():
        return None
    blob = path.resolve()
    named = re.fullmatch(r"[0-9a-f]{40}|[0-9a-f]{64}", blob.name)
    return blob.name if named and blob.parent.name == "blobs" else None


def _digest(path: Path, like: str) -> str:
    """Return a file's SHA-256, or git's hash of it, as the Hub uses for small files.

    Raises:
        ModelError: It cannot be read.
    """
    try:
        if len(like) == 40:
            return git_blob(path.read_bytes())
        return file_digest(path, ModelError)
    except OSError as error:
        raise ModelError(f"Cannot read {path}: {error.strerror}") from error


def _weights(folder: ModelFolder) -> Iterator[Check]:
    total = 0
    for file in sorted(folder.path.glob("model*.safetensors")):
        for name, tensor in read_index(file).items():
            total += math.prod(tensor.shape)
            if not _finite(file, tensor.dtype, tensor.offset, tensor.length):
                yield Check("weights", False, f"{name} in {file.name} holds no numbers (NaN, inf)")
                return
    if total:
        yield Check("weights", True, f"{total:,} numbers")
    else:
        folder.check_weights()
        yield Check("weights", False, "there are none")


def _finite(file: Path, dtype: str, offset: int, length: int) -> bool:
    if not length:
        return True
    data = np.memmap(file, np.uint8, "r", offset, (length,))
    if dtype == "BF16":
        # All ones in the exponent are infinity or no number.
        return bool(((data.view(np.uint16) & 0x7F80) != 0x7F80).all())
    if dtype in _FLOATS:
        return bool(np.isfinite(data.view(_FLOATS[dtype])).all())
    return True


def _works(folder: ModelFolder) -> Iterator[Check]:
    captioner = Captioner.from_pretrained(folder.path)
    runtime = captioner.runtime
    yield Check("loads", True, f"{runtime.name}, {runtime.device}, {runtime.dtype}")
    caption = captioner.caption(probe_image())
    ok = bool(caption.text.strip()) and math.isfinite(caption.log_probability)
    yield Check("captions", ok, f"'{caption.text}'" if ok else "nothing to say of an image")
