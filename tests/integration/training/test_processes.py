"""Runs in several processes: equal to one, whatever ends, and on machines without a common disk."""

from __future__ import annotations

import dataclasses
import json
import shutil
import signal
import time

import pytest
import torch

from capgen.models.run_events import read_events
from capgen.records import RunResumed, RunStarted
from capgen.training.plan.stages import read_plan
from capgen.training.run.folder import to_toml
from capgen.training.run.train import resume, train
from capgen.training.run.train_stages import train_stages
from tests.integration.training.test_options import assert_close, trained_weights
from tests.minis import write_flickr8k
from tests.rank_processes import run_ranks
from tests.tiny_models import save_tiny_clip, save_tiny_gpt2, save_tiny_mini
from tests.training_runs import (
    SENTENCES,
    clip_config,
    eight_images,
    of_kind,
    run_config,
)

# Its graph ships, so that processes share frozen features.
BACKBONE = "lite0"

# AdamW divides by the gradient's size: rounding grows with the rate.
GENTLE = {"learning_rate": 1e-4, "decoder_learning_rate": 1e-4, "encoder_learning_rate": 1e-4}
# 8 images are steps of 3, 3 and 2: not every process has an image of each step.
SHORT = {"batch_size": 3, "num_epochs": 3, **GENTLE}
# Rewards are differences of large terms, and the small model has many weights that hardly matter.
GENTLER = {**SHORT, "num_epochs": 2, "learning_rate": 1e-6, "encoder_learning_rate": 1e-6}
STAGES = """
[[stage]]
name = "words"
objective = "cross-entropy"
num_epochs = 1
[[stage]]
name = "reward"
objective = "scst"
samples_per_image = 3
num_epochs = 2
"""


def write_run(file, config, *, stages="", without=()):
    """Write settings of a run into a file; the folder of the run is beside it."""
    lines = to_toml(config).splitlines()
    left_out = tuple(f"{name} = " for name in ("output_dir", *without))
    kept = [line for line in lines if not line.startswith(left_out)]
    file.parent.mkdir(exist_ok=True)
    file.write_text("\n".join(kept) + "\n" + stages, encoding="utf-8")
    return file


def curve(run):
    """Return every loss of a run, and the scores of its validations."""
    lines = (run / "events.jsonl").read_text(encoding="utf-8").splitlines()
    records = [json.loads(line) for line in lines]
    losses = [record["loss"] for record in records if record["event"] == "step"]
    losses += [record["val_loss"] for record in records if record["event"] == "epoch"]
    steps = [record["step"] for record in records if record["event"] == "step"]
    scores = [record["metrics"] for record in records if record["event"] in ("epoch", "test")]
    return steps, losses, scores


def assert_same_curve(one, other, tolerance=1e-6):
    (steps, losses, scores), (others, more, marks) = curve(one), curve(other)
    assert steps == others
    assert more == pytest.approx(losses, rel=1e-5, abs=tolerance)
    assert len(marks) == len(scores)
    for left, right in zip(scores, marks, strict=True):
        assert right == pytest.approx(left, rel=1e-5)


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A folder of data and of a model's parts, which nobody changes."""
    folder = tmp_path_factory.mktemp("processes")
    write_flickr8k(folder / "data", eight_images(val=3))
    save_tiny_clip(folder / "clip")
    save_tiny_gpt2(folder / "gpt2", SENTENCES)
    return folder


@pytest.fixture
def short(place, tmp_path):
    """Returns settings of a short run."""

    def make(**settings):
        return clip_config(place, place / "data", output_dir=tmp_path / "run", **SHORT | settings)

    return make


