"""A file that is written anew keeps its owner, attributes and times."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from capgen import paths
from capgen.errors import StorageError

ROOT = Path(__file__).parents[2]
NOBODY = 65534
AS_ROOT = pytest.mark.skipif(
    not hasattr(os, "geteuid") or os.geteuid() != 0, reason="only root gives files away"
)


def make(path: Path) -> Path:
    path.write_text("old")
    os.utime(path, ns=(1_500_000_000_123_456_789, 1_400_000_000_987_654_321))
    return path


def test_mtime_stays_where_it_is_asked_for(tmp_path: Path) -> None:
    path = make(tmp_path / "a")
    before = path.stat()
    paths.replace_file(path, b"new", keep_times=True)
    assert path.read_bytes() == b"new"
    assert path.stat().st_mtime_ns == before.st_mtime_ns
    assert path.stat().st_ino != before.st_ino
    paths.replace_file(path, b"newer")
    assert path.stat().st_mtime_ns > before.st_mtime_ns


@AS_ROOT
def test_owner_and_group_stay(tmp_path: Path) -> None:
    path = make(tmp_path / "a")
    os.chown(path, 1234, 2345)
    path.chmod(0o664)
    paths.replace_file(path, b"new")
    assert (path.stat().st_uid, path.stat().st_gid) == (1234, 2345)
    assert path.stat().st_mode & 0o777 == 0o664


@pytest.mark.skipif(not hasattr(os, "setxattr"), reason="Linux only")
def test_extended_attributes_stay(tmp_path: Path) -> None:
    path = make(tmp_path / "a")
    try:
        os.setxattr(path, "user.rating", b"5")
    except OSError:
        pytest.skip("this drive has no extended attributes")
    paths.replace_file(path, b"new")
    assert os.getxattr(path, "user.rating") == b"5"


@pytest.mark.skipif(not hasattr(os, "setxattr"), reason="Linux only")
def test_a_file_that_would_lose_an_attribute_stays_as_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = make(tmp_path / "a")

    def refuse(*arguments: object) -> None:
        raise OSError(95, "Operation not supported")

    monkeypatch.setattr(os, "listxattr", lambda file: ["security.selinux", "user.rating"])
    monkeypatch.setattr(os, "getxattr", lambda file, name: b"5")
    monkeypatch.setattr(os, "setxattr", refuse)
    with pytest.raises(StorageError, match=r"attribute user\.rating"):
        paths.replace_file(path, b"new")
    assert path.read_text() == "old" and [p.name for p in tmp_path.iterdir()] == ["a"]
    monkeypatch.setattr(os, "listxattr", lambda file: ["security.selinux"])  # the system's own
    paths.replace_file(path, b"new")
    assert path.read_text() == "new"


@AS_ROOT
def test_a_file_that_would_get_another_owner_stays_as_it_is(tmp_path: Path) -> None:
    code = f"""
import os, sys
from pathlib import Path
from capgen import paths
from capgen.errors import StorageError
paths.replace_file(Path(sys.argv[1]).with_name("warm"), b"")  # imports everything while it may
os.setgroups([]); os.setgid({NOBODY}); os.setuid({NOBODY})
try:
    paths.replace_file(Path(sys.argv[1]), b"new")
except StorageError as error:
    print(error.message)
"""
    folder = tmp_path / "open"
    folder.mkdir()
    folder.chmod(0o777)
    for parent in tmp_path, *tmp_path.parents[:-1]:
        if not parent.stat().st_mode & 0o001:
            parent.chmod(parent.stat().st_mode | 0o011)
    path = make(folder / "a")
    make(folder / "warm")
    result = subprocess.run(
        [sys.executable, "-c", code, str(path)],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert "would not keep its owner" in result.stdout
    assert path.read_text() == "old"
    assert sorted(entry.name for entry in folder.iterdir()) == ["a", "warm"]
