"""Does recording in Weights & Biases work here? Sends a small run and reads it back.

The run goes the way of a training run: the same process, the same messages.
"""

from __future__ import annotations

import dataclasses
import importlib.metadata
import importlib.util
import json
import os
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from PIL import Image

from capgen.errors import DataError
from capgen.records import Check
from capgen.training.tracking.wandb.offline_file import read_wandb_file
from capgen.training.tracking.wandb.tracker import FOLDER, start_process
from capgen.training.tracking.wandb.worker import WorkerLostError

PROJECT = "capgen-doctor"
_VALUES = (3.0, 2.0, 1.0)
_METADATA = {"criterion": "meteor-centric", "epoch": 1, "metrics": {"METEOR": 0.5}}
_CAPTION = "a blue image"
_CONTENT = "a file that capgen sends to see whether it arrives\n"
_LOGIN = "Run `wandb login` or set WANDB_API_KEY; where offline is meant, set WANDB_MODE=offline."
_NETWORK = "Look at the network and WANDB_BASE_URL, or set WANDB_MODE=offline and sync later."
_DAMAGED = "Look at the space on the disk and reinstall wandb (pip install -U wandb)."


@dataclass(frozen=True, kw_only=True)
class Probe:
    """What a probe found.

    Attributes:
        mode: `online`, `offline` or `disabled`: how runs are recorded.
        checks: What was looked at, in order.
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


def probe_wandb(*, seconds: float = 120.0) -> Probe:
    """Send a small run with a number, a table and an artifact, and read it back.

    Online it is read through W&B's API and deleted afterwards; offline from its file.

    Args:
        seconds: Longest time to wait for the run to be sent.
    """
    if importlib.util.find_spec("wandb") is None:
        missing = Check(
            name="package", ok=False, detail="wandb is not installed", cure="pip install wandb"
        )
        return Probe(mode="disabled", checks=(missing,))
    package = Check(name="package", ok=True, detail=f"wandb {importlib.metadata.version('wandb')}")
    if os.environ.get("WANDB_MODE") == "disabled":
        off = Check(
            name="mode",
            ok=False,
            detail="WANDB_MODE is 'disabled': runs are not recorded",
            cure="Unset WANDB_MODE, or set it to online or offline.",
        )
        return Probe(mode="disabled", checks=(package, off))
    with tempfile.TemporaryDirectory(prefix="capgen-doctor-", ignore_cleanup_errors=True) as place:
        attempt = _Attempt(Path(place))
        sent = attempt.send(seconds)
        checks = [package, *attempt.login(), sent]
        if sent.ok:
            checks += attempt.online() if attempt.mode == "online" else attempt.offline()
        return Probe(mode=attempt.mode, checks=tuple(checks))


@dataclass
class _Attempt:
    """One run in a folder of its own."""

    folder: Path
    heard: list[str] = field(default_factory=list)

    def send(self, seconds: float) -> Check:
        """Send the run."""
        image = self.folder / "photo.png"
        Image.new("RGB", (32, 24), (11, 87, 164)).save(image)
        model = self.folder / "model"
        model.mkdir()
        (model / "file.txt").write_text(_CONTENT, encoding="utf-8")
        worker = start_process(self.folder, self.heard.append)
        try:
            for message in _messages(image, model):
                worker.send(message)
            if worker.close(seconds):
                return Check(name="run", ok=True, detail=f"sent ({self.mode})")
        except WorkerLostError as error:
            return Check(name="run", ok=False, detail=str(error), cure=_DAMAGED)
        worker.kill()
        return Check(
            name="run", ok=False, detail=f"not sent within {seconds:.0f} seconds", cure=_NETWORK
        )

    @property
    def mode(self) -> str:
        """How the run was recorded."""
        return "online" if any("://" in line.split()[-1] for line in self.heard) else "offline"

    def login(self) -> Iterator[Check]:
        """Say what stands in the way of recording online, if that is wanted."""
        wanted = os.environ.get("WANDB_MODE", "online")
        if wanted != "online":
            yield Check(name="online", ok=True, detail=f"not needed: WANDB_MODE is '{wanted}'")
            return
        reason = next((line for line in self.heard if "Recording offline" in line), "")
        if not reason:
            yield Check(name="online", ok=True, detail="logged in")
            return
        detail = reason.removeprefix("W&B: ").removesuffix(" Recording offline.")
        cure = _LOGIN if "API key" in detail or "login" in detail else _NETWORK
        yield Check(
            name="online", ok=False, detail=f"{detail} Runs are recorded offline.", cure=cure
        )

    def offline(self) -> Iterator[Check]:
        """Read the run back from its file."""
        files = sorted((self.folder / FOLDER).glob("offline-run-*/*.wandb"))
        if not files:
            yield Check(name="file", ok=False, detail="no run file was written", cure=_DAMAGED)
            return
        try:
            found = read_wandb_file(files[0])
        except DataError as error:
            yield Check(name="file", ok=False, detail=error.message, cure=_DAMAGED)
            return
        yield _check("number", found.curve("train/loss") == list(_VALUES), "train/loss")
        tables = [point["samples"] for point in found.history if "samples" in point]
        content: dict[str, Any] = {}
        if tables:
            content = json.loads((files[0].parent / "files" / tables[0]["path"]).read_bytes())
        rows = content.get("data", [])
        yield _check("table", bool(rows) and _CAPTION in rows[0], "samples")
        sent = [artifact for artifact in found.artifacts if artifact["name"] == "doctor"]
        whole = bool(sent) and sent[0]["metadata"] == _METADATA
        local = Path(sent[0]["files"].get("file.txt", "")) if whole else Path()
        whole = whole and local.is_file() and local.read_text(encoding="utf-8") == _CONTENT
        yield _check("artifact", whole, "doctor")

    def online(self) -> Iterator[Check]:
        """Read the run back through the API, and delete it."""
        import wandb

        state = json.loads((self.folder / FOLDER / "run.json").read_text(encoding="utf-8"))
        try:
            run = wandb.Api(timeout=30).run(state["path"])
            points = list(run.scan_history(keys=["train/loss"]))
            names = {artifact.name.split(":")[0]: artifact for artifact in run.logged_artifacts()}
            summary: Any = run.summary
            table = summary.get("samples")
            run.delete(delete_artifacts=True)
        except (wandb.errors.Error, ValueError) as error:
            yield Check(name="read back", ok=False, detail=str(error), cure=_NETWORK)
            return
        yield _check("number", [point["train/loss"] for point in points] == list(_VALUES), "loss")
        yield _check("table", table is not None, "samples")
        sent = names.get("doctor")
        yield _check("artifact", sent is not None and sent.metadata == _METADATA, "doctor")


def _messages(image: Path, model: Path) -> Iterator[dict[str, Any]]:
    """Yield the messages of a small run (see `wandb_process`)."""
    start = {"project": PROJECT, "name": "doctor", "config": {"a": 1}}
    yield {"kind": "start", **start, "checkpoints": "none"}
    for step, value in enumerate(_VALUES, start=1):
        yield {"kind": "log", "step": step, "epoch": 1, "values": {"train/loss": value}}
    row = {
        "metrics": {"METEOR": 0.5},
        "references": [_CAPTION],
        "path": str(image),
        "caption": _CAPTION,
        "image": image.name,
        "followed": True,
    }
    yield {"kind": "samples", "step": len(_VALUES), "epoch": 1, "rows": [row]}
    artifact = {"name": "doctor", "folder": str(model), "aliases": ["epoch-1"]}
    yield {"kind": "artifact", **artifact, "metadata": _METADATA}


def _check(name: str, ok: bool, what: str) -> Check:
    if ok:
        return Check(name=name, ok=True, detail=f"'{what}' came back as it was sent")
    return Check(name=name, ok=False, detail=f"'{what}' is missing or differs", cure=_DAMAGED)
