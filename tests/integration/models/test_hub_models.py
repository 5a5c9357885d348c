"""Models from the Hub, served by a stand-in on this machine."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from huggingface_hub import constants

from capgen import Captioner
from capgen.errors import (
    ModelError,
    ModelNotFoundError,
    NetworkError,
    UnsafeModelError,
    UsageError,
)
from capgen.models.build import build_clip_gpt2
from capgen.models.checkpoint import load_captioning, save_captioning
from capgen.models.folder import ModelFolder
from capgen.models.preprocessing.preprocess import Preprocessor
from capgen.models.provenance import Provenance
from capgen.models.resolve import resolve_model
from tests import tiny_captioners
from tests.fakes import draw_image
from tests.hub_stand_in import Hub, commit_of, point_at, serving

BOT = {
    "num": 3,
    "author": {"name": "SFconvertbot"},
    "title": "Adding `safetensors` variant of this model",
    "status": "open",
    "isPullRequest": True,
    "createdAt": "2023-03-01T00:00:00.000Z",
    "repo": {"name": "old/clip", "type": "model"},
}


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    with serving() as running:
        point_at(running, monkeypatch, tmp_path)
        yield running


def clip_repository(folder: Path, *, width: int = 32) -> Path:
    """A whole CLIP with its preprocessor, as the published ones are."""
    tiny_captioners.clip(width=width).save_pretrained(folder)
    processor = Preprocessor(
        shortest_edge=48, crop=(48, 48), resample=3, mean=(0.4,) * 3, std=(0.3,) * 3
    )
    processor.to_file(folder / "preprocessor_config.json")
    return folder


def gpt2_repository(folder: Path) -> Path:
    """A GPT-2 without cross-attention, as the published ones are."""
    tiny_captioners.gpt2(seed=7, add_cross_attention=False).save_pretrained(folder)
    tiny_captioners.byte_tokenizer().save_pretrained(folder)
    return folder


def pickled_repository(folder: Path, source: Path) -> Path:
    folder.mkdir()
    for file in source.iterdir():
        if file.suffix == ".json":
            (folder / file.name).write_bytes(file.read_bytes())
    torch.save({}, folder / "pytorch_model.bin")
    return folder


@pytest.mark.parametrize("width", [32, 48], ids=["same width", "another width"])
def test_clip_gpt2_starts_from_the_pretrained_weights(width: int, hub: Hub, tmp_path: Path) -> None:
    clip = clip_repository(tmp_path / "clip", width=width)
    gpt2 = gpt2_repository(tmp_path / "gpt2")
    hub.repositories = {"some/clip": {"main": clip}, "some/gpt2": {"main": gpt2}}
    made = build_clip_gpt2("some/clip", "some/gpt2")
    state = made.model.state_dict()
    pretrained = {}
    for name, tensor in tiny_captioners.clip(width=width).vision_model.state_dict().items():
        pretrained[f"encoder.{name}"] = tensor
    for name, tensor in (
        tiny_captioners.gpt2(seed=7, add_cross_attention=False).state_dict().items()
    ):
        pretrained[f"decoder.{name}"] = tensor
    for name, tensor in pretrained.items():
        assert torch.equal(state[name], tensor), name
    new = {name for name in state if name not in pretrained}
    assert new
    assert {
        name for name in new if "crossattention" not in name and "ln_cross_attn" not in name
    } == ({"enc_to_dec_proj.weight", "enc_to_dec_proj.bias"} if width != 32 else set())
    assert made.preprocessor.crop == (48, 48)
    assert made.model.generation_config.eos_token_id == 256
    assert made.model.generation_config.decoder_start_token_id == 256
    # Nothing but safetensors and text was fetched.
    fetched = {path.rsplit("/", 1)[-1] for path in hub.asked if "/resolve/" in path}
    assert {Path(name).suffix for name in fetched} <= {".json", ".safetensors", ".txt"}


def test_clip_gpt2_saves_loads_and_captions(hub: Hub, tmp_path: Path) -> None:
    hub.repositories = {
        "some/clip": {"main": clip_repository(tmp_path / "clip", width=48)},
        "some/gpt2": {"main": gpt2_repository(tmp_path / "gpt2")},
    }
    made = build_clip_gpt2("some/clip", "some/gpt2")
    save_captioning(tmp_path / "model", made, Provenance(preset="clip-gpt2"))
    again = load_captioning(ModelFolder(tmp_path / "model", "m"))
    for name, tensor in made.model.state_dict().items():
        assert torch.equal(again.model.state_dict()[name], tensor)
    caption = Captioner.from_pretrained(tmp_path / "model").caption(draw_image(0), max_length=6)
    assert caption.settings["beams"] == 5


@pytest.mark.parametrize(
    ("encoder", "decoder", "word"),
    [("some/gpt2", "some/gpt2", "encoder"), ("some/clip", "some/clip", "GPT-2")],
)
def test_parts_of_another_kind_are_refused(
    encoder: str, decoder: str, word: str, hub: Hub, tmp_path: Path
) -> None:
    hub.repositories = {
        "some/clip": {"main": clip_repository(tmp_path / "clip")},
        "some/gpt2": {"main": gpt2_repository(tmp_path / "gpt2")},
    }
    with pytest.raises(ModelError, match=word):
        build_clip_gpt2(encoder, decoder)


def test_a_captioner_by_its_id_and_revision(hub: Hub, tmp_path: Path) -> None:
    made = tiny_captioners.captioning(tiny_captioners.vit())
    folder = tiny_captioners.save_plainly(tmp_path / "model", made)
    hub.repositories = {"some/captioner": {"main": folder, "v2": folder}}
    captioner = Captioner.from_pretrained("some/captioner")
    assert captioner.name == "some/captioner"
    assert captioner.folder.revision == commit_of("some/captioner", "main")
    assert captioner.caption(draw_image(0, (40, 40))).model == "some/captioner"
    assert resolve_model("some/captioner@v2").revision == commit_of("some/captioner", "v2")
    by_option = resolve_model("some/captioner", revision="v2")
    assert by_option.revision == commit_of("some/captioner", "v2")
    with pytest.raises(ModelNotFoundError, match="'v3'"):
        resolve_model("some/captioner@v3")


def test_the_cache_serves_when_the_hub_cannot_be_reached(
    hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = tiny_captioners.captioning(tiny_captioners.vit())
    hub.repositories = {"some/m": {"main": tiny_captioners.save_plainly(tmp_path / "m", made)}}
    first = resolve_model("some/m")
    monkeypatch.setattr(constants, "ENDPOINT", "http://127.0.0.1:9")
    assert resolve_model("some/m") == first


def test_no_such_repository(hub: Hub) -> None:
    with pytest.raises(ModelNotFoundError, match="'some/thing'") as caught:
        resolve_model("some/thing")
    assert caught.value.hint


@pytest.mark.parametrize("status", [500, 503, 403, -1])
def test_a_hub_that_fails(status: int, hub: Hub) -> None:
    hub.failing = status
    begin = time.monotonic()
    with pytest.raises(NetworkError, match="some/thing") as caught:
        resolve_model("some/thing")
    assert time.monotonic() - begin < 10
    assert "\n" not in caught.value.message


def test_a_pickle_is_refused(hub: Hub, tmp_path: Path) -> None:
    source = clip_repository(tmp_path / "clip")
    hub.repositories = {"old/clip": {"main": pickled_repository(tmp_path / "old", source)}}
    with pytest.raises(UnsafeModelError, match="old/clip") as caught:
        resolve_model("old/clip")
    assert caught.value.hint
    assert not any(path.endswith(".bin") for path in hub.asked)


def test_the_conversion_in_the_bots_pull_request_is_found(hub: Hub, tmp_path: Path) -> None:
    source = clip_repository(tmp_path / "clip")
    old = pickled_repository(tmp_path / "old", source)
    hub.repositories = {"old/clip": {"main": old, "refs/pr/3": source}}
    hub.discussions = {"old/clip": [BOT]}
    folder = resolve_model("old/clip")
    assert folder.revision == commit_of("old/clip", "refs/pr/3")
    assert (folder.path / "model.safetensors").is_file()
    # Who asks for a revision gets that one or nothing.
    with pytest.raises(UnsafeModelError):
        resolve_model("old/clip", revision="main")


def test_a_conversion_fetched_before_is_found_offline(
    hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = clip_repository(tmp_path / "clip")
    old = pickled_repository(tmp_path / "old", source)
    hub.repositories = {"old/clip": {"main": old, "refs/pr/3": source}}
    hub.discussions = {"old/clip": [BOT]}
    online = resolve_model("old/clip")
    monkeypatch.setattr(constants, "ENDPOINT", "http://127.0.0.1:9")
    assert resolve_model("old/clip").path == online.path


def test_a_revision_is_for_the_hub_only(tmp_path: Path) -> None:
    for name in (None, "mini", str(tmp_path)):
        with pytest.raises(UsageError, match="--revision"):
            resolve_model(name, revision="main")


@pytest.mark.parametrize(
    "changed", [{"author": {"name": "somebody"}}, {"title": "Better weights"}], ids=str
)
def test_other_peoples_pull_requests_are_not_trusted(
    changed: dict[str, object], hub: Hub, tmp_path: Path
) -> None:
    source = clip_repository(tmp_path / "clip")
    old = pickled_repository(tmp_path / "old", source)
    hub.repositories = {"old/clip": {"main": old, "refs/pr/3": source}}
    hub.discussions = {"old/clip": [{**BOT, **changed}]}
    with pytest.raises(UnsafeModelError):
        resolve_model("old/clip")


def test_what_is_no_model(hub: Hub, tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "notes.txt").write_text("nothing")
    hub.repositories = {"some/data": {"main": tmp_path / "data"}}
    with pytest.raises(ModelNotFoundError, match=r"config\.json"):
        resolve_model("some/data")


def test_code_that_comes_with_a_model_is_not_fetched(hub: Hub, tmp_path: Path) -> None:
    folder = tiny_captioners.save_plainly(
        tmp_path / "m", tiny_captioners.captioning(tiny_captioners.vit())
    )
    config = json.loads((folder / "config.json").read_text())
    config |= {"model_type": "mine", "auto_map": {"AutoModel": "mine.Model"}}
    (folder / "config.json").write_text(json.dumps(config))
    (folder / "mine.py").write_text("raise SystemExit('foreign code ran')")
    hub.repositories = {"some/m": {"main": folder}}
    with pytest.raises(UnsafeModelError):
        Captioner.from_pretrained("some/m")
    assert not any(path.endswith(".py") for path in hub.asked)
