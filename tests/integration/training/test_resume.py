"""A run that goes on ends as one that was never interrupted."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import subprocess
import sys
from functools import partial

import pytest
import torch

from capgen.cli.main import main
from capgen.errors import DataError, StorageError, TrainingError, TrainingStopped, UsageError
from capgen.models.checkpoint import load_captioning, save_captioning
from capgen.models.folder import ModelFolder
from capgen.models.provenance import Provenance
from capgen.records import StepEvent
from capgen.training.optimization import trainer as trainer_module
from capgen.training.optimization.trainer import Trainer
from capgen.training.run import session
from capgen.training.run.folder import RunFolder, to_toml
from capgen.training.run.saved_state import RunState, StateStore
from capgen.training.run.stop_request import StopRequest, stop_signals
from capgen.training.run.train import resume, train
from tests import tiny_captioners
from tests.conftest import ROOT
from tests.minis import write_flickr8k
from tests.tiny_models import save_tiny_clip, save_tiny_gpt2
from tests.training_runs import SENTENCES, clip_config, eight_images, run_config

# All that is random is on, and nothing divides evenly: 8 images are steps of 3, 3 and 2.
NOISE = {
    "dropout": 0.2,
    "label_smoothing": 0.1,
    "crop_area": 0.5,
    "flip": True,
    "color_jitter": 0.3,
    "compression": 0.5,
    "rescale": 0.5,
    "captions_per_image": 1,
    "batch_size": 3,
    "log_every": 2,
    "ema_decay": 0.9,
    "learning_rate": 3e-3,
}
_CLOCKS = ("time", "seconds", "eval_seconds", "images_per_second", "memory", "run", "path", "init")


def weights(run):
    """Return a digest of the weights of each checkpoint."""
    return {
        name: hashlib.sha256((run / name / "model.safetensors").read_bytes()).hexdigest()
        for name in ("last", "best-loss", "best-eval")
    }


def events(run):
    """Return the events that a run recorded, without clocks, places and interruptions."""
    lines = (run / "events.jsonl").read_text(encoding="utf-8").splitlines()
    records = [json.loads(line) for line in lines]
    return [
        {name: value for name, value in record.items() if name not in _CLOCKS}
        for record in records
        if record["event"] not in ("run_resumed", "preparation")
    ]


def assert_same(one, other):
    assert weights(one) == weights(other)
    assert events(one) == events(other)
    assert not (one / "state").exists()
    assert not (other / "state").exists()


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A run that nothing disturbed, of the same data and parts as those of each test."""
    folder = tmp_path_factory.mktemp("whole")
    data = write_flickr8k(folder / "data", eight_images())
    save_tiny_clip(folder / "clip")
    save_tiny_gpt2(folder / "gpt2", SENTENCES)
    config = clip_config(folder, data, output_dir=folder / "whole", num_epochs=3, **NOISE)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CAPGEN_HOME", str(folder / "home"))
        for _ in train(config):
            pass
    return config.output_dir


@pytest.mark.parametrize("objective", ["cross-entropy", "scst"])
def test_a_run_in_half_precision_goes_on_exactly(tmp_path, data, parts, monkeypatch, objective):
    """Gradients are scaled; a step whose gradients overflow is left out, and the scale halved."""
    monkeypatch.setattr(trainer_module, "autocast_dtype", lambda precision, device: torch.float16)
    monkeypatch.setattr(
        torch.amp,
        "GradScaler",
        partial(torch.amp.GradScaler, init_scale=2.0**20, growth_interval=2),
    )
    trainers, stop = [], StopRequest()
    plain = Trainer._step

    def step(self, numbers):
        plain(self, numbers)
        trainers.append(self)
        if self.step == 4 and len(trainers) > 9:
            stop.signal = signal.SIGTERM

    monkeypatch.setattr(Trainer, "_step", step)
    if objective == "scst":
        captioner = tiny_captioners.captioning(tiny_captioners.clip_vision())
        save_captioning(tmp_path / "captioner", captioner, Provenance())
        make = partial(run_config, tmp_path, data, tmp_path / "captioner")
    else:
        make = partial(clip_config, tmp_path, data)
    runs = [
        make(
            objective=objective,
            output_dir=tmp_path / name,
            num_epochs=3,
            save_every=0,
            **{**NOISE, "learning_rate": 1e-4},
        )
        for name in ("whole", "stopped")
    ]
    for _ in train(runs[0]):
        pass
    with pytest.raises(TrainingStopped, match="step 5 of 9"):
        for _ in train(runs[1], stop=stop):
            pass
    for _ in resume(runs[1].output_dir):
        pass
    assert_same(runs[0].output_dir, runs[1].output_dir)
    whole, resumed = trainers[8], trainers[-1]
    assert whole.scaler.state_dict() == resumed.scaler.state_dict()
    for trainer in (whole, resumed):
        (taken,) = {int(state["step"]) for state in trainer.optimizer.state.values()}
        assert 0 < taken < trainer.step == 9


