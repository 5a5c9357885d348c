"""CLIPScore with tiny random CLIPs, against the published formula and transformers itself."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file
from transformers import AutoModel, AutoTokenizer, SiglipConfig, SiglipModel
from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil
from transformers.models.siglip.image_processing_pil_siglip import SiglipImageProcessorPil

import capgen.models.clip
from capgen.cache_folders import CLIP_FEATURES
from capgen.config import EvalConfig
from capgen.errors import MetricError, ModelError, UnsafeModelError
from capgen.evaluation.compare import compare
from capgen.evaluation.evaluate import evaluate, evaluation_events
from capgen.evaluation.events import EvaluationFinished, FeaturesComputed, MetricsLeftOut
from capgen.evaluation.reported import read_report
from capgen.evaluation.result import Evaluation
from capgen.evaluation.verify import verify
from capgen.models.folder import ModelFolder
from capgen.output.records import dump_json
from tests.tiny_models import save_tiny_clip_with_words, save_tiny_gpt2
from tests.unit.evaluation.sets import GOOD, POOR, REFERENCES, make_set


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_tiny_clip_with_words(tmp_path_factory.mktemp("clip") / "tiny")


def scored(clip: Path, folder: Path, captions: dict[str, str]) -> Evaluation:
    config = EvalConfig(metrics="clipscore", clip_model=str(clip))
    return evaluate(captions, make_set(folder), config=config, device="cpu")


def published(clip: Path, folder: Path, captions: dict[str, str]) -> tuple[list[float], ...]:
    """CLIPScore and RefCLIPScore by the formulas of Hessel et al., section 3."""
    model = AutoModel.from_pretrained(clip).eval()
    tokenizer = AutoTokenizer.from_pretrained(clip)
    processor = CLIPImageProcessorPil.from_pretrained(clip)

    def text(caption: str) -> torch.Tensor:
        tokens = tokenizer(f"A photo depicts {caption}", truncation=True, return_tensors="pt")
        return model.get_text_features(**tokens).pooler_output[0]

    def cosine(one: torch.Tensor, other: torch.Tensor) -> float:
        return float(torch.cosine_similarity(one, other, dim=0))

    plain, with_references = [], []
    with torch.no_grad():
        for name, caption in captions.items():
            image = Image.open(folder / name).convert("RGB")
            pixels = processor(images=image, return_tensors="pt")
            seen = model.get_image_features(**pixels).pooler_output[0]
            score = 2.5 * max(cosine(seen, text(caption)), 0)
            near = max(0.0, *(cosine(text(caption), text(other)) for other in REFERENCES[name]))
            plain.append(score)
            with_references.append(2 * score * near / (score + near) if score + near else 0)
    return plain, with_references


@pytest.mark.parametrize("seed", [0, 4])
@pytest.mark.parametrize("captions", [GOOD, POOR])
def test_scores_are_the_published_formula(
    seed: int, captions: dict[str, str], tmp_path: Path
) -> None:
    clip = save_tiny_clip_with_words(tmp_path / "tiny", seed)
    evaluation = scored(clip, tmp_path, captions)
    plain, with_references = published(clip, tmp_path, captions)
    assert max(plain) > 0.1
    report = evaluation.scores
    np.testing.assert_allclose(report.per_image["CLIPScore"], plain, atol=1e-6)
    np.testing.assert_allclose(report.per_image["RefCLIPScore"], with_references, atol=1e-6)
    assert report.corpus["CLIPScore"] == pytest.approx(np.mean(plain), abs=1e-6)
    assert evaluation.intervals["CLIPScore"].low < evaluation.intervals["CLIPScore"].high
    assert report.stamp.evidence["clipscore"].startswith(f"{clip} (sha256:")


def test_a_siglip_reads_texts_at_full_length(clip: Path, tmp_path: Path) -> None:
    """As it was trained: its position of the answer is the last one."""
    torch.manual_seed(0)
    shape = {"hidden_size": 32, "intermediate_size": 64}
    shape |= {"num_hidden_layers": 2, "num_attention_heads": 2}
    text = {"vocab_size": 54, "max_position_embeddings": 30, "bos_token_id": 52}
    text |= {"eos_token_id": 53, "pad_token_id": 53} | shape
    model = SiglipModel(
        SiglipConfig(text_config=text, vision_config={"image_size": 32, "patch_size": 8} | shape)
    )
    folder = tmp_path / "siglip"
    model.save_pretrained(folder)
    SiglipImageProcessorPil(size={"height": 32, "width": 32}).save_pretrained(folder)
    tokenizer = AutoTokenizer.from_pretrained(clip)
    tokenizer.save_pretrained(folder)
    ours = capgen.models.clip.ClipModel(ModelFolder(folder, "siglip"), torch.device("cpu"))
    texts = ["a dog", "a cat on a mat by a house with a tree in front"]
    tokens = tokenizer(
        texts, padding="max_length", max_length=30, truncation=True, return_tensors="pt"
    )
    with torch.no_grad():
        theirs = model.eval().get_text_features(**tokens).pooler_output.numpy()
        pixels = ours.prepare(Image.new("RGB", (50, 40), "red"))
        seen = model.get_image_features(pixel_values=torch.from_numpy(pixels[None]))
    np.testing.assert_allclose(ours.text_features(texts), theirs, atol=1e-6)
    assert abs(theirs[0] - theirs[1]).max() > 1e-3
    np.testing.assert_allclose(ours.image_features([pixels]), seen.pooler_output, atol=1e-6)


def test_progress(clip: Path, tmp_path: Path) -> None:
    config = EvalConfig(metrics="clipscore", clip_model=str(clip))
    CLIP_FEATURES.path.unlink(missing_ok=True)
    events = list(evaluation_events(POOR, make_set(tmp_path), config=config, device="cpu"))
    progress = [event for event in events if isinstance(event, FeaturesComputed)]
    texts = {*POOR.values(), *(text for texts in REFERENCES.values() for text in texts)}
    assert [event.done for event in progress] == [0, 6, 6 + len(texts)]
    assert {event.total for event in progress} == {6 + len(texts)}


def test_paired_comparison(clip: Path, tmp_path: Path) -> None:
    first, second = scored(clip, tmp_path, GOOD), scored(clip, tmp_path, POOR)
    difference = compare(first, second).differences["RefCLIPScore"]
    expected = first.scores.corpus["RefCLIPScore"] - second.scores.corpus["RefCLIPScore"]
    assert difference.difference.value == pytest.approx(expected)
    assert difference.ties >= 1  # the dog has the same caption


def test_features_are_kept_by_content(
    clip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = scored(clip, tmp_path, GOOD)
    assert CLIP_FEATURES.path.is_file()
    loaded = []
    real = capgen.models.clip.ClipModel

    class Counted(real):  # type: ignore[misc, valid-type]
        def __init__(self, *arguments: Any) -> None:
            loaded.append(arguments)
            super().__init__(*arguments)

        def image_features(self, pixels: Any) -> Any:
            loaded.extend(pixels)
            return super().image_features(pixels)

    monkeypatch.setattr(capgen.models.clip, "ClipModel", Counted)
    moved = tmp_path / "moved"
    moved_images(tmp_path, moved)
    config = EvalConfig(metrics="clipscore", clip_model=str(clip))
    again = evaluate(dict(reversed(GOOD.items())), kept_set(moved), config=config)
    assert not loaded  # the same pictures and texts elsewhere: no model is needed
    assert again.scores.corpus == pytest.approx(first.scores.corpus, abs=0)
    Image.new("RGB", (40, 40), "red").save(moved / "dog.jpg")
    changed = evaluate(GOOD, kept_set(moved), config=config)
    assert len(loaded) == 2  # the model, and one picture
    assert changed.scores.corpus["CLIPScore"] != first.scores.corpus["CLIPScore"]


def moved_images(folder: Path, other: Path) -> None:
    other.mkdir()
    for name in REFERENCES:
        shutil.copy(folder / name, other)


def kept_set(folder: Path) -> Any:
    """Return the set of images as they are in a folder, without drawing them."""
    made = make_set()
    return replace(
        made, pool=tuple(replace(each, image=folder / each.image_id) for each in made.pool)
    )


def test_another_model_has_other_features(clip: Path, tmp_path: Path) -> None:
    other = save_tiny_clip_with_words(tmp_path / "other", seed=4)
    corpora = [scored(each, tmp_path, POOR).scores.corpus["CLIPScore"] for each in (clip, other)]
    assert corpora[0] != corpora[1]


def test_a_broken_cache_costs_no_result(clip: Path, tmp_path: Path) -> None:
    CLIP_FEATURES.path.parent.mkdir(parents=True, exist_ok=True)
    CLIP_FEATURES.path.unlink(missing_ok=True)
    before = scored(clip, tmp_path, GOOD).scores.corpus
    CLIP_FEATURES.path.write_bytes(b"not a database" * 100)
    assert scored(clip, tmp_path, GOOD).scores.corpus == pytest.approx(before)


def test_images_that_are_not_there(clip: Path, tmp_path: Path) -> None:
    config = EvalConfig(metrics="clipscore", clip_model=str(clip))
    with pytest.raises(MetricError, match=r"no file of 6 images \('dog.jpg'") as caught:
        evaluate(GOOD, make_set(), config=config)
    assert "--data-dir" in caught.value.hint
    data = make_set(tmp_path)
    (tmp_path / "cat.jpg").write_bytes(b"no image")
    with pytest.raises(MetricError, match=r"needs the images\. .*cat.jpg"):
        evaluate(GOOD, data, config=config)


def test_the_other_metrics_are_unharmed(clip: Path, tmp_path: Path) -> None:
    config = EvalConfig(metrics="clipscore,bleu", clip_model=str(tmp_path / "nowhere"))
    events = list(evaluation_events(GOOD, make_set(tmp_path), config=config, device="cpu"))
    (left_out,) = [event.reasons for event in events if isinstance(event, MetricsLeftOut)]
    assert list(left_out) == ["clipscore"] and "nowhere" in left_out["clipscore"]
    assert isinstance(events[-1], EvaluationFinished)
    scores = events[-1].evaluation.scores
    assert scores.failed == ("clipscore",)
    assert "CLIPScore" not in scores.corpus and "BLEU-4" in scores.corpus
    assert "clipscore" not in scores.stamp.definitions


def test_a_report_of_clipscore_is_verified(clip: Path, tmp_path: Path) -> None:
    kept = tmp_path / "report.json"
    kept.write_text(dump_json(scored(clip, tmp_path, POOR).to_dict(), indent=2))
    (report,) = read_report(kept)
    found = verify(report, make_set(tmp_path), device="cpu")
    assert found.holds and found.values > 2 * 6
    with pytest.raises(MetricError, match="no file of 6 images"):
        verify(report, make_set(), device="cpu")


def test_models_that_are_no_clip(clip: Path, tmp_path: Path) -> None:
    writer = save_tiny_gpt2(tmp_path / "gpt2", ["a dog runs"])
    with pytest.raises(ModelError, match="'gpt2' model, which does not compare"):
        scored(writer, tmp_path, GOOD)
    pickled = tmp_path / "pickled"
    shutil.copytree(clip, pickled)
    (pickled / "model.safetensors").rename(pickled / "pytorch_model.bin")
    with pytest.raises(UnsafeModelError, match="pickled weights"):
        scored(pickled, tmp_path, GOOD)


def test_a_clip_without_its_tokenizer(clip: Path, tmp_path: Path) -> None:
    # transformers takes one that knows no word in its place.
    bare = Path(shutil.copytree(clip, tmp_path / "bare"))
    (bare / "tokenizer.json").unlink()
    with pytest.raises(ModelError, match="bare has no tokenizer"):
        scored(bare, tmp_path, GOOD)


def test_a_clip_that_computes_no_numbers(clip: Path, tmp_path: Path) -> None:
    broken = Path(shutil.copytree(clip, tmp_path / "broken"))
    weights = load_file(broken / "model.safetensors")
    weights["text_projection.weight"][:] = float("nan")
    save_file(weights, broken / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(MetricError, match="features that are no numbers"):
        scored(broken, tmp_path, GOOD)
