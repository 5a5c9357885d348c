"""The ONNX decoder graph, held to GPT2LMHeadModel step by step."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
import safetensors.torch
import torch
from torch import Tensor

from capgen.captioning.runtimes.onnx_decoder import OnnxDecoder
from capgen.errors import ModelError
from capgen.models.onnx.decoder_graph import build_decoder
from capgen.models.onnx.export import _placeholder, link_weights
from capgen.models.safetensors_index import read_index
from tests import tiny_captioners

CONFIGS: dict[str, dict[str, Any]] = {
    "plain": {},
    "one layer, one head": {"n_layer": 1, "n_head": 1},
    "many heads": {"n_head": 16, "n_layer": 3},
    "scaled by layer": {"scale_attn_by_inverse_layer_idx": True, "n_layer": 3},
    "not scaled": {"scale_attn_weights": False, "initializer_range": 0.1},
    "exact gelu": {"activation_function": "gelu"},
    "tanh gelu": {"activation_function": "gelu_pytorch_tanh"},
    "wide inner": {"n_inner": 48},
    "large epsilon": {"layer_norm_epsilon": 1e-2},
    "upcast": {"reorder_and_upcast_attn": True},
    "own output table": {"tie_word_embeddings": False},
}
IMAGES, CELLS = 3, 5


def graph_of(model: Any, folder: Path, dtype: torch.dtype) -> onnxruntime.InferenceSession:
    """Store a decoder's weights, and load the graph that refers to them."""
    state = {f"decoder.{name}": t.to(dtype).contiguous() for name, t in model.state_dict().items()}
    if model.config.tie_word_embeddings:
        state.pop("decoder.lm_head.weight")
    file = folder / "model.safetensors"
    safetensors.torch.save_file(state, file)
    # The reference computes with the same rounded weights.
    model.load_state_dict(
        {name.removeprefix("decoder."): t.float() for name, t in state.items()}, strict=False
    )
    model.tie_weights()
    proto, names = build_decoder(model.config.to_dict())
    index = read_index(file)
    for name in names:
        proto.graph.initializer.append(_placeholder(name, index))
    link_weights(proto, index)
    onnx.save(proto, folder / "decoder.onnx")
    onnx.checker.check_model(str(folder / "decoder.onnx"))
    return onnxruntime.InferenceSession(folder / "decoder.onnx")


def cross_of(model: Any, states: Tensor) -> dict[str, np.ndarray]:
    """Cross keys (B, H, D, P) and values (B, H, P, D) of each layer."""
    found = {}
    for layer, block in enumerate(model.transformer.h):
        attention = block.crossattention
        key, value = attention.c_attn(states).split(states.shape[-1], dim=2)
        split = (*key.shape[:2], model.config.n_head, -1)
        found[f"cross_key_{layer}"] = key.view(split).permute(0, 2, 3, 1).contiguous().numpy()
        found[f"cross_value_{layer}"] = value.view(split).permute(0, 2, 1, 3).contiguous().numpy()
    return found


def stepper(session: onnxruntime.InferenceSession, model: Any, states: Tensor) -> OnnxDecoder:
    config = model.config
    width = config.n_embd // config.n_head
    return OnnxDecoder(session, cross_of(model, states), config.n_layer, config.n_head, width)


@torch.inference_mode()
def reference(model: Any, ids: np.ndarray, states: Tensor) -> tuple[np.ndarray, list[np.ndarray]]:
    """Logits and cross-attentions (N, H, P) of the last position, without a cache."""
    model.set_attn_implementation("eager")
    output = model(
        input_ids=torch.from_numpy(ids),
        encoder_hidden_states=states,
        output_attentions=True,
        use_cache=False,
    )
    attentions = [attention[:, :, -1].numpy() for attention in output.cross_attentions]
    return output.logits[:, -1].numpy(), attentions


