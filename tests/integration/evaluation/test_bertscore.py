"""BERTScore with tiny random models, against the authors' package.

The package (0.3.13) was written for transformers 3 and 4. transformers 5 ignores the
`add_prefix_space` that it passes for RoBERTa, and has no `build_inputs_with_special_tokens`: its
tokenizers get both back here, and everything else is the package's.
"""

from __future__ import annotations

import json
import shutil
import sys
from collections import defaultdict
from pathlib import Path
from typing import Any

import bert_score.utils as published
import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import (
    AutoModel,
    AutoTokenizer,
    DebertaV2Config,
    DebertaV2Model,
    RobertaTokenizer,
    ViltConfig,
    ViltModel,
)

import capgen.evaluation.evidence
import capgen.models.token_encoder
from capgen.cache_folders import BERT_SCORES
from capgen.cli.main import main
from capgen.config import EvalConfig
from capgen.errors import MetricError, ModelError, UnsafeModelError
from capgen.evaluation.compare import compare
from capgen.evaluation.evaluate import evaluate, evaluation_events
from capgen.evaluation.events import EvaluationFinished, FeaturesComputed, MetricsLeftOut
from capgen.evaluation.reported import read_report
from capgen.evaluation.result import Evaluation
from capgen.evaluation.verify import verify
from capgen.metrics.bertscore import NAMES
from capgen.models.folder import ModelFolder
from capgen.models.token_encoder import TokenEncoder
from capgen.output.records import dump_json
from tests.tiny_models import save_tiny_bert, save_tiny_clip_with_words, save_tiny_roberta
from tests.unit.evaluation.sets import GOOD, POOR, REFERENCES, make_set

TEXTS = [*GOOD.values(), *POOR.values(), *(text for texts in REFERENCES.values() for text in texts)]
# The captions of other images.
OTHERS = dict(zip(GOOD, [*GOOD.values()][1:] + [*GOOD.values()][:1], strict=True))
ODD = {
    "dog.jpg": "",
    "cat.jpg": "  the cat\tlies on a chair. ",
    "boat.jpg": "Ein süßes Boot – 船 \ud800",
    "tree.jpg": "a house " * 60,
    "ball.jpg": "</s>",
    "bird.jpg": "   ",
}


