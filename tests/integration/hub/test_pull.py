"""Pulled models are checked, pinned and recorded; malicious repositories are refused."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from huggingface_hub import constants
from safetensors.torch import load_file, save_file

from capgen import Captioner
from capgen.cli.main import main
from capgen.errors import (
    CapgenError,
    ModelError,
    ModelNotFoundError,
    NetworkError,
    UnsafeModelError,
    UsageError,
)
from capgen.hub.pull import pull_model
from capgen.hub.push import PushOptions, plan_push, push_model
from capgen.hub_client.pulled import pulled_folder, read_pulled
from capgen.models.folder import ModelFolder
from capgen.models.hub_files import Limits
from capgen.models.resolve import resolve_model
from tests.fakes import draw_image
from tests.hub_stand_in import Hub
from tests.integration.hub.pushing import TOKEN

NAME = "me/tiny"


@pytest.fixture
def pushed(hub: Hub, clip: ModelFolder) -> str:
    """The commit of a pushed model."""
    return push_model(plan_push(clip, NAME), TOKEN).commit


@pytest.fixture
def served(hub: Hub, clip: ModelFolder, tmp_path: Path) -> Path:
    """The folder that the Hub serves as `bad/model`."""
    folder = tmp_path / "served"
    shutil.copytree(clip.path, folder)
    hub.repositories = {"bad/model": {"main": folder}}
    return folder


def fetched(hub: Hub) -> list[str]:
    """Return the files whose content was requested."""
    return [path for method, path in hub.requests if "/resolve/" in path and method == "GET"]


@pytest.mark.parametrize("variable", ["HF_TOKEN", "HUGGINGFACE_TOKEN"])
def test_a_private_model_with_the_token_of_the_environment(
    variable: str, hub: Hub, clip: ModelFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    commit = push_model(plan_push(clip, NAME, PushOptions(private=True)), TOKEN).commit
    monkeypatch.delenv("HF_TOKEN")
    with pytest.raises(ModelNotFoundError, match="private"):
        pull_model(NAME)
    monkeypatch.setenv(variable, TOKEN)
    assert pull_model(NAME).commit == commit


def test_a_pulled_model_captions_as_the_one_pushed(
    pushed: str, clip: ModelFolder, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["hub", "pull", NAME]) == 0
    name = capsys.readouterr().out.strip()
    assert name == f"{NAME}@{pushed}"
    image = draw_image(0)
    ours = Captioner.from_pretrained(clip.path).caption(image).text
    for called in (name, NAME):
        assert Captioner.from_pretrained(called).caption(image).text == ours


def test_the_commit_and_the_files_are_recorded(pushed: str, home: Path) -> None:
    record = pull_model(NAME)
    assert (record.commit, record.asked) == (pushed, "main")
    assert json.loads((home / "pulled" / "me--tiny.json").read_text())["commit"] == pushed
    assert read_pulled(NAME) == record
    assert [file.name for file in pulled_folder().iterdir()] == ["me--tiny.json"]
    folder = record.cached_in()
    assert folder is not None
    for name, entry in record.files.items():
        assert hashlib.sha256((folder / name).read_bytes()).hexdigest() == entry["sha256"]


def test_a_bare_name_keeps_to_the_commit(hub: Hub, pushed: str, clip: ModelFolder) -> None:
    pull_model(NAME)
    newer = push_model(plan_push(clip, NAME, PushOptions(licence="mit")), TOKEN).commit
    asked = len(hub.requests)
    assert resolve_model(NAME).revision == pushed
    assert len(hub.requests) == asked  # nobody was asked
    assert resolve_model(f"{NAME}@main").revision == newer
    assert pull_model(NAME).commit == newer
    assert resolve_model(NAME).revision == newer


def test_a_revision_is_pulled(hub: Hub, pushed: str, clip: ModelFolder) -> None:
    branch = push_model(plan_push(clip, NAME, PushOptions(revision="v2")), TOKEN).commit
    assert pull_model(f"{NAME}@v2").commit == branch
    assert pull_model(NAME, revision=pushed).commit == pushed
    with pytest.raises(UsageError, match="give two revisions"):
        pull_model(f"{NAME}@v2", revision="main")
    with pytest.raises(ModelNotFoundError, match="'v3'"):
        pull_model(f"{NAME}@v3")


def test_without_a_network_it_is_there(pushed: str, monkeypatch: pytest.MonkeyPatch) -> None:
    pull_model(NAME)
    monkeypatch.setattr(constants, "ENDPOINT", "http://127.0.0.1:9")
    assert resolve_model(NAME).revision == pushed


def test_a_record_that_is_damaged(pushed: str, home: Path) -> None:
    pull_model(NAME)
    for text in ("{", "[]", '{"identifier": "me/tiny"}', '{"identifier": 1, "commit": 2}'):
        (home / "pulled" / "me--tiny.json").write_text(text)
        with pytest.raises(ModelError, match="me--tiny"):
            resolve_model(NAME)


def test_altered_content_is_noticed_and_removed(hub: Hub, pushed: str) -> None:
    hub.altered = {"model.safetensors", "config.json"}
    with pytest.raises(ModelError, match=r"config\.json differs from what") as caught:
        pull_model(NAME)
    assert caught.value.hint
    hub.altered = {"model.safetensors"}
    with pytest.raises(ModelError, match=r"model\.safetensors differs from what"):
        resolve_model(NAME)
    assert read_pulled(NAME) is None
    hub.altered = set()
    assert pull_model(NAME).commit == pushed


def test_a_pull_checks_what_was_there_before(pushed: str) -> None:
    weights = resolve_model(NAME).path / "model.safetensors"
    content = weights.read_bytes()
    weights.resolve().write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    with pytest.raises(ModelError, match="differs from what"):
        pull_model(NAME)
    assert pull_model(NAME).commit == pushed
    assert weights.read_bytes() == content


def test_nothing_but_the_models_files_is_fetched(hub: Hub, served: Path) -> None:
    (served / "sub").mkdir()
    for name in ("run.py", "notes.md", "weights.bin", "sub/config.json", "photo.jpg"):
        (served / name).write_bytes(b"x")
    assert not {"run.py", "sub/config.json"} & set(pull_model("bad/model").files)
    assert {path.rsplit(".", 1)[1] for path in fetched(hub)} <= {"json", "safetensors", "txt"}
    assert "run.py" in pull_model("bad/model", trust_remote_code=True).files


@pytest.mark.parametrize(
    "name",
    [
        *("../../escape.json", "/etc/escape.json", "a/../../b.json", "..\\escape.json"),
        *("C:/escape.json", "a//b.json", "./config.json", "x\nconfig.json", ".."),
    ],
)
def test_names_that_lead_elsewhere(name: str, hub: Hub, served: Path) -> None:
    (served / "extra.json").write_text("{}")
    hub.names = {"extra.json": name}
    with pytest.raises(UnsafeModelError, match="leads out of") as caught:
        pull_model("bad/model")
    assert "\n" not in caught.value.message
    assert fetched(hub) == []


def test_what_is_too_large(hub: Hub, served: Path, capsys) -> None:
    hub.sizes = {"tokenizer.json": 1 << 30}
    with pytest.raises(ModelError, match=r"tokenizer\.json of 1,073,741,824 bytes"):
        pull_model("bad/model")
    hub.sizes = {"model.safetensors": 1 << 40}
    with pytest.raises(ModelError, match="files of 1,099"):
        pull_model("bad/model")
    hub.sizes = {}
    assert main(["hub", "pull", "bad/model", "--max-gb", "0.001"]) == 0
    with pytest.raises(ModelError) as caught:
        pull_model("bad/model", limits=Limits(total_bytes=1000))
    assert "--max-gb" in caught.value.hint
    hub.sizes = {"model.safetensors": -1}
    with pytest.raises(ModelError, match="does not state"):
        pull_model("bad/model")


def test_pickles_are_refused(hub: Hub, served: Path) -> None:
    (served / "model.safetensors").rename(served / "pytorch_model.bin")
    with pytest.raises(UnsafeModelError, match="pickles") as caught:
        pull_model("bad/model")
    assert "sandbox" in caught.value.hint
    assert not any(path.endswith(".bin") for path in fetched(hub))


@pytest.mark.parametrize(
    ("missing", "words"),
    [
        ("tokenizer.json", "tokenizer"),
        ("preprocessor_config.json", "preprocessor_config"),
        ("config.json", "config.json"),
        ("model.safetensors", "safetensors"),
    ],
)
def test_what_is_missing(missing: str, words: str, served: Path) -> None:
    (served / missing).unlink()
    with pytest.raises(ModelError, match=words):
        pull_model("bad/model")
    assert not pulled_folder().exists()


ADAPTER = '{"peft_type": "LORA", "base_model_name_or_path": "some/blip"}'


@pytest.mark.parametrize(
    ("files", "said"),
    [
        (
            {"adapter_config.json": ADAPTER, "adapter_model.bin": "x"},
            "bad/model is a LoRA adapter of some/blip, without that model",
        ),
        ({"model-q4.gguf": "GGUF", "README.md": "# Q4"}, "bad/model is a model in GGUF"),
        ({"model-q4.gguf": "GGUF", "config.json": "{}"}, "bad/model has weights in GGUF"),
        ({"weights.gguf": "GGUF"}, "bad/model is a model in GGUF"),
        ({"open_clip_config.json": "{}"}, "bad/model is a model of OpenCLIP"),
        ({"config.json": "{}", "model.gguf": "G", "model.pt": "x"}, "does not load pickles"),
    ],
    ids=["LoRA", "GGUF", "GGUF with a config", "GGUF alone", "OpenCLIP", "pickles, too"],
)
def test_repositories_that_are_no_model(
    files: dict[str, str], said: str, hub: Hub, tmp_path: Path
) -> None:
    """The error names their kind, and their weights are not downloaded."""
    folder = tmp_path / "other"
    folder.mkdir()
    for name, content in files.items():
        (folder / name).write_text(content)
    hub.repositories = {"bad/model": {"main": folder}}
    for use in (pull_model, Captioner.from_pretrained):
        with pytest.raises(ModelError) as caught:
            use("bad/model")
        assert said in caught.value.message and caught.value.hint
    assert not any(path.endswith((".gguf", ".pt", "adapter_model")) for path in fetched(hub))


def test_a_model_of_another_kind_lacks_no_part(hub: Hub, served: Path) -> None:
    """The error says that it is a text model, not that the preprocessor is missing."""
    config = {"model_type": "llama", "architectures": ["LlamaForCausalLM"], "vocab_size": 9}
    (served / "config.json").write_text(json.dumps(config))
    (served / "preprocessor_config.json").unlink()
    for use in (pull_model, Captioner.from_pretrained):
        with pytest.raises(ModelError, match=r"'llama' model .* reads text only"):
            use("bad/model")


def test_weights_of_the_wrong_shape(served: Path) -> None:
    weights = load_file(served / "model.safetensors")
    weights["decoder.transformer.wte.weight"] = weights["decoder.transformer.wte.weight"][
        :5
    ].clone()
    save_file(weights, served / "model.safetensors", {"format": "pt"})
    pull_model("bad/model")
    with pytest.raises(ModelError, match="bad/model"):
        Captioner.from_pretrained("bad/model")


@pytest.mark.parametrize("content", [b"", b"\xff" * 100, b"\x10" + b"\0" * 7 + b"{}"], ids=str)
def test_weights_that_are_damaged(content: bytes, served: Path) -> None:
    (served / "model.safetensors").write_bytes(content)
    with pytest.raises(ModelError, match=r"model\.safetensors"):
        pull_model("bad/model")


@pytest.mark.parametrize(
    ("index", "words"),
    [
        ({"weight_map": {"a": "../../elsewhere.safetensors"}}, "not a safetensors file in its"),
        ({"weight_map": {"a": "model-1.bin"}}, "not a safetensors file in its"),
        ({"weight_map": {"a": "model-7.safetensors"}}, "lacks model-7"),
        ({"weight_map": 3}, "weight_map"),
        ([], "not a JSON object"),
    ],
)
def test_an_index_that_names_other_files(index: object, words: str, served: Path) -> None:
    (served / "model.safetensors").unlink()
    (served / "model.safetensors.index.json").write_text(json.dumps(index))
    with pytest.raises(ModelError, match=words):
        pull_model("bad/model")


def test_code_is_not_run_unless_it_is_trusted(served: Path, tmp_path: Path, capsys) -> None:
    """A model of an unknown kind that brings code: fetched and run on request only."""
    mark = tmp_path / "foreign-code-ran"
    config = json.loads((served / "config.json").read_text())
    config["encoder"]["model_type"] = "clip_by_another_name"
    config["auto_map"] = {"AutoConfig": "mine.Config", "AutoModel": "mine.Model"}
    (served / "config.json").write_text(json.dumps(config))
    (served / "mine.py").write_text(FOREIGN.format(mark=str(mark)))
    image = tmp_path / "photo.png"
    draw_image(0).save(image)
    for trusted in (False, True):
        pull_model("bad/model", trust_remote_code=trusted)
        with pytest.raises(UnsafeModelError, match="its own code"):
            Captioner.from_pretrained("bad/model")
        assert main(["caption", str(image), "--model", "bad/model"]) == 1
        assert "--trust-remote-code" in capsys.readouterr().err
    assert not mark.exists()
    assert main(["caption", str(image), "--model", "bad/model", "--trust-remote-code"]) == 0
    assert mark.exists()


FOREIGN = """
from transformers import (
    AutoConfig, AutoModel, CLIPVisionConfig, CLIPVisionModel,
    VisionEncoderDecoderConfig, VisionEncoderDecoderModel,
)
open({mark!r}, "w").close()

