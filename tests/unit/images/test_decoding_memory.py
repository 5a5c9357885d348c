"""Large images take turns, and are refused where the memory for them is missing."""

from __future__ import annotations

import threading
from contextlib import ExitStack
from io import BytesIO
from pathlib import Path

import pytest
from PIL import Image

from capgen.captioning.batch.inputs import Inputs
from capgen.captioning.batch.journal import Journal
from capgen.captioning.batch.pipeline import BatchFinished, BatchRun, caption_all
from capgen.config import DecodeOptions
from capgen.errors import ImageError
from capgen.images import decoding_memory as module
from capgen.images.decoding_memory import claim_memory, decoding_bytes
from capgen.images.load import load_image
from tests.colours import colour_captioner, plain

MB = 1 << 20
PIXELS = 100 * 80
LARGE = (4000, 2000)  # 32 MB


def encoded(mode: str = "RGB", size: tuple[int, int] = (100, 80), **options: object) -> bytes:
    data = BytesIO()
    Image.new(mode, size).save(data, **{"format": "PNG", **options})
    return data.getvalue()


def is_taken() -> bool:
    """Whether a large image has its turn, as another thread sees it."""
    taken: list[bool] = []

    def look() -> None:
        free = module._one_large_at_a_time.acquire(blocking=False)
        if free:
            module._one_large_at_a_time.release()
        taken.append(not free)

    thread = threading.Thread(target=look)
    thread.start()
    thread.join()
    return taken[0]


@pytest.fixture
def memory(monkeypatch: pytest.MonkeyPatch) -> dict[str, int | None]:
    """What is available; 100 MB at first."""
    available: dict[str, int | None] = {"free": 100 * MB}
    monkeypatch.setattr(module, "available_memory", lambda: available["free"])
    return available


# Measured with Pillow 13 on images of 24 megapixels: the same, but for AVIF and HEIF, which take
# up to a quarter less.
@pytest.mark.parametrize(
    ("data", "a_pixel"),
    [
        (encoded(), 4),
        (encoded("L"), 5),
        (encoded("P"), 5),
        (encoded("I;16"), 7),
        (encoded("RGBA"), 9),
        (encoded("CMYK", format="JPEG"), 8),
        (encoded(format="WEBP"), 16),
        (encoded(format="JPEG"), 4),
        (encoded(format="JPEG", progressive=True), 4 + 3),
        (encoded(format="JPEG", progressive=True, subsampling=0), 4 + 6),
    ],
)
def test_what_an_image_takes(data: bytes, a_pixel: int) -> None:
    image = Image.open(BytesIO(data))
    assert decoding_bytes(image, 1, rotated=False) == a_pixel * PIXELS


def test_an_image_that_is_turned_is_there_twice() -> None:
    image = Image.open(BytesIO(encoded(format="JPEG")))
    assert decoding_bytes(image, 1, rotated=True) == 8 * PIXELS


def test_a_jpeg_that_is_decoded_smaller_takes_less() -> None:
    image = Image.open(BytesIO(encoded(format="JPEG")))
    assert decoding_bytes(image, 8, rotated=False) == 4 * PIXELS // 64


def test_small_images_need_no_turn(memory: dict[str, int | None]) -> None:
    with ExitStack() as turn:
        memory["free"] = 0
        claim_memory(turn, 20 * MB, "a.png")
        memory["free"] = 10_000 * MB
        claim_memory(turn, 500 * MB, "a.png")
        memory["free"] = None  # unknown
        claim_memory(turn, 5000 * MB, "a.png")
        assert not is_taken()


def test_large_images_have_turns(memory: dict[str, int | None]) -> None:
    with ExitStack() as turn:
        claim_memory(turn, 40 * MB, "a.png")
        assert is_taken()
        claim_memory(turn, 40 * MB, "a.png")  # the same image: its file, then its pixels
    assert not is_taken()


def test_a_turn_lasts_until_the_image_is_used(memory: dict[str, int | None]) -> None:
    data = encoded(size=LARGE)
    with ExitStack() as turn:
        load_image(data, turn=turn)
        assert is_taken()
    load_image(data)
    assert not is_taken()


def test_an_image_without_the_memory_for_it_is_refused(memory: dict[str, int | None]) -> None:
    memory["free"] = 60 * MB
    with pytest.raises(ImageError, match=r"^a.png: it takes 82 MB of memory, and 63 MB ") as caught:
        load_image(encoded(size=LARGE), name="a.png")
    assert caught.value.code == "memory" and "more memory" in caught.value.hint
    assert not is_taken()


def outcome(folder: Path) -> tuple[int, dict[str, int]]:
    """Caption a folder's images with a journal; return the captions, and failures by code."""
    captioner, settings = colour_captioner()[0], DecodeOptions()
    journal = Journal(
        *(folder / "out.journal", captioner.name, captioner.model.fingerprint),
        captioner.record_settings(captioner.settings(settings)[0]),
    )
    run = BatchRun(decoding=settings, journal=journal)
    *_, finished = caption_all(captioner, Inputs([str(folder)]), run)
    journal.close()
    assert isinstance(finished, BatchFinished)
    return finished.captions, dict(finished.failures)


@pytest.mark.parametrize("file_bytes", [0, 40 * MB])
def test_it_does_not_end_a_run_and_the_next_tries_again(
    memory: dict[str, int | None], tmp_path: Path, file_bytes: int
) -> None:
    plain(tmp_path, "b.png", 3)
    large = encoded(size=(10, 10) if file_bytes else LARGE)
    (tmp_path / "a.png").write_bytes(large + bytes(file_bytes))
    memory["free"] = 60 * MB
    assert outcome(tmp_path) == (1, {"memory": 1})
    memory["free"] = 100 * MB
    assert outcome(tmp_path) == (2, {})
