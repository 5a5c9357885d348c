"""Check that a model is intact and works.

Hashes are compared with those recorded when the model was saved (`capgen.json`). Files in the
Hub's cache are named by their hashes.
"""

from __future__ import annotations

import contextlib
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
from capgen.models.concept_table import membership_size
from capgen.models.folder import ModelFolder
from capgen.models.resolve import resolve_model
from capgen.models.safetensors_index import read_index
from capgen.records import Check

_FLOATS = {"F16": np.float16, "F32": np.float32, "F64": np.float64}
_PROBE_SIZE = (320, 240)


def verify_model(name: str, *, revision: str | None = None) -> Iterator[Check]:
    """Check a model's hashes and weights, load it, and caption a probe image.

    Args:
        name: Anything that `--model` takes.
        revision: Branch, tag or commit of a Hub model.

    Yields:
        Checks named `hash of FILE`, `weights`, `loads` and `captions`; a failure ends the
        series after its kind of check.

    Raises:
        ModelNotFoundError: There is no such model.
        NetworkError: The model must be downloaded, and the Hub cannot be reached.
    """
    folder = resolve_model(name, revision=revision)
    for kind in (_hashes, _weights, _works):
        passed = True
        try:
            for check in kind(folder):
                passed = passed and check.ok is not False
                yield check
        except CapgenError as error:
            passed = False
            yield Check(kind.__name__.strip("_"), False, error.message)
        if not passed:
            return


def probe_image() -> Image.Image:
    """Return the image that `verify` captions: a red ball on green, with blue above."""
    width, height = _PROBE_SIZE
    image = Image.new("RGB", _PROBE_SIZE, (90, 150, 230))
    pen = ImageDraw.Draw(image)
    pen.rectangle((0, height // 2, width, height), fill=(60, 140, 50))
    pen.ellipse((120, 90, 200, 170), fill=(210, 40, 40))
    return image


def _hashes(folder: ModelFolder) -> Iterator[Check]:
    actual = folder.file_digests()
    recorded = dict(folder.provenance.files)
    for file in sorted({*actual, *recorded}):
        expected = recorded.get(file)
        if expected is None:
            if _cached_digest(folder.path / file) is None:
                yield Check(f"hash of {file}", None, "none was recorded")
            continue
        ok = actual.get(file) == expected
        problem = "differs from the recorded one" if file in actual else "the file is missing"
        yield Check(f"hash of {file}", ok, f"sha256 {expected[:12]}…" if ok else problem)
    for path in sorted(folder.path.rglob("*")):
        expected = _cached_digest(path)
        if expected is not None:
            ok = _digest(path, expected) == expected
            detail = f"{expected[:12]}…" if ok else "differs from that of the Hub's file"
            yield Check(f"hash of {path.relative_to(folder.path)}", ok, detail)


def _cached_digest(path: Path) -> str | None:
    """Return the hash in the name of a file in the Hub's cache; None for other files."""
    if not path.is_symlink() or not path.is_file():
        return None
    blob = path.resolve()
    named = re.fullmatch(r"[0-9a-f]{40}|[0-9a-f]{64}", blob.name)
    return blob.name if named and blob.parent.name == "blobs" else None


def _digest(path: Path, like: str) -> str:
    """Return a file's hash of the same kind as `like`: git's, for small files, or SHA-256."""
    if len(like) != 40:
        return file_digest(path, ModelError)
    try:
        return git_blob(path.read_bytes())
    except OSError as error:
        raise ModelError(f"Cannot read {path}: {error.strerror}") from error


def _weights(folder: ModelFolder) -> Iterator[Check]:
    total = 0
    for file in sorted(folder.path.glob("model*.safetensors")):
        for name, tensor in read_index(file).items():
            total += math.prod(tensor.shape)
            if not _finite(file, tensor.dtype, tensor.offset, tensor.length):
                yield Check("weights", False, f"{name} in {file.name} contains NaN or infinity")
                return
    if total:
        with contextlib.suppress(ModelError):  # what is wrong with it, `works` says
            total -= membership_size(folder.config)
        yield Check("weights", True, f"{total:,} parameters")
    else:
        folder.check_weights()
        yield Check("weights", False, "there are none")


def _finite(file: Path, dtype: str, offset: int, length: int) -> bool:
    if not length:
        return True
    data = np.memmap(file, np.uint8, "r", offset, (length,))
    if dtype == "BF16":
        # An exponent of all ones means infinity or NaN.
        return bool(((data.view(np.uint16) & 0x7F80) != 0x7F80).all())
    if dtype in _FLOATS:
        return bool(np.isfinite(data.view(_FLOATS[dtype])).all())
    return True


def _works(folder: ModelFolder) -> Iterator[Check]:
    captioner = Captioner.from_pretrained(folder.path)
    runtime = captioner.runtime
    yield Check("loads", True, f"{runtime.name}, {runtime.device}, {runtime.dtype}")
    caption = captioner.caption(probe_image())
    ok = bool(caption.text.strip()) and math.isfinite(caption.log_probability or 0.0)
    yield Check("captions", ok, f"'{caption.text}'" if ok else "the caption of an image is empty")
