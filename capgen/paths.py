"""capgen's folders: those of the platform, or all under CAPGEN_HOME if that is set.

Also how files are written: to a temporary name, then renamed.
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
    """Return a run's name for `--resume` and `--model`, or its folder if it is elsewhere."""
    if folder.absolute().parent == runs_dir().absolute():
        return folder.name
    return str(folder)


def datasets_dir() -> Path:
    """Return the folder whose entries are installed data sets."""
    return data_dir() / "datasets"


def models_dir() -> Path:
    """Return the folder whose entries are models kept by name: exported ones."""
    return data_dir() / "models"


def unfinished_dir() -> Path:
    """Return the folder for what runs have done whose output is in a store and not complete."""
    return data_dir() / "unfinished"


def cache_dir() -> Path:
    """Return the folder for caches, which can be deleted at any time."""
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


def bundled_int8_dir() -> Path:
    """Return the folder of the int8 export of that model, which ships beside it."""
    return bundled_model_dir().with_name("mini-int8")


def bundled_images() -> list[Path]:
    """Return the photographs that ship inside the package, by name."""
    return sorted((Path(__file__).parent / "images" / "bundled").glob("*.jpg"))


def is_folder(path: Path) -> bool:
    """Whether a folder exists; False if it cannot be looked up, for whatever reason."""
    try:
        return path.is_dir()
    except OSError:
        return False


def is_file(path: Path) -> bool:
    """Whether a file exists; False if it cannot be looked up, for whatever reason."""
    try:
        return path.is_file()
    except OSError:
        return False


_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,79}")
_REFUSED_BY_WINDOWS = re.compile(
    r'[<>:"/\\|?*\x00-\x1f]|[. ]$|^(con|prn|aux|nul|com[0-9]|lpt[0-9])(\.|$)', re.IGNORECASE
)


def works_everywhere(name: str) -> bool:
    """Whether a file or folder can have this name on Windows, too.

    Windows refuses some characters, a dot or space at the end, and names of devices (`nul.txt`);
    `a:b` would be a hidden part of the file `a`.
    """
    return bool(name) and _REFUSED_BY_WINDOWS.search(name) is None


def is_name(name: str) -> bool:
    """Whether a data set, run or model may have this name."""
    return _NAME.fullmatch(name) is not None and name[-1] != "."


def check_name(name: str, what: str) -> str:
    """Return the name of a data set, run or model, if it works on every system.

    Args:
        name: The name.
        what: What has the name, as in `a data set`.

    Raises:
        UsageError: It could not name a folder on every system.
    """
    if not is_name(name) or not works_everywhere(name):
        raise UsageError(
            f"{name!r} cannot be {what}'s name",
            hint="Use up to 80 letters, digits, dots, dashes and underscores.",
        )
    return name


def folded(name: str) -> str:
    """Return a name in the form in which macOS and Windows compare names.

    Both ignore case; macOS also ignores how accents are encoded.
    """
    return unicodedata.normalize("NFC", name).casefold()


@contextmanager
def writing(
    path: Path, *, over_image: bool = False, mode: int = 0o666, sweep: bool = True
) -> Iterator[Path]:
    """Give an empty temporary file beside `path`; rename it to `path` if the block succeeds.

    Creates the parent folder. If the block raises, the temporary file is removed and an existing
    `path` is unchanged.

    Args:
        path: The file.
        over_image: Allow to replace an image.
        mode: Permissions of the new file, restricted by the process's umask.
        sweep: First remove the temporary files in the folder that killed processes left. Not
            for one of many files in a folder.

    Raises:
        ProtectedFileError: It would replace an image.
        StorageError: The disk is full, or the folder is not writable.
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
    """Create a file for a copy, with the permissions of the original.

    Args:
        path: The file, which must not exist.
        mode: Mode bits of the original; those to execute it are left out.

    Raises:
        OSError: It exists already, or cannot be created.
    """
    mode &= 0o666
    if sys.platform == "win32":  # where nobody could delete it otherwise
        mode |= stat.S_IWRITE
    return open(path, "xb", opener=lambda name, flags: os.open(name, flags, mode))


def write_text(path: Path, text: str) -> None:
    """Write UTF-8 text to `path` atomically (see `writing`)."""
    with writing(path) as temporary:
        temporary.write_text(text, encoding="utf-8", newline="\n")


def replace_file(
    path: Path, data: bytes, *, over_image: bool = False, keep_times: bool = False
) -> None:
    """Replace the content of a user's file in one step.

    Owner, group, permissions, extended attributes and links to it are kept. The new content is
    on the disk before the old one is gone.

    Args:
        path: The file, which exists.
        data: Its new content.
        over_image: Allow to replace an image.
        keep_times: Keep the times of the last access and change, too.

    Raises:
        ProtectedFileError: It would replace an image.
        StorageError: It cannot be written, or not with the same owner.
    """
    with storage_errors(path):
        target = Path(os.path.realpath(path, strict=True))
    # Until it has the old file's permissions, nobody else may read it.
    with writing(target, over_image=over_image, mode=0o600, sweep=False) as temporary:
        with temporary.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        copy_attributes(target, temporary, times=keep_times)


def check_place(path: Path) -> None:
    """Check that a file can have this name.

    Raises:
        StorageError: A folder has that name, or the name is not possible.
    """
    with storage_errors(path):
        if path.is_dir():
            raise StorageError(f"Cannot write {path}: it is a folder")


def _check_regular(path: Path) -> None:
    """Refuse to replace a device or a pipe (`/dev/null`) by renaming."""
    try:
        mode = path.stat().st_mode
    except (OSError, ValueError):
        return  # missing, or writing will find what is wrong
    if not stat.S_ISREG(mode) and not stat.S_ISDIR(mode):
        raise StorageError(f"Cannot write {path}: it is not a regular file")


_BAD_PLACES = (
    *(errno.ENOENT, errno.ENOTDIR, errno.EISDIR, errno.EEXIST),
    *(errno.ENAMETOOLONG, errno.ELOOP, errno.EIO, errno.EFBIG),
    errno.EINVAL,  # such as names with a colon on Windows or a memory card
    errno.EILSEQ,  # names that are not text, on some disks
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
            # Windows also refuses to replace files that are open somewhere.
            hint = "Close the program that has it open." if sys.platform == "win32" else ""
            raise StorageError(f"Not allowed to write {path}", hint=hint) from error
        if error.errno in _BAD_PLACES:
            raise StorageError(f"Cannot write {path}: {error.strerror}") from error
        raise
