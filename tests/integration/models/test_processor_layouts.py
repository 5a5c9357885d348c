"""Captioners with the files that transformers 5 saves processors in, and that 4 did."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from capgen import Captioner
from capgen.cli.main import main
from capgen.errors import ModelError
from capgen.hub.pull import pull_model
from capgen.hub.push import plan_push
from capgen.models.checkpoint import load_captioning
from capgen.models.folder import ModelFolder
from capgen.paths import models_dir
from tests import tiny_captioners
from tests.fakes import draw_image
from tests.hub_stand_in import Hub, point_at, serving
from tests.minis import write_flickr8k
from tests.training_runs import eight_images

IMAGE = draw_image(3, (60, 44))
MAKERS: dict[str, Callable[[Path], Path]] = {
    "blip": tiny_captioners.blip,
    "git": tiny_captioners.git,
    "vision-encoder-decoder": lambda folder: tiny_captioners.save_plainly(
        folder, tiny_captioners.captioning(tiny_captioners.vit())
    ),
}
KINDS = list(MAKERS)


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> dict[tuple[str, bool], Path]:
    """Each kind of captioner, with its image processor nested in another file and not."""
    folder = tmp_path_factory.mktemp("layouts")
    return {
        (kind, nested): tiny_captioners.with_processor(
            source, folder / f"{kind}-{nested}", kind, nested=nested
        )
        for kind, source in ((kind, make(folder / kind)) for kind, make in MAKERS.items())
        for nested in (True, False)
    }


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    with serving() as running:
        point_at(running, monkeypatch, tmp_path)
        yield running


@pytest.mark.parametrize("kind", KINDS)
def test_both_layouts_give_the_pixels_of_the_library(
    kind: str, saved: dict[tuple[str, bool], Path]
) -> None:
    expected = tiny_captioners.image_processor(kind)(IMAGE, return_tensors="np")["pixel_values"][0]
    found = {n: ModelFolder(saved[kind, n], kind).preprocessor for n in (True, False)}
    assert found[True] == found[False]
    for ours in found.values():
        np.testing.assert_allclose(ours.preprocess(IMAGE), expected, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("kind", KINDS)
def test_both_layouts_caption_alike(kind: str, saved: dict[tuple[str, bool], Path]) -> None:
    captions = [
        Captioner.from_pretrained(saved[kind, nested]).caption(IMAGE, max_length=8)
        for nested in (True, False)
    ]
    assert captions[0].tokens == captions[1].tokens
    assert len(captions[0].tokens) >= 2


@pytest.mark.parametrize("kind", KINDS)
def test_the_commands_take_a_nested_processor(
    kind: str, saved: dict[tuple[str, bool], Path], tmp_path: Path, capsys
) -> None:
    IMAGE.save(tmp_path / "photo.png")
    shutil.copytree(saved[kind, True], models_dir() / "mine")
    assert main(["models", "show", "mine", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["problem"] == ""
    assert main(["models", "list", "--json"]) == 0
    assert '"mine"' in capsys.readouterr().out
    beams = ["--beams", "2", "--max-length", "8"]
    assert main(["caption", str(tmp_path / "photo.png"), "--model", "mine", *beams]) == 0
    assert capsys.readouterr().out.strip()
    data = write_flickr8k(tmp_path / "data", eight_images())
    where = ["--data-dir", str(data), "--split", "test", "--metrics", "bleu"]
    assert main(["eval", "--model", "mine", *where, *beams]) == 0
    assert "BLEU-4" in capsys.readouterr().out


@pytest.mark.parametrize("kind", KINDS)
def test_a_repository_with_a_nested_processor(
    kind: str, saved: dict[tuple[str, bool], Path], hub: Hub
) -> None:
    hub.repositories = {"some/model": {"main": saved[kind, True]}}
    here = Captioner.from_pretrained(saved[kind, True]).caption(IMAGE, max_length=8)
    assert Captioner.from_pretrained("some/model").caption(IMAGE, max_length=8).text == here.text
    assert "/some/model/resolve/" in "".join(hub.asked)
    assert any(path.endswith("/processor_config.json") for path in hub.asked)
    assert "processor_config.json" in pull_model("some/model").files


def test_a_nested_processor_is_pushed(saved: dict[tuple[str, bool], Path]) -> None:
    folder = ModelFolder(saved["blip", True], "blip")
    sent = {file.name for file in plan_push(folder, "me/blip").files}
    assert "processor_config.json" in sent
    assert "preprocessor_config.json" not in sent


def test_training_starts_from_a_nested_processor(saved: dict[tuple[str, bool], Path]) -> None:
    folder = ModelFolder(saved["vision-encoder-decoder", True], "vit")
    assert load_captioning(folder).preprocessor.mean == (0.4, 0.5, 0.6)
    for kind in ("blip", "git"):
        with pytest.raises(ModelError, match=f"'{kind}' model") as caught:
            load_captioning(ModelFolder(saved[kind, True], kind))
        assert "trains" in caught.value.hint


def test_where_both_files_are_there_the_nested_one_counts(
    saved: dict[tuple[str, bool], Path], tmp_path: Path
) -> None:
    """As in transformers; but a processor's file without an image processor says nothing."""
    folder = Path(shutil.copytree(saved["blip", True], tmp_path / "m"))
    tiny_captioners.image_processor("blip", size={"height": 64, "width": 48}).save_pretrained(
        folder
    )
    assert ModelFolder(folder, "m").preprocessor.size == (32, 32)
    (folder / "processor_config.json").write_text('{"processor_class": "BlipProcessor"}')
    assert ModelFolder(folder, "m").preprocessor.size == (64, 48)
    (folder / "preprocessor_config.json").unlink()
    with pytest.raises(ModelError, match=r"no preprocessor_config\.json, nor a processor_config"):
        Captioner.from_pretrained(folder)


@pytest.mark.parametrize(
    ("change", "size"),
    [
        # As torchvision's classes of transformers 4 and 5 write it, which need not be here.
        ({"image_processor_type": "BlipImageProcessorFast"}, (32, 32)),
        ({"image_processor_type": "BlipImageProcessor", "do_pad": None, "device": None}, (32, 32)),
        ({"image_processor_type": None, "size": None}, (384, 384)),
        (
            {"image_processor_type": None, "feature_extractor_type": "ViTFeatureExtractor"},
            (32, 32),
        ),
    ],
    ids=["fast", "nulls", "no class: the model's", "feature extractor"],
)
def test_names_of_classes(
    change: dict[str, Any], size: tuple[int, int], saved: dict[tuple[str, bool], Path], tmp_path
) -> None:
    for nested, name in ((True, "processor_config.json"), (False, "preprocessor_config.json")):
        folder = Path(shutil.copytree(saved["blip", nested], tmp_path / str(nested)))
        content = json.loads((folder / name).read_text())
        inner = content["image_processor"] if nested else content
        inner.update(change)
        (folder / name).write_text(json.dumps(content))
        assert ModelFolder(folder, "m").preprocessor.size == size
