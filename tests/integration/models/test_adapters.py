"""LoRA adapters that peft saved without their base model."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import AutoModelForImageTextToText, BlipForConditionalGeneration

from capgen import Captioner
from capgen.cli.main import main
from capgen.errors import ModelError, ModelNotFoundError, NetworkError, UnsafeModelError
from capgen.models.resolve import resolve_model
from tests import tiny_captioners, tiny_prompted
from tests.fakes import draw_image

IMAGE = draw_image(3, (60, 40))


def adapter(folder: Path, base: Path, model: Any, targets: list[str]) -> Path:
    """Save an adapter that changes what the model says."""
    import peft  # takes seconds, which the collection of all tests would take in each worker

    torch.manual_seed(2)
    made = peft.get_peft_model(model, peft.LoraConfig(r=4, target_modules=targets))
    with torch.no_grad():
        for name, weight in made.named_parameters():
            if "lora_" in name:
                weight.normal_(0, 0.5)
    made.save_pretrained(folder)
    known = json.loads((folder / "adapter_config.json").read_text())
    known["base_model_name_or_path"] = str(base)
    (folder / "adapter_config.json").write_text(json.dumps(known))
    assert not (folder / "config.json").exists()
    return folder


@pytest.fixture(scope="module")
def llava(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A model, and an adapter of it."""
    place = tmp_path_factory.mktemp("adapters")
    base = tiny_prompted.llava(place / "base")
    model = AutoModelForImageTextToText.from_pretrained(base)
    return base, adapter(place / "lora", base, model, ["q_proj", "v_proj"])


def ids_of(captioner: Captioner) -> list[int]:
    caption = captioner.caption(IMAGE, beams=1, max_length=10, retry=False)
    return [token.id for token in caption.tokens]


def test_an_adapter_is_loaded_on_its_base(llava: tuple[Path, Path], tmp_path: Path) -> None:
    import peft

    base, lora = llava
    plain, adapted = Captioner.from_pretrained(base), Captioner.from_pretrained(lora)
    model = AutoModelForImageTextToText.from_pretrained(base)
    merged = peft.PeftModel.from_pretrained(model, str(lora)).merge_and_unload()
    shutil.copytree(base, tmp_path / "merged")
    merged.save_pretrained(tmp_path / "merged")
    assert ids_of(adapted) == ids_of(Captioner.from_pretrained(tmp_path / "merged"))
    assert ids_of(adapted) != ids_of(plain)
    assert adapted.name == str(lora)
    assert adapted.folder.fingerprint not in (plain.folder.fingerprint, "")
    assert adapted.folder.fingerprint.endswith(plain.folder.fingerprint)


def test_an_adapter_of_a_captioner(tmp_path: Path) -> None:
    base = tiny_captioners.blip(tmp_path / "blip")
    model = BlipForConditionalGeneration.from_pretrained(base)
    lora = adapter(tmp_path / "lora", base, model, ["query", "value"])
    plain = Captioner.from_pretrained(base).caption(IMAGE, max_length=8, retry=False)
    adapted = Captioner.from_pretrained(lora).caption(IMAGE, max_length=8, retry=False)
    assert adapted.log_probability != pytest.approx(plain.log_probability, abs=1e-2)


def test_adapters_that_cannot_be_used(llava: tuple[Path, Path], tmp_path: Path, capsys) -> None:
    _, lora = llava
    copy = tmp_path / "copy"
    shutil.copytree(lora, copy)

    def record(**changed: Any) -> None:
        known = json.loads((lora / "adapter_config.json").read_text())
        (copy / "adapter_config.json").write_text(json.dumps({**known, **changed}))

    record(base_model_name_or_path=str(tmp_path / "gone"))
    with pytest.raises(ModelNotFoundError, match=r"is an adapter of .*gone"):
        resolve_model(str(copy))
    record(base_model_name_or_path="some/blip")
    with pytest.raises(NetworkError, match=r"is an adapter of some/blip\. Cannot reach"):
        resolve_model(str(copy))
    record(base_model_name_or_path=None)
    with pytest.raises(ModelError, match="does not name its base model"):
        resolve_model(str(copy))
    record(base_model_name_or_path=str(lora))
    with pytest.raises(ModelError, match="which is an adapter, too"):
        resolve_model(str(copy))
    other = tiny_captioners.blip(tmp_path / "blip")
    record(base_model_name_or_path=str(other))
    with pytest.raises(ModelError, match="does not fit its base"):
        Captioner.from_pretrained(copy)
    record()
    (copy / "adapter_model.safetensors").write_bytes(b"x")
    with pytest.raises(ModelError, match="does not fit its base"):
        Captioner.from_pretrained(copy)
    (copy / "adapter_model.safetensors").rename(copy / "adapter_model.bin")
    with pytest.raises(UnsafeModelError, match="has pickled weights"):
        resolve_model(str(copy))
    (copy / "adapter_model.bin").unlink()
    IMAGE.save(tmp_path / "i.png")
    assert main(["caption", str(tmp_path / "i.png"), "--model", str(copy)]) == 1
    assert "has no weights (adapter_model.safetensors)" in " ".join(capsys.readouterr().err.split())


def test_without_peft(llava: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("capgen.models.adapters.find_spec", lambda name: None)
    with pytest.raises(Exception, match="needs the package peft") as caught:
        Captioner.from_pretrained(llava[1])
    assert "capgen[lora]" in caught.value.hint
