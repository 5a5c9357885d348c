"""Where capgen keeps things: platformdirs, or everything under CAPGEN_HOME when that is set.

Also the one way files are written: to a temporary name, then renamed.
"""

from __future__ import annotations

import errno
import os
import re
import stat
import sys
import unicodedata
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from capgen.errors import DiskFullError, StorageError, UsageError
from capgen.file_attributes import copy_attributes
from capgen.overwriting import NO_IMAGE, check_output
from capgen.temporary_files import remove_leftovers, temporary_file

APP_NAME = "capgen"
HOME_VARIABLE = "CAPGEN_HOME"


def data_dir() -> Path:
    """Return the folder for data sets, runs and models (it need not exist)."""
    home = os.environ.get(HOME_VARIABLE)
    if home:
        return Path(home).expanduser()
    import platformdirs

    return Path(platformdirs.user_data_dir(APP_NAME, appauthor=False))


def runs_dir() -> Path:
    """Return the folder whose entries are training runs."""
    return data_dir() / "runs"


def run_name(folder: Path) -> str:
    """Return what `--resume` and `--model` call a run: its name, or elsewhere its folder."""
    if folder.absolute().parent == runs_dir().absolute():
        return folder.name
    return str(folder)


def datasets_dir() -> Path:
    """Return the folder whose entries are installed data sets."""
    return data_dir() / "datasets"


def models_dir() -> Path:
    """Return the folder whose entries are models kept by name: exported or pulled ones."""
    return data_dir() / "models"


def cache_dir() -> Path:
    """Return the folder for what can be made again at any time."""
    home = os.environ.get(HOME_VARIABLE)
    if home:
        return Path(home).expanduser() / "cache"
    import platformdirs

    return Path(platformdirs.user_cache_dir(APP_NAME, appauthor=False))


def config_file() -> Path:
    """Return the user's TOML settings file (it need not exist)."""
    home = os.environ.get(HOME_VARIABLE)
    if home:
        return Path(home).expanduser() / "config.toml"
    import platformdirs

    return Path(platformdirs.user_config_dir(APP_NAME, appauthor=False)) / "config.toml"


def bundled_model_dir() -> Path:
    """Return the folder of the model that ships inside the package."""
    return Path(__file__).parent / "models" / "bundled" / "mini"


def is_folder(path: Path) -> bool:
    """Whether a folder is there; False for names that cannot be looked up, whatever the reason."""
    try:
        return path.is_dir()
    except OSError:
        return False


_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,79}")
_REFUSED_BY_WINDOWS = re.compile(
    r'[<>:"/\\|?*\x00-\x1f]|[. ]$|^(con|prn|aux|nul|com[0-9]|lpt[0-9])(\.|$)', re.IGNORECASE
)


def works_everywhere(name: str) -> bool:
    """Whether a file or folder can have this name on Windows, too.

    It refuses some characters, a dot or space at the end, and its devices' names (`nul.txt`);
    `a:b` would be a hidden part of the file `a`.
    """
    return bool(name) and _REFUSED_BY_WINDOWS.search(name) is None


def is_name(name: str) -> bool:
    """Whether what capgen keeps (a data set, a run, a model) may go by this name."""
    return _NAME.fullmatch(name) is not None and name[-1] != "."


def check_name(name: str, what: str) -> str:
    """Return `name` if what capgen keeps can be called that on every system.

    Args:
        name: The name.
        what: What is to be called that, as in `a data set`.

    Raises:
        UsageError: It would not be one folder's name everywhere.
    """
    if not is_name(name) or not works_everywhere(name):
        raise UsageError(
            f"{name!r} cannot be {what}'s name",
            hint="Use up to 80 letters, digits, dots, dashes and underscores.",
        )
    return name


def folded(name: str) -> str:
    """Return what two names share that are one to macOS and Windows.

    Those ignore case, and macOS the form of accents, too.
    """
    return unicodedata.normalize("NFC", name).casefold()


