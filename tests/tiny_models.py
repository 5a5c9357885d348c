"""Tiny models, generated: real classes and the Hub's file layout, random weights."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import tokenizers
import torch
from transformers import (
    BertConfig,
    BertModel,
    BertTokenizer,
    CLIPConfig,
    CLIPModel,
    CLIPTextConfig,
    CLIPTokenizer,
    CLIPVisionConfig,
    GPT2Config,
    GPT2LMHeadModel,
    PreTrainedTokenizerFast,
    RobertaConfig,
    RobertaModel,
    RobertaTokenizer,
)
from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil

from capgen.models.build import Captioning
from capgen.models.build_mini import MiniConfig, build_mini
from capgen.models.checkpoint import save_captioning
from capgen.models.efficientnet import BatchNorm
from capgen.models.provenance import Provenance
from capgen.models.vocabulary import build_word_tokenizer
from tests.minis import draw

END_OF_TEXT = "<|endoftext|>"
# A backbone of a third of a million weights; lite0 has three million, which training runs save
# again and again.
TINY, TINY_SIZES = "tiny", (0.25, 0.25)


def tiny_mini(
    captions: Iterable[str], seed: int = 0, *, positions: int = 24, variant: str = "lite0"
) -> Captioning:
    """Return a small captioner for images of 64 pixels, with random weights."""
    torch.manual_seed(seed)
    config = MiniConfig(
        variant=variant,
        image_size=64,
        hidden_size=64,
        decoder_layers=2,
        heads=4,
        positions=positions,
        dropout=0.0,
    )
    made = build_mini(build_word_tokenizer(captions, min_count=1), config, imagenet=False)
    settle_statistics(made)
    return made


@torch.no_grad()
def settle_statistics(captioning: Captioning) -> None:
    """Give random weights the statistics of batch normalisation that training would have left.

    Without them the signal fades to nothing on its way through the backbone.
    """

    def settle(module: BatchNorm, arguments: tuple[torch.Tensor]) -> None:
        variance, mean = torch.var_mean(arguments[0], (0, 2, 3))
        module.running_mean.copy_(mean)
        module.running_var.copy_(variance)

    backbone = captioning.model.encoder.backbone
    norms = [module for module in backbone.modules() if isinstance(module, BatchNorm)]
    handles = [norm.register_forward_pre_hook(settle) for norm in norms]
    pixels = np.stack([captioning.preprocessor.preprocess(draw(seed)) for seed in range(16)])
    backbone(torch.from_numpy(pixels))
    for handle in handles:
        handle.remove()


def save_tiny_mini(
    folder: Path, captions: Iterable[str], seed: int = 0, *, variant: str = "lite0"
) -> Path:
    """Write `tiny_mini` as a model folder."""
    made = tiny_mini(captions, seed, variant=variant)
    save_captioning(folder, made, Provenance(preset="mini"))
    return folder


def save_tiny_clip(folder: Path, seed: int = 0) -> Path:
    """Write a whole CLIP (vision and text) for images of 32 pixels, width 48."""
    torch.manual_seed(seed)
    shape = {"intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 2}
    vision = CLIPVisionConfig(hidden_size=48, image_size=32, patch_size=8, **shape)
    text = CLIPTextConfig(hidden_size=32, vocab_size=64, max_position_embeddings=16, **shape)
    config = CLIPConfig(
        vision_config=vision.to_dict(), text_config=text.to_dict(), projection_dim=32
    )
    CLIPModel(config).save_pretrained(folder)
    preprocessor = {
        "image_processor_type": "CLIPImageProcessor",
        "size": {"shortest_edge": 32},
        "crop_size": {"height": 32, "width": 32},
    }
    (folder / "preprocessor_config.json").write_text(json.dumps(preprocessor), encoding="utf-8")
    return folder


def save_tiny_clip_with_words(folder: Path, seed: int = 0) -> Path:
    """Write a CLIP as `save_tiny_clip` does, with a tokenizer of letters."""
    torch.manual_seed(seed)
    letters = "abcdefghijklmnopqrstuvwxyz"
    pieces = [*letters, *(f"{letter}</w>" for letter in letters), "<|startoftext|>", END_OF_TEXT]
    ids = {piece: number for number, piece in enumerate(pieces)}
    start, end = ids["<|startoftext|>"], ids[END_OF_TEXT]
    shape = {"intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 2}
    vision = CLIPVisionConfig(hidden_size=48, image_size=32, patch_size=8, **shape)
    text = CLIPTextConfig(
        hidden_size=32,
        vocab_size=len(pieces),
        max_position_embeddings=40,
        bos_token_id=start,
        eos_token_id=end,
        pad_token_id=end,
        **shape,
    )
    config = CLIPConfig(
        vision_config=vision.to_dict(), text_config=text.to_dict(), projection_dim=32
    )
    model = CLIPModel(config)
    for parameter in model.parameters():  # far enough apart to tell captions from each other
        torch.nn.init.normal_(parameter, std=0.6)
    model.save_pretrained(folder)
    size = {"size": {"shortest_edge": 32}, "crop_size": {"height": 32, "width": 32}}
    CLIPImageProcessorPil(**size).save_pretrained(folder)
    CLIPTokenizer(vocab=ids, merges=[], model_max_length=40).save_pretrained(folder)
    return folder


def save_tiny_gpt2(folder: Path, captions: Iterable[str], seed: int = 0, width: int = 64) -> Path:
    """Write a GPT-2 with a byte-level tokenizer, whose one special token is everything."""
    torch.manual_seed(seed)
    bpe = tokenizers.ByteLevelBPETokenizer()
    bpe.train_from_iterator(list(captions), vocab_size=300, special_tokens=[END_OF_TEXT])
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=tokenizers.Tokenizer.from_str(bpe.to_str()),
        bos_token=END_OF_TEXT,
        eos_token=END_OF_TEXT,
        unk_token=END_OF_TEXT,
    )
    tokenizer.save_pretrained(folder)
    end = tokenizer.eos_token_id
    config = GPT2Config(
        vocab_size=bpe.get_vocab_size(),
        n_positions=64,
        n_embd=width,
        n_layer=2,
        n_head=4,
        bos_token_id=end,
        eos_token_id=end,
    )
    GPT2LMHeadModel(config).save_pretrained(folder)
    return folder


def save_tiny_roberta(folder: Path, captions: Iterable[str], seed: int = 0) -> Path:
    """Write a RoBERTa of three layers with a byte-level tokenizer, laid out as the real one."""
    torch.manual_seed(seed)
    special = ["<s>", "<pad>", "</s>", "<unk>", "<mask>"]
    bpe = tokenizers.ByteLevelBPETokenizer()
    bpe.train_from_iterator(list(captions), vocab_size=330, special_tokens=special)
    model = json.loads(bpe.to_str())["model"]
    merges = [tuple(pair) for pair in model["merges"]]
    RobertaTokenizer(vocab=model["vocab"], merges=merges, model_max_length=64).save_pretrained(
        folder
    )
    config = RobertaConfig(
        vocab_size=len(model["vocab"]),
        hidden_size=32,
        num_hidden_layers=3,
        num_attention_heads=2,
        intermediate_size=64,
        max_position_embeddings=66,
        type_vocab_size=1,
    )
    _save_encoder(RobertaModel(config, add_pooling_layer=False), folder)
    return folder


def save_tiny_bert(folder: Path, words: Iterable[str], seed: int = 0) -> Path:
    """Write a BERT of three layers that knows some words, in the layout of the real one."""
    torch.manual_seed(seed)
    pieces = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *sorted(set(words))]
    vocabulary = {piece: number for number, piece in enumerate(pieces)}
    BertTokenizer(vocab=vocabulary, model_max_length=64).save_pretrained(folder)
    config = BertConfig(
        vocab_size=len(pieces),
        hidden_size=32,
        num_hidden_layers=3,
        num_attention_heads=2,
        intermediate_size=64,
        max_position_embeddings=64,
    )
    _save_encoder(BertModel(config), folder)
    return folder


def _save_encoder(model: torch.nn.Module, folder: Path) -> None:
    for parameter in model.parameters():  # far enough apart to tell words from each other
        if parameter.dim() > 1:
            torch.nn.init.normal_(parameter, std=0.3)
    model.save_pretrained(folder)
