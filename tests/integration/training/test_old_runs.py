"""A run that an earlier version left behind goes on: its files, as text, are in `old_run`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from safetensors import safe_open

from capgen.models.folder import CHECKPOINTS
from capgen.models.run_events import read_events
from capgen.records import RunFinished, RunResumed, StepEvent
from capgen.training.run.train import resume, train
from tests.training_runs import of_kind, run_config

OLD = Path(__file__).parent / "old_run"
# What a tensor's name says before the parameter's.
KINDS = {"average", "exp_avg", "exp_avg_sq", "step", "weight"}


def with_values_of(old: dict[str, Any], new: dict[str, Any]) -> dict[str, Any]:
    """Return an old record's keys, which all have to be known, with the values of a new one."""
    return {
        key: with_values_of(value, new[key]) if isinstance(value, dict) else new[key]
        for key, value in old.items()
    }


def test_a_run_of_an_earlier_version_goes_on_exactly(tmp_path, data, mini):
    settings = {"save_every": 1, "eval": False, "test": False}
    for _ in train(run_config(tmp_path, data, mini, output_dir=tmp_path / "whole", **settings)):
        pass
    running = train(run_config(tmp_path, data, mini, **settings))
    for event in running:
        if isinstance(event, StepEvent) and event.step == 3:
            running.close()  # as if killed: the state is that of the first epoch's end
    run = tmp_path / "run"
    (state,) = (run / "state").iterdir()
    with safe_open(str(state / "tensors.safetensors"), "pt") as file:
        names = set(file.keys())
    assert {name.split("/")[0] for name in names} == KINDS
    assert "average/decoder.transformer.h.0.attn.c_attn.bias" in names

    def sample(name: str) -> str:
        text = (OLD / name).read_text(encoding="utf-8")
        text = text.replace("PLACE/data", str(data)).replace("PLACE/mini", str(mini))
        return text.replace("PLACE/run", str(run))

    kept, _, forgotten = sample("events.jsonl").rstrip("\n").rpartition("\n")
    assert json.loads(forgotten)["step"] == 3
    record = json.loads((state / "state.json").read_text(encoding="utf-8"))
    record = with_values_of(json.loads(sample("state.json")), record)
    record["events_size"] = len(f"{kept}\n".encode())
    (state / "state.json").write_text(json.dumps(record), encoding="utf-8")
    (run / "config.toml").write_text(sample("config.toml"), encoding="utf-8")
    (run / "events.jsonl").write_text(sample("events.jsonl"), encoding="utf-8")
    (run / "curves.png").write_bytes(b"an image that newer versions do not write")

    events = list(resume(run))
    assert isinstance(events[-1], RunFinished)
    assert (run / "events.jsonl").read_text(encoding="utf-8").startswith(kept)
    recorded = read_events(run)
    assert [event.step for event in of_kind(StepEvent, recorded)] == [1, 2, 3, 4]
    assert len(of_kind(RunResumed, recorded)) == 1
    for name in CHECKPOINTS:
        weights = [
            (tmp_path / where / name / "model.safetensors").read_bytes()
            for where in ("whole", "run")
        ]
        assert weights[0] == weights[1], name
    assert (run / "curves.png").is_file(), "what is there is left alone"
