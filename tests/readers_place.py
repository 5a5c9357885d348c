"""The reader's place: what the pages take for granted, under the names they use, made small.

A folder to type commands in, a CAPGEN_HOME with data sets and runs, a Hub and a mirror on
loopback, and settings in the environment that keep training short. The commands of the pages
run here as they are written.
"""

from __future__ import annotations

import io
import json
import os
import shlex
import shutil
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path

import pytest

from capgen.cli.main import main
from capgen.config import TRAIN_PRESETS, train_config
from capgen.records import EpochEvent
from capgen.registry.speed import SpeedOptions
from capgen.training.loop import train
from tests.fakes import draw_photo
from tests.hub_stand_in import point_at
from tests.hub_stand_in import serving as serving_hub
from tests.minis import MiniPicture, coco_json, write_coco, write_flickr8k
from tests.pages import ROOT, Command
from tests.server import Served
from tests.server import serving as serving_files
from tests.tiny_models import save_tiny_clip, save_tiny_gpt2
from tests.training_runs import NO_NOISE, SENTENCES

USERS = {"hf_tokenOfMe": "me", "hf_tokenOfUser": "USER"}
# What makes a run small. Options on the pages win over these, these over recipes and presets.
SMALL = {
    "CAPGEN_NUM_EPOCHS": "1",
    "CAPGEN_IMAGE_SIZE": "64",
    "CAPGEN_DECODER_LAYERS": "1",
    "CAPGEN_DECODER_WIDTH": "64",
    "CAPGEN_BATCH_SIZE": "8",
    "CAPGEN_CAPTIONS_PER_IMAGE": "1",
    "CAPGEN_SAMPLES_PER_IMAGE": "2",
    "CAPGEN_EVAL_LIMIT": "1",
    "CAPGEN_TEST": "false",
    "CAPGEN_SAVE_EVERY": "0",
    "CAPGEN_DRAWN": "20",
    "CAPGEN_RESAMPLES": "100",
}
# Python has no environment to read settings from: there the preset is small.
SMALL_PRESET = {"image_size": 64, "decoder_layers": 1, "decoder_width": 64}
RUNS = ("RUN", "first", "big")
# Photos that a calibration needs.
CALIBRATED = 50
OFTEN, SELDOM = SENTENCES[0], SENTENCES[2]


def pictures(train: int = 3, val: int = 2, test: int = 2, *, first: int = 0) -> list[MiniPicture]:
    """Return photos of which two in three have the same captions: a tiny model can learn those."""
    splits = ["train"] * train + ["val"] * val + ["test"] * test
    return [
        MiniPicture(
            name=f"{number}.jpg",
            captions=((OFTEN if number % 3 else SELDOM),) * 5,
            split=split,
            seed=number,
        )
        for number, split in enumerate(splits, first)
    ]


@dataclass(frozen=True)
class Supplies:
    """What every place is made from; only read.

    Attributes:
        root: Holds `work`, where commands are typed, `home`, the CAPGEN_HOME, `parts`, what is
            on the Hub, and `stopped`, a run that can go on.
    """

    root: Path

    @property
    def model(self) -> Path:
        """A captioner that was trained."""
        return self.root / "home" / "runs" / "RUN" / "best-eval"


