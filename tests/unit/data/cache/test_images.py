from __future__ import annotations

import logging
import subprocess
import sys
from collections.abc import Generator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import capgen.data.cache.images as cache
from capgen.cache_folders import IMAGES, clear, usage
from capgen.data.cache.images import (
    CachedImages,
    CacheOptions,
    Shape,
    cached_images,
)
from capgen.data.events import Notice, Progress
from capgen.errors import DataError, StorageError, UsageError
from tests.broken_images import png_without_palette, tiff
from tests.minis import draw, make_images, save_images, squash
from tests.windows import open_files_stay


@pytest.fixture
def files(tmp_path: Path) -> list[Path]:
    save_images(tmp_path / "p", make_images())
    return sorted((tmp_path / "p").iterdir())


def drain(
    events: Generator[Progress | Notice, None, CachedImages],
) -> tuple[CachedImages, list[Progress | Notice]]:
    seen = []
    while True:
        try:
            seen.append(next(events))
        except StopIteration as end:
            return end.value, seen


def counting(calls: list[Any], size: int = 32) -> Shape:
    """Return a shape that records the images it is asked to reshape."""
    shape = squash(size)

    def reshape(image: Image.Image) -> Any:
        calls.append(image)
        return shape.reshape(image)

    return Shape(height=size, width=size, key="counting", reshape=reshape)


def test_pixels_are_those_of_decoding_and_resizing(files: list[Path]):
    images, events = drain(cached_images(files, squash(32)))
    assert len(images) == 10
    assert events[-1] == Progress(task="decode", item="32×32", done=10, total=10, unit="images")
    for index, file in enumerate(files):
        with Image.open(file) as image:
            expected = np.asarray(image.resize((32, 32), Image.Resampling.BICUBIC))
        assert np.array_equal(images.take([index])[0], expected)
    batch = images.take(np.array([3, 3, 0]))
    assert batch.shape == (3, 32, 32, 3) and batch.dtype == np.uint8
    assert isinstance(images.pixels, np.memmap)
    with pytest.raises(ValueError, match="read-only"):
        images.pixels[0] = 0


def test_second_time_nothing_is_decoded(files: list[Path]):
    calls: list[Any] = []
    first, _ = drain(cached_images(files, counting(calls)))
    again, events = drain(cached_images(files, counting(calls)))
    assert (len(calls), events) == (10, [])
    assert again.path == first.path


def test_a_changed_image_is_decoded_again_and_only_it(files: list[Path]):
    calls: list[Any] = []
    before, _ = drain(cached_images(files, counting(calls)))
    draw(77).save(files[4], quality=85)
    after, _ = drain(cached_images(files, counting(calls)))
    assert len(calls) == 11
    assert not np.array_equal(before.take([4]), after.take([4]))
    others = [0, 1, 2, 3, 5, 6, 7, 8, 9]
    assert np.array_equal(before.take(others), after.take(others))


def test_a_subset_takes_its_rows_from_what_is_there(files: list[Path]):
    calls: list[Any] = []
    whole, _ = drain(cached_images(files, counting(calls)))
    part, _ = drain(cached_images(files[6:2:-1], counting(calls)))
    assert len(calls) == 10
    assert np.array_equal(part.take([0, 1, 2, 3]), whole.take([6, 5, 4, 3]))


def test_same_content_takes_one_row(files: list[Path], tmp_path: Path):
    copy = tmp_path / "copy.jpg"
    copy.write_bytes(files[0].read_bytes())
    images, _ = drain(cached_images([*files, copy], squash(32)))
    assert (len(images), len(images.pixels)) == (11, 10)
    assert np.array_equal(images.take([0]), images.take([10]))


def test_sizes_and_ways_of_resizing_do_not_mix(files: list[Path]):
    calls: list[Any] = []
    paths = {
        drain(cached_images(files, shape))[0].path
        for shape in (squash(32), squash(48), counting(calls))
    }
    assert len(paths) == 3
    assert len(calls) == 10


def test_a_truncated_pack_is_made_again(files: list[Path]):
    images, _ = drain(cached_images(files, squash(32)))
    expected = images.take(range(10))
    data = images.path.read_bytes()
    images.path.unlink()
    images.path.write_bytes(data[:-1])
    again, events = drain(cached_images(files, squash(32)))
    assert events
    assert np.array_equal(again.take(range(10)), expected)


