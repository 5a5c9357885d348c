"""The package's own files: whether they are intact and work."""

from __future__ import annotations

import base64
import importlib.metadata
import zlib
from collections.abc import Iterator
from pathlib import Path

import capgen
from capgen.captioning.captioner import Captioner
from capgen.digests import file_digest
from capgen.doctor.versions import PACKAGE
from capgen.errors import StorageError
from capgen.metrics.synonyms import wordnet
from capgen.models.resolve import BUNDLED
from capgen.records import Check
from capgen.registry.verify import probe_image, verify_model

# The bundled model's caption of the probe image.
EXPECTED = "a red ball sitting on top of a tennis court"
_REINSTALL = "pip install --force-reinstall --no-deps capgen"


def check_package() -> Iterator[Check]:
    """Yield checks of the installed files and the WordNet table."""
    yield _files()
    yield _wordnet()


def check_model(*, full: bool = False) -> Iterator[Check]:
    """Yield checks of the bundled model: hashes, weights, loading, a caption.

    Args:
        full: Also caption with torch, and compare.
    """
    caption = ""
    for check in verify_model(BUNDLED):
        cure = "" if check.ok is not False else _REINSTALL
        if check.name == "captions" and check.ok:
            caption = check.detail.strip("'")
            differs = "" if caption == EXPECTED else f"; elsewhere '{EXPECTED}'"
            # Not a fault: another processor may round differently.
            yield Check("caption (onnx)", None if differs else True, check.detail + differs)
        else:
            yield Check(check.name, check.ok, check.detail, cure)
    if full and caption:
        yield _with_torch(caption)


def _with_torch(expected: str) -> Check:
    captioner = Captioner.from_pretrained(BUNDLED, runtime="torch", device="cpu")
    text = captioner.caption(probe_image()).text
    if text == expected:
        return Check("caption (torch)", True, f"'{text}'")
    return Check("caption (torch)", False, f"'{text}'; ONNX Runtime: '{expected}'", _REINSTALL)


def _files() -> Check:
    """Compare the files with the hashes recorded at installation."""
    here = Path(capgen.__file__).parent.resolve()
    try:
        listed = importlib.metadata.files(PACKAGE) or []
    except importlib.metadata.PackageNotFoundError:
        listed = []
    places = {item: Path(str(item.locate())).resolve() for item in listed if item.hash}
    own = {item: path for item, path in places.items() if path.is_relative_to(here)}
    if not own:
        return Check("files", None, "not installed from a wheel: no hashes were recorded")
    wrong = []
    for item, path in own.items():
        if not path.is_file():
            wrong.append(f"{item} is missing")
        elif item.hash is not None and _digest(path, item.hash.mode) != item.hash.value:
            wrong.append(f"{item} has changed")
    if wrong:
        more = f" and {len(wrong) - 1} more" if len(wrong) > 1 else ""
        return Check("files", False, f"{wrong[0]}{more}", _REINSTALL)
    return Check("files", True, f"{len(own)} files are unchanged since installation")


def _digest(path: Path, algorithm: str) -> str:
    """Return a file's hash in the form of a wheel's RECORD."""
    digest = bytes.fromhex(file_digest(path, StorageError, algorithm))
    return base64.urlsafe_b64encode(digest).rstrip(b"=").decode()


def _wordnet() -> Check:
    try:
        synonyms = wordnet().of("cab")
    except (OSError, EOFError, zlib.error, ValueError, KeyError) as error:
        return Check("WordNet", False, f"the table cannot be read: {error}", _REINSTALL)
    if "taxi" not in synonyms:
        return Check("WordNet", False, "'taxi' is not a synonym of 'cab'", _REINSTALL)
    return Check("WordNet", True, f"'cab' has {len(synonyms) - 1} synonyms, such as 'taxi'")
