"""What keeps captions from being scored is found out before the first image is captioned."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from capgen.config import EvalConfig
from capgen.errors import CapgenError, MetricError, ModelError
from capgen.evaluation.evaluate import evaluation_events
from capgen.evaluation.evaluation_set import EvaluationSet
from capgen.evaluation.events import EvaluationFinished, MetricsLeftOut, ScoringStarted
from capgen.metrics import score
from capgen.metrics.cider import DocumentFrequencies
from capgen.metrics.meteor_1_5 import resources
from capgen.models.folder import ModelFolder
from tests.tiny_models import save_tiny_bert, save_tiny_clip_with_words
from tests.unit.evaluation.sets import GOOD, REFERENCES, Scripted, make_set

GERMAN = dict.fromkeys(REFERENCES, ("ein Hund läuft über die grüne Wiese", "der Hund ist im Gras"))


class Idle(Scripted):
    """A system that must not be asked."""

    def captions(self, data: EvaluationSet) -> Iterator[Any]:
        raise AssertionError("an image was captioned")


@pytest.fixture(scope="module")
def bert(tmp_path_factory: pytest.TempPathFactory) -> Path:
    words = [word for texts in REFERENCES.values() for text in texts for word in text.split()]
    return save_tiny_bert(tmp_path_factory.mktemp("bert") / "words", words)


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_tiny_clip_with_words(tmp_path_factory.mktemp("clip") / "tiny")


def refused(data: EvaluationSet | None = None, **settings: Any) -> CapgenError:
    table = settings.pop("table", None)
    events = evaluation_events(
        Idle({}), data or make_set(), config=EvalConfig(**settings), document_frequencies=table
    )
    with pytest.raises(CapgenError) as caught:
        list(events)
    return caught.value


def german() -> EvaluationSet:
    pool = [
        type(one)(**{**vars(one), "references": GERMAN[one.image_id]}) for one in make_set().pool
    ]
    return make_set(pool=tuple(pool))


def bare(folder: Path, place: Path, *names: str) -> str:
    copy = Path(shutil.copytree(folder, place))
    for name in names:
        (copy / name).unlink()
    return str(copy)


def test_a_model_that_is_no_clip(bert: Path, clip: Path, tmp_path: Path) -> None:
    nowhere = str(tmp_path / "nowhere")
    assert "nowhere" in refused(metrics="clipscore", clip_model=nowhere).message
    other = refused(metrics="clipscore", clip_model=str(bert))
    assert isinstance(other, ModelError) and "'bert' model, which does not" in other.message
    without = bare(clip, tmp_path / "one", "model.safetensors")
    assert "weights" in refused(metrics="clipscore", clip_model=without).message
    mute = bare(clip, tmp_path / "two", "tokenizer.json")
    assert "has no tokenizer" in refused(metrics="clipscore", clip_model=mute).message


def test_a_model_that_is_no_bert(bert: Path, clip: Path, tmp_path: Path) -> None:
    other = refused(metrics="bertscore", bert_model=str(clip), bert_layer=1)
    assert isinstance(other, ModelError) and "does not encode texts" in other.message
    deep = refused(metrics="bertscore", bert_model=str(bert), bert_layer=4)
    assert "has 3 layers, and layer 4 is asked for" in deep.message
    mute = bare(bert, tmp_path / "mute", "tokenizer.json")
    assert "tokenizer" in refused(metrics="bertscore", bert_model=mute, bert_layer=1).message
    unreached = refused(metrics="bertscore")
    assert "FacebookAI/roberta-large is not in the local cache" in unreached.message
    assert "--bert-model" in unreached.hint


def test_the_other_metrics_are_computed(bert: Path, clip: Path) -> None:
    config = EvalConfig(
        metrics="bleu,clipscore,bertscore",
        clip_model=str(bert),
        bert_model=str(clip),
        bert_layer=1,
    )
    first, *rest = evaluation_events(Scripted(GOOD), make_set(), config=config)
    assert isinstance(first, MetricsLeftOut) and set(first.reasons) == {"clipscore", "bertscore"}
    assert not any(isinstance(event, MetricsLeftOut) for event in rest)
    assert isinstance(rest[-1], EvaluationFinished)
    assert rest[-1].evaluation.scores.failed == ("clipscore", "bertscore")
    assert "BLEU-4" in rest[-1].evaluation.scores.corpus


def test_usable_models_are_used(bert: Path, clip: Path, tmp_path: Path) -> None:
    config = EvalConfig(
        metrics="clipscore,bertscore",
        clip_model=str(clip),
        bert_model=str(bert),
        bert_layer=1,
    )
    *_, last = evaluation_events(Scripted(GOOD), make_set(tmp_path), config=config, device="cpu")
    assert isinstance(last, EvaluationFinished) and not last.evaluation.scores.left_out


def test_weights_are_not_read(bert: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import capgen.models.token_encoder as module

    monkeypatch.setattr(module, "load_weights", lambda *_, **__: pytest.fail("read"))
    module.check_token_encoder(ModelFolder(bert, "words"), 3)


def test_a_language_that_no_metric_reads() -> None:
    error = refused(german(), metrics="chair,meteor")
    assert "CHAIR's words for objects are English" in error.message


def test_a_tokenizer_that_is_not_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("capgen.metrics.tokenizers.find_spec", lambda name: None)
    error = refused(tokenizer="pythainlp")
    assert isinstance(error, MetricError) and "pythainlp is not installed" in error.message


def test_document_frequencies_of_other_tokens() -> None:
    table = DocumentFrequencies.from_tokens([["a b"], ["c"]], tokenizer="another")
    assert "other tokens (another)" in refused(table=table).message


@pytest.mark.parametrize("installed", [True, False])
def test_nothing_is_unpacked_for_a_metric_that_is_left_out(
    installed: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not installed:
        monkeypatch.setattr(resources, "find_spec", lambda name: None)
    monkeypatch.setattr(score, "are_unpacked", lambda: False)
    config = EvalConfig(metrics="bleu,meteor_1_5", resamples=100)
    for data in (german(), *(() if installed else (make_set(),))):
        events = list(evaluation_events(GOOD, data, config=config))
        (started,) = [event for event in events if isinstance(event, ScoringStarted)]
        assert not started.note


def test_models_that_are_not_there_are_not_a_matter_of_language(tmp_path: Path) -> None:
    nowhere = str(tmp_path / "nowhere")
    models: dict[str, Any] = {"clip_model": nowhere, "bert_model": str(tmp_path / "neither")}
    error = refused(metrics="clipscore,bertscore", bert_layer=1, **models)
    assert "nowhere" in error.message and "neither" in error.message
    assert error.hint == "Choose others with --metrics."
    error = refused(german(), metrics="meteor,clipscore", language="de", clip_model=nowhere)
    assert "--language" in error.hint
