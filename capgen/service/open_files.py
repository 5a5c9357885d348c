"""How many files a process may have open: each connection is one."""

from __future__ import annotations

import sys

# For the model, the log, downloads, and connections that are refused.
_SPARE = 1024


def allow_connections(connections: int) -> None:
    """Raise the process's limit of open files, as far as it may, to what connections need.

    Many systems begin with 256 or 1,024. Without a file for one more connection, asyncio logs a
    traceback per attempt, hundreds of times a second.
    """
    if sys.platform == "win32":  # which has no such limit
        return
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = connections + _SPARE
    if hard != resource.RLIM_INFINITY:
        wanted = min(wanted, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
