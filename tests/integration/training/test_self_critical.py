"""Self-critical runs: the reward rises, and all that holds for other runs holds for them."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
import subprocess
import sys

import pytest

from capgen.cli.main import main
from capgen.cli.train.progress import TrainingScreen
from capgen.errors import TrainingStopped, UsageError
from capgen.records import EpochEvent, Notice, StepEvent
from capgen.training.optimization.trainer import Trainer
from capgen.training.plan.estimate import estimate
from capgen.training.run.folder import to_toml
from capgen.training.run.stop_request import StopRequest
from capgen.training.run.train import resume, train
from capgen.training.validation.validate import LANGUAGE
from tests.conftest import ROOT
from tests.minis import write_flickr8k
from tests.tiny_models import save_tiny_mini
from tests.training_runs import SENTENCES, clip_config, eight_images, of_kind, run_config

SCST = {
    "objective": "scst",
    "samples_per_image": 4,
    "learning_rate": 1e-3,
    "decoder_learning_rate": 1e-3,
    "encoder_learning_rate": 1e-4,
    "warmup_steps": 2,
    "ema_decay": 0.0,
}
# AdamW divides by the gradient's size: rounding grows with the rate.
GENTLE = {"learning_rate": 1e-5, "encoder_learning_rate": 1e-5}
QUICK = {"eval": False, "test": False}
NOUNS = {"noun_reward": 0.5, "nouns_once": True}


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A captioner that has learned a little with cross-entropy."""
    root = tmp_path_factory.mktemp("trained")
    data = write_flickr8k(root / "data", eight_images())
    mini = save_tiny_mini(root / "mini", SENTENCES)
    config = run_config(root, data, mini, num_epochs=8, learning_rate=2e-3, **QUICK)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CAPGEN_HOME", str(root / "home"))
        for _ in train(config):
            pass
    return root / "run" / "last"


def scst_config(tmp_path, data, trained, **settings):
    return run_config(tmp_path, data, trained, **{**SCST, **QUICK, **settings})


def steps(events):
    return of_kind(StepEvent, events)


def same_run(events):
    return [(event.loss, event.numbers) for event in steps(events)]


def test_what_is_measured_is_recorded(tmp_path, data, trained, capsys):
    config = scst_config(tmp_path, data, trained, num_epochs=1, eval=True)
    list(train(config))
    lines = (tmp_path / "run" / "events.jsonl").read_text(encoding="utf-8").splitlines()
    recorded = [json.loads(line) for line in lines]
    step = next(record for record in recorded if record["event"] == "step")
    assert set(step["numbers"]) == {"reward", "sample_length", "cross_entropy"}
    assert step["numbers"]["sample_length"] > 1
    epoch = next(record for record in recorded if record["event"] == "epoch")
    assert set(epoch["train_numbers"]) == set(step["numbers"])
    assert epoch["language"]["distinct_words"] >= 1
    assert set(epoch["language"]) == set(LANGUAGE)
    with TrainingScreen() as screen:
        screen.show(EpochEvent.from_dict(epoch))
    assert "unique" in capsys.readouterr().err


def test_recall_of_nouns_is_recorded_and_rewarded(tmp_path, data, trained):
    runs = {}
    for name, settings in (("plain", {}), ("nouns", NOUNS)):
        config = scst_config(tmp_path, data, trained, output_dir=tmp_path / name, **settings)
        runs[name] = steps(train(config))
    assert all("noun_recall" not in event.numbers for event in runs["plain"])
    assert all(0 <= event.numbers["noun_recall"] <= 1 for event in runs["nouns"])
    assert any(event.numbers["noun_recall"] > 0 for event in runs["nouns"])
    assert [event.loss for event in runs["plain"]] != [event.loss for event in runs["nouns"]]


@pytest.mark.parametrize("setting", [{"noun_reward": 0.5}, {"nouns_once": True}])
def test_nouns_are_english(tmp_path, data, trained, setting):
    german = save_tiny_mini(tmp_path / "german", ["der hund und die katze mit dem ball"])
    (flag,) = (f"--{name.replace('_', '-')}" for name in setting)
    with pytest.raises(UsageError, match=rf"not English.*{flag}"):
        list(train(scst_config(tmp_path, data, german, **setting)))
    assert not (tmp_path / "run").exists()
    # Cross-entropy has no reward.
    learn = run_config(tmp_path, data, german, num_epochs=1, **QUICK, **setting)
    assert len(steps(train(learn))) == 2


@pytest.mark.parametrize("frozen", [False, True])
def test_passes_and_memory_change_nothing(tmp_path, data, trained, monkeypatch, frozen):
    """One pass, two passes, and one that does not fit: the same losses and rewards."""
    common = {"num_epochs": 2, "train_encoder": "none" if frozen else "all", **GENTLE}
    runs = {}
    for name, size, passes in (("one", 4, 1), ("two", 2, 2)):
        config = scst_config(
            tmp_path,
            data,
            trained,
            output_dir=tmp_path / name,
            **{**common, "batch_size": size, "accumulation": passes},
        )
        runs[name] = list(train(config))
    plain = Trainer.__init__

    def small(self, *arguments, **named):
        plain(self, *arguments, **named)
        inner = self.step_loss

        class Small:
            names = inner.names

            def __call__(self, share):
                if len(share.images) > 2:
                    inner(share)
                    raise RuntimeError("out of memory")
                return inner(share)

        self.step_loss = Small()

    monkeypatch.setattr(Trainer, "__init__", small)
    config = scst_config(tmp_path, data, trained, output_dir=tmp_path / "small", **common)
    runs["small"] = list(train(config))
    assert any(isinstance(event, Notice) for event in runs["small"])
    for name in ("two", "small"):
        for one, other in zip(steps(runs["one"]), steps(runs[name]), strict=True):
            assert other.loss == pytest.approx(one.loss, abs=1e-4)
            assert other.numbers == pytest.approx(one.numbers, abs=1e-3)


