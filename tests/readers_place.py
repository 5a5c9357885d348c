"""The reader's place: what the pages take for granted, under the names they use, made small.

A folder to type commands in, a CAPGEN_HOME with data sets and runs, a Hub and a mirror on
loopback, and settings in the environment that keep training short. The commands of the pages
run here as they are written.
"""

from __future__ import annotations

import functools
import io
import os
import re
import shlex
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from capgen.cli.main import main
from capgen.config import TRAIN_PRESETS
from capgen.metrics.meteor_1_5 import paraphrases
from capgen.registry import speed
from capgen.reviews.journal import reviews_path
from tests.chat_server import ChatServer, chatting
from tests.hub_stand_in import point_at
from tests.hub_stand_in import serving as serving_hub
from tests.minis import write_flickr8k
from tests.pages import ROOT, Command
from tests.readers_supplies import Supplies, images, install, said
from tests.server import Served
from tests.server import serving as serving_files
from tests.unit.metrics.meteor_1_5.lists import paraphrase_table

USERS = {"hf_tokenOfMe": "me", "hf_tokenOfUser": "USER"}
# What makes a run small. Options on the pages win over these, these over recipes and presets.
SMALL = {
    "CAPGEN_NUM_EPOCHS": "1",
    "CAPGEN_IMAGE_SIZE": "64",
    "CAPGEN_DECODER_LAYERS": "1",
    "CAPGEN_DECODER_WIDTH": "64",
    "CAPGEN_TRAIN_BATCH_SIZE": "8",
    "CAPGEN_CAPTIONS_PER_IMAGE": "1",
    "CAPGEN_SAMPLES_PER_IMAGE": "2",
    "CAPGEN_EVAL_LIMIT": "1",
    "CAPGEN_TEST": "false",
    "CAPGEN_SAVE_EVERY": "0",
    "CAPGEN_DRAWN": "20",
    "CAPGEN_RESAMPLES": "100",
}
# Python has no environment to read settings from: there the preset is small.
SMALL_PRESET = {"image_size": 64, "decoder_layers": 1, "decoder_width": 64, "min_count": 1}
# Where the pages say that llama.cpp, vLLM and Ollama are.
SERVERS = re.compile(r"http://127\.0\.0\.1:(8080|8000|11434)/v1")
# Images that a calibration needs.
CALIBRATED = 50
# Reviews that become a data set; half of the images are elsewhere.
IMPORTED = 60


class _AnyModel(list[str]):
    """The models of a server: it lists one, and has every one that is asked for."""

    def __contains__(self, name: object) -> bool:
        return True


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
        server: Address of a model server, in the place of those that the pages name.
    """

    root: Path
    supplies: Supplies
    server: str

    @property
    def work(self) -> Path:
        return self.root / "work"

    @property
    def home(self) -> Path:
        return self.root / "home"

    def run(self, command: Command) -> Said:
        """Run a command in this process, or in a shell if it needs one."""
        self._prepare(command.words)
        command = replace(command, text=self.here(command.text))
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

    def here(self, text: str) -> str:
        """Return what a page shows with the model server of this place."""
        return SERVERS.sub(self.server, text)

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
        imported = words[1:4] == ["data", "import", "captions.jsonl"]
        if words[1] == "accept" or "--reviews" in words or imported:
            shutil.copytree(self.supplies.root / "reviewed", self.work, dirs_exist_ok=True)
        if imported:  # a promise needs hundreds of reviews; a data set to train on does not
            journal = reviews_path(self.work / "captions.jsonl")
            lines = journal.read_text(encoding="utf-8").splitlines(keepends=True)
            journal.write_text("".join(lines[:IMPORTED]), encoding="utf-8")
        if words[1] == "calibrate" and not (self.work / "flickr8k.small").exists():
            (self.work / "flickr8k").rename(self.work / "flickr8k.small")
            write_flickr8k(self.work / "flickr8k", images(val=CALIBRATED))
            shutil.rmtree(self.home / "datasets" / "flickr8k")
            install(self.work, "flickr8k")

    def _run_named(self, words: list[str], option: str) -> Path:
        return self.home / "runs" / words[words.index(option) + 1]


@contextmanager
def reading(
    supplies: Supplies, root: Path, monkeypatch: pytest.MonkeyPatch, *, logged_in: bool = True
) -> Iterator[ReadersPlace]:
    """Be in a fresh place while the block lasts; without a login a token waits on stdin."""
    shutil.copytree(supplies.root / "work", root / "work", symlinks=True)
    shutil.copytree(supplies.root / "home", root / "home", symlinks=True)
    with (
        serving_hub() as hub,
        serving_files(_mirror(root / "work")) as mirror,
        chatting(ChatServer(models=_AnyModel(["tiny"]))) as server,
    ):
        hub.users = dict(USERS)
        parts = supplies.root / "parts"
        hub.repositories = {
            "openai/clip-vit-base-patch32": {"main": parts / "judge"},
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
        }
        if logged_in:
            around["HF_TOKEN"] = "hf_tokenOfUser"
        monkeypatch.delenv("HUGGINGFACE_TOKEN", raising=False)
        for name, value in {**around, **SMALL}.items():
            monkeypatch.setenv(name, value)
        # The command imports the class when it runs.
        monkeypatch.setattr(speed, "SpeedOptions", functools.partial(speed.SpeedOptions, rounds=1))
        # Unpacking the one that the extra brings takes long.
        table = paraphrase_table(root / "table.gz", [("two", "a pair of")])
        monkeypatch.setattr(paraphrases, "paraphrase_file", lambda: table)
        for name, value in SMALL_PRESET.items():
            monkeypatch.setitem(TRAIN_PRESETS["mini"], name, value)
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"hf_tokenOfMe\n")))
        monkeypatch.chdir(root / "work")
        yield ReadersPlace(root, supplies, server.url)


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