@pytest.fixture(scope="module")
def whole(place):
    """A run in one process, undisturbed."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CAPGEN_HOME", str(place / "home"))
        config = clip_config(place, place / "data", output_dir=place / "whole", **SHORT)
        list(train(config))
    torch.set_num_threads(threads)
    return config.output_dir


@pytest.mark.slow
def test_two_and_four_processes_equal_one(tmp_path, place, short, mini):
    """With a frozen encoder, a trained one and passes, rewards, and stages."""
    data = place / "data"
    rewards = {"objective": "scst", "samples_per_image": 3, "ema_decay": 0.0}
    kinds = {
        "frozen": short(train_encoder="none", num_epochs=2),
        "passes": short(batch_size=2, accumulation=3, num_epochs=2),
        "reward": run_config(tmp_path, data, mini, **rewards, **GENTLER),
    }
    files = {}
    for count in (1, 2, 4):
        folder = tmp_path / f"of-{count}"
        files[count] = [write_run(folder / f"{name}.toml", kind) for name, kind in kinds.items()]
        staged = run_config(tmp_path, data, mini, train_encoder="none", test=False, **GENTLER)
        files[count] += [
            write_run(
                folder / "staged.toml", staged, stages=STAGES, without=("num_epochs", "objective")
            )
        ]
        ended = run_ranks(files[count], count) if count > 1 else []
        assert [end.code for end in ended] == [0] * len(ended), [end.text for end in ended]
    for file in files[1][:-1]:
        list(train(dataclasses.replace(kinds[file.stem], output_dir=file.with_suffix(""))))
    list(train_stages(read_plan(files[1][-1], output_dir=files[1][-1].with_suffix(""))))
    for count in (2, 4):
        for one, several in zip(files[1], files[count], strict=True):
            exact = one.stem in ("frozen", "passes")
            runs = one.with_suffix(""), several.with_suffix("")
            assert_same_curve(*runs, 1e-6 if exact else 1e-5)
            if exact:
                assert_close(*map(trained_weights, runs), 1e-5)
            started = of_kind(RunStarted, read_events(several.with_suffix("")))
            assert {(event.processes, event.machines) for event in started} == {(count, 1)}


def images_of_steps(folder, count):
    """Return the images of each step, over all processes."""
    seen = {}
    for rank in range(count):
        for line in (folder / f"{rank}.jsonl").read_text(encoding="utf-8").splitlines():
            record = json.loads(line)
            seen.setdefault(record["step"], []).extend(record["images"])
    return {step: sorted(images) for step, images in seen.items()}


@pytest.mark.slow
def test_a_run_goes_on_with_other_numbers_of_processes(tmp_path, short, whole):
    """In two processes up to step 2, in one up to step 5, in four to the end."""
    config = short()
    file = write_run(tmp_path / "changing.toml", config)
    images = {}
    for count, fault in ((2, "stop:1:1"), (1, "stop:0:4"), (4, "")):
        folder = tmp_path / f"images-{count}"
        folder.mkdir()
        ended = run_ranks([file], count, fault=fault, environment={"IMAGES": str(folder)})
        assert {end.code for end in ended} == {143 if fault else 0}, [end.text for end in ended]
        images |= images_of_steps(folder, count)
    assert_same_curve(whole, tmp_path / "changing")
    (tmp_path / "images-whole").mkdir()
    again = write_run(tmp_path / "again.toml", config)
    run_ranks([again], 1, environment={"IMAGES": str(tmp_path / "images-whole")})
    assert images == images_of_steps(tmp_path / "images-whole", 1)
    assert len(images) == 9


@pytest.mark.slow
@pytest.mark.parametrize("killed", [0, 1])
def test_a_killed_process_ends_the_others(tmp_path, short, whole, killed):
    """At once, with a message; no more than the steps since the last state are lost."""
    config = short(save_every=1)
    file = write_run(tmp_path / "killed.toml", config)
    ended = run_ranks([file], 3, fault=f"kill:{killed}:4")
    over = time.time()
    dead = ended.pop(killed)
    assert dead.code == -signal.SIGKILL
    assert over - dead.killed_at < 30
    for end in ended:
        assert end.code == 1
        assert f"error: Process {killed} of 3 has died" in end.text
        assert f"capgen train --resume {tmp_path / 'killed'}" in end.text
        assert "Traceback" not in end.text
    events = list(resume(tmp_path / "killed"))
    assert of_kind(RunResumed, events)[0].step == 4
    assert_same_curve(whole, tmp_path / "killed")


@pytest.mark.slow
def test_what_is_done_is_saved_when_another_process_dies(tmp_path, short, whole):
    """Even without states in between: process 0 saves the last step that all have taken."""
    file = write_run(tmp_path / "saved.toml", short(save_every=0))
    run_ranks([file], 2, fault="kill:1:5")
    events = list(resume(tmp_path / "saved"))
    assert of_kind(RunResumed, events)[0].step == 5
    assert_same_curve(whole, tmp_path / "saved")


@pytest.mark.slow
@pytest.mark.parametrize("asked", ["-1", "0", "1"])
def test_processes_stop_in_a_validation(tmp_path, short, whole, asked):
    """All of them, as a launcher asks, or one by hand: the state is that before it."""
    file = write_run(tmp_path / "stopped.toml", short(save_every=0))
    ended = run_ranks([file], 2, fault=f"validate:{asked}:6")
    assert [end.code for end in ended] == [143, 143], [end.text for end in ended]
    events = list(resume(tmp_path / "stopped"))
    assert of_kind(RunResumed, events)[0].step == 6
    assert_same_curve(whole, tmp_path / "stopped")


@pytest.mark.slow
def test_machines_without_a_common_disk(tmp_path, monkeypatch):
    """Process 0 writes the run; each machine makes its own caches; resume needs the run once."""
    machines = [tmp_path / "first", tmp_path / "second"]
    for machine in machines:
        machine.mkdir()
        data = write_flickr8k(machine / "data", eight_images(val=3))
        mini = save_tiny_mini(machine / "mini", SENTENCES)
        config = run_config(machine, data, mini, train_encoder="none", save_every=1, **GENTLER)
        file = write_run(
            machine / "run.toml", config, stages=STAGES, without=("num_epochs", "objective")
        )
        file.write_text(file.read_text().replace(f"{machine}/", ""), encoding="utf-8")
    (name,) = {file.relative_to(machines[0]) for file in machines[0].glob("run.toml")}
    ended = run_ranks([name], 2, folders=machines, fault="kill:1:4")
    assert [end.code for end in ended] == [1, -signal.SIGKILL], [end.text for end in ended]
    for left in machines[1].glob("capgen-run-*"):  # what the killed process was sent
        shutil.rmtree(left)
    ended = run_ranks([name], 2, folders=machines, environment={"RESUME": "1"})
    assert [end.code for end in ended] == [0, 0], [end.text for end in ended]
    first, second = machines
    assert (first / "run" / "best-eval" / "model.safetensors").is_file()
    assert not (second / "run").exists()
    assert not list(second.glob("capgen-run-*"))  # what it was sent
    caches = [sorted(f.name for f in (m / "home").rglob("*.npy")) for m in machines]
    assert caches[0] and caches[0] == caches[1]
    started = of_kind(RunStarted, read_events(first / "run"))
    assert {(event.processes, event.machines) for event in started} == {(2, 2)}
    monkeypatch.chdir(first)
    list(train_stages(read_plan(first / "run.toml", output_dir=first / "whole")))
    assert_same_curve(first / "whole", first / "run", 1e-5)


@pytest.mark.slow
def test_machines_with_other_data_do_not_train_together(tmp_path, mini):
    machines = [tmp_path / "first", tmp_path / "second"]
    for number, machine in enumerate(machines):
        machine.mkdir()
        write_flickr8k(machine / "data", eight_images(val=1 + number))
        save_tiny_mini(machine / "mini", SENTENCES)
        config = run_config(machine, machine / "data", machine / "mini", **SHORT)
        file = write_run(machine / "run.toml", config)
        file.write_text(file.read_text().replace(f"{machine}/", ""), encoding="utf-8")
    ended = run_ranks([file.relative_to(machines[1])], 2, folders=machines)
    assert [end.code for end in ended] == [1, 1]
    for end in ended:
        assert "error: Process 1 has other data than process 0 of the run" in end.text
    # Process 0 has a folder of that run by now, and would continue it.
    ended = run_ranks([file.relative_to(machines[1])], 2, folders=machines)
    assert [end.code for end in ended] == [2, 2], [end.text for end in ended]
    for end in ended:
        assert "Process 0 of the run is to continue a run, process 1 to start a run" in end.text
    # A mistake that process 0 alone can see is everybody's.
    (machines[0] / "run" / "config.toml").unlink()
    again = {"RESUME": "1"}
    ended = run_ranks([file.relative_to(machines[1])], 2, folders=machines, environment=again)
    assert [end.code for end in ended] == [2, 2], [end.text for end in ended]
    for end in ended:
        assert "error: There is no training run 'run'" in end.text