@pytest.fixture(scope="module")
def roberta(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_tiny_roberta(tmp_path_factory.mktemp("bert") / "tiny", TEXTS)


@pytest.fixture(scope="module")
def bert(tmp_path_factory: pytest.TempPathFactory) -> Path:
    words = [word for text in TEXTS for word in text.split()]
    return save_tiny_bert(tmp_path_factory.mktemp("bert") / "words", words)


def config_of(model: Path, layer: int = 2, metrics: str = "bertscore", **more: Any) -> EvalConfig:
    return EvalConfig(metrics=metrics, bert_model=str(model), bert_layer=layer, **more)


def scored(model: Path, captions: dict[str, str], layer: int = 2, **more: Any) -> Evaluation:
    return evaluate(captions, make_set(**more), config=config_of(model, layer), device="cpu")


class TokenizerOfTransformers4:
    """What the package asks a tokenizer for, as transformers 4 answered."""

    def __init__(self, folder: Path) -> None:
        self._now = AutoTokenizer.from_pretrained(folder)
        self.model_max_length = self._now.model_max_length
        self.pad_token_id = self._now.pad_token_id
        self.marks = [self._now.cls_token_id, self._now.sep_token_id]

    def build_inputs_with_special_tokens(self, ids: list[int]) -> list[int]:
        assert not ids
        return self.marks

    def encode(self, text: str, **options: Any) -> list[int]:
        text = text.encode("utf-8", "replace").decode()
        # The slow tokenizer of RoBERTa put a space before the text.
        spaced = isinstance(self._now, RobertaTokenizer)
        ids: list[int] = self._now.encode(f" {text}" if spaced else text, **options)
        return ids


def by_the_package(folder: Path, captions: dict[str, str], layer: int) -> dict[str, list[float]]:
    model = AutoModel.from_pretrained(folder).eval()
    model.encoder.layer = torch.nn.ModuleList(list(model.encoder.layer[:layer]))  # `get_model`
    tokenizer: Any = TokenizerOfTransformers4(folder)
    weights = defaultdict(lambda: 1.0) | dict.fromkeys(tokenizer.marks, 0.0)
    best = []
    for name, caption in captions.items():
        references = list(REFERENCES[name])
        found = published.bert_cos_score_idf(
            model, references, [caption] * len(references), tokenizer, weights, device="cpu"
        )
        best.append(found.max(dim=0)[0])  # as in `bert_score.score`
    return dict(zip(NAMES, torch.stack(best).T.tolist(), strict=True))


@pytest.mark.parametrize("kind", ["roberta", "bert"])
@pytest.mark.parametrize("captions", [OTHERS, POOR, ODD], ids=["others", "poor", "odd"])
@pytest.mark.parametrize("layer", [1, 3])
def test_scores_are_those_of_the_package(
    kind: str, captions: dict[str, str], layer: int, request: pytest.FixtureRequest
) -> None:
    model = request.getfixturevalue(kind)
    evaluation = scored(model, captions, layer)
    expected = by_the_package(model, captions, layer)
    for name in NAMES:
        np.testing.assert_allclose(
            evaluation.scores.per_image[name], expected[name], atol=2e-6, err_msg=name
        )
        assert evaluation.scores.corpus[name] == pytest.approx(np.mean(expected[name]), abs=1e-6)
    assert evaluation.scores.per_image["BERTScore-F1"].std() > 1e-3
    made = evaluation.scores.stamp.evidence["bertscore"]
    assert made.startswith(f"{model}_L{layer}_no-idf_version=0.3.12(hug_trans=5")
    assert made.endswith(f"; {model} ({ModelFolder(model, '').fingerprint})")


def test_the_first_word_is_read_as_one_inside_a_sentence(roberta: Path) -> None:
    encoder = TokenEncoder(ModelFolder(roberta, "tiny"), 1, torch.device("cpu"))
    spaced = AutoTokenizer.from_pretrained(roberta, add_prefix_space=True)
    plain = AutoTokenizer.from_pretrained(roberta)
    for text in ("dog", "a dog", "Ein Boot"):
        assert encoder.tokens(text) == spaced.encode(text) != plain.encode(text)


def test_layers_are_those_of_the_whole_model(roberta: Path) -> None:
    whole = AutoModel.from_pretrained(roberta).eval()
    for layer in range(4):
        encoder = TokenEncoder(ModelFolder(roberta, "tiny"), layer, torch.device("cpu"))
        ids = encoder.tokens("a dog runs")
        with torch.no_grad():
            states = whole(torch.tensor([ids]), output_hidden_states=True).hidden_states
        np.testing.assert_allclose(encoder.encode([ids])[0], states[layer][0], atol=1e-6)


def test_a_deberta_without_its_layers(tmp_path: Path) -> None:
    """Its encoder in transformers cannot run without any."""
    words = [word for text in TEXTS for word in text.split()]
    folder = save_tiny_bert(tmp_path / "deberta", words)
    config = DebertaV2Config(
        vocab_size=200,
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=2,
        max_position_embeddings=64,
    )
    whole = DebertaV2Model(config).eval()
    whole.save_pretrained(folder)
    encoder = TokenEncoder(ModelFolder(folder, "deberta"), 0, torch.device("cpu"))
    ids = encoder.tokens("a dog runs")
    with torch.no_grad():
        states = whole(torch.tensor([ids]), output_hidden_states=True).hidden_states
    np.testing.assert_allclose(encoder.encode([ids])[0], states[0][0], atol=1e-6)


def test_intervals_and_paired_comparison(roberta: Path) -> None:
    first, second = scored(roberta, GOOD), scored(roberta, POOR)
    assert first.intervals["BERTScore-F1"].low <= first.scores.corpus["BERTScore-F1"]
    difference = compare(first, second).differences["BERTScore-F1"]
    expected = first.scores.corpus["BERTScore-F1"] - second.scores.corpus["BERTScore-F1"]
    assert difference.difference.value == pytest.approx(expected)
    assert difference.ties >= 1  # the dog has the same caption


def test_matches_are_kept_by_content(roberta: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = scored(roberta, GOOD)
    assert BERT_SCORES.path.is_file()
    loaded = []
    real = capgen.models.token_encoder.TokenEncoder

    class Counted(real):  # type: ignore[misc, valid-type]
        def __init__(self, *arguments: Any) -> None:
            loaded.append(arguments)
            super().__init__(*arguments)

    monkeypatch.setattr(capgen.models.token_encoder, "TokenEncoder", Counted)
    assert scored(roberta, GOOD).scores.corpus == first.scores.corpus
    assert not loaded
    assert scored(roberta, GOOD, 3).scores.corpus != first.scores.corpus
    assert len(loaded) == 1, "another layer"


def test_a_broken_cache_costs_no_result(roberta: Path) -> None:
    BERT_SCORES.path.parent.mkdir(parents=True, exist_ok=True)
    BERT_SCORES.path.unlink(missing_ok=True)
    before = scored(roberta, GOOD).scores.corpus
    BERT_SCORES.path.write_bytes(b"not a database" * 100)
    assert scored(roberta, GOOD).scores.corpus == before


def test_scores_of_another_transformers_are_computed_again(
    roberta: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A report names the version that computed its scores, not the one that found them."""
    scored(roberta, GOOD)
    # The module of the test's own import may be another one, which is loaded lazily.
    monkeypatch.setattr(sys.modules["transformers"], "__version__", "99.0")
    events = list(evaluation_events(GOOD, make_set(), config=config_of(roberta), device="cpu"))
    assert any(isinstance(event, FeaturesComputed) for event in events)
    assert "hug_trans=99.0" in events[-1].evaluation.scores.stamp.evidence["bertscore"]


def test_damaged_weights_give_no_scores(roberta: Path, tmp_path: Path) -> None:
    damaged = tmp_path / "damaged"
    shutil.copytree(roberta, damaged)
    weights = load_file(damaged / "model.safetensors")
    weights["encoder.layer.0.output.dense.weight"][:] = float("nan")
    save_file(weights, damaged / "model.safetensors", metadata={"format": "pt"})
    for _ in range(2):  # nothing of it is kept
        with pytest.raises(MetricError, match="computes scores that are no numbers") as caught:
            scored(damaged, GOOD)
        assert "--bert-model" in caught.value.hint


def test_progress(roberta: Path) -> None:
    BERT_SCORES.path.unlink(missing_ok=True)
    events = evaluation_events(POOR, make_set(), config=config_of(roberta), device="cpu")
    progress = [event for event in events if isinstance(event, FeaturesComputed)]
    assert [(event.done, event.total, event.what) for event in progress] == [
        (0, 12, "BERT"),
        (12, 12, "BERT"),
    ]


def test_the_other_metrics_are_unharmed(tmp_path: Path) -> None:
    config = config_of(tmp_path / "nowhere", metrics="bertscore,bleu")
    events = list(evaluation_events(GOOD, make_set(), config=config, device="cpu"))
    (left_out,) = [event.reasons for event in events if isinstance(event, MetricsLeftOut)]
    assert list(left_out) == ["bertscore"] and "nowhere" in left_out["bertscore"]
    assert isinstance(events[-1], EvaluationFinished)
    scores = events[-1].evaluation.scores
    assert scores.failed == ("bertscore",)
    assert "BERTScore-F1" not in scores.corpus and "BLEU-4" in scores.corpus


def test_a_report_is_verified(roberta: Path, tmp_path: Path) -> None:
    kept = tmp_path / "report.json"
    kept.write_text(dump_json(scored(roberta, POOR).to_dict(), indent=2))
    (report,) = read_report(kept)
    assert report.record["config"]["bert_layer"] == 2
    found = verify(report, make_set(), device="cpu")
    assert found.holds and found.values > 3 * 6
    other = verify(report, make_set(), config=config_of(roberta, 3), device="cpu")
    assert not other.holds


def test_a_language_that_the_model_does_not_know(bert: Path) -> None:
    foreign = dict.fromkeys(REFERENCES, ("សេះមួយក្បាល", "ឆ្កែពីរ"))
    data = make_set()
    pool = [type(one)(**{**vars(one), "references": foreign[one.image_id]}) for one in data.pool]
    with pytest.raises(MetricError, match="does not know the language of the references") as caught:
        evaluate(GOOD, make_set(pool=tuple(pool)), config=config_of(bert), device="cpu")
    assert "--bert-model" in caught.value.hint


def test_models_that_are_no_text_encoder(roberta: Path, tmp_path: Path) -> None:
    clip = save_tiny_clip_with_words(tmp_path / "clip")
    with pytest.raises(ModelError, match="'clip' model, which does not encode texts"):
        scored(clip, GOOD)
    with pytest.raises(ModelError, match="has 3 layers, and layer 4 is asked for"):
        scored(roberta, GOOD, 4)
    words = [word for text in TEXTS for word in text.split()]
    seeing = save_tiny_bert(tmp_path / "seeing", words)  # for its tokenizer
    shape = {"hidden_size": 32, "intermediate_size": 64, "num_attention_heads": 2}
    ViltModel(ViltConfig(vocab_size=200, num_hidden_layers=2, **shape)).save_pretrained(seeing)
    with pytest.raises(ModelError, match="seeing does not encode texts alone"):
        scored(seeing, GOOD, 1)
    pickled = tmp_path / "pickled"
    shutil.copytree(roberta, pickled)
    (pickled / "model.safetensors").rename(pickled / "pytorch_model.bin")
    with pytest.raises(UnsafeModelError, match="pickled weights"):
        scored(pickled, GOOD)


def test_the_command(roberta: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    said, references = tmp_path / "said.txt", tmp_path / "references.txt"
    said.write_text("".join(f"{name}\t{text}\n" for name, text in GOOD.items()))
    lines = [f"{name}\t{text}\n" for name, texts in REFERENCES.items() for text in texts]
    references.write_text("".join(lines))
    files = ["--predictions", str(said), "--references", str(references)]
    options = ["--metrics", "bertscore,bleu", "--bert-model", str(roberta)]
    assert main(["eval", *files, *options, "--bert-layer", "1"]) == 0
    assert "BERTScore-F1" in capsys.readouterr().out
    assert main(["eval", *files, *options]) == 2
    captured = capsys.readouterr()
    assert not captured.out and "Name it with --bert-layer" in " ".join(captured.err.split())
    assert main(["eval", *files, "--metrics", "bertscore,bleu"]) == 1
    captured = capsys.readouterr()
    assert "BLEU-4" in captured.out and "BERTScore-F1" not in captured.out
    assert "FacebookAI/roberta-large is not in the local cache" in " ".join(captured.err.split())


def test_a_metric_that_fails_for_the_other_captions_only(
    roberta: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """What both have is compared, and what was computed is not lost."""
    real = capgen.evaluation.evidence.match_captions

    def failing(model: Any, captions: Any, *rest: Any, **more: Any) -> Any:
        if captions == POOR:
            raise MetricError("no memory is left")
        return (yield from real(model, captions, *rest, **more))

    monkeypatch.setattr(capgen.evaluation.evidence, "match_captions", failing)
    files = [tmp_path / "good.json", tmp_path / "poor.json", tmp_path / "references.json"]
    for file, content in zip(files, (GOOD, POOR, REFERENCES), strict=True):
        file.write_text(json.dumps(content))
    page, report = tmp_path / "page.html", tmp_path / "report.json"
    command = ["eval", "--references", str(files[2]), "--metrics", "bertscore,bleu"]
    command += ["--bert-model", str(roberta), "--bert-layer", "1"]
    command += ["--html", str(page), "--json", str(report)]
    for first, second in (files[:2], files[1::-1]):
        both = ["--predictions", str(first), "--compare", str(second)]
        assert main([*command, *both]) == 1
        shown = capsys.readouterr()
        assert "no memory is left" in " ".join(shown.err.split())
        assert list(json.loads(report.read_text())["differences"]) == [
            *("BLEU-1", "BLEU-2", "BLEU-3", "BLEU-4"),
        ]
        assert "BLEU-4" in shown.out and page.is_file()
