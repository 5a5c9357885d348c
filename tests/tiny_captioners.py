"""Tiny captioners of every kind, with random weights and real tokenizer files."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import tokenizers
import torch
import transformers
from tokenizers import decoders, models, pre_tokenizers
from transformers import (
    AutoTokenizer,
    BertTokenizerFast,
    BlipConfig,
    BlipForConditionalGeneration,
    CLIPConfig,
    CLIPModel,
    CLIPVisionConfig,
    CLIPVisionModel,
    GenerationConfig,
    GitConfig,
    GitForCausalLM,
    GPT2Config,
    GPT2LMHeadModel,
    PreTrainedModel,
    PreTrainedTokenizerFast,
    VisionEncoderDecoderModel,
    ViTConfig,
    ViTModel,
)

from capgen.models.build import Captioning, join
from capgen.models.preprocessing.preprocess import Preprocessor

WORDS = ("a", "dog", "cat", "man", "runs", "on", "the", "grass", "with", "red", "ball", "é")
END = "<|endoftext|>"


def byte_tokenizer() -> PreTrainedTokenizerFast:
    """A byte-level tokenizer as GPT-2's: bytes, a few words, and the end token last."""
    pieces = [*sorted(pre_tokenizers.ByteLevel.alphabet()), END]
    vocabulary = {piece: number for number, piece in enumerate(pieces)}
    tokenizer = tokenizers.Tokenizer(models.BPE(vocabulary, []))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, bos_token=END, eos_token=END, unk_token=END
    )


def bert_tokenizer(folder: Path) -> Any:
    folder.mkdir(parents=True, exist_ok=True)
    pieces = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "[DEC]", *WORDS]
    (folder / "vocab.txt").write_text("\n".join(pieces) + "\n", encoding="utf-8")
    return BertTokenizerFast.from_pretrained(folder)


def gpt2(seed: int = 0, **changed: Any) -> GPT2LMHeadModel:
    """A GPT-2 with cross-attention and weights wide enough that attention matters."""
    torch.manual_seed(seed)
    settings = {
        "vocab_size": 257,
        "n_positions": 40,
        "n_embd": 32,
        "n_layer": 2,
        "n_head": 4,
        "bos_token_id": 256,
        "eos_token_id": 256,
        "add_cross_attention": True,
        "initializer_range": 0.3,
        **changed,
    }
    return GPT2LMHeadModel(GPT2Config(**settings)).eval()


def clip_vision(seed: int = 0, width: int = 32) -> CLIPVisionModel:
    torch.manual_seed(seed)
    return CLIPVisionModel(clip_vision_config(width)).eval()


def clip_vision_config(width: int = 32) -> CLIPVisionConfig:
    return CLIPVisionConfig(
        hidden_size=width,
        intermediate_size=2 * width,
        num_hidden_layers=2,
        num_attention_heads=4,
        image_size=48,
        patch_size=16,
        initializer_factor=4.0,
    )


def clip(seed: int = 0, width: int = 32) -> CLIPModel:
    """A whole CLIP, as checkpoints on the Hub have it."""
    torch.manual_seed(seed)
    text = {
        "hidden_size": 16,
        "intermediate_size": 16,
        "num_hidden_layers": 1,
        "num_attention_heads": 2,
        "vocab_size": 50,
        "max_position_embeddings": 8,
    }
    vision = clip_vision_config(width).to_dict()
    return CLIPModel(CLIPConfig(text_config=text, vision_config=vision, projection_dim=16)).eval()


def vit(seed: int = 0, width: int = 24) -> ViTModel:
    torch.manual_seed(seed)
    config = ViTConfig(
        hidden_size=width,
        intermediate_size=2 * width,
        num_hidden_layers=2,
        num_attention_heads=4,
        image_size=32,
        patch_size=8,
        initializer_range=0.2,
    )
    return ViTModel(config, add_pooling_layer=False).eval()


def captioning(encoder: PreTrainedModel, decoder: GPT2LMHeadModel | None = None) -> Captioning:
    """Join an encoder and a decoder to a captioner, with tokenizer and preprocessor."""
    edge = encoder.config.image_size
    generation = GenerationConfig(
        decoder_start_token_id=256,
        bos_token_id=256,
        eos_token_id=256,
        pad_token_id=256,
        num_beams=2,
        max_length=12,
    )
    torch.manual_seed(1)
    model = join(encoder, decoder or gpt2(), generation).eval()
    preprocessor = Preprocessor(size=(edge, edge), mean=(0.5,) * 3, std=(0.5,) * 3)
    return Captioning(model, byte_tokenizer(), preprocessor)


