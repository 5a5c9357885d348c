"""Places and atomic writes, on a full disk and where one may not write, too."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from pathlib import Path

import pytest

from capgen import paths
from capgen.errors import DiskFullError, ProtectedFileError, StorageError, UsageError
from tests.fakes import names

ROOT = Path(paths.__file__).parent.parent
NOBODY = 65534


def test_everything_lies_under_capgen_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CAPGEN_HOME", str(tmp_path))
    places = (paths.data_dir(), paths.runs_dir(), paths.datasets_dir(), paths.cache_dir())
    assert places == (tmp_path, tmp_path / "runs", tmp_path / "datasets", tmp_path / "cache")
    assert paths.config_file() == tmp_path / "config.toml"
    monkeypatch.setenv("CAPGEN_HOME", "~/captions")
    assert paths.data_dir() == Path.home() / "captions"


def test_a_run_is_called_by_its_name(home: Path) -> None:
    assert paths.run_name(home / "runs" / "first") == "first"
    assert paths.run_name(home / "elsewhere") == str(home / "elsewhere")


def test_without_capgen_home_the_platforms_folders(
    isolation: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CAPGEN_HOME", "")
    for name in ("XDG_DATA_HOME", "XDG_CACHE_HOME", "XDG_CONFIG_HOME"):
        monkeypatch.delenv(name, raising=False)
    for place in (paths.data_dir(), paths.cache_dir(), paths.config_file()):
        assert place.is_relative_to(isolation)
        assert "capgen" in place.parts
    assert list(isolation.iterdir()) == []  # asking makes nothing


def test_the_bundled_model_is_there() -> None:
    assert (paths.bundled_model_dir() / "config.json").is_file()


def test_a_file_appears_complete_with_its_folder(tmp_path: Path) -> None:
    path = tmp_path / "new" / "folder" / "x.txt"
    with paths.writing(path) as temporary:
        temporary.write_text("half")
        assert not path.exists()
        temporary.write_text("whole")
    assert path.read_text() == "whole"
    assert names(path.parent) == ["x.txt"]


@pytest.mark.parametrize("failure", [RuntimeError, KeyboardInterrupt, SystemExit])
def test_a_failed_write_leaves_the_old_file(tmp_path: Path, failure: type[BaseException]) -> None:
    path = tmp_path / "x.txt"
    path.write_text("old")
    with pytest.raises(failure), paths.writing(path) as temporary:
        temporary.write_text("new")
        raise failure
    assert path.read_text() == "old"
    assert names(tmp_path) == ["x.txt"]


def test_text_is_utf8_with_plain_newlines(tmp_path: Path) -> None:
    paths.write_text(tmp_path / "x", "é\n")
    assert (tmp_path / "x").read_bytes() == b"\xc3\xa9\n"


def test_a_full_disk(small_disk: Path) -> None:
    path = small_disk / "x.txt"
    paths.write_text(path, "old")
    with pytest.raises(StorageError, match="No space left") as caught:
        paths.write_text(path, "x" * 1_000_000)
    assert str(path) in caught.value.message
    assert path.read_text() == "old"
    assert names(small_disk) == ["x.txt"]


def test_a_folder_one_may_not_write(tmp_path: Path) -> None:
    code = f"""
import os, sys
from pathlib import Path
from capgen.errors import DiskFullError, ProtectedFileError, StorageError
from capgen.paths import write_text
if os.geteuid() == 0:
    os.setgid({NOBODY}); os.setuid({NOBODY})
try:
    write_text(Path(sys.argv[1]), "x")
except StorageError as error:
    print(error.message)
