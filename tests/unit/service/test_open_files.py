"""The limit of open files."""

from __future__ import annotations

import subprocess
import sys

import pytest

CODE = """
import resource
from capgen.service.open_files import allow_connections
hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
resource.setrlimit(resource.RLIMIT_NOFILE, ({soft}, {hard}))
allow_connections(512)
print(*resource.getrlimit(resource.RLIMIT_NOFILE))
"""


@pytest.mark.skipif(sys.platform == "win32", reason="there is no such limit")
@pytest.mark.parametrize(
    ("soft", "hard", "expected"), [(64, 4000, 1536), (64, 900, 900), (3000, 4000, 3000)]
)
def test_there_are_files_for_all_connections(soft: int, hard: int, expected: int) -> None:
    code = CODE.format(soft=soft, hard=hard)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == [str(expected), str(hard)]