def save_plainly(folder: Path, made: Captioning) -> Path:
    """Save a captioner as someone would who has transformers and not capgen."""
    model: VisionEncoderDecoderModel = made.model
    model.save_pretrained(folder)
    made.tokenizer.save_pretrained(folder)
    made.preprocessor.to_file(folder / "preprocessor_config.json")
    return folder


TEXT = {
    "hidden_size": 32,
    "intermediate_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "vocab_size": 6 + len(WORDS),
    "max_position_embeddings": 20,
    "initializer_range": 0.3,
}
VISION = {
    "hidden_size": 32,
    "intermediate_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "image_size": 32,
    "patch_size": 8,
    "initializer_range": 0.3,
}


def blip(folder: Path) -> Path:
    torch.manual_seed(0)
    text = {**TEXT, "encoder_hidden_size": 32, "bos_token_id": 5, "sep_token_id": 3}
    config = BlipConfig(text_config={**text, "pad_token_id": 0}, vision_config=VISION)
    BlipForConditionalGeneration(config).save_pretrained(folder)
    bert_tokenizer(folder).save_pretrained(folder)
    size = {"size": (32, 32), "resample": 3}
    Preprocessor(**size, mean=(0.5,) * 3, std=(0.5,) * 3).to_file(
        folder / "preprocessor_config.json"
    )
    return folder


def git(folder: Path) -> Path:
    torch.manual_seed(0)
    ids = {"bos_token_id": 2, "eos_token_id": 3, "pad_token_id": 0}
    config = GitConfig(**{**TEXT, "max_position_embeddings": 64}, **ids, vision_config=VISION)
    GitForCausalLM(config).save_pretrained(folder)
    bert_tokenizer(folder).save_pretrained(folder)
    Preprocessor(size=(32, 32), mean=(0.5,) * 3, std=(0.5,) * 3).to_file(
        folder / "preprocessor_config.json"
    )
    return folder


# Kind of captioner → transformers' class of its image processor, settings of it that differ
# from the class's own in each way there is, and the class of the processor around it.
PROCESSORS: dict[str, tuple[str, dict[str, Any], str]] = {
    "blip": ("BlipImageProcessor", {"size": {"height": 32, "width": 32}}, "BlipProcessor"),
    "git": (
        "CLIPImageProcessor",
        {"size": {"shortest_edge": 40}, "crop_size": {"height": 32, "width": 32}},
        "GitProcessor",
    ),
    "vision-encoder-decoder": (
        "ViTImageProcessor",
        {"size": {"height": 32, "width": 32}, "image_mean": [0.4, 0.5, 0.6], "resample": 3},
        "TrOCRProcessor",
    ),
}


def image_processor(kind: str, **settings: Any) -> Any:
    """transformers' own image processor for a kind of captioner, computed by Pillow."""
    name, known, _ = PROCESSORS[kind]
    made = getattr(transformers, f"{name}Pil", None) or getattr(transformers, name)
    return made(**{**known, **settings})


def with_processor(source: Path, folder: Path, kind: str, *, nested: bool) -> Path:
    """Copy a captioner and let transformers save its image processor and tokenizer with it.

    Args:
        source: The captioner.
        folder: Where the copy goes.
        kind: Its `model_type`.
        nested: As `processor.save_pretrained` does it, into `processor_config.json`, and not
            as `image_processor.save_pretrained` does, into `preprocessor_config.json`.
    """
    shutil.copytree(source, folder)
    (folder / "preprocessor_config.json").unlink()
    images = image_processor(kind)
    if nested:
        whole = getattr(transformers, PROCESSORS[kind][2])
        whole(images, AutoTokenizer.from_pretrained(source)).save_pretrained(folder)
    else:
        images.save_pretrained(folder)
    names = {path.name for path in folder.iterdir()}
    assert ("processor_config.json" in names) is nested
    assert ("preprocessor_config.json" in names) is not nested
    return folder
