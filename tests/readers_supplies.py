"""What the reader's place is made from: files under the names of the pages, data sets, runs."""

from __future__ import annotations

import hashlib
import io
import json
import shutil
import sys
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from capgen.captioning.captioner import Captioner
from capgen.cli.main import main
from capgen.config import DecodeOptions, train_config
from capgen.records import EpochEvent, Review
from capgen.reviews.journal import Decision, ImageKey, ReviewJournal, reviews_path
from capgen.reviews.sampling import sample_order
from capgen.training.run.train import train
from tests.fakes import draw_image
from tests.minis import MiniImage, coco_json, write_coco, write_flickr8k
from tests.pages import ROOT
from tests.tiny_models import save_tiny_clip, save_tiny_clip_with_words, save_tiny_gpt2
from tests.training_runs import NO_NOISE, SENTENCES

RUNS = ("RUN", "first", "big")
OFTEN, SELDOM = SENTENCES[0], SENTENCES[2]


def images(train: int = 3, val: int = 2, test: int = 2, *, first: int = 0) -> list[MiniImage]:
    """Return images of which two in three have the same captions: a tiny model can learn those."""
    splits = ["train"] * train + ["val"] * val + ["test"] * test
    return [
        MiniImage(
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
            on the Hub, `stopped`, a run that can go on, and `reviewed`, captions with reviews.
    """

    root: Path

    @property
    def model(self) -> Path:
        """A captioner that was trained."""
        return self.root / "home" / "runs" / "RUN" / "best-eval"


def make_supplies(root: Path) -> Supplies:
    """Write everything; trains for seconds."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CAPGEN_HOME", str(root / "home"))
        _write_work(root / "work")
        _write_program(root / "bin" / "capgen")
        for name in ("flickr8k", "my-photos"):
            install(root / "work", name)
        parts = root / "parts"
        save_tiny_clip(parts / "clip")
        save_tiny_clip_with_words(parts / "judge")
        save_tiny_gpt2(parts / "gpt2", SENTENCES)
        _train(root)
        _review(root)
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
            draw_image(len(name) * 100 + number, (96, 80)).save(work / name / f"{number}.jpg")
    (work / "holiday" / "day2").mkdir()
    draw_image(7, (96, 80)).save(work / "holiday" / "day2" / "beach.png")
    shutil.copy(ROOT / "capgen" / "images" / "bundled" / "photographer.jpg", work / "photo.jpg")
    (work / "capgen").mkdir()
    (work / "capgen" / "images").symlink_to(ROOT / "capgen" / "images")
    (work / "content").mkdir()
    (work / "content" / "trip.md").write_text("# A trip\n\nAt the sea.\n\n![](/photos/0.jpg)\n")
    lines = [f"{n}.jpg,{OFTEN if n % 3 else SELDOM}" for n in range(5)]
    (work / "my-photos" / "captions.csv").write_text("image,caption\n" + "\n".join(lines) + "\n")
    (work / "captions.jsonl").write_text(
        json.dumps({"captions": [OFTEN, SELDOM, "a kite over the sea"]}) + "\n"
    )
    (work / "images.csv").write_text("path\nphotos/0.jpg\nphotos/1.jpg\n")
    edited = {"path": "photos/0.jpg", "caption": SELDOM, "original": OFTEN}
    (work / "captions-edited.jsonl").write_text(json.dumps(edited) + "\n")
    for number in range(2):
        with tarfile.open(work / f"shard-{number:03}.tar", "w") as shard:
            shard.add(work / "photos" / f"{number}.jpg", f"{number}.jpg")
    write_flickr8k(work / "flickr8k", images())
    write_coco(work / "coco_sample", images(2, 1, 0, first=200))
    predicted = {f"{number}.jpg": OFTEN for number in range(5, 7)}
    (work / "predictions.json").write_text(json.dumps(predicted))
    # As an evaluation before wrote it: what is not capgen's own is not replaced.
    rows = [{"image_id": name, "caption": caption} for name, caption in predicted.items()]
    before = {"schema_version": 1, "kind": "evaluation", "images": rows}
    (work / "scores.json").write_text(json.dumps(before))
    judged = images(0, 4, 0, first=300)
    (work / "captions_val2014.json").write_text(coco_json(judged))
    pictured = {
        "images": json.loads(coco_json(judged))["images"],
        "categories": [{"id": 1, "name": "person"}],
        "annotations": [{"image_id": 0, "category_id": 1}],
    }
    (work / "instances_val2014.json").write_text(json.dumps(pictured))
    results = [{"image_id": number, "caption": OFTEN} for number in range(len(judged))]
    (work / "captions.json").write_text(json.dumps(results))


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


def _review(root: Path) -> None:
    """Write captions of `my-model` with reviews; half of the images are elsewhere.

    What the model is sure of is right; that is how it should be.
    """
    place = root / "reviewed"
    album = place / "album"
    album.mkdir(parents=True)
    for number in range(20):
        draw_image(number, (64, 48)).save(album / f"{number:03}.jpg")
    captioner = Captioner.from_pretrained(root / "work" / "my-model", device="cpu")
    drawn = sorted(album.iterdir())
    captions = list(captioner.stream(drawn, DecodeOptions(retry=False)))
    records = []
    for number in range(1200):
        near = number < 600
        path = f"album/{number:03}.jpg" if near else f"away/{number}.jpg"
        # The same pixels, but bytes of their own: copies would have the decision about the first.
        data = drawn[number % len(drawn)].read_bytes() + str(number).encode()
        if near:
            (place / path).write_bytes(data)
        digest = hashlib.sha256(data).hexdigest()
        one = replace(captions[number % len(captions)], path=path, sha256=digest)
        records.append(replace(one, confidence=0.1 + number / 1400))
    decisions = []
    for order, number in enumerate(sample_order(records)[:400]):
        record = records[number]
        wrong = number < 600 and order % 2
        caption = "a person wrote this" if wrong else record.text
        verdict = "edited" if wrong else "accepted"
        review = Review(verdict=verdict, proposed=record.text, caption=caption)
        decisions.append(Decision(ImageKey.of(record), review))
    path = place / "captions.jsonl"
    path.write_text("".join(json.dumps(record.to_dict()) + "\n" for record in records))
    journal = ReviewJournal(reviews_path(path))
    journal.add(decisions)
    journal.close()


@contextmanager
def said() -> Iterator[tuple[io.StringIO, io.StringIO]]:
    """Collect what is written to stdout and stderr."""
    out, err = io.StringIO(), io.StringIO()
    with redirect_stdout(out), redirect_stderr(err):
        yield out, err
