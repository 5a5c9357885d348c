"""What is no captioner is named as what it is, before anything else is asked of it."""

from __future__ import annotations

import json
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest

from capgen import Captioner
from capgen.cli.main import main
from capgen.errors import MissingDependencyError, ModelError, UnsafeModelError
from capgen.models.folder import ModelFolder
from capgen.models.kinds import check_captioner, follows_prompts, other_kind, without_config

VISION = {"vision_config": {}, "text_config": {}}
CONFIGS: dict[str, tuple[dict[str, Any], str, str]] = {
    "BLIP for questions": (
        {"model_type": "blip", "architectures": ["BlipForQuestionAnswering"]},
        "answers questions about images",
        "captioning model",
    ),
    "BLIP for retrieval": (
        {"model_type": "blip", "architectures": ["BlipForImageTextRetrieval"], **VISION},
        "compares images with texts",
        "captioning model",
    ),
    "GIT without a head": (
        {"model_type": "git", "architectures": ["GitModel"]},
        "no head that generates text",
        "captioning model",
    ),
    "CLIP": ({"model_type": "clip", "architectures": ["CLIPModel"], **VISION}, "none", "--encoder"),
    "ViT": (
        {"model_type": "vit", "architectures": ["ViTForImageClassification"], "image_size": 224},
        "sees images and writes no text",
        "--encoder",
    ),
    "SigLIP for classes": (
        {"model_type": "siglip", "architectures": ["SiglipForImageClassification"], **VISION},
        "compares images with texts",
        "--encoder",
    ),
    "GPT-2": (
        {"model_type": "gpt2", "architectures": ["GPT2LMHeadModel"], "vocab_size": 9},
        "a 'gpt2' model (GPT2LMHeadModel): it reads text only",
        "--decoder",
    ),
    "LLaMA": (
        {"model_type": "llama", "architectures": ["LlamaForCausalLM"], "vocab_size": 9},
        "reads text only",
        "vision-encoder-decoder, blip, git",
    ),
    "BEiT, whose vocabulary is of pieces of images": (
        {"model_type": "beit", "vocab_size": 8192, "image_size": 224, "patch_size": 16},
        "sees images and writes no text",
        "--encoder",
    ),
    "ViLT": (
        {
            "model_type": "vilt",
            "architectures": ["ViltForQuestionAnswering"],
            "vocab_size": 9,
            "image_size": 384,
            "patch_size": 32,
        },
        "answers questions",
        "captioning model",
    ),
    "Donut": (
        {"model_type": "vision-encoder-decoder", "encoder": {"model_type": "donut-swin"}},
        "a Donut model, which reads what is written",
        "describes images",
    ),
    "Pix2Struct": (
        {
            "model_type": "pix2struct",
            "architectures": ["Pix2StructForConditionalGeneration"],
            **VISION,
        },
        "reads its prompt from the image",
        "another model",
    ),
    "something else": ({"model_type": "udop"}, "a 'udop' model", "blip, git, blip-2, florence2"),
    "nothing": ({}, "does not name its kind", "blip, git"),
    "other types": (
        {"model_type": 3, "architectures": [None, 5]},
        "does not name its kind",
        "blip, git",
    ),
}


@pytest.mark.parametrize("name", CONFIGS)
def test_kinds_that_do_not_caption(name: str, tmp_path: Path) -> None:
    """Of a folder that has nothing but its configuration, the kind is what is wrong."""
    config, what, hint = CONFIGS[name]
    with pytest.raises(ModelError, match="not a captioner that capgen knows, but") as caught:
        check_captioner("some/model", config)
    assert what in caught.value.message and hint in caught.value.hint
    (tmp_path / "config.json").write_text(json.dumps(config))
    for options in ({}, {"runtime": "torch"}, {"trust_remote_code": True}):
        with pytest.raises(ModelError) as told:
            Captioner.from_pretrained(tmp_path, **options)
        assert what in told.value.message and "preprocessor" not in told.value.message


@pytest.mark.parametrize(
    "config",
    [
        {"model_type": "vision-encoder-decoder"},
        {"model_type": "vision-encoder-decoder", "architectures": ["CapgenModel"]},
        {"model_type": "blip", "architectures": ["BlipForConditionalGeneration"]},
        {"model_type": "blip", "architectures": ["MyBlip"]},
        {"model_type": "git", "architectures": ["GitModel", "GitForCausalLM"]},
        {"model_type": "git"},
        {"model_type": "llava", "architectures": ["LlavaForConditionalGeneration"], **VISION},
        {"model_type": "kosmos-2"},
        {"model_type": "newest_vl", "architectures": ["NewestForConditionalGeneration"], **VISION},
        # transformers knows this kind: its own code is not needed.
        {"model_type": "florence2", "auto_map": {"AutoModelForCausalLM": "m.M"}},
    ],
    ids=str,
)
def test_captioners(config: dict[str, Any]) -> None:
    check_captioner("some/model", config)
    assert other_kind("some/model", config) is None