@contextmanager
def writing(
    path: Path, *, over_image: bool = False, mode: int = 0o666, sweep: bool = True
) -> Iterator[Path]:
    """Give a temporary file beside `path`; rename it to `path` if the block succeeds.

    The parent folder is made. If the block raises, the temporary file is removed and an
    existing `path` stays as it was.

    Args:
        path: The file.
        over_image: Replace an image, too.
        mode: Mode bits of the new file, less those that the process's mask takes away.
        sweep: First remove the temporary files in the folder that killed processes left. Who
            writes many files in a folder does that once.

    Raises:
        ProtectedFileError: There is an image.
        StorageError: The disk is full or the place cannot be written.
    """
    with storage_errors(path):
        _check_regular(path)
        if not over_image:
            check_output(path, NO_IMAGE)
        path.parent.mkdir(parents=True, exist_ok=True)
        if sweep:
            remove_leftovers(path.parent)
        with temporary_file(path, mode) as temporary:
            yield temporary


def create(path: Path, mode: int) -> IO[bytes]:
    """Create a file for a copy, open to nobody who may not read or write the original.

    Args:
        path: The file, which must not exist.
        mode: Mode bits of the original; those to run it are left out.

    Raises:
        OSError: It exists already, or cannot be made.
    """
    mode &= 0o666
    if sys.platform == "win32":  # where nobody could delete it
        mode |= stat.S_IWRITE
    return open(path, "xb", opener=lambda name, flags: os.open(name, flags, mode))


def write_text(path: Path, text: str) -> None:
    """Write UTF-8 text to `path` atomically (see `writing`)."""
    with writing(path) as temporary:
        temporary.write_text(text, encoding="utf-8", newline="\n")


def replace_file(
    path: Path, data: bytes, *, over_image: bool = False, keep_times: bool = False
) -> None:
    """Write a user's file anew in one step; a link to it stays a link.

    Owner, group, permissions and extended attributes stay. The new content is on the disk
    before the old is gone.

    Args:
        path: The file, which is there.
        data: Its new content.
        over_image: Replace an image, too.
        keep_times: Keep the times of the last access and change, too.

    Raises:
        ProtectedFileError: There is an image.
        StorageError: It cannot be written, or would not keep its owner.
    """
    with storage_errors(path):
        target = Path(os.path.realpath(path, strict=True))
    # Nobody reads the new file who may not read the old one.
    with writing(target, over_image=over_image, mode=0o600, sweep=False) as temporary:
        with temporary.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        copy_attributes(target, temporary, times=keep_times)


def check_place(path: Path) -> None:
    """Check that a file can have this name.

    Raises:
        StorageError: There is a folder of that name, or the name is impossible.
    """
    with storage_errors(path):
        if path.is_dir():
            raise StorageError(f"Cannot write {path}: it is a folder")


def _check_regular(path: Path) -> None:
    """Raise StorageError where renaming would replace a device or a pipe (`/dev/null`)."""
    try:
        mode = path.stat().st_mode
    except (OSError, ValueError):
        return  # nothing there, or writing says what is wrong
    if not stat.S_ISREG(mode) and not stat.S_ISDIR(mode):
        raise StorageError(f"Cannot write {path}: it is not a regular file")


_BAD_PLACES = (
    *(errno.ENOENT, errno.ENOTDIR, errno.EISDIR, errno.EEXIST),
    *(errno.ENAMETOOLONG, errno.ELOOP, errno.EIO, errno.EFBIG),
    errno.EINVAL,  # names with a colon, say, on Windows or a memory card
    errno.EILSEQ,  # names that are no text, on some disks
    *(errno.EBUSY, errno.ENXIO, errno.ENODEV, errno.ETIMEDOUT),
)


@contextmanager
def storage_errors(path: Path) -> Iterator[None]:
    """Turn the OSErrors of writing `path` into StorageError.

    Raises:
        StorageError: For a full disk, a quota, a read-only place or a missing permission.
    """
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise DiskFullError(
                f"No space left to write {path}", hint="Free some space, or write to another disk."
            ) from error
        if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
            # Windows says the same of files that are open somewhere.
            hint = "Close the program that has it open." if sys.platform == "win32" else ""
            raise StorageError(f"Not allowed to write {path}", hint=hint) from error
        if error.errno in _BAD_PLACES:
            raise StorageError(f"Cannot write {path}: {error.strerror}") from error
        raise
