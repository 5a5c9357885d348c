from __future__ import annotations

import errno
import subprocess
import sys
from pathlib import Path

import filelock
import pytest

from capgen.errors import StorageError
from capgen.locks import Lock

# Holds the lock until its stdin is closed.
HOLDER = """
import sys
from pathlib import Path
from capgen.locks import Lock
lock = Lock(Path(sys.argv[1]))
print(lock.take(), flush=True)
sys.stdin.read()
"""


@pytest.fixture(params=["here", "windows"])
def system(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Locks as on this machine, and as on Windows."""
    if request.param == "windows" and filelock.FileLock:  # which keeps what it has imported
        monkeypatch.setitem(sys.modules, "fcntl", None)
    return str(request.param)


@pytest.mark.usefixtures("system")
def test_one_has_it_at_a_time_and_the_content_stays(tmp_path: Path) -> None:
    path = tmp_path / "journal"
    path.write_text("content")
    first, second = Lock(path), Lock(path)
    assert first.take()
    assert not second.take()
    first.release()
    assert second.take()
    second.release()
    assert path.read_text() == "content"


@pytest.mark.usefixtures("system")
def test_it_is_given_back_whatever_happens(tmp_path: Path) -> None:
    lock = Lock(tmp_path / "new" / "folder" / ".lock")
    assert list(lock.wait()) == []
    with pytest.raises(ZeroDivisionError), lock.held():
        raise ZeroDivisionError
    assert Lock(tmp_path / "new" / "folder" / ".lock").take()


def test_who_waits_says_so_once_and_gets_it_when_the_holder_is_killed(tmp_path: Path) -> None:
    path = tmp_path / "x.lock"
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert holder.stdout is not None
    assert holder.stdout.readline() == "True\n"
    waiting = Lock(path, "counting sheep").wait()
    assert next(waiting) == "Another process is counting sheep; waiting for it"
    holder.kill()
    assert list(waiting) == []
    holder.communicate()


@pytest.mark.parametrize("code", [errno.ENOLCK, errno.ENOTSUP, errno.ENOSYS])
def test_on_a_drive_without_locks_nobody_waits(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int
) -> None:
    """Installing a data set on such a network drive ended with a traceback."""
    fcntl = pytest.importorskip("fcntl")

    def flock(file: object, operation: int) -> None:
        raise OSError(code, "No locks available")

    monkeypatch.setattr(fcntl, "flock", flock)
    assert list(Lock(tmp_path / "x.lock", "counting").wait()) == []


def test_a_place_where_nobody_may_write(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError):
        Lock(tmp_path / "file" / "x.lock").take()