@pytest.mark.parametrize(
    ("config", "follows"),
    [
        ({"model_type": "blip"}, False),
        ({"model_type": "vision-encoder-decoder", "auto_map": {"AutoModel": "m.M"}}, False),
        ({"model_type": "smolvlm"}, True),
        ({"model_type": "newest_vl", "architectures": ["NewestForCausalLM"], **VISION}, True),
        ({"model_type": "clip", "architectures": ["CLIPModel"], **VISION}, False),
        ({"model_type": "moondream1", "auto_map": {"AutoModelForCausalLM": "m.M"}}, True),
        ({"model_type": "mine", "auto_map": {"AutoModel": "m.M"}}, False),
    ],
    ids=str,
)
def test_which_follow_prompts(config: dict[str, Any], follows: bool) -> None:
    assert follows_prompts(config) is follows


def test_quantised_weights(monkeypatch: pytest.MonkeyPatch) -> None:
    quantised = {"quantization_config": {"quant_method": "bitsandbytes", "load_in_4bit": True}}
    with pytest.raises(ModelError, match=r"quantised with bitsandbytes.* 'blip'") as caught:
        check_captioner("some/model", {"model_type": "blip", **quantised})
    assert "unquantised" in caught.value.hint
    for found in (True, False):
        monkeypatch.setattr(
            "capgen.models.kinds.find_spec", lambda name, found=found: found or None
        )
        with (
            nullcontext() if found else pytest.raises(MissingDependencyError, match="bitsandbytes")
        ):
            check_captioner("some/model", {"model_type": "qwen2_vl", **quantised})


def test_code_of_its_own_is_asked_for() -> None:
    config = {"model_type": "moondream1", "auto_map": {"AutoModel": "m.M"}}
    with pytest.raises(UnsafeModelError, match="its own code"):
        check_captioner("some/model", config)
    check_captioner("some/model", config, trust_remote_code=True)


FOLDERS: dict[str, tuple[dict[str, str], str]] = {
    "CoCa": (
        {"open_clip_config.json": '{"model_cfg": {"multimodal_cfg": {}}}', "x.safetensors": ""},
        "is a CoCa model of OpenCLIP",
    ),
    "OpenCLIP": ({"open_clip_config.json": '{"model_cfg": {}}'}, "is a model of OpenCLIP"),
    "diffusers": ({"model_index.json": "{}"}, "is a diffusers pipeline"),
    "a LoRA of diffusers": (
        {"pytorch_lora_weights.safetensors": ""},
        "is a LoRA for a model that makes images",
    ),
    "ONNX": (
        {"config.json": '{"model_type": "blip"}', "model.onnx": ""},
        "has weights in ONNX, not in safetensors",
    ),
    "an adapter without a base": (
        {"adapter_config.json": "{}"},
        "is an adapter that does not name its base model",
    ),
    "an adapter without weights": (
        {"adapter_config.json": '{"base_model_name_or_path": "mini"}'},
        "has no weights (adapter_model.safetensors)",
    ),
    "GGUF": ({"model-q4.gguf": "GGUF"}, "is a model in GGUF, the format of llama.cpp"),
    "GGUF with a configuration": (
        {"config.json": '{"model_type": "blip"}', "model-q4.gguf": "GGUF"},
        "has weights in GGUF",
    ),
    "TensorFlow": (
        {"config.json": '{"model_type": "blip"}', "tf_model.h5": ""},
        "has weights in TensorFlow's HDF5",
    ),
    "pickled": (
        {"config.json": '{"model_type": "blip"}', "pytorch_model.bin": ""},
        "has pickled weights",
    ),
    "nothing": ({}, "is not a model folder: it has no config.json"),
}


@pytest.mark.parametrize("name", FOLDERS)
def test_folders_that_are_no_model(name: str, tmp_path: Path, images: list[Path], capsys) -> None:
    files, said = FOLDERS[name]
    for file, content in files.items():
        (tmp_path / file).write_text(content)
    with pytest.raises(ModelError) as caught:
        Captioner.from_pretrained(tmp_path)
    assert said in caught.value.message and caught.value.hint
    assert main(["caption", str(images[0]), "--model", str(tmp_path)]) == 1
    assert said in " ".join(capsys.readouterr().err.split())


@pytest.mark.parametrize(
    ("name", "said", "hint"),
    [
        ("model-q4.gguf", "in GGUF", "--endpoint"),
        ("model.onnx", "in ONNX", "save_pretrained"),
        ("model.safetensors", "is a file; a model is a folder", "beside a config.json"),
    ],
)
def test_files_that_are_no_folder(name: str, said: str, hint: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(b"")
    with pytest.raises(ModelError) as caught:
        Captioner.from_pretrained(tmp_path / name)
    assert said in caught.value.message and hint in caught.value.hint


def test_folders_in_it_are_named(tmp_path: Path) -> None:
    """What transformers' Trainer leaves: models in folders of a folder."""
    for name in ("checkpoint-500", "checkpoint-1000", "logs"):
        (tmp_path / name).mkdir()
    for name in ("checkpoint-500", "checkpoint-1000"):
        (tmp_path / name / "config.json").write_text("{}")
    with pytest.raises(ModelError) as caught:
        _ = ModelFolder(tmp_path, "run").config
    assert caught.value.hint == "Use a folder inside it: checkpoint-1000, checkpoint-500"


def test_damaged_records_of_an_adapter(tmp_path: Path) -> None:
    (tmp_path / "adapter_config.json").write_text("{")
    with pytest.raises(ModelError, match=r"adapter_config\.json:1: not valid JSON"):
        _ = ModelFolder(tmp_path, "m").config
    told = without_config(["adapter_config.json"], lambda name: {"peft_type": 3})
    assert told is not None and "an unnamed model" in told.what
