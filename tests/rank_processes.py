"""Processes that share a training run, started without a launcher: its environment set by hand.

They are forked from a program that has imported everything, which would take each one seconds.
"""

from __future__ import annotations

import atexit
import functools
import gc
import importlib
import json
import os
import re
import socket
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from capgen.metrics.meteor import MeteorScorer

ROOT = Path(__file__).parent.parent
_NEEDED = (
    *("accelerate", "torch.distributed", "capgen.training.processes.group"),
    *("capgen.training.run.train_stages", "capgen.metrics.score", "capgen.cli.train.progress"),
    *("transformers.models.bert.modeling_bert", "transformers.models.vit.modeling_vit"),
    *("transformers.models.clip.modeling_clip", "transformers.models.gpt2.modeling_gpt2"),
    *("PIL.JpegImagePlugin", "torch.utils.data", "tests.integration.training.rank_program"),
)


@dataclass(frozen=True)
class Ended:
    """A process that has ended.

    Attributes:
        code: Its exit code, negative for a signal.
        text: What it wrote, on both streams.
    """

    code: int
    text: str

    @property
    def killed_at(self) -> float:
        """When it killed itself, in seconds since the epoch."""
        found = re.search(r"killed at ([\d.]+)", self.text)
        assert found, self.text
        return float(found[1])


def run_ranks(
    files: Sequence[Path],
    count: int,
    *,
    fault: str = "",
    environment: Mapping[str, str] | None = None,
    folders: Sequence[Path] = (),
) -> list[Ended]:
    """Run `rank_program` in processes that share the work; return how each ended, by rank.

    Args:
        files: Its arguments.
        count: How many processes.
        fault: See there.
        environment: More variables.
        folders: The working folder of each process, which then is a machine of its own.
    """
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    shared = {
        "CAPGEN_HOME": os.environ["CAPGEN_HOME"],
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": str(port),
        "WORLD_SIZE": str(count),
        "FAULT": fault or "none:0:0",
        **(environment or {}),
    }
    ranks = []
    for rank in range(count):
        folder = folders[rank] if folders else ROOT
        own = {**shared, "RANK": str(rank), "LOCAL_RANK": "0" if folders else str(rank)}
        if folders:
            own |= {"GROUP_RANK": str(rank), "CAPGEN_HOME": str(folder / "home")}
            own["TMPDIR"] = str(folder)
        log = (folder / files[0]).parent / f"rank-{rank}.log"
        ranks.append({"environment": own, "folder": str(folder), "log": str(log)})
    server = _server()
    request = {"files": [str(file) for file in files], "ranks": ranks}
    server.stdin.write(json.dumps(request) + "\n")
    server.stdin.flush()
    codes = json.loads(server.stdout.readline())
    texts = (Path(rank["log"]).read_text(encoding="utf-8") for rank in ranks)
    return [Ended(code, text) for code, text in zip(codes, texts, strict=True)]


@functools.cache
def _server() -> Any:
    server = subprocess.Popen(
        [sys.executable, "-m", "tests.rank_processes"],
        cwd=ROOT,
        env={**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    atexit.register(server.kill)
    return server


def _serve() -> None:
    for name in _NEEDED:
        importlib.import_module(name)
    MeteorScorer()  # reads WordNet, for all
    gc.freeze()
    for line in sys.stdin:
        request = json.loads(line)
        started = [_fork(rank, request["files"]) for rank in request["ranks"]]
        codes = [os.waitstatus_to_exitcode(os.waitpid(process, 0)[1]) for process in started]
        print(json.dumps(codes), flush=True)


def _fork(rank: Mapping[str, Any], files: Sequence[str]) -> int:
    process = os.fork()
    if process:
        return process
    code = 99
    try:
        with Path(rank["log"]).open("wb") as log:
            os.dup2(log.fileno(), 1)
            os.dup2(log.fileno(), 2)
        os.environ.update(rank["environment"])
        os.chdir(rank["folder"])
        from tests.integration.training.rank_program import run_rank

        tempfile.tempdir = None  # that of the folder, if it has one
        code = run_rank([Path(file) for file in files])
        atexit._run_exitfuncs()
        sys.stdout.flush()
        sys.stderr.flush()
    finally:
        os._exit(code)


if __name__ == "__main__":
    _serve()