@pytest.mark.parametrize("nouns", [{}, NOUNS], ids=["plain", "nouns"])
def test_a_stopped_run_goes_on_exactly(tmp_path, data, trained, nouns):
    """With dropout and crops; stopped within an epoch."""
    noise = {"dropout": 0.2, "crop_area": 0.5, "batch_size": 3, "log_every": 2, "ema_decay": 0.9}
    noise |= nouns
    weights = {}
    for name in ("whole", "stopped"):
        config = scst_config(tmp_path, data, trained, output_dir=tmp_path / name, **noise)
        stop = StopRequest()
        if name == "whole":
            events = same_run(train(config))
        else:
            before = []
            with pytest.raises(TrainingStopped):
                for event in train(config, stop=stop):
                    before.append(event)
                    if isinstance(event, StepEvent):
                        stop.signal = 15
            after = list(resume(config.output_dir))
            assert same_run([*before, *after])[-2:] == events[-2:]
        file = tmp_path / name / "last" / "model.safetensors"
        weights[name] = hashlib.sha256(file.read_bytes()).hexdigest()
    assert weights["whole"] == weights["stopped"]


def test_two_processes_equal_one(tmp_path, data, trained):
    """Batches of 3 images: shares of 2 and 1."""
    config = scst_config(tmp_path, data, trained, batch_size=3, num_epochs=1, **GENTLE)
    one = steps(train(config))
    other = dataclasses.replace(config, output_dir=tmp_path / "two")
    (tmp_path / "run.toml").write_text(to_toml(other), encoding="utf-8")
    code = "import sys; from capgen.cli.main import main; sys.exit(main(sys.argv[1:]))"
    (tmp_path / "program.py").write_text(code, encoding="utf-8")
    done = subprocess.run(
        [
            *(sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2"),
            *("--master-port", str(30000 + os.getpid() % 1000), str(tmp_path / "program.py")),
            *("train", "--config", str(tmp_path / "run.toml"), "--json"),
        ],
        env={**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=180,
    )
    assert done.returncode == 0, done.stderr
    lines = (tmp_path / "two" / "events.jsonl").read_text(encoding="utf-8").splitlines()
    two = [record for line in lines if (record := json.loads(line))["event"] == "step"]
    assert [record["step"] for record in two] == [event.step for event in one]
    for record, event in zip(two, one, strict=True):
        assert record["loss"] == pytest.approx(event.loss, abs=1e-4)
        assert record["numbers"] == pytest.approx(event.numbers, abs=1e-3)


def test_gpt2s_subwords_bf16_and_low_rank_additions(tmp_path, data, parts):
    """A CLIP with a subword GPT-2, in bf16, through accumulated passes."""
    for _ in train(clip_config(tmp_path, data, num_epochs=1, **QUICK)):
        pass
    pytest.importorskip("peft")
    config = clip_config(
        tmp_path,
        data,
        **{
            **SCST,
            **QUICK,
            "output_dir": tmp_path / "scst",
            "init": str(tmp_path / "run" / "last"),
            "precision": "bf16",
            "lora_rank": 2,
            "batch_size": 2,
            "accumulation": 2,
        },
    )
    events = steps(train(config))
    assert len(events) == 4
    assert all(event.numbers["sample_length"] >= 1 for event in events)


def test_a_captioner_is_needed(tmp_path, data, parts, capsys):
    with pytest.raises(UsageError, match="--init"):
        list(train(clip_config(tmp_path, data, objective="scst")))
    assert main(["train", "--objective", "scst", "--data-dir", str(data)]) != 0
    assert "--init" in capsys.readouterr().err


def test_the_estimate_counts_the_samples(tmp_path, data, mini):
    plain = run_config(tmp_path, data, mini)
    few, many = (
        dataclasses.replace(plain, objective="scst", samples_per_image=count) for count in (2, 20)
    )
    kept = [estimate(config).activation_bytes for config in (plain, few, many)]
    assert kept[0] < kept[1] < kept[2]


def test_a_dry_run_of_stages_in_any_order(tmp_path, data, mini, capsys):
    """From a new model to scst, and from scst to teachers, which are not for scst."""
    common = f'preset = "mini"\ndata_dir = "{data}"\noutput_dir = "{tmp_path / "run"}"\n'
    common += 'batch_size = 4\nimage_size = 64\nencoder = "lite0"\nmin_count = 1\n'
    learn, improve = '[[stage]]\nname = "learn"\n', '[[stage]]\nname = "improve"\n'
    improve += 'objective = "scst"\nsamples_per_image = 20\n'
    file = tmp_path / "stages.toml"
    file.write_text(common + learn + improve, encoding="utf-8")
    assert main(["train", "--config", str(file), "--dry-run", "--json"]) == 0
    first, second = json.loads(capsys.readouterr().out)["stages"]
    assert first["settings"]["objective"]["value"] == "cross-entropy"
    assert first["estimate"]["activation_bytes"] < second["estimate"]["activation_bytes"]
    learn += f'teacher = "{mini}"\n'
    file.write_text(f'init = "{mini}"\n' + common + improve + learn, encoding="utf-8")
    assert main(["train", "--config", str(file), "--dry-run"]) == 0
    assert capsys.readouterr().out.count("memory: about") == 2
    assert not (tmp_path / "run").exists()