class EncoderConfig(CLIPVisionConfig):
    model_type = "clip_by_another_name"

class Encoder(CLIPVisionModel):
    config_class = EncoderConfig

class Config(VisionEncoderDecoderConfig):
    pass

class Model(VisionEncoderDecoderModel):
    config_class = Config

AutoConfig.register("clip_by_another_name", EncoderConfig)
AutoModel.register(EncoderConfig, Encoder)
"""


def test_no_network_and_no_repository(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ModelNotFoundError, match="nobody/nothing"):
        pull_model("nobody/nothing")
    monkeypatch.setattr(constants, "ENDPOINT", "http://127.0.0.1:9")
    with pytest.raises(NetworkError, match="Cannot reach"):
        pull_model("nobody/nothing")


@pytest.mark.parametrize("name", ["x/../y", "./x", "a b/c", "https://a/b", ""])
def test_names_that_are_none(name: str) -> None:
    with pytest.raises(CapgenError):
        pull_model(name)


def test_a_short_name_is_pulled_and_used(
    hub: Hub, clip: ModelFolder, capsys: pytest.CaptureFixture[str]
) -> None:
    """And from then on it is found without asking the Hub."""
    full = "nlpconnect/vit-gpt2-image-captioning"
    hub.repositories = {full: {"main": clip.path}}
    assert main(["hub", "pull", "vit-gpt2"]) == 0
    shown = capsys.readouterr()
    assert shown.out.startswith(f"{full}@") and f"'{full}' now means" in shown.err
    hub.requests.clear()
    captioner = Captioner.from_pretrained("vit-gpt2")
    assert captioner.name == full and captioner.caption(draw_image(0)).text
    assert main(["models", "show", "vit-gpt2", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["name"] == full
    assert not hub.requests


def test_chat_templates_come_along(served: Path) -> None:
    (served / "chat_template.jinja").write_text("{{ messages }}")
    assert "chat_template.jinja" in pull_model("bad/model").files


@pytest.fixture
def with_code(served: Path) -> Path:
    """The served folder as a model of a kind of its own, without an image processor's settings."""
    config = {"model_type": "moon", "auto_map": {"AutoModel": "moon.Moon"}}
    (served / "config.json").write_text(json.dumps(config))
    (served / "moon.py").write_text("")
    for name in ("preprocessor_config.json", "processor_config.json"):
        (served / name).unlink(missing_ok=True)
    return served


