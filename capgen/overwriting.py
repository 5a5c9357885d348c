"""What an output may replace: never an input, never somebody's image.

Commands check the files that a user named before any work is done (`check_outputs`).
`capgen.paths.writing` checks every file again (`check_output`), which protects scripts, too.
Inputs are recognised by device and inode, so links and other spellings are the same file.
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from capgen.errors import ProtectedFileError, StorageError
from capgen.file_types import HEAD_BYTES, is_text, kind_of_suffix, sniff

# capgen marks the images that it draws, to recognise them: in the PNG text `Software`, or in a
# JPEG's comment.
IMAGE_MARK = "capgen"
_PNG_MARK = b"tEXtSoftware\0" + IMAGE_MARK.encode()
_JPEG_MARK = b"\xff\xfe" + (2 + len(IMAGE_MARK)).to_bytes(2, "big") + IMAGE_MARK.encode()
# What a journal's name has after that of its output.
JOURNAL_SUFFIX = ".journal"
# How the lines of capgen's own files begin, and what tells these files apart.
_OWN_LINE = b'{"schema_version": '
_RECORD_LINE = re.compile(rb'\{"schema_version": \d+, "path": (?:"|null)')
_UNDO_KEY = b'"sha256_before": '
_MANIFEST_KEY = b'"kind": "capgen-dataset"'
_REVIEWS_KEY = b'"kind": "capgen-review"'
_PARQUET = b"PAR1"
_PREVIEW_MARK = b'<meta name="generator" content="capgen data preview">'
# Kinds of file, by suffix, that may look like text (RTF, PostScript, XML).
_TEXTS = (None, "structured files")


@dataclass(frozen=True)
class Content:
    """What a file must contain for an output to replace it or append to it.

    Attributes:
        name: Its name in messages.
        holds: Whether a file that begins with these bytes (1 to `HEAD_BYTES`) is such a file.
    """

    name: str
    holds: Callable[[bytes], bool]


def _is_own_image(head: bytes) -> bool:
    if head.startswith(b"\x89PNG"):
        return _PNG_MARK in head
    return head.startswith(b"\xff\xd8") and _JPEG_MARK in head


def _is_own_json(head: bytes) -> bool:
    return head.lstrip()[:1] in (b"[", b"{") and b'"schema_version"' in head


def _first_line(head: bytes) -> bytes | None:
    """Return the first line of a file, or None for what a power cut left of capgen's own.

    That is nothing but zeros, or nothing but the beginning of a line. Zeros may also precede lines.
    """
    whole = len(head) < HEAD_BYTES
    rest = head.strip(b"\0").lstrip(b"\0\n")
    if whole and (not rest or (b"\n" not in rest and _begins_own_line(rest))):
        return None
    return rest.partition(b"\n")[0]


def _begins_own_line(start: bytes) -> bool:
    return start.startswith(_OWN_LINE) or (len(start) > 2 and _OWN_LINE.startswith(start))


def _is_undo_file(head: bytes) -> bool:
    first = _first_line(head)
    return first is None or (first.startswith(_OWN_LINE) and _UNDO_KEY in first)


def _is_journal(head: bytes) -> bool:
    first = _first_line(head)
    return first is None or (_RECORD_LINE.match(first) is not None and _UNDO_KEY not in first)


def _is_reviews(head: bytes) -> bool:
    first = _first_line(head)
    return first is None or (first.startswith(_OWN_LINE) and _REVIEWS_KEY in first)


def _is_manifest(head: bytes) -> bool:
    first = _first_line(head)
    return first is None or (first.startswith(_OWN_LINE) and _MANIFEST_KEY in first)


def _is_text_or_data(head: bytes) -> bool:
    """Whether a file is text or Parquet, but not the only copy of somebody's work."""
    if head.startswith(_PARQUET):
        return True
    kept = _UNDO_KEY in head or _REVIEWS_KEY in head
    return is_text(head) and not (head.startswith(_OWN_LINE) and kept)


NO_IMAGE = Content("files that are not images", lambda head: not sniff(head).image)
TEXT_OR_DATA = Content("text and data", _is_text_or_data)
SIDECAR = Content("text", lambda head: not sniff(head).known)
WEB_PAGE = Content("web pages", lambda head: sniff(head).description == "a web page")
OWN_PREVIEW = Content("previews that capgen wrote", lambda head: _PREVIEW_MARK in head)
OWN_IMAGE = Content("images that capgen drew", _is_own_image)
OWN_JSON = Content("JSON that capgen wrote", _is_own_json)
OWN_UNDO = Content("undo files", _is_undo_file)
OWN_JOURNAL = Content("journals that capgen wrote", _is_journal)
OWN_REVIEWS = Content("journals of reviews", _is_reviews)
OWN_MANIFEST = Content("manifests that capgen wrote", _is_manifest)


