"""A tiny random LLaVA for llama.cpp: a Llama over bytes, and a CLIP encoder with its projector."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tokenizers import pre_tokenizers

TEMPLATE = (
    "{% for m in messages %}<|{{ m['role'] }}|>{% if m['content'] is string %}{{ m['content'] }}"
    "{% else %}{% for p in m['content'] %}{% if p['type'] == 'text' %}{{ p['text'] }}{% else %}"
    "<__media__>{% endif %}{% endfor %}{% endif %}{% endfor %}"
    "{% if add_generation_prompt %}<|assistant|>{% endif %}"
)
_SPECIAL = ("<|end|>", "<|pad|>", "<|user|>", "<|assistant|>")
_WIDTH, _LAYERS, _HEADS, _INNER = 64, 2, 2, 128
_VISION_WIDTH, _VISION_INNER, _VISION_LAYERS, _IMAGE, _PATCH = 32, 64, 3, 32, 16


class _Weights:
    """Adds random tensors of given shapes to a file."""

    def __init__(self, writer: Any, seed: int) -> None:
        self._writer = writer
        self._random = np.random.default_rng(seed)

    def add(self, name: str, *shape: int, scale: float = 0.3) -> None:
        values: NDArray[np.float32] = self._random.standard_normal(shape).astype(np.float32)
        self._writer.add_tensor(name, values * np.float32(scale))

    def linear(self, name: str, out: int, inner: int) -> None:
        self.add(f"{name}.weight", out, inner)
        self.add(f"{name}.bias", out)

    def norm(self, name: str, width: int, *, bias: bool = True) -> None:
        self._writer.add_tensor(f"{name}.weight", np.ones(width, np.float32))
        if bias:
            self._writer.add_tensor(f"{name}.bias", np.zeros(width, np.float32))


def _write(writer: Any) -> None:
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def write_text_model(path: Path) -> None:
    """Write the language model."""
    gguf: Any = import_module("gguf")
    tokens = [*sorted(pre_tokenizers.ByteLevel.alphabet()), *_SPECIAL]
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_name("tiny")
    writer.add_context_length(2048)
    writer.add_embedding_length(_WIDTH)
    writer.add_block_count(_LAYERS)
    writer.add_feed_forward_length(_INNER)
    writer.add_head_count(_HEADS)
    writer.add_head_count_kv(_HEADS)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_rope_dimension_count(_WIDTH // _HEADS)
    writer.add_vocab_size(len(tokens))
    writer.add_file_type(0)
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("gpt-2")
    writer.add_token_list(tokens)
    control = [gguf.TokenType.CONTROL] * len(_SPECIAL)
    writer.add_token_types([gguf.TokenType.NORMAL] * 256 + control)
    writer.add_token_merges(["t h"])
    writer.add_bos_token_id(256)
    writer.add_eos_token_id(256)
    writer.add_pad_token_id(257)
    writer.add_add_bos_token(False)
    writer.add_chat_template(TEMPLATE)
    weights = _Weights(writer, seed=1)
    weights.add("token_embd.weight", len(tokens), _WIDTH, scale=1.0)
    weights.add("output.weight", len(tokens), _WIDTH, scale=1.0)
    weights.norm("output_norm", _WIDTH, bias=False)
    for layer in range(_LAYERS):
        block = f"blk.{layer}"
        for name in ("attn_norm", "ffn_norm"):
            weights.norm(f"{block}.{name}", _WIDTH, bias=False)
        for name in ("attn_q", "attn_k", "attn_v", "attn_output"):
            weights.add(f"{block}.{name}.weight", _WIDTH, _WIDTH)
        weights.add(f"{block}.ffn_gate.weight", _INNER, _WIDTH)
        weights.add(f"{block}.ffn_up.weight", _INNER, _WIDTH)
        weights.add(f"{block}.ffn_down.weight", _WIDTH, _INNER)
    _write(writer)


def write_projector(path: Path) -> None:
    """Write the image encoder with its projector."""
    gguf: Any = import_module("gguf")
    writer = gguf.GGUFWriter(path, "clip")
    writer.add_string("general.type", "mmproj")
    writer.add_string("clip.projector_type", "mlp")
    writer.add_bool("clip.has_vision_encoder", True)
    writer.add_bool("clip.has_text_encoder", False)
    writer.add_bool("clip.has_llava_projector", True)
    writer.add_bool("clip.use_gelu", False)
    writer.add_file_type(0)
    sizes = {
        "image_size": _IMAGE,
        "patch_size": _PATCH,
        "embedding_length": _VISION_WIDTH,
        "feed_forward_length": _VISION_INNER,
        "projection_dim": _WIDTH,
        "block_count": _VISION_LAYERS,
        "attention.head_count": 2,
    }
    for name, value in sizes.items():
        writer.add_uint32(f"clip.vision.{name}", value)
    writer.add_float32("clip.vision.attention.layer_norm_epsilon", 1e-5)
    writer.add_array("clip.vision.image_mean", [0.5, 0.5, 0.5])
    writer.add_array("clip.vision.image_std", [0.25, 0.25, 0.25])
    weights, width = _Weights(writer, seed=2), _VISION_WIDTH
    weights.add("v.class_embd", width)
    weights.add("v.patch_embd.weight", width, 3, _PATCH, _PATCH)
    weights.add("v.position_embd.weight", (_IMAGE // _PATCH) ** 2 + 1, width)
    for name in ("v.pre_ln", "v.post_ln"):
        weights.norm(name, width)
    for layer in range(_VISION_LAYERS):
        block = f"v.blk.{layer}"
        for name in ("attn_q", "attn_k", "attn_v", "attn_out"):
            weights.linear(f"{block}.{name}", width, width)
        for name in ("ln1", "ln2"):
            weights.norm(f"{block}.{name}", width)
        weights.linear(f"{block}.ffn_up", _VISION_INNER, width)
        weights.linear(f"{block}.ffn_down", width, _VISION_INNER)
    weights.linear("mm.0", _WIDTH, width)
    weights.linear("mm.2", _WIDTH, _WIDTH)
    _write(writer)