def test_interrupted_decoding_keeps_whole_images_and_nothing_half_done(
    files: list[Path], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(cache, "_BATCH", 4)
    calls: list[Any] = []
    events = cached_images(files, counting(calls))
    next(events)
    events.close()
    (kept,) = IMAGES.path.glob("*.u8")
    assert kept.stat().st_size == 4 * 32 * 32 * 3
    calls.clear()
    images, _ = drain(cached_images(files, counting(calls)))
    assert len(calls) == 6
    fresh, _ = drain(cached_images(files, squash(32)))
    assert np.array_equal(images.take(range(10)), fresh.take(range(10)))
    # What was kept is in the complete pack, and takes no room any more.
    assert sorted(IMAGES.path.glob("*.u8")) == sorted({images.path, fresh.path})


def test_decoding_interrupted_before_the_first_images_leaves_nothing(
    files: list[Path], monkeypatch: pytest.MonkeyPatch
):
    def ctrl_c(*arguments: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(cache, "decode", ctrl_c)
        with pytest.raises(KeyboardInterrupt):
            drain(cached_images(files, squash(32)))
    assert [path.name for path in IMAGES.path.iterdir() if path.suffix] == []
    assert len(drain(cached_images(files, squash(32)))[0]) == 10


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("content", [png_without_palette(), tiff({273: (11, 3.0)})])
def test_a_image_that_breaks_its_decoder_is_named(content: bytes, files: list[Path]):
    files[3].write_bytes(content)
    with pytest.raises(DataError, match=files[3].name):
        drain(cached_images(files, squash(32)))


def test_corrupt_image_is_named(files: list[Path]):
    files[3].write_bytes(files[3].read_bytes()[:300])
    with pytest.raises(DataError, match=files[3].name) as caught:
        drain(cached_images(files, squash(32)))
    assert "doctor" in caught.value.hint
    assert not list(IMAGES.path.glob("*.u8"))


def test_the_limit_evicts_what_was_used_longest_ago(files: list[Path]):
    size = 5 * 32 * 32 * 3
    options = CacheOptions(cache_limit=5 * size // 2)
    first, _ = drain(cached_images(files[:5], squash(32), options))
    second, _ = drain(cached_images(files[5:], squash(32), options))
    drain(cached_images(files[:5], squash(32), options))  # used again: now the youngest
    third, _ = drain(cached_images(files[2:7], squash(32), options))
    assert first.path.exists() and third.path.exists() and not second.path.exists()
    # What is mapped stays readable.
    assert second.take([0]).shape == (1, 32, 32, 3)
    with pytest.raises(StorageError, match="more than the cache's limit") as caught:
        drain(cached_images(files, squash(32), CacheOptions(cache_limit=size)))
    assert "CAPGEN_CACHE_LIMIT" in caught.value.hint
    with pytest.raises(UsageError, match="--cache-limit is -1"):
        CacheOptions(cache_limit=-1)


def test_limit_of_the_environment(files: list[Path], monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("CAPGEN_CACHE_LIMIT", "10kB")
    with pytest.raises(StorageError, match="more than the cache's limit of 1e-05 GB"):
        drain(cached_images(files, squash(32)))
    monkeypatch.setenv("CAPGEN_CACHE_LIMIT", "much")
    with pytest.raises(UsageError, match="CAPGEN_CACHE_LIMIT is 'much'"):
        drain(cached_images(files, squash(32)))


def test_processes_share_one_pack(files: list[Path]):
    script = """
import sys
from pathlib import Path
from capgen.data.cache.images import cached_images
from tests.minis import squash
events = cached_images([Path(p) for p in sys.argv[1:]], squash(32))
decoded = 0
while True:
    try:
        decoded = max(decoded, getattr(next(events), "done", 0))
    except StopIteration as end:
        print(decoded, end.value.take(range(10)).sum())
        break
"""
    command = [sys.executable, "-c", script, *map(str, files)]
    processes = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(3)]
    outs = [process.communicate(timeout=60)[0].split() for process in processes]
    assert sorted(int(decoded) for decoded, _ in outs) == [0, 0, 10]
    assert len({total for _, total in outs}) == 1
    assert len(list(IMAGES.path.glob("*.u8"))) == 1


def test_the_log_tells_what_was_in_the_cache(files: list[Path], caplog: pytest.LogCaptureFixture):
    with caplog.at_level(logging.DEBUG, "capgen"):
        pack = drain(cached_images(files[:5], squash(32)))[0].path
        drain(cached_images(files[:5], squash(32)))
        drain(cached_images(files, squash(32)))
    told = [text for text in caplog.messages if "hashes" not in text]
    assert told[0] == f"making {pack} for 5 images"
    assert f"found {pack} for 5 images" in told
    assert told[-1] == "5 of 10 images are in other packs"


def test_usage_and_clear(files: list[Path], home: Path):
    drain(cached_images(files, squash(32)))
    parts = {part.path.name: part for part in usage()}
    assert parts["pictures"].bytes > 10 * 32 * 32 * 3
    assert clear() >= 10 * 32 * 32 * 3
    assert usage() == []
    assert len(drain(cached_images(files, squash(32)))[0]) == 10


@pytest.mark.skipif(not Path("/proc/self/maps").exists(), reason="there is no /proc")
def test_packs_in_use_stay_where_the_system_keeps_them(files: list[Path]):
    """Windows removes no file that is mapped; the run that has it goes on with it."""
    used, _ = drain(cached_images(files[:5], squash(32)))
    idle, _ = drain(cached_images(files[:4], squash(32)))
    idle_path = idle.path
    del idle
    options = CacheOptions(cache_limit=11 * 32 * 32 * 3 // 2)
    with open_files_stay():
        new, _ = drain(cached_images(files[5:], squash(32), options))
    assert not idle_path.exists()
    assert used.path.exists() and used.path.with_suffix(".json").exists()
    assert new.path.exists()
