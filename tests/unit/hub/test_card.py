"""The model card states what is recorded, as metadata and as text."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import pytest
from huggingface_hub import ModelCard

from capgen.errors import ModelError, UsageError
from capgen.hub.card import model_card
from capgen.hub.card_examples import Example
from capgen.hub.files import is_ours, model_files, without_paths
from capgen.hub.push import PushOptions, plan_push
from capgen.models.folder import ModelFolder
from capgen.paths import bundled_model_dir


@pytest.fixture
def mini() -> ModelFolder:
    return ModelFolder(bundled_model_dir(), "mini")


def with_record(folder: Path, record: dict[str, object]) -> ModelFolder:
    """Return the bundled model with another provenance."""
    shutil.copytree(bundled_model_dir(), folder, ignore=shutil.ignore_patterns("onnx"))
    (folder / "capgen.json").write_text(json.dumps(record))
    return ModelFolder(folder, "m")


def test_the_metadata_hold_the_real_evaluation(mini: ModelFolder) -> None:
    card = ModelCard(model_card(mini, "me/small", licence="apache-2.0"))
    assert card.data.license == "apache-2.0"
    assert card.data.pipeline_tag == "image-to-text"
    assert card.data.model_name == "small"
    results = card.data.eval_results
    found = {(r.dataset_split, r.metric_name): r for r in results if r.dataset_type == "flickr8k"}
    coco = {r.metric_name: r for r in results if r.dataset_type == "coco_sample"}
    assert len(found) + len(coco) == len(results)
    assert {r.dataset_split for r in coco.values()} == {"val"}
    assert coco["CIDEr-D"].metric_value == mini.provenance.metrics["coco_sample"]["CIDEr-D"]
    for split in ("test", "val"):
        recorded = mini.provenance.metrics[split]
        for name in ("BLEU-1", "BLEU-4", "ROUGE-L", "CIDEr-D", "METEOR"):
            assert found[split, name].metric_value == round(recorded[name], 4)
            assert found[split, name].dataset_name == "flickr8k (1,000 images)"
    assert not {"images", "beams", "references"} & {name for _, name in found}
    assert found["test", "CIDEr-D"].metric_type == "cider"


def test_the_text_has_its_parts(mini: ModelFolder) -> None:
    text = model_card(mini, "me/small")
    figure = f"| {mini.provenance.metrics['test']['BLEU-4']:.4f} |"
    for words in ("trust_remote_code=True", "generate_caption", "capgen caption", figure):
        assert words in text
    for title in ("Use", "Figures", "Training", "Limits and biases", "Licence"):
        assert f"\n## {title}\n" in text
    assert "VisionEncoderDecoderModel" not in text  # the mini's encoder is its own
    assert "research" in text  # the licence of its data


def test_a_record_without_anything(tmp_path: Path) -> None:
    folder = with_record(tmp_path / "m", {})
    text = model_card(folder, "me/small")
    assert "No evaluation is recorded." in text
    assert "not recorded" in text
    assert ModelCard(text).data.eval_results is None
    (folder.path / "capgen.json").unlink()
    assert "No evaluation is recorded." in model_card(folder, "me/small")


def test_a_mean_over_data_sets_is_no_figure_of_any(tmp_path: Path) -> None:
    sets = {"a": {"BLEU-4": 0.1, "images": 3}, "b": {"BLEU-4": 0.3}}
    record = {
        "data": {"name": "a + b", "sets": [{"name": "a", "licence": "CC0"}, {"name": "b"}]},
        "metrics": {"val": {"BLEU-4": 0.2, "sets": sets}, "broken": 0.5},
    }
    text = model_card(with_record(tmp_path / "m", record), "me/small")
    results = ModelCard(text).data.eval_results
    assert {(r.dataset_name, r.dataset_split, r.metric_value) for r in results} == {
        ("a (3 images)", "val", 0.1),
        ("b", "val", 0.3),
    }
    assert "| mean of a + b | val |  | 0.2000 |" in text
    assert "| a | val | 3 | 0.1000 |" in text
    assert "- **Data (a).** CC0\n- **Data (b).** not recorded" in text


CLIP_GPT2 = {"encoder": "openai/clip-vit-base-patch32", "decoder": "gpt2"}


@pytest.mark.parametrize(
    ("init", "base", "said"),
    [
        (None, ["openai/clip-vit-base-patch32", "gpt2"], "Its encoder started from **openai/clip"),
        ("first/best-eval", None, "Started from **first/best-eval**, a private checkpoint"),
        (
            "/home/ann/run/stages/1-xe/last",
            None,
            "Started from **1-xe/last**, a private checkpoint",
        ),
        ("~/models/first", None, "Started from **first**, a private model folder"),
        ("mini", None, "Started from **mini**, the captioner bundled with capgen"),
        ("some/captioner@v2", ["some/captioner"], "Started from **some/captioner** on the Hub"),
    ],
)
def test_records_from_before_there_was_a_lineage(
    init: str | None, base: list[str] | None, said: str, tmp_path: Path
) -> None:
    """A run that started from a captioner never used the parts that its settings name."""
    record = {"preset": "clip-gpt2", "training": {**CLIP_GPT2, "init": init}}
    text = model_card(with_record(tmp_path / "m", record), "me/small")
    assert ModelCard(text).data.base_model == base
    assert said in text
    if init is not None:
        assert "openai/clip" not in text and "clip-gpt2" not in text
        assert "The origin of that model is not recorded." in text


def test_a_new_small_captioner_names_its_imagenet_encoder(
    mini: ModelFolder, tmp_path: Path
) -> None:
    record = {"preset": "mini", "training": {"encoder": "lite1", "init": None}}
    for folder, variant in ((with_record(tmp_path / "m", record), 1), (mini, 2)):
        text = model_card(folder, "me/small")
        assert f"Its encoder started from **EfficientNet-Lite{variant}**" in text
        assert "ImageNet" in text and "Apache-2.0" in text
        assert ModelCard(text).data.base_model is None


def test_without_a_record_the_origin_is_unknown(tmp_path: Path) -> None:
    text = model_card(with_record(tmp_path / "m", {}), "me/small")
    assert "The origin of its weights is not recorded" in text
    card = ModelCard(text)
    assert card.data.base_model is None and card.data.language is None
    assert "English" not in text and "which is not recorded" in text


LINEAGE = [
    {"role": "init", "name": "tuned/best-eval", "source": "run", "data": {"name": "flickr30k"}},
    {
        "role": "init",
        "name": "some/captioner",
        "source": "hub",
        "revision": "abc",
        "licence": "cc-by-nc-4.0",
        "data": {"sets": [{"name": "a", "weight": 0.25, "licence": "CC0"}, {"name": "coco"}]},
        "training": {"objective": "scst"},
    },
    {"role": "encoder", "name": "some/clip", "source": "hub", "licence": "mit"},
    {"role": "decoder", "name": "gpt2", "source": "hub"},
]


def test_a_lineage_is_told_from_the_nearest_on(tmp_path: Path) -> None:
    record = {"lineage": LINEAGE, "data": {"name": "mine"}, "training": CLIP_GPT2}
    text = model_card(with_record(tmp_path / "m", record), "me/small")
    assert ModelCard(text).data.base_model == ["some/captioner"]
    lines = [
        "Started from **tuned/best-eval**, a private checkpoint of a training run, "
        "trained on flickr30k.",
        "Started from **some/captioner** on the Hub, commit abc, "
        "trained on a with weight 0.25, coco (scst), licence cc-by-nc-4.0.",
        "Its encoder started from **some/clip** on the Hub, licence mit.",
        "Its decoder started from **gpt2** on the Hub.",
    ]
    assert "\n".join(f"- {line}" for line in lines) in text
    licences = text.split("## Licence")[1]
    for line in (
        "**some/captioner, which it started from.** cc-by-nc-4.0",
        "**gpt2, which it started from.** not recorded",
        "**Data (a).** CC0",
        "**Data (mine).** not recorded",
        "**Data (flickr30k).** research use",
        "**Data (coco).** captions CC BY 4.0",
    ):
        assert line in licences


@pytest.mark.parametrize(
    "lineage",
    [
        3,
        {"role": "init"},
        ["x", None],
        [{}],
        [{"role": ["a"], "name": 3, "source": {}, "data": 5, "training": [], "licence": {"a": 1}}],
        [{"role": "init", "name": "<script>alert(1)</script>", "source": "hub"}],
    ],
    ids=str,
)
def test_a_lineage_of_another_shape_does_no_harm(lineage: object, tmp_path: Path) -> None:
    text = model_card(with_record(tmp_path / "m", {"lineage": lineage}), "me/small")
    assert ModelCard(text).data.base_model is None
    assert not re.search(r"(?<!\\)<script", text)


@pytest.mark.parametrize(
    ("data", "languages", "said"),
    [
        ({"name": "mine", "language": "de"}, ["de"], "one sentence (language: de)"),
        ({"name": "flickr8k"}, ["en"], "one English sentence"),
        ({"name": "flickr8k", "language": "pt-BR"}, ["pt-BR"], "(language: pt-BR)"),
        (
            {"sets": [{"name": "coco"}, {"name": "x", "language": "fr"}, {"name": "y"}]},
            ["en", "fr"],
            "(language: en, fr)",
        ),
        ({"name": "mine"}, None, "which is not recorded"),
        ({"name": "mine", "language": "- x\n  - y"}, None, "which is not recorded"),
        ({"name": "mine", "language": 3}, None, "which is not recorded"),
    ],
    ids=str,
)
def test_the_language_is_that_of_the_data(
    data: dict[str, object], languages: list[str] | None, said: str, tmp_path: Path
) -> None:
    text = model_card(with_record(tmp_path / "m", {"data": data}), "me/small")
    assert ModelCard(text).data.language == languages
    assert said in text


def test_weights_of_data_sets(tmp_path: Path) -> None:
    one = {"name": "mine", "counts": {"train": 100}, "weight": 0.02, "drawn": 2}
    assert "- **mine.** weight 0.02: 2 training images per epoch" in model_card(
        with_record(tmp_path / "one", {"data": one}), "me/small"
    )
    several = {"name": "mine + b", "sets": [one, {"name": "b", "weight": 1.5}]}
    text = model_card(with_record(tmp_path / "two", {"data": several}), "me/small")
    assert "- **mine.** weight 0.02: 2 training images per epoch\n- **b.** weight 1.5\n" in text


def test_text_of_others_stays_text(tmp_path: Path) -> None:
    evil = "x](http://evil) <script>alert(1)</script>\n# Title\n---\nlicense: mit"
    record = {"data": {"name": evil, "licence": evil}, "metrics": {"test": {"BLEU-4": 0.1}}}
    example = Example("examples/1.jpg", evil, b"", evil)
    text = model_card(with_record(tmp_path / "m", record), "me/small", examples=(example,))
    body = text.split("\n---\n", 1)[1]
    assert "script" in body  # it is there, and every sign that means something is escaped
    assert not re.search(r"(?<!\\)(<script|\]\(http)", body)
    assert "\n# Title" not in body
    assert ModelCard(text).data.license == "other"


def test_examples_are_shown(mini: ModelFolder) -> None:
    example = Example("examples/1.jpg", "a dog on grass", b"jpeg", "Ann")
    plan = plan_push(mini, "me/small", PushOptions(examples=(example,)))
    assert "![an image](examples/1.jpg)\n\n> a dog on grass (Ann)" in plan.card
    assert next(f for f in plan.files if f.name == "examples/1.jpg").source == b"jpeg"


def test_paths_of_this_machine_are_not_published(tmp_path: Path) -> None:
    record = {
        "preset": "clip-gpt2",
        "training": {
            "data_dir": "/home/ann/photos",
            "output_dir": "C:\\Users\\ann\\run",
            "init": "~/models/first",
            "encoder": "openai/clip-vit-base-patch32",
            "stages": [{"from": "../ann/last"}],
        },
    }
    folder = with_record(tmp_path / "m", record)
    files = {file.name: file for file in model_files(folder)}
    sent = files["capgen.json"].source
    assert isinstance(sent, bytes)
    for text in (sent.decode(), model_card(folder, "me/small")):
        assert "ann" not in text.lower().replace("channel", "")
    assert json.loads(sent)["training"]["data_dir"] == "photos"
    assert ModelCard(model_card(folder, "me/small")).data.base_model is None


def test_where_parts_were_loaded_from_is_not_published(tmp_path: Path) -> None:
    folder = with_record(tmp_path / "m", {})
    config = json.loads((folder.path / "config.json").read_text())
    config["encoder"]["_name_or_path"] = "/home/ann/.cache/huggingface/models--x--clip"
    config["decoder"]["_name_or_path"] = "gpt2"
    (folder.path / "config.json").write_text(json.dumps(config))
    tokenizer = {"name_or_path": "C:\\Users\\ann\\gpt2", "unk_token": "/a/b"}
    (folder.path / "tokenizer_config.json").write_text(json.dumps(tokenizer))
    sent = {}
    for file in model_files(folder):
        if file.name in ("config.json", "tokenizer_config.json"):
            assert isinstance(file.source, bytes)
            assert b"ann" not in file.source.replace(b"channel", b"")
            sent[file.name] = json.loads(file.source)
    assert sent["config.json"]["encoder"]["_name_or_path"] == "models--x--clip"
    assert sent["config.json"]["decoder"]["_name_or_path"] == "gpt2"
    assert sent["tokenizer_config.json"] == {"name_or_path": "gpt2", "unk_token": "/a/b"}


@pytest.mark.parametrize(
    ("value", "kept"),
    [("a/b", "a/b"), ("/a/b", "b"), ("C:\\a\\b", "b"), ("~/x", "x"), (3, 3), (None, None)],
)
def test_what_is_a_path(value: object, kept: object) -> None:
    assert without_paths(value) == kept


@pytest.mark.parametrize("licence", ["", "MIT license", "x\ny: z"])
def test_a_licence_is_a_name(licence: str, mini: ModelFolder) -> None:
    with pytest.raises(UsageError, match="--license"):
        plan_push(mini, "me/small", PushOptions(licence=licence))


@pytest.mark.parametrize("missing", ["tokenizer.json", "preprocessor_config.json", "config.json"])
def test_a_model_that_would_not_load_is_not_pushed(missing: str, tmp_path: Path) -> None:
    folder = with_record(tmp_path / "m", {})
    (folder.path / missing).unlink()
    with pytest.raises(ModelError, match=missing.replace(".", r"\.")):
        plan_push(folder, "me/small")


def test_what_a_push_may_remove() -> None:
    for name in ("model.safetensors", "onnx/encoder.onnx", "efficientnet.py", "examples/3.jpg"):
        assert is_ours(name)
    for name in ("README.md", ".gitattributes", "pytorch_model.bin", "notes/model.safetensors"):
        assert not is_ours(name)


def test_scores_over_a_part_of_a_split_are_no_result_of_the_split(tmp_path: Path) -> None:
    record = {
        "data": {"name": "a", "counts": {"test": 1000, "val": 50}},
        "metrics": {
            "test": {"BLEU-4": 0.1, "images": 20},
            "val": {"BLEU-4": 0.2, "images": 50},
        },
    }
    text = model_card(with_record(tmp_path / "m", record), "me/small")
    (result,) = ModelCard(text).data.eval_results
    assert (result.dataset_split, result.metric_value) == ("val", 0.2)
    assert "| a | test | 20 of 1,000 | 0.1000 |" in text
