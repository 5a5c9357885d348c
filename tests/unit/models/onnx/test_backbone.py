"""Backbones in ONNX Runtime, from the graphs that ship."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from capgen._build.make_backbones import backbone_graph
from capgen.models.efficientnet import VARIANTS, Backbone
from capgen.models.onnx.backbone import graph_file, onnx_backbone


@pytest.fixture(params=VARIANTS)
def backbone(request: pytest.FixtureRequest) -> Backbone:
    torch.manual_seed(0)
    made = Backbone(request.param).eval()
    for name, buffer in made.named_buffers():
        spread = torch.rand_like(buffer)
        buffer.copy_(spread + 0.5 if name.endswith("var") else spread - 0.5)
    return made


@pytest.mark.parametrize("size", [(64, 64), (65, 90)])
def test_its_features_are_those_of_torch(backbone: Backbone, size: tuple[int, int]) -> None:
    pixels = np.random.default_rng(0).normal(size=(3, 3, *size)).astype(np.float32)
    with torch.inference_mode():
        expected = backbone(torch.from_numpy(pixels)).numpy()
    given = onnx_backbone(backbone)(pixels)
    assert given.dtype == np.float32
    np.testing.assert_allclose(given, expected, atol=1e-4)
    assert expected.std() > 0.05


def test_an_image_has_the_same_features_in_any_batch(backbone: Backbone) -> None:
    pixels = np.random.default_rng(1).normal(size=(5, 3, 64, 64)).astype(np.float32)
    run = onnx_backbone(backbone)
    np.testing.assert_allclose(run(pixels)[3:4], run(pixels[3:4]), atol=1e-5)


@pytest.mark.parametrize("variant", VARIANTS)
def test_the_graphs_that_ship_are_those_that_are_made(variant: str) -> None:
    made = backbone_graph(variant)
    assert graph_file(variant).read_bytes() == made, "python -m capgen._build.make_backbones"
