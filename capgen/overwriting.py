"""What an output may replace: never an input, never somebody's image.

Commands check the files that a user named before any work is done (`check_outputs`).
`capgen.paths.writing` checks every file again (`check_output`), which protects scripts, too.
Inputs are recognised by device and inode, so links and other spellings are the same file.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from capgen.errors import ProtectedFileError, StorageError
from capgen.file_types import HEAD_BYTES, sniff

# capgen marks the images that it draws, to recognise them: in the PNG text `Software`, or in a
# JPEG's comment.
IMAGE_MARK = "capgen"
_PNG_MARK = b"tEXtSoftware\0" + IMAGE_MARK.encode()
_JPEG_MARK = b"\xff\xfe" + (2 + len(IMAGE_MARK)).to_bytes(2, "big") + IMAGE_MARK.encode()
_OWN_LINE = b'{"schema_version"'


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


def _is_own_lines(head: bytes) -> bool:
    # A power cut may leave zeros, or half a line.
    first = head.lstrip(b"\0\n").split(b"\n")[0]
    return first.startswith(_OWN_LINE) or _OWN_LINE.startswith(first)


NO_IMAGE = Content("files that are not images", lambda head: not sniff(head).image)
TEXT_OR_DATA = Content("text and data", lambda head: not sniff(head).known)
WEB_PAGE = Content("web pages", lambda head: sniff(head).description == "a web page")
OWN_IMAGE = Content("images that capgen drew", _is_own_image)
OWN_JSON = Content("JSON that capgen wrote", _is_own_json)
OWN_LINES = Content("JSON Lines that capgen wrote", _is_own_lines)


class InputFiles:
    """The files that are inputs, under any name.

    Args:
        files: Paths, or numbers of open files. They are looked up once, when there is a file to
            compare them with. Missing files, pipes and devices are left out.
    """

    def __init__(self, files: Iterable[str | Path | int] = ()) -> None:
        self._files = files
        self._names: dict[tuple[int, int], str] | None = None

    def find(self, path: Path) -> str | None:
        """Return the name of the input that a path points to, or None."""
        key = _identity(path)
        if key is None:
            return None
        if self._names is None:
            self._names = {
                known: "stdin" if isinstance(file, int) else str(file)
                for file in self._files
                if (known := _identity(file)) is not None
            }
        return self._names.get(key)


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
    head = head_of(path)
    if head and not replaces.holds(head):
        raise ProtectedFileError(
            f"{named} is {sniff(head).description}: nothing is written to it",
            hint=f"Choose another name, or remove the file. Only {replaces.name} may be replaced.",
        )


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
