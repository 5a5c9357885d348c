"""The process that talks to Weights & Biases: `python -m capgen.training.tracking.wandb.process`.

Reads messages (see `tracker`) until stdin ends, as it also does when the training process dies;
then sends the models and exits. Writes only into the run's folder. Never imports torch.
"""

from __future__ import annotations

import json
import os
import re
import secrets
import shutil
import signal
import sys
import threading
import traceback
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import wandb

from capgen.models.provenance import PROVENANCE_FILE
from capgen.paths import write_text
from capgen.training.tracking.sample_image import sample_image
from capgen.training.tracking.wandb.tracker import FOLDER, STATE_FILE

# Seconds to send the rest after the last message.
_LONGEST_END = 1800.0
_LONGEST_START = 60.0
_CHECKPOINTS = ("best-eval", "best-loss", "last")
_NOT_WORD = re.compile(r"[^A-Za-z0-9_.-]+")


class WandbRun:
    """One run, recorded from messages; `answer` gets messages for the training process."""

    def __init__(self, folder: Path, answer: Callable[..., None]) -> None:
        self._folder = folder
        self._answer = answer
        self._run: Any = None
        self._start: dict[str, Any] = {}
        self._sent: set[tuple[str, str, bool]] = set()
        # id; points logged; the highest training step and epoch among them
        self._state: dict[str, Any] = {"id": "", "points": 0, "step": 0, "epoch": 0, "tables": 0}

    def take(self, message: dict[str, Any]) -> None:
        """Handle a message."""
        work: dict[str, Callable[..., None]] = {
            "start": self._begin,
            "config": self._config,
            "log": self._log,
            "summary": self._summary,
            "samples": self._samples,
            "checkpoint": self._checkpoint,
        }
        work[message.pop("kind")](**message)

    def finish(self) -> None:
        """Send the models, then wait for everything to be sent."""
        if self._run is None:
            return
        if self._start["checkpoints"] != "none":
            for name in _CHECKPOINTS:
                self._send_checkpoint(name)
        self._run.finish()
        if self._run.offline:
            folder = self._run.settings.sync_dir
            self._answer(tell=f"W&B: recorded offline. Send with: wandb sync {folder}")
        else:
            shutil.rmtree(self._folder / FOLDER / "models", ignore_errors=True)  # W&B has them

    def _begin(self, **start: Any) -> None:
        self._start = start
        state = self._folder / FOLDER / STATE_FILE
        if state.is_file():
            self._state |= json.loads(state.read_text(encoding="utf-8"))
        self._state["id"] = self._state["id"] or secrets.token_hex(4)
        try:
            self._run = self._init()
        except wandb.errors.Error as error:
            reason = str(error).splitlines()[0].rstrip(".")
            wandb.teardown()  # the service holds the failed run's id
            self._run = self._init(mode="offline")
            self._answer(tell=f"W&B: {reason}. Recording offline.")
        if not self._run.offline:
            self._state["path"] = self._run.path  # entity/project/id
            self._answer(tell=f"W&B: {self._run.url}")
        for pattern in ("train/*", "val/*", "best/*", "learning_rate/*", "test/*"):
            self._run.define_metric(pattern, step_metric="step")
        self._keep_state()

    def _init(self, **changes: Any) -> Any:
        settings = wandb.Settings(
            root_dir=str(self._folder),
            console="off",
            silent=True,
            init_timeout=float(os.environ.get("WANDB_INIT_TIMEOUT", _LONGEST_START)),
            disable_git=True,
            disable_code=True,
            disable_job_creation=True,
            # No names of host and user, command line, packages or load: the run's own records
            # say what matters.
            x_disable_meta=True,
            x_disable_machine_info=True,
            x_disable_stats=True,
            x_save_requirements=False,
            **changes,
        )
        return wandb.init(
            project=self._start["project"],
            name=self._start["name"],
            id=self._state["id"],
            config=self._start["config"],
            resume="allow",
            settings=settings,
        )

    def _config(self, *, config: Mapping[str, Any]) -> None:
        self._run.config.update(config, allow_val_change=True)

    def _log(self, *, step: int, epoch: int, values: Mapping[str, float]) -> None:
        """Log numbers, except those that a run that was resumed after a kill repeats."""
        is_epoch = any(name.startswith(("val/", "train/epoch")) for name in values)
        known = self._state["epoch"] if is_epoch else self._state["step"]
        if (epoch if is_epoch else step) <= known and "run/seconds" not in values:
            return
        self._state["epoch" if is_epoch else "step"] = epoch if is_epoch else step
        self._point({"step": step, "epoch": epoch, **values})

    def _summary(self, *, step: int, epoch: int, values: Mapping[str, float]) -> None:
        self._point({"step": step, "epoch": epoch, **values})
        self._run.summary.update(dict(values))

    def _samples(self, *, step: int, epoch: int, rows: list[dict[str, Any]]) -> None:
        if epoch <= self._state["tables"]:
            return
        metrics = list(rows[0]["metrics"])
        columns = ["epoch", "photo", "image", "caption", "references", "followed", *metrics]
        table = wandb.Table(columns=columns)
        for row in rows:
            scores = [row["metrics"].get(name) for name in metrics]
            text = "\n".join(row["references"])
            caption, image = row["caption"], sample_image(row["path"])
            shown = image and wandb.Image(image, caption=caption, file_type="jpg")
            table.add_data(epoch, shown, row["image"], caption, text, row["followed"], *scores)
        self._state["tables"] = epoch
        self._point({"step": step, "epoch": epoch, "samples": table})

    def _checkpoint(self, *, name: str) -> None:
        if self._start["checkpoints"] == "each" and name != "last":
            self._send_checkpoint(name)

    def _send_checkpoint(self, name: str) -> None:
        """Send a model folder as it is now, described by its own record."""
        source = self._folder / name
        if not (source / PROVENANCE_FILE).is_file():
            return
        copy = _linked(source, self._folder / FOLDER / "models")
        record = json.loads((copy / PROVENANCE_FILE).read_text(encoding="utf-8"))
        training = record.get("training", {})
        epoch = int(training.get("epoch", 0))
        which = (name, str(record.get("created")), "test" in record.get("metrics", {}))
        if which in self._sent:
            return
        self._sent.add(which)
        metadata = {
            "checkpoint": name,
            "criterion": _criterion(name, training, measured="val" in record.get("metrics", {})),
            "epoch": epoch,
            "step": training.get("step"),
            "metrics": record.get("metrics", {}),
            "preset": record.get("preset"),
            "data": record.get("data"),
            "versions": record.get("versions"),
        }
        label = _NOT_WORD.sub("-", str(self._start["name"]))
        artifact = wandb.Artifact(f"{label}-{name}"[:128], type="model", metadata=metadata)
        for file in filter(Path.is_file, sorted(copy.rglob("*"))):
            # These files never change: they need not be copied to be sent later.
            place = file.relative_to(copy).as_posix()
            artifact.add_file(str(file), name=place, policy="immutable", skip_cache=True)
        self._run.log_artifact(artifact, aliases=[f"epoch-{epoch}"])

    def _point(self, values: Mapping[str, Any]) -> None:
        """Log at the next step of W&B's own axis, which never goes back."""
        self._run.log(dict(values), step=self._state["points"])
        self._state["points"] += 1
        self._keep_state()

    def _keep_state(self) -> None:
        write_text(self._folder / FOLDER / STATE_FILE, json.dumps(self._state) + "\n")


