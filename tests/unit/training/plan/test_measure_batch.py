"""What is measured for an estimate: enough images for the device, and no more than fit."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from capgen.config import train_config
from capgen.training.plan.measure_batch import images_to_measure, measure_rounds


@pytest.mark.parametrize(
    ("device", "batch", "images"),
    [("cpu", 64, 2), ("cpu", 1, 2), ("cuda", 64, 64), ("cuda", 16, 16), ("cuda", 512, 64)],
)
def test_a_gpu_is_measured_on_a_batch_that_fills_it(device, batch, images):
    config = train_config("mini", batch_size=batch)
    assert images_to_measure(config, torch.device(device)) == images


def test_captions_without_images_are_cheap_enough_to_measure_many():
    config = train_config("mini", objective="text", text_data=Path("a.txt"))
    assert images_to_measure(config, torch.device("cpu")) == 64


def measure(examples, backward):
    """Take 100 bytes and 10 bytes per image, and a second per image, on a device for 16 images."""
    if len(examples) > 16:
        raise torch.OutOfMemoryError("CUDA out of memory")
    return 100 + 10 * len(examples), float(len(examples))


@pytest.mark.parametrize(("images", "there"), [(4, 1000), (64, 1000), (4, 3), (64, 5), (4, 1)])
def test_bytes_and_seconds_per_image(images, there):
    found = measure_rounds(measure, range(there), images, 2)
    assert found.seconds_per_image == 1.0
    assert found.fixed_bytes + 8 * found.bytes_per_image >= 180
    if there > images // 2:  # two batches tell what does not grow
        assert found == (100, 10, 1.0)


def test_two_images_that_do_not_fit():
    def nothing(examples, backward):
        raise torch.OutOfMemoryError("CUDA out of memory")

    with pytest.raises(torch.OutOfMemoryError):
        measure_rounds(nothing, range(100), 64, 1)


def test_of_several_rounds_the_quickest_counts_while_there_is_time():
    times = [9.0, 5.0, 0.25, 7.0, 3.0]

    def busy(examples, backward):
        return 100, times.pop(0) if backward else 0.0

    assert measure_rounds(busy, range(9), 2, 3, 100.0).seconds_per_image == 0.125
    assert times == [7.0, 3.0]
    assert measure_rounds(busy, range(9), 2, 3, 6.0).seconds_per_image == 3.5
    assert times == [3.0]
