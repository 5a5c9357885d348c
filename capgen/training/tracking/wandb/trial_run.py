"""Checks that recording in Weights & Biases works: sends a small run, as training would."""

from __future__ import annotations

import dataclasses
import importlib.metadata
import json
import os
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from capgen.records import Check
from capgen.training.tracking.wandb.tracker import FOLDER, STATE_FILE, start_process
from capgen.training.tracking.wandb.worker import WorkerLostError

PROJECT = "capgen-doctor"
_LOGIN = "Run `wandb login` or set WANDB_API_KEY. To record offline, set WANDB_MODE=offline."
_NETWORK = "Check the network and WANDB_BASE_URL, or set WANDB_MODE=offline and sync later."
_DAMAGED = "Check the free disk space and reinstall wandb (pip install -U wandb)."
_MODE = "Unset WANDB_MODE, or set it to online or offline."


@dataclass(frozen=True, kw_only=True)
class TrialRun:
    """The result of a small run.

    Attributes:
        mode: How runs are recorded: `online`, `offline` or `disabled`.
        checks: The checks, in order.
    """

    mode: str
    checks: tuple[Check, ...]

    @property
    def ok(self) -> bool:
        """Whether everything works."""
        return all(check.ok for check in self.checks)

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON form."""
        checks = [dataclasses.asdict(check) for check in self.checks]
        return {"ok": self.ok, "mode": self.mode, "checks": checks}


def send_trial_run(*, seconds: float = 120.0) -> TrialRun:
    """Send a small run within `seconds`; delete it if it arrived online."""
    package = Check("package", True, f"wandb {importlib.metadata.version('wandb')}")
    wanted = os.environ.get("WANDB_MODE", "online")
    if wanted == "disabled":
        off = Check("mode", False, "WANDB_MODE is 'disabled': runs are not recorded", _MODE)
        return TrialRun(mode=wanted, checks=(package, off))
    with tempfile.TemporaryDirectory(prefix="capgen-doctor-", ignore_cleanup_errors=True) as place:
        messages: list[str] = []
        failure, hint = _send(Path(place), messages, seconds)
        mode = "online" if any("://" in line.split()[-1] for line in messages) else "offline"
        run = Check("run", not failure, failure or f"sent ({mode})", hint)
        checks = [package, _online(wanted, messages), run]
        if run.ok:
            checks.append(_arrived(Path(place), mode))
        return TrialRun(mode=mode, checks=tuple(checks))


def _send(folder: Path, messages: list[str], seconds: float) -> tuple[str, str]:
    """Send three numbers; return the failure, if any, and its hint."""
    worker = start_process(folder, messages.append)
    try:
        worker.send("start", project=PROJECT, name="doctor", config={}, checkpoints="none")
        for step in (1, 2, 3):
            worker.send("log", step=step, epoch=1, values={"train/loss": 1 / step})
        if worker.close(seconds):
            return "", ""
    except WorkerLostError as error:
        return str(error), _DAMAGED
    worker.kill()
    return f"not sent within {seconds:.0f} seconds", _NETWORK


def _online(wanted: str, messages: list[str]) -> Check:
    """Check whether runs are recorded online, if that is wanted."""
    if wanted != "online":
        return Check("online", True, f"not needed: WANDB_MODE is '{wanted}'")
    reason = next((line for line in messages if "Recording offline" in line), "")
    if not reason:
        return Check("online", True, "logged in")
    detail = reason.removeprefix("W&B: ").removesuffix(" Recording offline.")
    hint = _LOGIN if "API key" in detail or "login" in detail else _NETWORK
    return Check("online", False, f"{detail} Runs are recorded offline.", hint)


def _arrived(folder: Path, mode: str) -> Check:
    """Check that the run is where it should be; delete it online."""
    if mode == "offline":
        files = (folder / FOLDER).glob("offline-run-*/*.wandb")
        if any(file.stat().st_size for file in files):
            return Check("file", True, "the run's file was written")
        return Check("file", False, "the run's file was not written", _DAMAGED)
    import wandb

    state = json.loads((folder / FOLDER / STATE_FILE).read_text(encoding="utf-8"))
    try:
        wandb.Api(timeout=30).run(state["path"]).delete()
    except (wandb.errors.Error, ValueError) as error:
        return Check("arrived", False, str(error), _NETWORK)
    return Check("arrived", True, f"found in {PROJECT}, and deleted")