def make_supplies(root: Path) -> Supplies:
    """Write everything, train included."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CAPGEN_HOME", str(root / "home"))
        _write_work(root / "work")
        _write_program(root / "bin" / "capgen")
        for name in ("flickr8k", "my-photos"):
            install(root / "work", name)
        parts = root / "parts"
        save_tiny_clip(parts / "clip")
        save_tiny_gpt2(parts / "gpt2", SENTENCES)
        _train(root)
    return Supplies(root)


def install(work: Path, name: str) -> None:
    """Install a data set of the place."""
    with said() as (_, err):
        assert main(["data", "import", str(work / name), "--name", name]) == 0, err.getvalue()


def _write_work(work: Path) -> None:
    """Write the files that pages name."""
    for name, count in (("holiday", 3), ("photos", 2), ("scans", 3), ("my-photos", 5)):
        (work / name).mkdir(parents=True)
        for number in range(count):
            draw_photo(len(name) * 100 + number, (96, 80)).save(work / name / f"{number}.jpg")
    (work / "holiday" / "day2").mkdir()
    draw_photo(7, (96, 80)).save(work / "holiday" / "day2" / "beach.png")
    shutil.copy(ROOT / "docs" / "images" / "photographer.jpg", work / "photo.jpg")
    (work / "docs").mkdir()
    (work / "docs" / "images").symlink_to(ROOT / "docs" / "images")
    lines = [f"{n}.jpg,{OFTEN if n % 3 else SELDOM}" for n in range(5)]
    (work / "my-photos" / "captions.csv").write_text("image,caption\n" + "\n".join(lines) + "\n")
    (work / "photos.csv").write_text("path\nphotos/0.jpg\nphotos/1.jpg\n")
    for number in range(2):
        with tarfile.open(work / f"shard-{number:03}.tar", "w") as shard:
            shard.add(work / "photos" / f"{number}.jpg", f"{number}.jpg")
    write_flickr8k(work / "flickr8k", pictures())
    write_coco(work / "coco_sample", pictures(2, 1, 0, first=200))
    predicted = {f"{number}.jpg": OFTEN for number in range(5, 7)}
    (work / "predictions.json").write_text(json.dumps(predicted))
    (work / "scores.json").write_text(json.dumps(predicted))
    judged = pictures(0, 4, 0, first=300)
    (work / "captions_val2014.json").write_text(coco_json(judged))
    said = [{"image_id": number, "caption": OFTEN} for number in range(len(judged))]
    (work / "captions.json").write_text(json.dumps(said))


def _write_program(path: Path) -> None:
    """Write `capgen` as a program for the shell."""
    path.parent.mkdir()
    path.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m capgen "$@"\n')
    path.chmod(0o755)


def _train(root: Path) -> None:
    """Train a tiny captioner by heart, and begin a run that is not finished."""
    settings = {
        **NO_NOISE,
        "encoder": str(root / "parts" / "clip"),
        "decoder": str(root / "parts" / "gpt2"),
        "dataset": "flickr8k",
        "batch_size": 8,
        "ema_decay": 0.0,
        "save_every": 0,
        "warmup_steps": 2,
    }
    rates = {"learning_rate": 1e-2, "decoder_learning_rate": 1e-2}
    runs = root / "home" / "runs"
    for _ in train(
        train_config(
            "clip-gpt2", **settings, **rates, num_epochs=30, eval_every=30, output_dir=runs / "RUN"
        )
    ):
        pass
    for name in RUNS[1:]:
        shutil.copytree(runs / "RUN", runs / name)
    shutil.copytree(runs / "RUN" / "best-eval", root / "work" / "my-model")
    running = train(
        train_config("clip-gpt2", **settings, num_epochs=2, output_dir=root / "stopped")
    )
    for event in running:
        if isinstance(event, EpochEvent):
            break
    running.close()


@dataclass(frozen=True)
class Said:
    """What came of a command: exit code, stdout and stderr."""

    code: int
    out: str
    err: str


@dataclass(frozen=True)
class ReadersPlace:
    """A folder to be in, and what is around it.

    Attributes:
        root: Holds `work`, where commands are typed, and `home`, the CAPGEN_HOME.
        supplies: What it was made from.
    """

    root: Path
    supplies: Supplies

    @property
    def work(self) -> Path:
        return self.root / "work"

    @property
    def home(self) -> Path:
        return self.root / "home"

    def run(self, command: Command) -> Said:
        """Run a command in this process, or in a shell if it needs one."""
        self._prepare(command.words)
        if set("|*") & set(command.text) or "--install-completion" in command.words:
            # `:` so that the shell stays: completion is installed for who called.
            done = subprocess.run(
                ["bash", "-c", f"set -o pipefail; {command.text} || exit; :"],
                capture_output=True,
                text=True,
            )
            return Said(done.returncode, done.stdout, done.stderr)
        text, _, file = command.text.partition(" > ")
        with said() as (out, err):
            code = main(shlex.split(text)[1:])
        if file:
            (self.work / file).write_text(out.getvalue(), encoding="utf-8")
        return Said(code, out.getvalue(), err.getvalue())

    def _prepare(self, words: list[str]) -> None:
        """See to it that a command finds what it speaks of, and not what it is to make.

        Examples stand side by side: one begins the run `first`, the next goes on with it.
        """
        if "--name" in words:
            shutil.rmtree(self._run_named(words, "--name"), ignore_errors=True)
        if "--resume" in words:
            run = self._run_named(words, "--resume")
            shutil.rmtree(run, ignore_errors=True)
            shutil.copytree(self.supplies.root / "stopped", run)
        if words[1:3] == ["data", "download"]:
            shutil.rmtree(self.home / "datasets" / words[3])
        if words[1] == "calibrate" and not (self.work / "flickr8k.small").exists():
            (self.work / "flickr8k").rename(self.work / "flickr8k.small")
            write_flickr8k(self.work / "flickr8k", pictures(val=CALIBRATED))
            shutil.rmtree(self.home / "datasets" / "flickr8k")
            install(self.work, "flickr8k")

    def _run_named(self, words: list[str], option: str) -> Path:
        return self.home / "runs" / words[words.index(option) + 1]


@contextmanager
def said() -> Iterator[tuple[io.StringIO, io.StringIO]]:
    """Collect what is written to stdout and stderr."""
    out, err = io.StringIO(), io.StringIO()
    with redirect_stdout(out), redirect_stderr(err):
        yield out, err


@contextmanager
def reading(
    supplies: Supplies, root: Path, monkeypatch: pytest.MonkeyPatch, *, logged_in: bool = True
) -> Iterator[ReadersPlace]:
    """Be in a fresh place while the block lasts; without a login a token waits on stdin."""
    shutil.copytree(supplies.root / "work", root / "work", symlinks=True)
    shutil.copytree(supplies.root / "home", root / "home", symlinks=True)
    with serving_hub() as hub, serving_files(_mirror(root / "work")) as mirror:
        hub.users = dict(USERS)
        parts = supplies.root / "parts"
        hub.repositories = {
            "openai/clip-vit-base-patch32": {"main": parts / "clip"},
            "gpt2": {"main": parts / "gpt2"},
            "USER/NAME": {"main": supplies.model},
        }
        point_at(hub, monkeypatch, root / "hf")
        around = {
            "PATH": f"{supplies.root / 'bin'}{os.pathsep}{os.environ['PATH']}",
            "PYTHONPATH": str(ROOT),
            "HOME": str(root),
            "CAPGEN_HOME": str(root / "home"),
            "CAPGEN_MIRROR": mirror.address,
            "HF_ENDPOINT": hub.url,
            "HF_HOME": str(root / "hf"),
            "WANDB_MODE": "offline",
            **({"HF_TOKEN": "hf_tokenOfUser"} if logged_in else {}),
        }
        for name, value in {**around, **SMALL}.items():
            monkeypatch.setenv(name, value)
        monkeypatch.setattr(SpeedOptions, "rounds", 1)
        for name, value in SMALL_PRESET.items():
            monkeypatch.setitem(TRAIN_PRESETS["mini"], name, value)
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"hf_tokenOfMe\n")))
        monkeypatch.chdir(root / "work")
        yield ReadersPlace(root, supplies)


def _mirror(work: Path) -> Served:
    """Return a mirror of the place's Flickr8k."""
    files = {}
    for name, folder, within in (
        ("Flickr8k_Dataset.zip", "Flicker8k_Dataset", "Flicker8k_Dataset/"),
        ("Flickr8k_text.zip", "Flickr8k_text", ""),
    ):
        data = io.BytesIO()
        with zipfile.ZipFile(data, "w") as archive:
            for path in sorted((work / "flickr8k" / folder).iterdir()):
                archive.write(path, within + path.name)
        files[name] = data.getvalue()
    return Served(files=files)