@pytest.mark.parametrize("name", CONFIGS)
@torch.inference_mode()
def test_every_step_gives_what_gpt2_gives(name: str, tmp_path: Path) -> None:
    """Beams part, cross, die and are reordered; images leave; nothing is fed twice."""
    model = tiny_captioners.gpt2(**CONFIGS[name])
    states = torch.randn(IMAGES, CELLS, 32, generator=torch.Generator().manual_seed(2))
    session = graph_of(model, tmp_path, torch.float32)
    decoder = stepper(session, model, states)
    rng = np.random.default_rng(0)
    images = np.arange(IMAGES)
    history = np.full((IMAGES, 1), 256)
    parents, beams = np.arange(IMAGES), 1
    for step in range(8):
        logits, attentions = decoder.logits_and_attention(
            history[:, -1].reshape(-1, beams), parents
        )
        expected, expected_attentions = reference(
            model, history, states[torch.from_numpy(images.repeat(beams))]
        )
        np.testing.assert_allclose(logits, expected, atol=2e-4, rtol=1e-4)
        for ours, theirs in zip(attentions, expected_attentions, strict=True):
            flat = ours.transpose(0, 2, 1, 3).reshape(theirs.shape)
            np.testing.assert_allclose(flat, theirs, atol=1e-5)
            np.testing.assert_allclose(flat.sum(-1), 1, atol=1e-5)
        if step == 4:
            kept = np.array([0, 2])
            decoder.keep(kept)
            rows = np.arange(len(history)).reshape(len(images), beams)[kept]
            images = images[kept]
        else:
            rows = np.arange(len(history)).reshape(len(images), beams)
        beams = 3
        chosen = rng.integers(0, rows.shape[1], (len(images), beams))
        parents = np.take_along_axis(rows, chosen, axis=1).ravel()
        new = rng.integers(0, 257, (len(parents), 1))
        history = np.concatenate([history[parents], new], axis=1)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16], ids=str)
@torch.inference_mode()
def test_weights_in_half_precision_are_the_rounded_ones(dtype: torch.dtype, tmp_path: Path) -> None:
    model = tiny_captioners.gpt2()
    session = graph_of(model, tmp_path, dtype)
    states = torch.randn(1, CELLS, 32)
    ids = np.array([[256, 4, 9]])
    decoder = stepper(session, model, states)
    for column in range(3):
        logits = decoder.logits(ids[:, column : column + 1], np.arange(1))
    np.testing.assert_allclose(logits, reference(model, ids, states)[0], atol=2e-4, rtol=1e-4)
    assert (tmp_path / "decoder.onnx").stat().st_size < 50_000  # the weights are not inside


@torch.inference_mode()
def test_the_best_tokens_are_those_of_the_logits(tmp_path: Path) -> None:
    model = tiny_captioners.gpt2(vocab_size=9, bos_token_id=1, eos_token_id=2)
    session = graph_of(model, tmp_path, torch.float32)
    states = torch.randn(2, CELLS, 32)
    ids, parents = np.array([[1], [1]]), np.arange(2)
    logits = stepper(session, model, states).logits(ids, parents)
    expected = torch.log_softmax(torch.from_numpy(logits), -1).numpy()
    # More than the vocabulary has are all of it.
    for count in (1, 4, 9, 50):
        values, best = stepper(session, model, states).top(ids, parents, count)
        assert best.shape == (2, min(count, 9))
        np.testing.assert_array_equal(best, np.argsort(-expected, axis=1)[:, :count])
        np.testing.assert_allclose(values, -np.sort(-expected, axis=1)[:, :count], atol=1e-5)


@pytest.mark.parametrize(
    ("changed", "word"),
    [({"model_type": "opt"}, "opt"), ({"activation_function": "relu"}, "relu")],
)
def test_decoders_that_the_graph_cannot_repeat_are_refused(
    changed: dict[str, str], word: str
) -> None:
    config = {**tiny_captioners.gpt2().config.to_dict(), **changed}
    with pytest.raises(ModelError, match=word):
        build_decoder(config)
