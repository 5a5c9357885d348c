"""Comparisons: the same scores as `evaluate`, and intervals as in another implementation."""

from __future__ import annotations

import json
import shutil
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from capgen.cli.main import main
from capgen.config import EvalConfig
from capgen.digests import files_digest
from capgen.errors import ModelNotFoundError, StorageError, UsageError
from capgen.evaluation.evaluate import evaluate
from capgen.evaluation.evaluation_set import EvaluationSet, evaluation_set
from capgen.metrics.ptb.tokenizer import tokenize
from capgen.models.folder import RUN_SETTINGS_FILE
from capgen.models.run_events import EVENTS_FILE
from capgen.paths import bundled_model_dir, runs_dir
from capgen.registry.compare import (
    ComparisonFinished,
    ModelComparison,
    choose_models,
    comparison_events,
)
from capgen.registry.learning_curves import LearningCurves, learning_curves
from capgen.registry.report import write_comparison
from capgen.registry.speed import SpeedOptions
from tests.browser import browse, needs_browser
from tests.minis import make_images, write_flickr8k
from tests.unit.training.tracking.page.recorded_runs import epoch_of, finished, started

IMAGES = 30
# The first two curves, light and dark.
LIGHT, DARK = [(11, 87, 164), (164, 14, 38)], [(121, 184, 255), (255, 148, 146)]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data set, and the bundled model twice: as it is, and greedy with words it may not say."""
    root = tmp_path_factory.mktemp("compare")
    write_flickr8k(root / "data", make_images(IMAGES * 5, seed=3))
    for name in ("best-eval", "best-loss"):
        shutil.copytree(bundled_model_dir(), root / name)
    settings = root / "best-loss" / "generation_config.json"
    vocabulary = json.loads((root / "best-loss" / "tokenizer.json").read_text())["model"]["vocab"]
    unsaid = [vocabulary[word] for word in ("dog", "man", "red", "in")]
    changed = {"num_beams": 1, "suppress_tokens": [0, 1, 3, *unsaid]}
    settings.write_text(json.dumps({**json.loads(settings.read_text()), **changed}))
    return root


@pytest.fixture(scope="module")
def data(folder: Path) -> EvaluationSet:
    return evaluation_set(None, folder / "data", split="val")


@pytest.fixture(scope="module")
def found(folder: Path, data: EvaluationSet) -> ModelComparison:
    events = comparison_events(
        [str(folder / "best-eval"), str(folder / "best-loss")],
        data,
        config=EvalConfig(resamples=2000),
        speed=SpeedOptions(images=3, rounds=2),
    )
    *_, last = events
    assert isinstance(last, ComparisonFinished)
    return last.comparison


def test_scores_are_those_of_an_evaluation(found: ModelComparison, data: EvaluationSet) -> None:
    alone = evaluate(found.entries[1].name, data, config=EvalConfig(resamples=100))
    assert found.evaluations[1].captions == alone.captions
    assert found.evaluations[1].scores.corpus == alone.scores.corpus
    assert found.evaluations[0].captions != found.evaluations[1].captions


def test_intervals_and_p_values_agree_with_an_independent_bootstrap(
    found: ModelComparison,
) -> None:
    """An independent implementation: other draws, another seed, one resample at a time."""
    generator = np.random.default_rng(987)
    first, second = found.evaluations
    images = len(first.captions)
    draws = [generator.choice(images, images) for _ in range(4000)]
    for metric in ("CIDEr-D", "METEOR", "ROUGE-L", "BLEU-1", "BLEU-2"):
        scores = np.array(
            [[_score(item, metric, draw) for draw in draws] for item in (first, second)]
        )
        difference = scores[0] - scores[1]
        width = np.ptp(np.quantile(difference, [0.025, 0.975]))
        # Monte Carlo error of a percentile of 2,000 resamples is some hundredths of the width.
        tolerance = 0.08 * width + 1e-12
        for item, values in zip((first, second), scores, strict=True):
            interval = item.intervals[metric]
            ends = np.quantile(values, [0.025, 0.975])
            assert abs(interval.low - ends[0]) < 0.08 * np.ptp(ends) + 1e-12
            assert abs(interval.high - ends[1]) < 0.08 * np.ptp(ends) + 1e-12
        ours = found.comparisons[0].differences[metric]
        low, high = np.quantile(difference, [0.025, 0.975])
        assert abs(ours.difference.low - low) < tolerance
        assert abs(ours.difference.high - high) < tolerance
        p_value = min(1.0, 2 * min((difference <= 0).mean(), (difference >= 0).mean()))
        assert ours.p_value == pytest.approx(p_value, abs=0.1)


def _score(evaluation, metric: str, draw: np.ndarray) -> float:  # type: ignore[no-untyped-def]
    if not metric.startswith("BLEU"):
        return float(evaluation.scores.per_image[metric][draw].mean())
    return _bleu(_bleu_counts(evaluation)[draw].sum(axis=0), int(metric[-1]))


_COUNTS: dict[int, np.ndarray] = {}


def _bleu_counts(evaluation) -> np.ndarray:  # type: ignore[no-untyped-def]
    """Return of each image: length, closest reference length, and matches of 1 and 2 words."""
    if id(evaluation) in _COUNTS:
        return _COUNTS[id(evaluation)]
    rows = []
    for image_id in evaluation.scores.image_ids:
        said, *references = (
            tokenize(text).split()
            for text in (
                evaluation.captions[image_id],
                *evaluation.data.by_id[image_id].references,
            )
        )
        closest = min((abs(len(item) - len(said)), len(item)) for item in references)[1]
        row = [len(said), closest]
        for size in (1, 2):
            most: Counter[tuple[str, ...]] = Counter()
            for item in references:
                most |= Counter(zip(*(item[start:] for start in range(size)), strict=False))
            own = Counter(zip(*(said[start:] for start in range(size)), strict=False))
            row.append(sum((own & most).values()))
        rows.append(row)
    return _COUNTS.setdefault(id(evaluation), np.array(rows, float))


def _bleu(counts: np.ndarray, size: int) -> float:
    """Corpus BLEU of Papineni et al. (2002) from summed counts, for captions of 2+ words."""
    length, reference, *matches = counts
    words = [length, length - IMAGES][:size]
    precision = np.prod([match / total for match, total in zip(matches, words, strict=False)])
    brevity = min(1.0, np.exp(1 - reference / length))
    return float(brevity * precision ** (1 / size))


def test_speed_size_and_parameters_are_told(found: ModelComparison) -> None:
    record = json.loads(json.dumps(found.to_dict()))
    assert record["kind"] == "model_comparison"
    for model in record["models"]:
        speed = model["speed"]
        assert 0 < speed["slowest"] <= speed["photos_per_second"] <= speed["fastest"]
        assert model["size"] > 1e6 and model["parameters"] > 1e5
        assert set(model["evaluation"]["intervals"]) >= {"CIDEr-D", "BLEU-4"}
    (comparison,) = record["comparisons"]
    assert comparison["first"] == found.entries[0].name
    assert comparison["differences"]["CIDEr-D"]["p_value"] <= 1


def test_the_command_on_a_run(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A run, which stands for its best by score and its best by loss, and a model of none."""
    run = runs_dir() / "tiny"
    run.mkdir(parents=True)
    (run / "config.toml").write_text("")
    for name in ("best-eval", "best-loss"):
        (run / name).symlink_to(folder / name)
    told = [*started(epochs=1), *epoch_of(1, images=[], captions=[], score=0.25), *finished()]
    (run / EVENTS_FILE).write_text("\n".join(json.dumps(event.to_dict()) for event in told))
    page, record = tmp_path / "c.html", tmp_path / "c.json"
    data = ["--data-dir", str(folder / "data"), "--split", "val"]
    command = ["models", "compare", "tiny", "mini", *data]
    files = ["--html", str(page), "--json", str(record), "--examples", "3", "--resamples", "100"]
    assert main([*command, "--limit", "6", "--no-speed", *files]) == 0
    captured = capsys.readouterr()
    shown = captured.out
    assert "tiny/best-eval (first) and tiny/best-loss (second)" in shown
    assert "parameters" in shown and "images/s" not in shown
    saved = json.loads(record.read_text())
    names = ["tiny/best-eval", "tiny/best-loss", "mini"]
    assert [model["name"] for model in saved["models"]] == names
    assert saved["models"][0]["speed"] is None
    assert saved["words"]["models"] == names
    assert {item["name"] for item in saved["words"]["classes"]} >= {"objects", "colours"}
    assert "Recall by class of word" in shown
    (curve,) = saved["learning_curves"]
    assert curve["models"] == {"tiny/best-eval": 10, "tiny/best-loss": 10}
    assert curve["last"]["val/CIDEr-D"] == 0.25
    assert "0.2500 (0.2500, 10)" in shown
    assert "mini has no learning curve" in " ".join(captured.err.split())
    text = page.read_text()
    assert "<h3>CIDEr-D (val)</h3>" in text and "mini has no learning curve" in text
    assert "Recall by class of word" in text
    assert "<script" not in text and "differ most" in text
    assert 1 <= text.count('<article class="card">') <= 2 * 3
    for caption in saved["comparisons"][0]["disagreements"]["images"][0].values():
        assert str(caption) in text or isinstance(caption, float)


