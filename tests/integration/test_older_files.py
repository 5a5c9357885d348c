"""Files that version 0.1 wrote before the modules moved are read as they were."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import shutil
from pathlib import Path

import pytest

from capgen import Caption, CaptionFailure
from capgen.captioning.batch.journal import Journal
from capgen.captioning.confidence.calibration_file import Calibration
from capgen.config.toml_files import read_toml
from capgen.data import load_dataset
from capgen.evaluation.predictions import read_predictions
from capgen.models.provenance import Provenance
from capgen.records import RunFinished, StageFinished, event_from_dict, record_from_dict
from capgen.training import RunFolder, read_config, read_events, read_plan
from capgen.training.run.saved_state import StateStore
from capgen.undo import undo

OLD = Path(__file__).parent.parent / "data" / "v0.1"


def json_of(name: str) -> dict:
    return json.loads((OLD / name).read_text(encoding="utf-8"))


def lines_of(name: str) -> list[dict]:
    return [json.loads(line) for line in (OLD / name).read_text(encoding="utf-8").splitlines()]


def test_captions_and_a_report_are_read_as_predictions():
    captions = {line["path"]: line["caption"] for line in json_of("captions.json")}
    assert dict(read_predictions(OLD / "captions.json").captions) == {
        name: caption for name, caption in captions.items() if caption is not None
    }
    rows = json_of("evaluation.json")["images"]
    found = read_predictions(OLD / "evaluation.json").captions
    assert dict(found) == {row["image_id"]: row["caption"] for row in rows}


@pytest.mark.parametrize("run", ["run", "staged/stages/1-first"])
def test_the_environment_of_a_run_comes_back(run):
    """A stage's data, and a resumed run's lineage, are taken from it."""
    record = RunFolder(OLD / run).read_record("environment.json")
    assert record["data"]["counts"] == {"train": 8, "val": 1, "test": 1}
    assert "lineage" not in record


@pytest.mark.parametrize("name", ["captions.jsonl", "rich.jsonl", "captions.csv.journal"])
def test_records_come_back_whole(name):
    for line in lines_of(name):
        record = record_from_dict(line)
        assert isinstance(record, CaptionFailure if line["caption"] is None else Caption)
        assert record_from_dict(json.loads(json.dumps(record.to_dict()))) == record
        again = {**record.to_dict(), "error": line["error"]}
        for name in ("path", "caption", "score", "tokens", "width", "sha256", "model", "revision"):
            assert again.get(name) == line.get(name)
        if isinstance(record, Caption):
            assert [*record.notes] == line["notes"]
            assert (record.retry is None) == (line.get("retry") is None)
            assert (record.unwritten is None) == (line["error"] is None)


def test_a_journal_knows_the_images_of_an_earlier_run(tmp_path):
    shutil.copy(OLD / "captions.csv.journal", tmp_path / "captions.csv.journal")
    first = lines_of("captions.csv.journal")[0]
    journal = Journal(
        tmp_path / "captions.csv.journal", first["model"], first["revision"], first["settings"]
    )
    assert len(journal) == len(lines_of("captions.csv.journal")) == 3
    assert journal.find(first["sha256"]).path == first["path"]
    journal.close()


@pytest.mark.parametrize(("now", "known"), [(True, 3), (False, 0)])
def test_a_run_goes_on_where_nouns_may_be_repeated(now, known, tmp_path):
    """As 0.1 captioned; since then a noun is said once unless asked otherwise."""
    journal = Path(shutil.copy(OLD / "captions.csv.journal", tmp_path))
    first = lines_of("captions.csv.journal")[0]
    settings = {**first["settings"], "repeat_nouns": now}
    assert len(Journal(journal, first["model"], first["revision"], settings)) == known


RUNS = ("run", "staged/stages/1-first", "staged/stages/2-second", "stopped")


@pytest.mark.parametrize("run", [*RUNS, "staged"])
def test_events_of_a_run_come_back(run):
    lines = lines_of(f"{run}/events.jsonl")
    events = [event_from_dict(line) for line in lines]
    assert len(read_events(OLD / run)) == len(lines) > 2
    for line, event in zip(lines, events, strict=True):
        del line["time"]  # the log's, not the event's
        assert line.items() <= json.loads(json.dumps(event.to_dict())).items()
    assert any(isinstance(event, RunFinished) for event in events) == (run != "stopped")


@pytest.mark.parametrize("run", RUNS)
def test_settings_of_a_run_come_back(run):
    config = read_config(OLD / run / "config.toml")
    assert (config.preset, config.batch_size) == ("clip-gpt2" if run == "stopped" else "mini", 4)


def test_a_run_with_stages_comes_back():
    plan = read_plan(OLD / "staged" / "config.toml")
    assert [stage.name for stage in plan.stages] == ["first", "second"]
    assert plan.stages[1].config.learning_rate == 1e-3
    finished = [e for e in read_events(OLD / "staged") if isinstance(e, StageFinished)]
    assert len(finished) == 2


def test_the_state_of_a_stopped_run_comes_back():
    state = StateStore(OLD / "stopped", keep=2).newest()
    assert state.numbers["step"] == 1 and len(state.tensors) == 6


def test_the_origin_of_a_model_comes_back():
    record = json_of("run/best-eval/capgen.json")
    del record["schema_version"]
    kept = json.loads(json.dumps(dataclasses.asdict(Provenance.from_dict(record))))
    assert record.items() <= kept.items()


def test_a_calibration_comes_back():
    [fit] = Calibration.read(OLD / "calibration.json").fits
    assert fit.settings == json_of("calibration.json")["fits"][0]["settings"]


def test_the_user_s_settings_come_back():
    settings = read_toml(OLD / "config.toml")
    assert (settings["device"], settings["beams"]) == ("cpu", 5)


def test_a_data_set_comes_back():
    dataset = load_dataset(OLD / "mine")
    assert len(dataset.examples) == 10 and not dataset.problems
    assert all(len(example.references) == 2 for example in dataset.examples)


def test_metadata_is_taken_out_again(tmp_path):
    entries = lines_of("capgen-undo.jsonl")
    for entry in entries:
        name = Path(entry["path"]).name
        entry["path"] = str(shutil.copy(OLD / "embedded" / name, tmp_path / name))
    undo_file = tmp_path / "capgen-undo.jsonl"
    undo_file.write_text("".join(json.dumps(entry) + "\n" for entry in entries), encoding="utf-8")
    assert len(list(undo(undo_file))) == 2
    for entry in entries:
        found = hashlib.sha256(Path(entry["path"]).read_bytes()).hexdigest()
        assert found == entry["sha256_before"]
