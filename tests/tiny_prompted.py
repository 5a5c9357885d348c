"""Tiny models that follow prompts, with random weights and real processors and tokenizers.

Each function saves a model of one kind as its author would, processor included. Video
processors need torchvision, which capgen does without, so models that also watch videos are
saved without one.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

import tokenizers
import torch
import transformers as tf
from tokenizers import AddedToken, decoders, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast

END, PAD = "<|end|>", "<|pad|>"
# A message as most chat templates write it; `<image>` is replaced by the kind's own token.
TEMPLATE = (
    "{% for message in messages %}<|{{ message['role'] }}|>"
    "{% if message['content'] is string %}{{ message['content'] }}{% else %}"
    "{% for part in message['content'] %}"
    "{% if part['type'] == 'image' %}<image>{% else %}{{ part['text'] }}{% endif %}"
    "{% endfor %}{% endif %}{% endfor %}"
    "{% if add_generation_prompt %}<|assistant|>{% endif %}"
)
_BYTES = sorted(pre_tokenizers.ByteLevel.alphabet())
MODULES = {
    "BlipImageProcessor": "blip",
    "CLIPImageProcessor": "clip",
    "Gemma3ImageProcessor": "gemma3",
    "GotOcr2ImageProcessor": "got_ocr2",
    "Idefics3ImageProcessor": "idefics3",
    "LlavaOnevisionImageProcessor": "llava_onevision",
    "Qwen2VLImageProcessor": "qwen2_vl",
    "SiglipImageProcessor": "siglip",
    "SmolVLMImageProcessor": "smolvlm",
}
WIDTH = 32
VISION = {
    "hidden_size": WIDTH,
    "intermediate_size": 2 * WIDTH,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "image_size": 32,
    "patch_size": 8,
    "initializer_range": 0.3,
}


def tokenizer(*special: str, template: str | None = None, spaceless: bool = False) -> Any:
    """A byte-level tokenizer with special tokens, `END` and `PAD` the first two after bytes.

    With `spaceless` the special tokens take in the spaces around them.
    """
    pieces = [*_BYTES, END, PAD, *special]
    made = tokenizers.Tokenizer(models.BPE({piece: n for n, piece in enumerate(pieces)}, []))
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    made.decoder = decoders.ByteLevel()
    known = [AddedToken(each, special=True, lstrip=spaceless, rstrip=spaceless) for each in special]
    made.add_special_tokens([AddedToken(END, special=True), AddedToken(PAD, special=True), *known])
    return PreTrainedTokenizerFast(
        tokenizer_object=made,
        bos_token=END,
        eos_token=END,
        pad_token=PAD,
        unk_token=PAD,
        chat_template=template,
    )


def text_config(vocabulary: int, **changed: Any) -> dict[str, Any]:
    """The settings of a tiny Llama, and of what is built like one."""
    return {
        "vocab_size": vocabulary,
        "hidden_size": WIDTH,
        "intermediate_size": 2 * WIDTH,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "num_key_value_heads": 2,
        "max_position_embeddings": 1024,
        "initializer_range": 0.3,
        "bos_token_id": 256,
        "eos_token_id": 256,
        "pad_token_id": 257,
        **changed,
    }


def _save(folder: Path, model: Any, parts: dict[str, Any], **settings: Any) -> Path:
    """Save a model, and the parts and settings of its processor by name."""
    # Wide enough that every image and prompt has a caption of its own.
    torch.manual_seed(1)
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if weight.ndim > 1:
                weight.normal_(0, 0.3 if model.num_parameters() < 10**7 else 0.05)
            elif "norm" not in name.lower():
                weight.normal_(0, 0.05)
    model.save_pretrained(folder)
    kind = settings.pop("processor")
    for name, part in parts.items():
        part.save_pretrained(folder / name if name == "qformer_tokenizer" else folder)
    saved = {"processor_class": kind, **settings}
    saved |= {k: p.to_dict() for k, p in parts.items() if k == "image_processor"}
    (folder / "preprocessor_config.json").unlink(missing_ok=True)
    (folder / "processor_config.json").write_text(json.dumps(saved))
    return folder


def _pil(name: str, **settings: Any) -> Any:
    """Transformers' image processor that Pillow computes.

    transformers 5.17 exports some of them only if torchvision is installed.
    """
    return pil_class(name)(**settings)


def pil_class(name: str) -> Any:
    module = MODULES[name]
    found = import_module(f"transformers.models.{module}.image_processing_pil_{module}")
    return getattr(found, f"{name}Pil")


def _square(edge: int = 32) -> dict[str, int]:
    return {"height": edge, "width": edge}


def llava(folder: Path, width: int = WIDTH) -> Path:
    wide = {"hidden_size": width, "intermediate_size": 2 * width}
    return _llava(folder, {**VISION, **wide}, wide)


def medium_llava(folder: Path) -> Path:
    """Some 100 million parameters, for timing."""
    vision = {
        "hidden_size": 384,
        "intermediate_size": 1536,
        "num_hidden_layers": 12,
        "num_attention_heads": 6,
        "image_size": 224,
        "patch_size": 16,
    }
    text = {
        "hidden_size": 768,
        "intermediate_size": 2048,
        "num_hidden_layers": 12,
        "num_attention_heads": 12,
        "num_key_value_heads": 12,
    }
    return _llava(folder, vision, text)


def _llava(folder: Path, vision: dict[str, Any], text: dict[str, Any]) -> Path:
    words = tokenizer("<image>", template=TEMPLATE)
    config = tf.LlavaConfig(
        vision_config={"model_type": "clip_vision_model", **vision},
        text_config={"model_type": "llama", **text_config(len(words), **text)},
        image_token_index=words.convert_tokens_to_ids("<image>"),
    )
    edge = vision["image_size"]
    images = _pil("CLIPImageProcessor", size={"shortest_edge": edge}, crop_size=_square(edge))
    return _save(
        folder,
        tf.LlavaForConditionalGeneration(config),
        {"image_processor": images, "tokenizer": words},
        processor="LlavaProcessor",
        patch_size=vision["patch_size"],
        vision_feature_select_strategy="default",
        num_additional_image_tokens=1,
    )


def llava_onevision(folder: Path) -> Path:
    words = tokenizer("<image>", "<video>", template=TEMPLATE)
    grid = [[32, 32], [32, 64], [64, 32], [64, 64]]
    config = tf.LlavaOnevisionConfig(
        vision_config={"model_type": "siglip_vision_model", **VISION, "vision_use_head": False},
        text_config={"model_type": "qwen2", **text_config(len(words))},
        image_token_index=words.convert_tokens_to_ids("<image>"),
        video_token_index=words.convert_tokens_to_ids("<video>"),
        image_grid_pinpoints=grid,
        vision_feature_select_strategy="full",
        vision_feature_layer=-1,
    )
    images = _pil("LlavaOnevisionImageProcessor", size=_square(), image_grid_pinpoints=grid)
    return _save(
        folder,
        tf.LlavaOnevisionForConditionalGeneration(config),
        {"image_processor": images, "tokenizer": words},
        processor="LlavaOnevisionProcessor",
        num_image_tokens=16,
        vision_feature_select_strategy="full",
        vision_aspect_ratio="anyres_max_4",
    )


def paligemma(folder: Path) -> Path:
    words = tokenizer("<image>")
    words.image_token = "<image>"
    words.image_token_id = words.convert_tokens_to_ids("<image>")
    # The processor adds places and segments, some 1152 tokens.
    count = len(words) + 1200
    config = tf.PaliGemmaConfig(
        vision_config={"model_type": "siglip_vision_model", "projection_dim": WIDTH, **VISION},
        text_config={"model_type": "gemma", "head_dim": 16, **text_config(count)},
        image_token_index=words.convert_tokens_to_ids("<image>"),
        hidden_size=WIDTH,
        projection_dim=WIDTH,
    )
    images = _pil("SiglipImageProcessor", size=_square(), image_seq_length=16)
    return _save(
        folder,
        tf.PaliGemmaForConditionalGeneration(config),
        {"image_processor": images, "tokenizer": words},
        processor="PaliGemmaProcessor",
    )


def florence2(folder: Path) -> Path:
    words = _named(tokenizer("<image>"), {"image_token": "<image>"})
    config = tf.Florence2Config(
        text_config={
            "model_type": "bart",
            "vocab_size": len(words),
            "d_model": WIDTH,
            "encoder_layers": 2,
            "decoder_layers": 2,
            "encoder_attention_heads": 2,
            "decoder_attention_heads": 2,
            "encoder_ffn_dim": 2 * WIDTH,
            "decoder_ffn_dim": 2 * WIDTH,
            "bos_token_id": 256,
            "eos_token_id": 256,
            "pad_token_id": 257,
            "decoder_start_token_id": 256,
            "forced_eos_token_id": None,
            "init_std": 0.3,
        },
        vision_config={
            "embed_dim": [16, 16, 16, WIDTH],
            "num_heads": [1, 1, 1, 2],
            "num_groups": [1, 1, 1, 2],
            "depths": [1, 1, 1, 1],
            "projection_dim": WIDTH,
            "window_size": 4,
        },
        image_token_id=words.convert_tokens_to_ids("<image>"),
    )
    images = _pil(
        "CLIPImageProcessor", size=_square(64), crop_size=_square(64), do_center_crop=False
    )
    images.image_seq_length = 5  # 2×2 cells and their mean
    return _save(
        folder,
        tf.Florence2ForConditionalGeneration(config),
        {"image_processor": images, "tokenizer": words},
        processor="Florence2Processor",
    )


def _opt(vocabulary: int) -> dict[str, Any]:
    return {
        "model_type": "opt",
        "vocab_size": vocabulary,
        "hidden_size": WIDTH,
        "word_embed_proj_dim": WIDTH,
        "ffn_dim": 2 * WIDTH,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "max_position_embeddings": 256,
        "bos_token_id": 256,
        "eos_token_id": 256,
        "pad_token_id": 257,
        "init_std": 0.3,
    }


def _qformer(vocabulary: int) -> dict[str, Any]:
    return {
        "vocab_size": vocabulary,
        "hidden_size": WIDTH,
        "intermediate_size": 2 * WIDTH,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "encoder_hidden_size": WIDTH,
        "cross_attention_frequency": 1,
    }


def blip2(folder: Path) -> Path:
    words = tokenizer("<image>")
    config = tf.Blip2Config(
        vision_config=VISION,
        qformer_config=_qformer(30),
        text_config=_opt(len(words)),
        num_query_tokens=4,
        image_token_index=words.convert_tokens_to_ids("<image>"),
    )
    return _save(
        folder,
        tf.Blip2ForConditionalGeneration(config),
        {"image_processor": _pil("BlipImageProcessor", size=_square()), "tokenizer": words},
        processor="Blip2Processor",
        num_query_tokens=4,
    )


def instructblip(folder: Path) -> Path:
    words, questions = tokenizer("<image>"), tokenizer("[DEC]")
    config = tf.InstructBlipConfig(
        vision_config=VISION,
        qformer_config=_qformer(len(questions)),
        text_config=_opt(len(words)),
        num_query_tokens=4,
        image_token_index=words.convert_tokens_to_ids("<image>"),
    )
    parts = {
        "image_processor": _pil("BlipImageProcessor", size=_square()),
        "tokenizer": words,
        "qformer_tokenizer": questions,
    }
    model = tf.InstructBlipForConditionalGeneration(config)
    return _save(folder, model, parts, processor="InstructBlipProcessor", num_query_tokens=4)


def kosmos2(folder: Path) -> Path:
    patches = [f"<patch_index_{number:04d}>" for number in range(16)]
    marks = ("<image>", "</image>", "<phrase>", "</phrase>", "<object>", "</object>")
    extra = ("<grounding>", "</delimiter_of_multi_objects/>")
    words = tokenizer(*marks, *extra, *patches, spaceless=True)
    config = tf.Kosmos2Config(
        text_config={
            "vocab_size": len(words) + 64,
            "embed_dim": WIDTH,
            "layers": 2,
            "ffn_dim": 2 * WIDTH,
            "attention_heads": 2,
            "max_position_embeddings": 256,
            "bos_token_id": 256,
            "eos_token_id": 256,
            "pad_token_id": 257,
            "init_std": 0.3,
        },
        vision_config=VISION,
        latent_query_num=64,  # which its processor takes for granted
    )
    images = _pil("CLIPImageProcessor", size={"shortest_edge": 32}, crop_size=_square())
    return _save(
        folder,
        tf.Kosmos2ForConditionalGeneration(config),
        {"image_processor": images, "tokenizer": words},
        processor="Kosmos2Processor",
        num_patch_index_tokens=16,
    )


def gemma3(folder: Path) -> Path:
    names = {"boi_token": "<begin>", "eoi_token": "<stop>", "image_token": "<soft>"}
    words = tokenizer(*names.values(), template=TEMPLATE.replace("<image>", "<begin>"))
    words = _named(words, names)
    identify = words.convert_tokens_to_ids
    text = text_config(len(words), head_dim=16, sliding_window=64, query_pre_attn_scalar=16)
    config = tf.Gemma3Config(
        vision_config={"model_type": "siglip_vision_model", **VISION, "vision_use_head": False},
        text_config={"model_type": "gemma3_text", **text},
        mm_tokens_per_image=4,
        boi_token_index=identify("<begin>"),
        eoi_token_index=identify("<stop>"),
        image_token_index=identify("<soft>"),
    )
    images = _pil("Gemma3ImageProcessor", size=_square(), image_seq_length=4)
    return _save(
        folder,
        tf.Gemma3ForConditionalGeneration(config),
        {"image_processor": images, "tokenizer": words},
        processor="Gemma3Processor",
        image_seq_length=4,
    )


def _named(words: Any, names: dict[str, str]) -> Any:
    """Give tokens of a tokenizer names, which processors look for."""
    return PreTrainedTokenizerFast(
        tokenizer_object=words.backend_tokenizer,
        bos_token=END,
        eos_token=END,
        pad_token=PAD,
        unk_token=PAD,
        chat_template=words.chat_template,
        extra_special_tokens=names,
    )


def internvl(folder: Path) -> Path:
    names = {
        "start_image_token": "<img>",
        "end_image_token": "</img>",
        "context_image_token": "<context>",
        "video_token": "<video>",
    }
    words = tokenizer(*names.values(), template=TEMPLATE.replace("<image>", "<context>"))
    words = _named(words, names)
    vision = {**VISION, "image_size": [32, 32], "patch_size": [8, 8]}
    config = tf.InternVLConfig(
        vision_config={"model_type": "internvl_vision", **vision},
        text_config={"model_type": "qwen2", **text_config(len(words))},
        image_token_id=words.convert_tokens_to_ids("<context>"),
        image_seq_length=4,
    )
    images = _pil("GotOcr2ImageProcessor", size=_square(), crop_to_patches=True, max_patches=3)
    return _save(
        folder,
        tf.InternVLForConditionalGeneration(config),
        {"image_processor": images, "tokenizer": words},
        processor="InternVLProcessor",
        image_seq_length=4,
    )


def _idefics(folder: Path, name: str) -> Path:
    marks = ("<image>", "<fake_token_around_image>", "<global-img>", "<end_of_utterance>")
    rows = [f"<row_{row}_col_{column}>" for row in range(1, 5) for column in range(1, 5)]
    words = tokenizer(*marks, *rows, "<video>", template=TEMPLATE)
    config = getattr(tf, f"{name}Config")(
        vision_config={**VISION, "patch_size": 8},
        text_config={"model_type": "llama", **text_config(len(words))},
        image_token_id=words.convert_tokens_to_ids("<image>"),
        pad_token_id=257,
        scale_factor=2,
    )
    images = _pil(
        f"{name}ImageProcessor",
        size={"longest_edge": 64},
        max_image_size={"longest_edge": 32},
        do_image_splitting=True,
    )
    model = getattr(tf, f"{name}ForConditionalGeneration")(config)
    parts = {"image_processor": images, "tokenizer": words}
    return _save(folder, model, parts, processor=f"{name}Processor", image_seq_len=4)


def smolvlm(folder: Path) -> Path:
    return _idefics(folder, "SmolVLM")


def idefics3(folder: Path) -> Path:
    return _idefics(folder, "Idefics3")


def _qwen(folder: Path, name: str, vision: dict[str, Any]) -> Path:
    marks = ("<|image_pad|>", "<|video_pad|>", "<|vision_start|>", "<|vision_end|>")
    image = "<|vision_start|><|image_pad|><|vision_end|>"
    words = tokenizer(*marks, template=TEMPLATE.replace("<image>", image))
    identify = words.convert_tokens_to_ids
    rope = {"rope_type": "default", "mrope_section": [2, 3, 3], "rope_theta": 10000.0}
    config = getattr(tf, f"{name}Config")(
        vision_config={"depth": 2, "num_heads": 2, "patch_size": 8, **vision},
        text_config=text_config(len(words), rope_parameters=rope),
        image_token_id=identify("<|image_pad|>"),
        video_token_id=identify("<|video_pad|>"),
        vision_start_token_id=identify("<|vision_start|>"),
        vision_end_token_id=identify("<|vision_end|>"),
    )
    images = _pil("Qwen2VLImageProcessor", patch_size=8, min_pixels=32 * 32, max_pixels=64 * 64)
    return _save(
        folder,
        getattr(tf, f"{name}ForConditionalGeneration")(config),
        {"image_processor": images, "tokenizer": words},
        processor=f"{name}Processor",
    )


def qwen2_vl(folder: Path) -> Path:
    return _qwen(folder, "Qwen2VL", {"embed_dim": WIDTH, "hidden_size": WIDTH, "mlp_ratio": 2})


def qwen2_5_vl(folder: Path) -> Path:
    vision = {"hidden_size": WIDTH, "out_hidden_size": WIDTH, "intermediate_size": 2 * WIDTH}
    return _qwen(folder, "Qwen2_5_VL", {**vision, "window_size": 32, "fullatt_block_indexes": [1]})


KINDS: dict[str, Callable[[Path], Path]] = {
    "SmolVLM": smolvlm,
    "Idefics3": idefics3,
    "Qwen2-VL": qwen2_vl,
    "Qwen2.5-VL": qwen2_5_vl,
    "LLaVA": llava,
    "LLaVA-OneVision": llava_onevision,
    "PaliGemma": paligemma,
    "Florence-2": florence2,
    "BLIP-2": blip2,
    "InstructBLIP": instructblip,
    "Kosmos-2": kosmos2,
    "Gemma 3": gemma3,
    "InternVL": internvl,
}
