"""Images of several data sets as one."""

from __future__ import annotations

import numpy as np
import torch

from capgen.models.preprocessing.preprocess import Preprocessor
from capgen.training.data.inputs import FeatureInputs, ImageInputs, JoinedInputs
from tests.training_runs import run_config

CPU = torch.device("cpu")


def test_joined_features_are_those_of_each():
    arrays = [np.random.default_rng(0).random((n, 2, 3)).astype(np.float16) for n in (4, 1, 5)]
    joined = JoinedInputs([FeatureInputs(array, CPU) for array in arrays])
    whole = FeatureInputs(np.concatenate(arrays), CPU)
    assert len(joined) == 10
    for numbers in ([9, 0, 4, 4, 3, 5], [5, 6], [4], list(range(10))):
        assert torch.equal(joined.batch(torch.tensor(numbers)), whole.batch(torch.tensor(numbers)))


def test_joined_images_follow_from_the_generator(tmp_path):
    config = run_config(tmp_path, tmp_path, tmp_path, crop_area=0.5, color_jitter=0.3)
    preprocessor = Preprocessor(size=(8, 8))
    pixels = np.random.default_rng(0).integers(0, 256, (6, 8, 8, 3), dtype=np.uint8)
    parts = [ImageInputs(part, preprocessor, config, CPU) for part in (pixels[:4], pixels[4:])]
    joined, whole = JoinedInputs(parts), ImageInputs(pixels, preprocessor, config, CPU)
    numbers = torch.tensor([5, 1, 4, 0])
    assert torch.equal(joined.batch(numbers), whole.batch(numbers))
    one, other = (joined.batch(numbers, torch.Generator().manual_seed(seed)) for seed in (1, 2))
    assert torch.equal(one, whole.batch(numbers, torch.Generator().manual_seed(1)))
    assert not torch.equal(one, other)
    assert one.is_contiguous(memory_format=torch.channels_last)