def test_kills_at_random_moments_change_nothing(tmp_path, data, parts):
    for name in ("whole", "killed"):
        config = clip_config(
            tmp_path, data, output_dir=tmp_path / name, num_epochs=10, save_every=1, **NOISE
        )
        (tmp_path / f"{name}.toml").write_text(to_toml(config), encoding="utf-8")
    done = subprocess.run(
        [
            *(sys.executable, "-m", "tests.integration.training.killed_run"),
            *(str(tmp_path / "whole.toml"), str(tmp_path / "killed.toml")),
        ],
        cwd=ROOT,
        env={**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=200,
    )
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    assert len(report.pop("states")) >= 3  # the kills came at different steps
    assert report == {"whole": 0, "kills": [-signal.SIGKILL] * 4, "last": 0}, done.stderr
    assert_same(tmp_path / "whole", tmp_path / "killed")


@pytest.mark.parametrize("steps", [1, 2, 3, 5])
def test_a_run_stopped_on_request_goes_on_exactly(tmp_path, data, parts, whole, steps):
    config = clip_config(tmp_path, data, num_epochs=3, save_every=0, **NOISE)
    stop = StopRequest()
    taken = 0
    plain = Trainer._step

    def step(self, numbers):
        nonlocal taken
        plain(self, numbers)
        taken += 1
        if taken == steps:
            stop.note(signal.SIGTERM)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Trainer, "_step", lambda self, numbers: step(self, numbers))
        with pytest.raises(TrainingStopped) as caught:
            list(train(config, stop=stop))
    # The signal is seen before the next step.
    assert caught.value.exit_code == 143
    assert "--resume" in caught.value.hint
    for _ in resume(config.output_dir):
        pass
    assert_same(whole, config.output_dir)


def test_a_run_stopped_in_its_validation_goes_on_exactly(tmp_path, data, parts, whole, monkeypatch):
    config = clip_config(tmp_path, data, num_epochs=3, save_every=0, **NOISE)
    stop = StopRequest()
    plain = session.Validator.run

    def run(self, *arguments):
        stop.note(signal.SIGINT)
        return plain(self, *arguments)

    with monkeypatch.context() as patch:
        patch.setattr(session.Validator, "run", run)
        with pytest.raises(TrainingStopped) as caught:
            list(train(config, stop=stop))
    assert caught.value.exit_code == 130
    for _ in resume(config.output_dir):
        pass
    assert_same(whole, config.output_dir)


def test_a_run_that_is_over_cannot_go_on(tmp_path, whole):
    with pytest.raises(UsageError, match="is finished") as caught:
        list(resume(whole))
    assert "--init" in caught.value.hint
    with pytest.raises(UsageError, match="There is no training run 'nothing'"):
        list(resume("nothing"))


def _interrupt(config, steps):
    """Train until a number of steps were reported, then drop the run as a kill would."""
    running = train(config)
    for event in running:
        if isinstance(event, StepEvent) and event.step == steps:
            break
    running.close()


def test_what_makes_a_run_another_cannot_change(tmp_path, data, parts):
    config = clip_config(tmp_path, data, save_every=1)
    _interrupt(config, 2)
    with pytest.raises(UsageError, match="--num-epochs cannot change"):
        list(resume(config.output_dir, num_epochs=5))
    captions = data / "Flickr8k_text" / "Flickr8k.token.txt"
    captions.write_text(captions.read_text().replace("dog", "fox"), encoding="utf-8")
    with pytest.raises(DataError, match="data set has changed since this run started"):
        list(resume(config.output_dir))


def test_other_pretrained_weights_are_noticed(tmp_path, data, parts):
    config = clip_config(tmp_path, data, save_every=1, train_encoder="none")
    _interrupt(config, 2)
    save_tiny_clip(tmp_path / "clip", seed=1)
    with pytest.raises(TrainingError, match="pretrained weights"):
        list(resume(config.output_dir))


def test_a_damaged_state_is_named(tmp_path, data, parts):
    config = clip_config(tmp_path, data, save_every=1)
    _interrupt(config, 2)
    (state,) = (config.output_dir / "state").iterdir()
    (state / "tensors.safetensors").write_bytes(b"nothing")
    with pytest.raises(TrainingError, match="Cannot read the state"):
        list(resume(config.output_dir))


