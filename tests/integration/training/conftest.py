"""Fixtures of training runs."""

from __future__ import annotations

import pytest
import torch

from capgen.models.efficientnet import VARIANTS
from tests.minis import write_flickr8k
from tests.tiny_models import TINY, TINY_SIZES, save_tiny_clip, save_tiny_gpt2, save_tiny_mini
from tests.training_runs import SENTENCES, eight_images


@pytest.fixture(scope="package", autouse=True)
def tiny_backbone():
    """A backbone that only these tests know, in this and in forked processes."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(VARIANTS, TINY, TINY_SIZES)
        yield


@pytest.fixture(autouse=True)
def one_thread():
    """Threads only slow tiny models down, and much so beside other tests."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture
def data(tmp_path):
    return write_flickr8k(tmp_path / "data", eight_images())


@pytest.fixture
def mini(request, tmp_path):
    """Write a captioner, with the backbone that the module names as BACKBONE."""
    backbone = getattr(request.module, "BACKBONE", TINY)
    return save_tiny_mini(tmp_path / "mini", SENTENCES, variant=backbone)


@pytest.fixture
def parts(tmp_path):
    """Write `clip` and `gpt2` under `tmp_path`, which is returned."""
    save_tiny_clip(tmp_path / "clip")
    save_tiny_gpt2(tmp_path / "gpt2", SENTENCES)
    return tmp_path
