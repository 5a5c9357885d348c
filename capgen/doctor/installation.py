"""The package's own files: are they as they were installed, and do they work?"""

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

# What the bundled model says of the probe image.
EXPECTED = "a red and white dog is playing with a red ball"
_REINSTALL = "pip install --force-reinstall --no-deps capgen"


def look_at_package() -> Iterator[Check]:
    """Yield checks of the files that were installed, and of the WordNet table."""
    yield _files()
    yield _wordnet()


def look_at_model(*, full: bool = False) -> Iterator[Check]:
    """Yield checks of the bundled model: hashes, weights, loading, a caption.

    Args:
        full: Caption with torch too, and compare.
    """
    said = ""
    for check in verify_model(BUNDLED):
        cure = "" if check.ok is not False else _REINSTALL
        if check.name == "captions" and check.ok:
            said = check.detail.strip("'")
            differs = "" if said == EXPECTED else f"; elsewhere '{EXPECTED}'"
            # Another processor may round otherwise, so that another caption is no fault.
            yield Check("caption (onnx)", None if differs else True, check.detail + differs)
        else:
            yield Check(check.name, check.ok, check.detail, cure)
    if full and said:
        yield _with_torch(said)


def _with_torch(said: str) -> Check:
    captioner = Captioner.from_pretrained(BUNDLED, runtime="torch", device="cpu")
    text = captioner.caption(probe_image()).text
    if text == said:
        return Check("caption (torch)", True, f"'{text}'")
    return Check("caption (torch)", False, f"'{text}' is not what ONNX Runtime says", _REINSTALL)


def _files() -> Check:
    """Compare the files with the hashes that were recorded when the package was installed."""
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
    return Check("files", True, f"{len(own)} files are as they were installed")


def _digest(path: Path, algorithm: str) -> str:
    """Return a file's hash in the form of a wheel's RECORD."""
    digest = bytes.fromhex(file_digest(path, StorageError, algorithm))
    return base64.urlsafe_b64encode(digest).rstrip(b"=").decode()


def _wordnet() -> Check:
    try:
        found = wordnet().of("cab")
    except (OSError, EOFError, zlib.error, ValueError, KeyError) as error:
        return Check("WordNet", False, f"the table cannot be read: {error}", _REINSTALL)
    if "taxi" not in found:
        return Check("WordNet", False, "'taxi' is no synonym of 'cab'", _REINSTALL)
    return Check("WordNet", True, f"'cab' has {len(found) - 1} synonyms, as 'taxi'")
