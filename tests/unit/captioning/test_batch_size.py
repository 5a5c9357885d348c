"""The batch size that suits the memory that is there."""

from __future__ import annotations

from pathlib import Path

import pytest

from capgen.captioning import batch_size
from capgen.captioning.batch.inputs import Inputs
from capgen.captioning.batch.pipeline import BatchRun, caption_all
from capgen.captioning.batch_size import fitting_batch, fitting_lanes
from capgen.config import BatchOptions
from tests.colours import ColourRuntime, colour_captioner, plains

MB = 1 << 20


@pytest.fixture
def memory(monkeypatch: pytest.MonkeyPatch) -> dict[str, int | None]:
    """What is available; 40 MB at first."""
    available: dict[str, int | None] = {"free": 40 * MB}
    monkeypatch.setattr(batch_size, "available_memory", lambda: available["free"])
    return available


@pytest.mark.parametrize(
    ("free", "lanes", "size"),
    [
        (10_000 * MB, 1, 16),
        (10_000 * MB, 8, 16),
        (40 * MB, 1, 10),  # half of it for the images
        (40 * MB, 2, 5),
        (0, 1, 1),
        (None, 1, 16),
    ],
)
def test_a_batch_fits_into_memory(
    memory: dict[str, int | None], free: int | None, lanes: int, size: int
) -> None:
    memory["free"] = free
    assert fitting_batch(2 * MB, lanes) == size


def test_what_takes_no_memory_here_is_not_limited(memory: dict[str, int | None]) -> None:
    assert fitting_batch(0, 1) == 16
    assert fitting_lanes(0, 8) == 8


@pytest.mark.parametrize(("free", "lanes"), [(10_000, 8), (300, 3), (50, 1), (0, 1)])
def test_lanes_fit_into_memory(memory: dict[str, int | None], free: int, lanes: int) -> None:
    memory["free"] = free * MB
    assert fitting_lanes(2 * MB, 8) == lanes


@pytest.mark.parametrize(("asked", "batches"), [(None, [5, 5, 2]), (6, [6, 6])])
def test_a_run_takes_that_size_unless_another_is_asked_for(
    memory: dict[str, int | None],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    asked: int | None,
    batches: list[int],
) -> None:
    monkeypatch.setattr(ColourRuntime, "image_bytes", 4 * MB)
    plains(tmp_path, 12)
    captioner, runtime = colour_captioner()
    run = BatchRun(options=BatchOptions(batch_size=asked))
    list(caption_all(captioner, Inputs([str(tmp_path)]), run))
    assert runtime.batches == batches


def test_so_does_a_stream(
    memory: dict[str, int | None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ColourRuntime, "image_bytes", 4 * MB)
    captioner, runtime = colour_captioner()
    list(captioner.stream(plains(tmp_path, 12)))
    assert runtime.batches == [5, 5, 2]
    runtime.batches.clear()
    list(captioner.stream(plains(tmp_path, 12), batch_size=12))
    assert runtime.batches == [12]