def test_a_model_with_its_own_code_prepares_images_itself(with_code: Path) -> None:
    assert "moon.py" in pull_model("bad/model", trust_remote_code=True).files


def test_a_model_with_its_own_code_needs_a_tokenizer(with_code: Path) -> None:
    for name in ("tokenizer.json", "vocab.json", "vocab.txt"):
        (with_code / name).unlink(missing_ok=True)
    with pytest.raises(ModelError, match="no tokenizer"):
        pull_model("bad/model", trust_remote_code=True)


def test_copied_folders_are_enough_without_a_network(
    hub: Hub, pushed: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As docs/offline.md says: Hugging Face's folder and capgen's own, on another machine."""
    home = tmp_path / "there"
    monkeypatch.setenv("CAPGEN_HOME", str(home))
    pull_model(NAME, revision=pushed)  # only capgen's folder says that the bare name means it
    picture = tmp_path / "photo.jpg"
    draw_image(1).save(picture)
    cache = Path(constants.HF_HUB_CACHE)
    shutil.copytree(cache, tmp_path / "here" / "hf" / "hub", symlinks=True)
    shutil.copytree(home, tmp_path / "here" / "capgen")
    around = {
        **os.environ,
        "HF_HUB_OFFLINE": "1",
        "HF_HOME": str(tmp_path / "here" / "hf"),
        "CAPGEN_HOME": str(tmp_path / "here" / "capgen"),
    }
    asked = len(hub.requests)
    command = [sys.executable, "-m", "capgen", "caption", str(picture), "--model", NAME, "--json"]
    done = subprocess.run(command, env=around, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)[0]["revision"] == pushed
    assert len(hub.requests) == asked
    shutil.rmtree(tmp_path / "here" / "capgen")
    done = subprocess.run(command, env=around, capture_output=True, text=True)
    assert done.returncode == 1 and "not in the local cache" in done.stderr
