"""Progressive JPEGs at 1/8: the same pixels from a fraction of the bytes."""

from __future__ import annotations

from io import BytesIO
from itertools import pairwise

import numpy as np
import pytest
from PIL import Image

from capgen.config import ImageLimits
from capgen.images.jpeg_structure import END, SCAN, jpeg_parts
from capgen.images.load import MODEL_MARGIN, load_image
from capgen.images.progressive import for_an_eighth
from tests.unit.images.samples import encoded, exif, noise


def eighth(data: bytes) -> np.ndarray:
    image = Image.open(BytesIO(data))
    image.draft(None, (image.width // 8, image.height // 8))
    image.load()
    return np.asarray(image)


def photo(width: int, height: int, mode: str = "RGB") -> Image.Image:
    """Return an image with edges, gradients and noise."""
    rough = Image.fromarray(noise(6, 5)).resize((width, height), Image.Resampling.BICUBIC)
    grain = noise(height, width).astype(int) // 8
    return Image.fromarray((np.asarray(rough) * 7 // 8 + grain).astype(np.uint8)).convert(mode)


@pytest.mark.parametrize("size", [(640, 480), (333, 277), (9, 8), (8, 100)])
@pytest.mark.parametrize(
    ("mode", "options"),
    [
        ("RGB", {"subsampling": "4:2:0"}),
        ("RGB", {"subsampling": "4:2:2"}),
        ("RGB", {"subsampling": "4:4:4"}),
        ("RGB", {"subsampling": "4:2:0", "restart_marker_blocks": 3}),
        ("RGB", {"keep_rgb": True, "quality": 50}),
        ("L", {}),
        ("CMYK", {}),
    ],
)
def test_same_pixels(mode: str, options: dict[str, object], size: tuple[int, int]) -> None:
    data = encoded(photo(*size, mode), "JPEG", progressive=True, **{"quality": 90} | options)
    light = for_an_eighth(data)
    np.testing.assert_array_equal(eighth(light), eighth(data))
    if size == (640, 480):
        assert len(light) < len(data) / 2


def test_many_blocks() -> None:
    """More blocks than one code can call empty."""
    data = encoded(photo(2000, 1600), "JPEG", progressive=True)
    np.testing.assert_array_equal(eighth(for_an_eighth(data)), eighth(data))


def test_other_files_stay_as_they_are() -> None:
    baseline = encoded(photo(80, 80), "JPEG")
    assert for_an_eighth(baseline) is baseline
    progressive = encoded(photo(80, 80), "JPEG", progressive=True)
    for end in range(2, len(progressive) - 1, 7):  # cut off: the decoder is to say so
        assert for_an_eighth(progressive[:end]) == progressive[:end]
    for number in range(256):  # a broken component, scan or size
        for place in (5, 7, 10, 11, 12):
            start = progressive.index(b"\xff\xc2") + place
            for_an_eighth(progressive[:start] + bytes((number,)) + progressive[start + 1 :])


def test_missing_detail_is_smoothed_as_before() -> None:
    """libjpeg guesses at AC coefficients that are not there to the last bit."""
    data = encoded(photo(320, 240, "L"), "JPEG", progressive=True)
    parts = list(jpeg_parts(data))
    scans = [(start, end) for (marker, start, _), (_, end, _) in pairwise(parts) if marker == SCAN]
    assert parts[-1][0] == END
    start, end = scans[-1]  # the last bits of the AC coefficients
    cut = data[:start] + data[end:]
    assert for_an_eighth(cut) == cut


@pytest.mark.parametrize("accept_truncated", [False, True])
def test_large_progressive_files_are_decoded_so(
    accept_truncated: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    image = photo(900, 1200)
    data = encoded(image, "JPEG", progressive=True, exif=exif(6))
    limits = ImageLimits(accept_truncated=accept_truncated)
    given = []

    def noted(content: bytes) -> bytes:
        given.append(content)
        return for_an_eighth(content)

    monkeypatch.setattr("capgen.images.load.for_an_eighth", noted)
    loaded = load_image(data, limits=limits, size_hint=(89, 89), margin=MODEL_MARGIN)
    assert given == [data]
    assert (loaded.width, loaded.height) == (1200, 900)
    expected = np.rot90(eighth(data), -1)
    np.testing.assert_array_equal(np.asarray(loaded.image), expected)
    load_image(data, limits=limits, size_hint=(120, 120), margin=MODEL_MARGIN)  # at 1/4
    load_image(data, limits=limits, size_hint=(100, 100))
    load_image(encoded(image, "JPEG"), size_hint=(89, 89), margin=MODEL_MARGIN)
    assert given == [data]
