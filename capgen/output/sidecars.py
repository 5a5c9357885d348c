"""Sidecars: a text file beside each image, as training tools and galleries read them."""

from __future__ import annotations

import codecs
import os
import re
import stat
from collections.abc import Iterable, Sequence
from pathlib import Path

from capgen.errors import DiskFullError, ProtectedFileError, StorageError, UsageError
from capgen.file_types import kind_of_suffix
from capgen.overwriting import TEXT_OR_DATA, InputFiles, check_output, real_place
from capgen.paths import folded, replace_file, storage_errors, works_everywhere, writing
from capgen.records import Caption

ON_EXISTING = ("skip", "overwrite", "append", "prepend")

# Byte order marks and their encodings; UTF-32 first, whose marks begin like those of UTF-16.
_MARKS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
_LINE_END = re.compile(r"\r\n|\n|\r")


class _LeftAloneError(Exception):
    """A sidecar is not written; the message says why."""


class Sidecars:
    """Writes captions beside their images.

    Args:
        suffix: Suffix of the sidecars instead of the images': `.txt`, `.caption`.
        on_existing: What to do with an existing sidecar: `skip` keeps it, `overwrite` replaces
            it, `append` and `prepend` add the caption as a line, in the file's encoding. A
            line that is there already is not added again, so a repeated run changes nothing.
        inputs: Files that no sidecar may replace. Images and other files of a known kind
            are never replaced.

    Raises:
        UsageError: The suffix or the policy is invalid, or the suffix belongs to another kind
            of file than text.
    """

    def __init__(
        self, suffix: str, on_existing: str = "skip", *, inputs: InputFiles | None = None
    ) -> None:
        if on_existing not in ON_EXISTING:
            raise UsageError(
                f"--on-existing is '{on_existing}'; it must be one of {', '.join(ON_EXISTING)}"
            )
        self.suffix = suffix if suffix.startswith(".") else f".{suffix}"
        self.on_existing = on_existing
        self.inputs = inputs
        _check_suffix(self.suffix)
        # Sidecar → its image, and folded name → the first sidecar that has it.
        self._owners: dict[str, str] = {}
        self._folded: dict[str, str] = {}

    def path(self, image: Path) -> Path:
        """Return the sidecar of an image."""
        return image.with_suffix(self.suffix)

    def leaves(self, image: Path) -> bool:
        """Whether the image has a sidecar that must stay as it is."""
        path = self.path(image)
        return self.on_existing == "skip" and path != image and _is_regular(path)

    def check(self, images: Iterable[Path], outputs: Sequence[Path] = ()) -> None:
        """Raise ProtectedFileError if a sidecar would replace a file that must not be lost.

        Args:
            images: The images, as far as they are known.
            outputs: Other files that the run writes.
        """
        taken = {real_place(output) for output in outputs}
        names = {Path(place).name for place in taken}
        if not names and self.on_existing == "skip":
            return
        for image in images:
            path = self.path(image)
            if os.path.normcase(path.name) in names and real_place(path) in taken:
                raise ProtectedFileError(
                    f"--sidecar {self.suffix}: {path} is both a sidecar and another output",
                    hint="Choose another suffix, or another name for the output.",
                )
            if self.on_existing != "skip" and _is_regular(path):
                try:
                    self._check_content(path)
                except StorageError:
                    continue  # only this sidecar fails, when it is written

    def write(self, image: Path, record: Caption) -> str:
        """Write a caption and its alternatives, one per line.

        Returns:
            Why nothing was written and nothing changed, or an empty string.

        Raises:
            DiskFullError: No space is left.
        """
        path = self.path(image)
        try:
            with storage_errors(path):
                self._write(path, image, record)
        except DiskFullError:
            raise
        except (_LeftAloneError, ProtectedFileError, StorageError) as error:
            return str(error)
        return ""

    def _write(self, path: Path, image: Path, record: Caption) -> None:
        owner = self._owner(path, image)
        if owner != str(image):
            raise _LeftAloneError(f"{path} is the sidecar of {owner}: not written for {image}")
        if path == image:
            raise _LeftAloneError(f"{path} is the image itself: no sidecar is written")
        exists = _exists(path)
        if exists and self.on_existing == "skip":
            return
        captions = (record, *record.alternatives)
        added = [" ".join(_LINE_END.split(caption.text)) for caption in captions]
        if exists:
            self._check_content(path)
            before = path.read_bytes()
            data = self._merged(path, before, added)
            if data != before:
                replace_file(path, data)
            return
        data = _encoded(path, "".join(f"{line}\n" for line in added), "utf-8")
        with writing(path) as temporary:
            temporary.write_bytes(data)

    def _check_content(self, path: Path) -> None:
        check_output(path, TEXT_OR_DATA, option=f"--sidecar {self.suffix}:", inputs=self.inputs)

    def _owner(self, path: Path, image: Path) -> str:
        """Return the image of a sidecar: `a.txt` may be the `A.txt` that was written before."""
        name, common = str(path), folded(str(path))
        if name not in self._owners:
            other = common if common in self._owners else self._folded.get(common, name)
            both = other != name and path.exists() and Path(other).exists()
            same = both and path.samefile(other)
            self._owners[name] = self._owners[other] if same else str(image)
            if common != name:  # so most names are in one table only
                self._folded.setdefault(common, name)
        return self._owners[name]

    def _merged(self, path: Path, before: bytes, added: list[str]) -> bytes:
        """Return a sidecar's new content, in which old lines keep their bytes."""
        if self.on_existing == "overwrite" or not before:
            return _encoded(path, "".join(f"{line}\n" for line in added), "utf-8")
        mark, encoding = _encoding(path, before)
        text = before[len(mark) :].decode(encoding)
        lines = _LINE_END.split(text)
        if lines[-1] == "":
            lines.pop()
        end = "\r\n" if "\r\n" in text else "\n"
        new = "".join(f"{line}{end}" for line in added)
        gap = "" if not text or text[-1] in "\r\n" else end
        append = self.on_existing == "append"
        if added == (lines[-len(added) :] if append else lines[: len(added)]):
            return before
        if append:
            return before + _encoded(path, gap + new, encoding)
        first, last = _encoded(path, new, encoding), _encoded(path, gap, encoding)
        return mark + first + before[len(mark) :] + last


