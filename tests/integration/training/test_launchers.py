"""The launchers of docs/training.md start runs in several processes, as far as one machine can."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys

import pytest

from capgen.models.run_events import read_events
from capgen.records import RunStarted
from capgen.training.run.folder import to_toml
from tests.conftest import ROOT
from tests.pages import blocks
from tests.training_runs import clip_config, of_kind

PAGE = ROOT / "docs" / "training.md"
SCRIPT = PAGE.with_name("train.sbatch")
PROGRAMS = {
    "torchrun": f'exec {sys.executable} -m torch.distributed.run "$@"',
    "accelerate": f'exec {sys.executable} -m accelerate.commands.accelerate_cli "$@"',
    "scontrol": "echo 127.0.0.1",
    # One task on each of two nodes, which are the same machine here.
    "srun": """shift
SLURM_NODEID=0 "$@" & first=$!
SLURM_NODEID=1 "$@" & second=$!
wait $first && wait $second""",
}


@pytest.fixture
def environment(tmp_path):
    """Variables with which the page's programs are found, or stand-ins for them."""
    programs = tmp_path / "programs"
    programs.mkdir()
    for name, body in PROGRAMS.items():
        (programs / name).write_text(f"#!/bin/sh\n{body}\n", encoding="utf-8")
        (programs / name).chmod(0o755)
    return {
        **os.environ,
        "PATH": f"{programs}:{os.environ['PATH']}",
        "PYTHONPATH": str(ROOT),
        "OMP_NUM_THREADS": "1",
    }


@pytest.fixture
def settings(tmp_path, data, parts):
    config = clip_config(tmp_path, data, batch_size=3, num_epochs=1, eval=False, test=False)
    file = tmp_path / "tiny.toml"
    lines = to_toml(config).splitlines()
    kept = [line for line in lines if not line.startswith("output_dir")]
    file.write_text("\n".join(kept), encoding="utf-8")
    return file


def free_port():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


def shell(script, environment, folder):
    return subprocess.run(
        ["bash", "-c", script], cwd=folder, env=environment, capture_output=True, text=True,
        timeout=240,
    )  # fmt: skip


def started(run):
    (event,) = of_kind(RunStarted, read_events(run))
    return event.processes, event.machines


@pytest.mark.slow
@pytest.mark.parametrize("launcher", ["torchrun --nproc-per-node", "accelerate launch"])
def test_the_commands_for_one_machine(tmp_path, environment, settings, launcher):
    (command,) = (
        line
        for block in blocks(PAGE)
        for line in block.text.splitlines()
        if line.startswith(launcher) and "--batch-size 256" in line
    )
    tiny = command.replace("--dataset coco --batch-size 256", f"--config {settings}")
    tiny = tiny.replace("4 -m", "2 -m").replace("--nproc", f"--master-port {free_port()} --nproc")
    # Where there is no GPU, accelerate has to be told to start several processes.
    tiny = tiny.replace("launch", f"launch --multi_gpu --main_process_port {free_port()}")
    done = shell(f"{tiny} --output-dir {tmp_path / 'run'} --json", environment, tmp_path)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["steps"] == 3  # said by one process
    assert started(tmp_path / "run") == (2, 1)


@pytest.mark.slow
def test_the_script_for_slurm(tmp_path, environment, settings):
    """Two nodes, with an agent of torchrun each; a job that is started again resumes."""
    script = SCRIPT.read_text(encoding="utf-8")
    checked = subprocess.run(["bash", "-n"], input=script, capture_output=True, text=True)
    assert checked.returncode == 0, checked.stderr
    tiny = script.replace("--dataset coco --batch-size 512", f"--config {settings}")
    tiny = tiny.replace("29400", str(free_port()))
    environment |= {
        "SLURM_JOB_ID": "7",
        "SLURM_JOB_NODELIST": "node[1-2]",
        "SLURM_NNODES": "2",
        "SLURM_GPUS_ON_NODE": "1",
        "SLURM_SUBMIT_DIR": str(tmp_path),
    }
    done = shell(tiny, environment, tmp_path)
    assert done.returncode == 0, done.stderr
    assert started(tmp_path / "captions-7") == (2, 2)
    (tmp_path / "programs" / "srun").write_text('#!/bin/sh\necho "$@"\n', encoding="utf-8")
    again = shell(tiny, environment, tmp_path)
    assert again.stdout.endswith(f"-m capgen train --resume {tmp_path / 'captions-7'}\n")