def _criterion(name: str, training: Mapping[str, Any], *, measured: bool) -> str:
    """Return what a checkpoint is the best by."""
    if not measured:
        return "newest"
    if name == "best-eval" and training.get("eval", True):
        return str(training.get("eval_strategy", ""))
    return "newest" if name == "last" else "loss"


def _linked(source: Path, place: Path) -> Path:
    """Return a copy of a model folder, made of hard links, that later models do not change.

    Training may replace the whole folder meanwhile; then this links again.
    """
    while True:
        mark = (source / PROVENANCE_FILE).stat().st_ino
        copy = place / f"{source.name}-{mark}"
        shutil.rmtree(copy, ignore_errors=True)
        shutil.copytree(source, copy, copy_function=_link)
        if (source / PROVENANCE_FILE).stat().st_ino == mark:
            return copy


def _link(source: str, target: str) -> None:
    try:
        os.link(source, target)
    except OSError:  # a file system without hard links
        shutil.copyfile(source, target)


def main() -> int:
    """Handle the messages on stdin; return the exit code."""
    # What wandb prints or asks must not mix with the messages.
    messages = os.fdopen(os.dup(0), encoding="utf-8")
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")

    def answer(**content: str) -> None:
        with suppress(OSError):  # the training process is gone
            print(json.dumps(content), file=answers, flush=True)

    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.dup2(2, 1)
    run = WandbRun(Path.cwd(), answer)
    try:
        for line in messages:
            run.take(json.loads(line))
        timer = threading.Timer(_LONGEST_END, os._exit, (1,))
        timer.daemon = True
        timer.start()
        run.finish()
    # On any failure the training process is told and continues without us.
    except Exception as error:
        answer(failed=f"{type(error).__name__}: {error}".splitlines()[0])
        with suppress(OSError):  # the log may be on a full disk
            traceback.print_exc()
        return _leave(1)
    return 0


def _leave(code: int) -> int:
    """Exit at once: wandb's exit handlers may wait for a service that is gone."""
    if hasattr(os, "killpg") and os.getpgrp() == os.getpid():
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        os.killpg(0, signal.SIGTERM)  # the service would linger
    os._exit(code)


if __name__ == "__main__":
    sys.exit(main())
