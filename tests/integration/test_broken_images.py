"""Broken images of every format: each is decoded or refused, and nothing else is raised."""

from __future__ import annotations

import pytest

from capgen.config import ImageLimits
from capgen.errors import ImageError
from capgen.images.frames import count_frames
from capgen.images.load import load_image
from capgen.images.metadata import Unwritable
from capgen.images.metadata.write import read_captions
from tests.bench.fuzz_images import files

NUMBER = 1500


@pytest.mark.filterwarnings("ignore")
def test_broken_images_are_decoded_or_refused() -> None:
    decoded = refused = 0
    for name, content in files(NUMBER, seed=0):
        try:
            load_image(content, name=name, limits=ImageLimits(max_pixels=1_000_000))
            assert count_frames(content, name) >= 1
            decoded += 1
        except ImageError as error:
            assert error.message.startswith(name)
            refused += 1
        try:
            read_captions(content)
        except Unwritable as finding:
            assert str(finding)
    assert decoded + refused == NUMBER
    assert min(decoded, refused) > NUMBER // 10  # neither all broken nor all whole
