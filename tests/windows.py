"""Windows and macOS, as far as they can be simulated here.

Not the systems themselves: what their Python lacks, and what they refuse.
"""

from __future__ import annotations

import builtins
import errno
import os
import shutil
import stat
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

from capgen import temporary_files

# Modules that Python has on POSIX only.
MODULES = (
    "fcntl",
    "grp",
    "posix",
    "pty",
    "pwd",
    "readline",
    "resource",
    "syslog",
    "termios",
    "tty",
)
# Names of modules that it has on POSIX only, or not on Windows.
_NAMES = {
    "os": """chown chroot confstr ctermid fchdir fchmod fchown fdatasync fork forkpty fstatvfs
        getegid geteuid getgid getgroups getloadavg getpgid getpgrp getpriority getsid getuid
        initgroups killpg lchown lockf memfd_create mkfifo mknod nice openpty pipe2 posix_fadvise
        posix_fallocate posix_spawn pread pwrite readv sched_getaffinity sched_setaffinity sendfile
        setgid setpgid setpgrp setpriority setsid setuid statvfs sync sysconf tcgetpgrp ttyname
        uname wait wait3 wait4 waitid writev WNOHANG WIFEXITED WIFSIGNALED WEXITSTATUS WTERMSIG
        O_CLOEXEC O_DIRECTORY O_DSYNC O_NOCTTY O_NOFOLLOW O_NONBLOCK O_SYNC""",
    "signal": """alarm getitimer pause pthread_kill pthread_sigmask setitimer siginterrupt
        sigpending sigtimedwait sigwait sigwaitinfo SIGALRM SIGBUS SIGCHLD SIGCONT SIGHUP SIGKILL
        SIGPIPE SIGPROF SIGQUIT SIGSTOP SIGTSTP SIGTTIN SIGTTOU SIGUSR1 SIGUSR2 SIGWINCH""",
    "sys": "",
    "time": "clock_gettime pthread_getcpuclockid tzset",
}
LACKING = {module: frozenset(names.split()) for module, names in _NAMES.items()}


class StandIn(ModuleType):
    """A module without some of its names."""

    def __init__(self, real: ModuleType, lacking: frozenset[str], **changed: Any) -> None:
        self.__dict__.update(_real=real, _lacking=lacking, **changed)

    def __getattr__(self, name: str) -> Any:
        if name in self._lacking:
            raise AttributeError(f"Windows has no {self._real.__name__}.{name}")
        return getattr(self._real, name)

    def __setattr__(self, name: str, value: Any) -> None:
        setattr(self._real, name, value)


def pretend_windows() -> None:
    """Let the modules of capgen that are imported from now on, and only they, see Windows."""
    real_import = builtins.__import__
    stand_ins = {
        name: StandIn(sys.modules[name] if name in sys.modules else real_import(name), lacking)
        for name, lacking in LACKING.items()
    }
    stand_ins["sys"].__dict__["platform"] = "win32"

    def importing(name: str, globals: Any = None, *others: Any, **named: Any) -> Any:
        if str((globals or {}).get("__name__", "")).startswith("capgen"):
            if name in MODULES:
                raise ModuleNotFoundError(f"Windows has no {name}", name=name)
            if name in stand_ins:
                return stand_ins[name]
        return real_import(name, globals, *others, **named)

    builtins.__import__ = importing


@contextmanager
def open_files_stay() -> Iterator[None]:
    """Refuse to remove, rename or replace files that this process has open or mapped.

    And folders that such files are in, as Windows does.
    """
    names = ("remove", "unlink", "rename", "replace")
    before = {name: getattr(os, name) for name in names}
    with_descriptors = shutil._use_fd_functions  # type: ignore[attr-defined]
    for name in names:
        setattr(os, name, _refusing(before[name]))
    shutil._use_fd_functions = False  # type: ignore[attr-defined]  # full paths, as on Windows
    own = temporary_files.OPEN_FILES_STAY
    temporary_files.OPEN_FILES_STAY = True
    try:
        yield
    finally:
        temporary_files.OPEN_FILES_STAY = own
        shutil._use_fd_functions = with_descriptors  # type: ignore[attr-defined]
        for name in names:
            setattr(os, name, before[name])


def _refusing(change: Callable[..., None]) -> Callable[..., None]:
    def changed(*places: Any, **options: Any) -> None:
        held = _held()
        for place in map(os.fspath, places):
            where = str(Path(place).parent.resolve() / Path(place).name)
            if any(file.startswith(f"{where}{os.sep}") or _same(file, where) for file in held):
                raise PermissionError(errno.EACCES, "another program uses the file", place)
        change(*places, **options)

    return changed


def _same(one: str, other: str) -> bool:
    """Whether two paths are one file: hard links are."""
    try:
        first, second = os.lstat(one), os.lstat(other)
    except OSError:
        return False
    return stat.S_ISREG(first.st_mode) and os.path.samestat(first, second)


def _held() -> set[str]:
    """Return the files that this process has open or mapped."""
    held = set()
    for descriptor in Path("/proc/self/fd").iterdir():
        try:
            held.add(str(descriptor.readlink()))
        except OSError:
            continue
    for line in Path("/proc/self/maps").read_text().splitlines():
        *_, last = line.split(maxsplit=5)
        if last.startswith("/"):
            held.add(last)
    return held
