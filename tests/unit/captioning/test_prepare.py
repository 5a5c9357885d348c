"""One step prepares an image for everybody: loaded, upright, as pixels, or a failure."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from capgen.captioning.prepare import Prepared, for_prepared
from capgen.captioning.runtimes.base import ModelInput
from capgen.config import ImageLimits
from capgen.errors import ImageError
from capgen.explain.explain import prepare_to_explain
from capgen.records import CaptionFailure
from tests.colours import colour_captioner, plain


def test_what_is_not_asked_for_is_not_kept(tmp_path: Path) -> None:
    path = plain(tmp_path, "a.png", 9)
    prepared = colour_captioner()[0].prepare(path)
    assert isinstance(prepared, Prepared)
    assert (prepared.path, prepared.width, prepared.height) == (str(path), 8, 6)
    assert prepared.pixels.shape == (3, 4, 4)
    assert (prepared.thumbnail, prepared.image) == (None, None)
    assert prepared.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    pixels = colour_captioner()[0].prepare(np.zeros((6, 8, 3), np.uint8))
    assert isinstance(pixels, Prepared) and pixels.sha256 is None


def test_what_is_asked_for_is_kept(tmp_path: Path) -> None:
    data = plain(tmp_path, "a.png", 9).read_bytes()
    prepared = colour_captioner()[0].prepare(
        data, path="b.png", sha256="12", thumbnail=True, keep_image=True
    )
    assert isinstance(prepared, Prepared)
    assert (prepared.path, prepared.sha256) == ("b.png", "12")
    assert prepared.thumbnail is not None and prepared.thumbnail[8:12] == b"WEBP"
    assert prepared.image is not None and prepared.image.size == (8, 6)


def test_an_image_is_turned_upright(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.new("RGB", (8, 6)).save(tmp_path / "a.jpg", exif=exif)
    prepared = colour_captioner()[0].prepare(tmp_path / "a.jpg", keep_image=True)
    assert isinstance(prepared, Prepared) and prepared.image is not None
    assert (prepared.width, prepared.height) == prepared.image.size == (6, 8)


def test_a_large_photo_is_decoded_small_for_the_model_and_larger_for_people(tmp_path: Path) -> None:
    Image.effect_noise((48, 64), 90).save(tmp_path / "a.jpg")
    captioner = colour_captioner()[0]
    prepared = captioner.prepare(tmp_path / "a.jpg", keep_image=True, thumbnail=True)
    assert isinstance(prepared, Prepared) and prepared.image is not None
    assert prepared.thumbnail is not None
    assert (prepared.width, prepared.height) == (48, 64)
    assert prepared.image.size == (12, 16)
    assert Image.open(BytesIO(prepared.thumbnail)).size == (6, 8)
    alone = captioner.prepare(tmp_path / "a.jpg")
    assert isinstance(alone, Prepared)
    np.testing.assert_array_equal(alone.pixels, prepared.pixels)


@pytest.mark.parametrize(
    ("name", "path", "expected"),
    [("a\n.png", None, "a\\n.png: "), ("a\n.png", "shard/b.png", "shard/b.png: ")],
)
def test_a_failure_names_the_image(
    name: str, path: str | None, expected: str, tmp_path: Path
) -> None:
    source = tmp_path / name
    failure = colour_captioner()[0].prepare(source, path=path)
    assert isinstance(failure, CaptionFailure)
    assert (failure.path, failure.code) == (path or str(source), "missing")
    assert expected in failure.message and "\n" not in failure.message


def test_an_explanation_raises_the_error_of_a_failure(tmp_path: Path) -> None:
    path = plain(tmp_path, "a.png", 9)
    with pytest.raises(ImageError, match="limit of 10") as caught:
        prepare_to_explain(colour_captioner()[0], path, ImageLimits(max_pixels=10))
    assert caught.value.code == "too_large" and caught.value.hint


def test_failures_keep_their_places_in_a_batch() -> None:
    failure = CaptionFailure(path="b", code="missing", message="b: no such file")
    given = ModelInput(np.zeros((3, 1, 1), np.float32))
    batch = [Prepared("a", 1, 1, given), failure, Prepared("c", 1, 1, given)]

    def names(prepared: Sequence[Prepared]) -> list[str | None]:
        return [item.path for item in prepared]

    assert list(for_prepared(names, batch)) == ["a", failure, "c"]


def test_a_batch_of_failures_is_not_shown_to_the_model() -> None:
    failure = CaptionFailure(path="b", code="missing", message="b: no such file")

    def shown(prepared: Sequence[Prepared]) -> list[str]:
        pytest.fail("an empty batch")

    assert list(for_prepared(shown, [failure])) == [failure]