"""
    tmp_path.chmod(0o555)
    for parent in (tmp_path, *tmp_path.parents[:-1]):
        if parent.owner() == tmp_path.owner() and not parent.stat().st_mode & 0o001:
            parent.chmod(parent.stat().st_mode | 0o011)
    result = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "x.txt")],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert result.stdout == f"Not allowed to write {tmp_path / 'x.txt'}\n"


@pytest.mark.parametrize(
    "place",
    ["file/x.txt", "folder", "n" * 300, "loop/x.txt"],
    ids=["file", "folder", "long", "loop"],
)
def test_places_that_cannot_be_written(tmp_path: Path, place: str) -> None:
    (tmp_path / "file").write_text("")
    (tmp_path / "folder").mkdir()
    (tmp_path / "loop").symlink_to("loop")
    before = names(tmp_path)
    with pytest.raises(StorageError) as caught:
        paths.write_text(tmp_path / place, "x")
    assert str(tmp_path / place) in caught.value.message
    assert names(tmp_path) == before


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="there is no /proc")
def test_a_folder_that_makes_no_files() -> None:
    with pytest.raises(StorageError, match=r"Cannot write /proc/x\.txt"):
        paths.write_text(Path("/proc/x.txt"), "x")


@pytest.mark.parametrize(
    "name",
    ["a:b.jpg", "a\\b", "what?.txt", "end.", "end ", "NUL", "nul.txt", "Com1.log", "a\nb", ""],
)
def test_names_that_windows_refuses(name: str) -> None:
    assert not paths.works_everywhere(name)


@pytest.mark.parametrize("name", ["photo.jpg", "été.jpg", ".hidden", "console", "null", "a.b c"])
def test_names_that_work_everywhere(name: str) -> None:
    assert paths.works_everywhere(name)


def test_names_that_are_one_file_on_macos_or_windows() -> None:
    assert paths.folded("Café.JPG") == paths.folded("cafe\u0301.jpg")
    assert paths.folded("a") != paths.folded("b")


def test_names_that_a_file_system_refuses(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match="Invalid argument"), paths.storage_errors(tmp_path):
        raise OSError(errno.EINVAL, os.strerror(errno.EINVAL))


def test_windows_says_not_allowed_of_files_in_use(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "captions.csv"
    monkeypatch.setattr(sys, "platform", "win32")
    with pytest.raises(StorageError, match="Not allowed") as caught, paths.storage_errors(path):
        raise PermissionError(errno.EACCES, "used by another process")
    assert "Close the program" in caught.value.hint


# --- what is not replaced


JPEG = b"\xff\xd8\xff\xe0 an image"


def test_text_does_not_take_a_images_place(tmp_path: Path) -> None:
    path = tmp_path / "x.html"
    path.write_bytes(JPEG)
    with pytest.raises(ProtectedFileError, match=r"x\.html is a JPEG image"):
        paths.write_text(path, "captions")
    assert path.read_bytes() == JPEG
    assert names(tmp_path) == ["x.html"]
    with paths.writing(path, over_image=True) as temporary:
        temporary.write_bytes(JPEG + b"!")
    assert path.read_bytes() == JPEG + b"!"


def test_a_device_or_a_pipe_is_not_replaced(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "null").symlink_to("/dev/null")
    for name in ("pipe", "null"):
        with pytest.raises(StorageError, match="not a regular file"):
            paths.write_text(tmp_path / name, "captions")
    assert names(tmp_path) == ["null", "pipe"]
    assert (tmp_path / "pipe").is_fifo() and (tmp_path / "null").is_symlink()


def test_a_users_file_keeps_its_permissions_and_its_link(tmp_path: Path) -> None:
    (tmp_path / "real").write_text("old")
    (tmp_path / "real").chmod(0o600)
    (tmp_path / "link").symlink_to("real")
    paths.replace_file(tmp_path / "link", b"new")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "real").read_bytes() == b"new"
    assert (tmp_path / "real").stat().st_mode & 0o777 == 0o600
    (tmp_path / "loop").symlink_to("loop")
    for name in ("loop", "missing"):
        with pytest.raises(StorageError, match=name):
            paths.replace_file(tmp_path / name, b"new")
    (tmp_path / "real").write_bytes(JPEG)
    with pytest.raises(ProtectedFileError):
        paths.replace_file(tmp_path / "link", b"new")


def test_no_space_is_told_apart(tmp_path: Path) -> None:
    for number in (errno.ENOSPC, errno.EDQUOT):
        with pytest.raises(DiskFullError), paths.storage_errors(tmp_path):
            raise OSError(number, os.strerror(number))
    with pytest.raises(StorageError) as caught, paths.storage_errors(tmp_path):
        raise OSError(errno.EROFS, os.strerror(errno.EROFS))
    assert not isinstance(caught.value, DiskFullError)


@pytest.mark.parametrize("name", ["", ".a", "a/b", "a b", "a.", "x" * 81, "nul", "COM1.txt", "ä"])
def test_names_that_nothing_kept_can_have(name: str) -> None:
    with pytest.raises(UsageError, match="cannot be a run's name"):
        paths.check_name(name, "a run")


@pytest.mark.parametrize("name", ["a", "flickr8k", "my-run_2.1", "x" * 80])
def test_names_that_it_can_have(name: str) -> None:
    assert paths.check_name(name, "a run") == name