def test_rows_of_a_paper(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    models = [str(folder / name) for name in ("best-eval", "best-loss")]
    data = ["--data-dir", str(folder / "data"), "--split", "val", "--limit", "3"]
    rows = ["--no-speed", "--metrics", "bleu", "--resamples", "100", "--format", "csv"]
    assert main(["models", "compare", *models, *data, *rows]) == 0
    head, *shown = capsys.readouterr().out.splitlines()
    assert head.startswith("model,BLEU-1,")
    assert [row.partition(",")[0] for row in shown] == models


def test_a_full_disk_costs_no_scores(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(path: Path, text: str) -> None:
        raise StorageError(f"No space left to write {path}")

    monkeypatch.setattr("capgen.paths.write_text", full)
    models = [str(folder / name) for name in ("best-eval", "best-loss")]
    place = ["--data-dir", str(folder / "data"), "--split", "val", "--limit", "2", "--no-speed"]
    options = ["--metrics", "bleu", "--json", str(folder / "full.json")]
    assert main(["models", "compare", *models, *place, *options]) == 1
    out, err = capsys.readouterr()
    assert "No space left to write" in err and "BLEU-4" in out


@needs_browser
@pytest.mark.parametrize(("scheme", "colours"), [("1", LIGHT), ("0", DARK)], ids=["light", "dark"])
def test_the_curves_in_a_browser(
    found: ModelComparison, tmp_path: Path, scheme: str, colours: list[tuple[int, ...]]
) -> None:
    entries = []
    for number, name in enumerate(("a&b <i>", "other")):
        model = tmp_path / "runs" / name / "best-eval"
        model.mkdir(parents=True)
        told = started(epochs=2)
        for epoch in (1, 2):
            score = 0.1 * epoch + 0.4 * number
            told += epoch_of(epoch, images=[], captions=[], score=score, steps=10 + number)
        lines = [json.dumps(event.to_dict()) for event in told]
        (model.parent / EVENTS_FILE).write_text("\n".join(lines))
        entries.append(replace(found.entries[0], name=f"{name}/best-eval", path=model))
    drawn = []
    for learning in (learning_curves(entries), LearningCurves()):
        page, screen = tmp_path / "page.html", tmp_path / "screen.png"
        write_comparison(page, replace(found, learning=learning), examples=0)
        flags = (f"--screenshot={screen}", f"--blink-settings=preferredColorScheme={scheme}")
        more = ("--dump-dom", "--window-size=1200,12000")  # the whole page
        dom, errors = browse(page, tmp_path / "profile", *flags, *more)
        assert "CONSOLE" not in errors
        assert ("learning-curves" in dom) == bool(learning.runs)
        with Image.open(screen) as image:
            pixels = np.asarray(image.convert("RGB"))
        drawn.append([int((pixels == colour).all(axis=2).sum()) for colour in colours])
    for with_curves, without in zip(*drawn, strict=True):
        assert with_curves > without + 200, "a curve in each of six charts"


@pytest.mark.parametrize("names", [["mini"], [], ["mini", "mini"]])
def test_what_cannot_be_compared(names: list[str]) -> None:
    with pytest.raises(UsageError):
        choose_models(names)


def test_files_of_captions_are_compared_elsewhere(tmp_path: Path) -> None:
    said = tmp_path / "said.json"
    said.write_text("[]")
    with pytest.raises(UsageError) as caught:
        choose_models(["mini", str(said)])
    assert "capgen eval --predictions A --compare B" in caught.value.hint


def test_checkpoints_of_a_run_that_are_one_model_are_compared_once(
    data: EvaluationSet, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("best-eval", "best-loss"):
        shutil.copytree(bundled_model_dir(), runs_dir() / "mine" / name)
    (runs_dir() / "mine" / RUN_SETTINGS_FILE).write_text("")
    assert choose_models(["mine", "mini"]).names == ("mine/best-eval", "mini")
    with pytest.raises(UsageError, match="best-eval and mine/best-loss are the same model"):
        choose_models(["mine"])
    read = []

    def counted(files: Any, *rest: Any) -> str:
        files = list(files)
        read.extend(file for file in files if file.parent.name == "best-loss")
        return files_digest(files, *rest)

    monkeypatch.setattr("capgen.models.folder.files_digest", counted)
    *_, last = comparison_events(choose_models(["mine", "mini"]), data.limited(2))
    assert len(read) == len(set(read)) > 1, "weights take a while to read"
    assert isinstance(last, ComparisonFinished)
    assert "mine/best-loss is the same model as mine/best-eval" in last.comparison.notes[0]
    (runs_dir() / "mine" / "best-loss" / "generation_config.json").write_text("{}")
    assert choose_models(["mine"]).names == ("mine/best-eval", "mine/best-loss")


def test_a_model_that_is_not_there_is_found_out_first(data: EvaluationSet) -> None:
    events = comparison_events(["mini", "./nothing"], data)
    with pytest.raises(ModelNotFoundError, match="nothing"):
        next(events)