def _check_suffix(suffix: str) -> None:
    if len(suffix) < 2 or not works_everywhere(f"x{suffix}"):
        raise UsageError(f"--sidecar is '{suffix}'; it must be a suffix such as .txt")
    kind = kind_of_suffix(Path(f"x{suffix}").suffix)
    if kind is None:
        return
    hint = "Choose a suffix such as .txt or .caption."
    if suffix.lower() == ".xmp":
        hint += " --write-metadata writes captions as XMP into the images themselves."
    message = f"--sidecar is '{suffix}', the suffix of {kind}; sidecars are plain text"
    raise UsageError(message, hint=hint)


def _is_regular(path: Path) -> bool:
    """Whether a regular file exists; False for names that cannot be looked up."""
    try:
        return path.is_file()
    except OSError:
        return False


def _exists(path: Path) -> bool:
    """Whether a sidecar exists; raises _LeftAloneError if something else has its name."""
    try:
        mode = path.stat().st_mode
    except FileNotFoundError:
        if path.is_symlink():
            raise _LeftAloneError(
                f"Cannot write {path}: it is a link to a file that does not exist"
            ) from None
        return False
    if stat.S_ISDIR(mode):
        raise _LeftAloneError(f"Cannot write {path}: it is a folder")
    if not stat.S_ISREG(mode):
        raise _LeftAloneError(f"Cannot write {path}: it is not a regular file")
    return True


def _encoding(path: Path, data: bytes) -> tuple[bytes, str]:
    """Return the byte order mark of a text, and its encoding if that is certain."""
    mark, encoding = next((item for item in _MARKS if data.startswith(item[0])), (b"", "utf-8"))
    # Without a mark, text that is not UTF-8 is what Windows' editors called "ANSI".
    for name in (encoding,) if mark else (encoding, "cp1252"):
        try:
            text = data[len(mark) :].decode(name)
        except UnicodeDecodeError:
            continue
        if "\0" not in text:
            return mark, name
    raise _LeftAloneError(f"{path} is not text in a known encoding: nothing was added to it")


def _encoded(path: Path, text: str, encoding: str) -> bytes:
    try:
        return text.encode(encoding)
    except UnicodeEncodeError as error:
        letter = error.object[error.start]
        raise _LeftAloneError(
            f"{path}: the caption is not written: {encoding} cannot hold its {letter!a}"
        ) from error