class InputFiles:
    """The files that are inputs, under any name.

    Args:
        files: Paths, or numbers of open files. They are looked up once, when there is a file to
            compare them with. Missing files, pipes and devices are left out, and so are files
            that were replaced since: a new file may have the old one's number on the disk.
    """

    def __init__(self, files: Iterable[str | Path | int] = ()) -> None:
        self._files = files
        self._known: dict[tuple[int, int], list[str | Path | int]] | None = None

    def find(self, path: Path) -> str | None:
        """Return the name of the input that a path points to, or None."""
        key = _identity(path)
        if key is None:
            return None
        if self._known is None:
            self._known = {}
            for file in self._files:
                known = _identity(file)
                if known is not None:
                    self._known.setdefault(known, []).append(file)
        for file in self._known.get(key, ()):
            if _identity(file) == key:
                return "stdin" if isinstance(file, int) else str(file)
        return None


@dataclass(frozen=True)
class Output:
    """A file that the user asked to write.

    Attributes:
        option: The option that names it, for messages.
        path: The file.
        replaces: What it may replace.
    """

    option: str
    path: Path
    replaces: Content


def check_outputs(outputs: Sequence[Output], inputs: InputFiles) -> None:
    """Check outputs before any work is done.

    Raises:
        ProtectedFileError: One would replace an input or a file of another kind, or two are the
            same file.
        StorageError: A file that it would replace cannot be read.
    """
    taken: dict[str, Output] = {}
    for output in outputs:
        check_output(output.path, output.replaces, option=output.option, inputs=inputs)
        place = real_place(output.path)
        other = taken.setdefault(place, output)
        if other is not output:
            raise ProtectedFileError(
                f"{other.option} and {output.option} both write {output.path}",
                hint="Choose another name for one of them.",
            )


def check_output(
    path: Path, replaces: Content, *, option: str = "", inputs: InputFiles | None = None
) -> None:
    """Check that writing a file loses nothing.

    Args:
        path: The file to write.
        replaces: What it may replace, besides an empty file.
        option: The option that names it, for messages.
        inputs: Files that must not be replaced, whatever they contain.

    Raises:
        ProtectedFileError: It would replace an input, or what `replaces` does not allow.
        StorageError: The file that it would replace cannot be read.
    """
    named = f"{option} {path}" if option else str(path)
    input_name = None if inputs is None else inputs.find(path)
    if input_name is not None:
        also = "" if input_name == str(path) else f", {input_name}"
        raise ProtectedFileError(
            f"{named} is an input{also}: nothing is written to it", hint="Choose another name."
        )
    check_head(named, head_of(path), path.suffix, replaces)


def check_head(named: str, head: bytes, suffix: str, replaces: Content) -> None:
    """Check by the first bytes of a file or object that it may be replaced.

    Args:
        named: Its name for messages, with the option that names it.
        head: Up to `HEAD_BYTES` of it; none if it is empty or not there.
        suffix: The suffix of its name.
        replaces: What may be replaced.

    Raises:
        ProtectedFileError: It holds something else.
    """
    foreign = replaces is TEXT_OR_DATA and kind_of_suffix(suffix) not in _TEXTS
    if head and (foreign or not replaces.holds(head)):
        what = _own_name(head) or sniff(head).description
        raise ProtectedFileError(
            f"{named} is {what}: nothing is written to it",
            hint=f"Choose another name, or remove the file. Only {replaces.name} may be replaced.",
        )


def _own_name(head: bytes) -> str:
    """Return what a file is if it is the only copy of somebody's work, else an empty string."""
    if _UNDO_KEY in head:
        return "an undo file"
    return "a journal of reviews" if _REVIEWS_KEY in head else ""


def head_of(path: Path) -> bytes:
    """Return the first bytes of a regular file; none if there is no such file.

    Raises:
        StorageError: Reading it is not permitted.
    """
    try:
        if not stat.S_ISREG(path.stat().st_mode):
            return b""
        with path.open("rb") as file:
            return file.read(HEAD_BYTES)
    except PermissionError as error:
        raise StorageError(f"Not allowed to read {path}") from error
    except (OSError, ValueError):  # missing, or writing will find what is wrong
        return b""


def real_place(path: Path) -> str:
    """Return the resolved name of a file, which need not exist."""
    try:
        return os.path.normcase(os.path.realpath(path))
    except ValueError:  # a NUL in the name: there is no such file
        return str(path)


def _identity(file: str | Path | int) -> tuple[int, int] | None:
    try:
        status = os.stat(file)  # noqa: PTH116 (numbers of open files, too)
    except (OSError, ValueError):
        return None
    return (status.st_dev, status.st_ino) if stat.S_ISREG(status.st_mode) else None