def test_states_are_rotated_and_hold_no_pickles(tmp_path, data, parts):
    config = clip_config(tmp_path, data, num_epochs=2, save_every=1, keep_states=2)
    _interrupt(config, 3)
    states = sorted(path.name for path in (config.output_dir / "state").iterdir())
    assert states == ["step-00000002-epoch-00000", "step-00000002-epoch-00001"]
    files = {path.name for path in (config.output_dir / "state").rglob("*") if path.is_file()}
    assert files == {"tensors.safetensors", "state.json"}


def test_weights_that_are_no_numbers_are_never_saved(tmp_path, data, parts, monkeypatch):
    """A gradient breaks at step 3; the next report would be at step 10."""
    plain = Trainer._step

    def step(self, numbers):
        plain(self, numbers)
        if self.step == 3:
            self.weights.parameters[0].data.view(-1)[0] = float("nan")

    monkeypatch.setattr(Trainer, "_step", step)
    config = clip_config(tmp_path, data, num_epochs=3, save_every=1, log_every=10)
    with pytest.raises(TrainingError, match="no longer finite numbers by step 3"):
        list(train(config))
    state = StateStore(config.output_dir, keep=1).newest()
    assert state.numbers["step"] == 2
    assert all(tensor.isfinite().all() for tensor in state.tensors.values())
    model = load_captioning(ModelFolder(config.output_dir / "last", "last")).model
    assert all(tensor.isfinite().all() for tensor in model.state_dict().values())


def test_half_swapped_checkpoints_are_put_back(tmp_path, data, parts):
    config = clip_config(tmp_path, data, num_epochs=2)
    _interrupt(config, 3)
    run = config.output_dir
    (run / "best-eval").rename(run / ".best-eval.old")
    (run / ".last.new").mkdir()
    RunFolder(run).recover()
    assert (run / "best-eval" / "config.json").is_file()
    assert not (run / ".last.new").exists()


def test_a_full_disk_leaves_the_old_state_and_model(small_disk, tmp_path, data, mini):
    import torch

    store = StateStore(small_disk, keep=1)
    store.save(RunState({"a": torch.ones(1000)}, {"step": 1}), step=1, epoch=0)
    with pytest.raises(StorageError, match="No space left"):
        store.save(RunState({"a": torch.ones(400_000)}, {"step": 2}), step=2, epoch=0)
    state = store.newest()
    assert state.numbers["step"] == 1
    assert torch.equal(state.tensors["a"], torch.ones(1000))
    del state  # its tensors map the file, which would keep the disk mounted
    assert [path.name for path in store.folder.iterdir()] == ["step-00000001-epoch-00000"]
    # A whole run: its first checkpoint does not fit.
    with pytest.raises(StorageError, match="No space left"):
        list(train(run_config(tmp_path, data, mini, output_dir=small_disk / "run")))
    left = {path.name for path in (small_disk / "run").iterdir()}
    assert left - {"run.html"} == {"config.toml", "environment.json", "events.jsonl"}


@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)]
)
def test_signals_save_and_exit(tmp_path, data, parts, monkeypatch, capsys, number, code):
    plain = Trainer._step

    def step(self, numbers):
        plain(self, numbers)
        if self.step == 2:
            os.kill(os.getpid(), number)

    monkeypatch.setattr(Trainer, "_step", step)
    arguments = ["--encoder", str(tmp_path / "clip"), "--decoder", str(tmp_path / "gpt2")]
    arguments += ["--data-dir", str(data), "--output-dir", str(tmp_path / "run")]
    arguments += ["--batch-size", "2", "--num-epochs", "1", "--device", "cpu", "--no-test"]
    assert main(["train", *arguments]) == code
    assert "capgen train --resume" in capsys.readouterr().err
    monkeypatch.setattr(Trainer, "_step", plain)
    assert main(["train", "--resume", str(tmp_path / "run")]) == 0
    assert capsys.readouterr().out.strip() == str(tmp_path / "run")
    recorded = events(tmp_path / "run")
    assert [record["step"] for record in recorded if record["event"] == "epoch"] == [4]


def test_signals_wait_only_while_there_is_something_to_save():
    before = signal.getsignal(signal.SIGINT)
    told = []
    with stop_signals(lambda: told.append("heard")) as request:
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGINT)
        request.patient = True
        os.kill(os.getpid(), signal.SIGTERM)
        assert request.signal == signal.SIGTERM and told == ["heard"]
        with pytest.raises(SystemExit) as caught:
            os.kill(os.getpid(), signal.SIGTERM)
        assert caught.value.code == 143
    assert signal.getsignal(signal.SIGINT) is before
