"""The Captioner over a runtime that only looks at the pixels: order, batches, failures."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import capgen
from capgen.captioning.captioner import Captioner
from capgen.config import DecodeOptions, ImageLimits
from capgen.errors import ImageError, ModelError, UsageError
from capgen.models.folder import ModelFolder
from capgen.models.preprocessing.preprocess import Preprocessor
from capgen.paths import bundled_model_dir
from capgen.records import Caption, CaptionFailure
from tests.colours import ColourRuntime
from tests.fakes import draw_image


@pytest.fixture
def runtime() -> ColourRuntime:
    return ColourRuntime()


@pytest.fixture
def captioner(runtime: ColourRuntime) -> Captioner:
    return Captioner(ModelFolder(bundled_model_dir(), "colours"), runtime)


def plain(red: int, size: tuple[int, int] = (8, 6)) -> Image.Image:
    return Image.new("RGB", size, (red, 0, 0))


def test_the_public_names_are_loaded_on_first_use() -> None:
    assert capgen.Captioner is Captioner
    assert capgen.Caption is Caption
    assert set(dir(capgen)) >= {"Captioner", "Caption", "CaptionFailure", "Example"}
    with pytest.raises(AttributeError, match="nonsense"):
        _ = capgen.nonsense


def test_one_image_gives_a_record_and_a_list_a_list(captioner: Captioner) -> None:
    caption = captioner.caption(plain(7))
    assert isinstance(caption, Caption)
    assert caption.text == "7 0"
    assert (caption.width, caption.height, caption.path) == (8, 6, None)
    assert caption.model == "colours"
    assert caption.settings["runtime"] == "colours"
    assert [token.id for token in caption.tokens] == [7, 0]
    assert [c.text for c in captioner.caption([plain(7), plain(9)])] == ["7 0", "9 0"]
    assert [c.text for c in captioner.caption((plain(7),))] == ["7 0"]
    assert captioner.caption([]) == []


def test_every_kind_of_image(captioner: Captioner, tmp_path: Path) -> None:
    path = tmp_path / "x.png"
    plain(200).save(path)
    array = np.asarray(plain(200))
    sources: list[Any] = [path, str(path), path.read_bytes(), plain(200), array]
    for caption in captioner.caption(sources):
        assert caption.text == "200 0"
    assert [c.path for c in captioner.caption(sources)] == [str(path), str(path), None, None, None]


def test_a_bad_image_raises_in_the_library(captioner: Captioner) -> None:
    with pytest.raises(ImageError, match=r"missing\.jpg") as caught:
        captioner.caption([plain(1), "missing.jpg"])
    assert caught.value.code == "missing"
    for source in ([plain(1), b""], [3], None):
        with pytest.raises(ImageError):
            captioner.caption(source)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("options", "word"),
    [({"bems": 3}, "bems"), ({"beams": 0}, "--beams"), ({"temperature": "hot"}, "--temperature")],
)
def test_wrong_options(captioner: Captioner, options: dict[str, Any], word: str) -> None:
    with pytest.raises(UsageError, match=word):
        captioner.caption(plain(1), **options)


def test_several_captions_are_alternatives(captioner: Captioner) -> None:
    caption = captioner.caption(plain(7), num_captions=3)
    assert (caption.text, [other.text for other in caption.alternatives]) == (
        "7 0",
        ["7 1", "7 2"],
    )
    assert caption.score > caption.alternatives[0].score > caption.alternatives[1].score


def test_a_clamped_length_is_noted_in_the_record(captioner: Captioner) -> None:
    caption = captioner.caption(plain(7), max_length=90)
    assert caption.settings["max_length"] == 24
    assert len(caption.notes) == 1 and "90" in caption.notes[0] and "24" in caption.notes[0]
    assert captioner.caption(plain(7), max_length=20).notes == ()


@pytest.mark.parametrize("size", [1, 2, 3, 5, 7, 100])
def test_records_come_in_order_whatever_the_batch(
    captioner: Captioner, runtime: ColourRuntime, size: int
) -> None:
    sources: list[Any] = [plain(red) for red in range(7)]
    sources[1] = b"text"
    sources[4] = "missing.jpg"
    records = list(captioner.stream(sources, batch_size=size))
    kinds = [type(record) for record in records]
    assert kinds == [Caption, CaptionFailure, Caption, Caption, CaptionFailure, Caption, Caption]
    assert [r.text for r in records if isinstance(r, Caption)] == [
        f"{red} 0" for red in (0, 2, 3, 5, 6)
    ]
    assert records[4].path == "missing.jpg"
    assert sum(runtime.batches) == 5
    assert max(runtime.batches) <= size


def test_a_batch_of_failures_alone_does_not_reach_the_model(
    captioner: Captioner, runtime: ColourRuntime
) -> None:
    records = list(captioner.stream([b"", "gone.jpg", b"x"], batch_size=2))
    assert all(isinstance(record, CaptionFailure) for record in records)
    assert runtime.batches == []


@pytest.mark.parametrize("size", [0, -1])
def test_a_batch_has_at_least_one_image(captioner: Captioner, size: int) -> None:
    with pytest.raises(UsageError, match="batch"):
        list(captioner.stream([plain(1)], batch_size=size))


def test_images_are_read_as_needed(captioner: Captioner) -> None:
    taken = []

    def endless() -> Iterator[Image.Image]:
        while True:
            taken.append(len(taken))
            yield plain(len(taken) % 256)

    stream = captioner.stream(endless(), batch_size=2)
    assert [next(stream).text for _ in range(5)] == ["1 0", "2 0", "3 0", "4 0", "5 0"]  # type: ignore[union-attr]
    stream.close()  # type: ignore[attr-defined]
    assert len(taken) <= 5 + 3 * 2


def test_a_model_that_keeps_shapes_sees_one_image_at_a_time(captioner: Captioner) -> None:
    captioner.runtime = ColourRuntime(Preprocessor(shortest_edge=4))
    images = [plain(5, (8, 6)), plain(6, (6, 12)), plain(7, (9, 9))]
    assert [c.text for c in captioner.caption(images)] == ["5 0", "6 0", "7 0"]
    assert captioner.runtime.batches == [1, 1, 1]


def test_limits_are_kept(captioner: Captioner) -> None:
    (record,) = captioner.stream([plain(5)], limits=ImageLimits(max_pixels=47))
    assert isinstance(record, CaptionFailure)
    assert record.code == "too_large"


def test_a_name_that_is_no_text_stays_itself(captioner: Captioner, tmp_path: Path) -> None:
    path = tmp_path / os.fsdecode(b"caf\xe9.png")
    plain(9).save(tmp_path / "x.png")
    try:
        (tmp_path / "x.png").rename(path)
    except OSError:
        pytest.skip("this file system takes UTF-8 names only")
    assert captioner.caption(path).path == str(path)


def test_size_is_that_of_the_upright_image(captioner: Captioner, tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    draw_image(1, (40, 20)).save(tmp_path / "turned.jpg", exif=exif)
    caption = captioner.caption(tmp_path / "turned.jpg")
    assert (caption.width, caption.height) == (20, 40)


def test_settings_say_what_would_happen(captioner: Captioner) -> None:
    settings, notes = captioner.settings(DecodeOptions(beams=2))
    assert (settings.beams, settings.max_length, notes) == (2, 22, ())


def test_what_only_torch_can_do_is_left_to_torch(tmp_path: Path) -> None:
    folder = tmp_path / "model"
    shutil.copytree(bundled_model_dir(), folder)
    generation = json.loads((folder / "generation_config.json").read_text())
    image = draw_image(1)
    plain = Captioner.from_pretrained(folder)
    assert plain.runtime.name == "onnx"
    first = plain.caption(image).tokens[0].id
    generation["begin_suppress_tokens"] = [first]
    (folder / "generation_config.json").write_text(json.dumps(generation))
    with pytest.raises(ModelError, match="begin_suppress_tokens"):
        Captioner.from_pretrained(folder, runtime="onnx")
    captioner = Captioner.from_pretrained(folder)
    assert captioner.runtime.name == "torch"
    assert captioner.caption(image).tokens[0].id != first
