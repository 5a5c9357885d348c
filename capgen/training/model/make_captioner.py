"""The captioner that a run trains: a new or an existing one."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Sequence

from torch import nn
from transformers import GPT2LMHeadModel

from capgen.config import TrainConfig
from capgen.errors import ModelError, UsageError, did_you_mean
from capgen.models.build import Captioning, build_clip_gpt2
from capgen.models.build_mini import MiniConfig, build_mini
from capgen.models.checkpoint import load_captioning
from capgen.models.efficientnet import VARIANTS, EfficientNetLiteModel
from capgen.models.imagenet import average_with_imagenet, imagenet_origin
from capgen.models.lineage import began_with, imagenet_notices, notices_of
from capgen.models.resolve import resolve_model
from capgen.models.vocabulary import has_words
from capgen.training.model.caption_length import fit_generation_length, usual_length
from capgen.training.model.extend_vocabulary import extend_vocabulary
from capgen.training.model.lora import add_adapters, check_adapters
from capgen.training.model.word_vocabulary import check_spaces, word_vocabulary
from capgen.training.objectives.cross_entropy import split_encoder
from capgen.training.objectives.distill.teachers import taught_vocabulary


def make_captioner(config: TrainConfig, captions: Sequence[str]) -> Captioning:
    """Return the captioner to train, with dropout set and frozen parts frozen.

    The training captions give or extend its vocabulary.
    """
    if config.lora_rank:
        check_adapters()  # before any download
    captioning = _build(config, captions)
    if config.encoder_average:
        captioning = _average_encoder(captioning, config.encoder_average)
    if captions:
        fit_generation_length(captioning, captions, config.max_tokens)
    _set_dropout(captioning, config.dropout)
    freeze_encoder(captioning, config)
    if config.gradient_checkpointing:
        _checkpoint_gradients(captioning)
    if config.lora_rank:
        add_adapters(captioning, config.lora_rank)
    return captioning


def freeze_encoder(captioning: Captioning, config: TrainConfig) -> None:
    """Freeze a pretrained encoder except for its last blocks and what follows them."""
    wanted = config.encoder_blocks
    if wanted is None:
        return
    front, _ = split_encoder(captioning.model.encoder)
    if wanted == 0:
        front.requires_grad_(False)
        return
    blocks = max(
        (module for module in front.modules() if isinstance(module, nn.ModuleList)),
        key=len,
        default=nn.ModuleList(),
    )
    if wanted > len(blocks):
        raise UsageError(
            f"--train-encoder {config.train_encoder}: the encoder has only {len(blocks)} blocks"
        )
    first = next(blocks[-wanted].parameters())
    trained = False
    for parameter in front.parameters():  # in the order of computation
        trained = trained or parameter is first
        parameter.requires_grad_(trained)


def frozen_digest(model: nn.Module) -> str:
    """Return the SHA-256 of all frozen weights, names included."""
    total = hashlib.sha256()
    for name, parameter in model.named_parameters():
        if not parameter.requires_grad:
            total.update(name.encode())
            total.update(parameter.detach().cpu().contiguous().numpy().tobytes())
    return total.hexdigest()


def _checkpoint_gradients(captioning: Captioning) -> None:
    for part in (captioning.model.encoder, captioning.model.decoder):
        if part.supports_gradient_checkpointing:
            part.gradient_checkpointing_enable({"use_reentrant": False})


def _build(config: TrainConfig, captions: Sequence[str]) -> Captioning:
    if config.init is not None:
        return _existing(config.init, config, captions)
    if config.objective == "scst":
        raise UsageError(
            "--objective scst needs a trained captioner: set --init",
            hint="Train with cross-entropy first, then use --init RUN/best-eval.",
        )
    if config.preset == "mini":
        return _new_mini(config, captions)
    if config.encoder is None or config.decoder is None:
        raise UsageError("clip-gpt2 needs --encoder and --decoder")
    return build_clip_gpt2(config.encoder, config.decoder)


def _existing(name: str, config: TrainConfig, captions: Sequence[str]) -> Captioning:
    folder = resolve_model(name)
    captioning = dataclasses.replace(
        load_captioning(folder), lineage=began_with(folder), notices=notices_of(folder)
    )
    if not isinstance(captioning.model.decoder, GPT2LMHeadModel):
        kind = captioning.model.config.decoder.model_type
        raise ModelError(f"{name} has a {kind} decoder; only GPT-2 can be trained")
    # LoRA does not train embeddings: new words would never be learned.
    if config.extend_vocabulary and not config.lora_rank:
        if has_words(captioning.tokenizer):
            check_spaces(captions)
        return extend_vocabulary(captioning, captions, min_count=config.min_count)
    return captioning


def _average_encoder(captioning: Captioning, share: float) -> Captioning:
    """Average the encoder with ImageNet's, which then is one of the captioner's origins."""
    encoder = captioning.model.encoder
    if not isinstance(encoder, EfficientNetLiteModel):
        raise UsageError("--encoder-average is for models of the mini preset")
    average_with_imagenet(encoder, share)
    origin = imagenet_origin(encoder.config.variant)
    if any(entry.get("name") == origin["name"] for entry in captioning.lineage):
        return captioning
    return dataclasses.replace(
        captioning,
        lineage=(*captioning.lineage, origin),
        notices={**imagenet_notices(), **captioning.notices},
    )


def _new_mini(config: TrainConfig, captions: Sequence[str]) -> Captioning:
    variant = config.encoder or MiniConfig.variant
    if variant not in VARIANTS:
        raise UsageError(
            f"--encoder {variant} is not an encoder of the mini preset",
            hint=did_you_mean(variant, VARIANTS),
        )
    vocabulary = taught_vocabulary(config) or word_vocabulary(captions, min_count=config.min_count)
    length = usual_length([len(row.ids) for row in vocabulary.encode_batch(list(captions))])
    return build_mini(
        vocabulary,
        MiniConfig(
            variant=variant,
            image_size=config.image_size,
            hidden_size=config.decoder_width,
            decoder_layers=config.decoder_layers,
            positions=max(MiniConfig.positions, min(config.max_tokens, length)),
            dropout=config.dropout,
        ),
    )


def _set_dropout(captioning: Captioning, share: float) -> None:
    """Set the dropout of the decoder and of our own neck, in the modules and the configs."""
    encoder, decoder = captioning.model.encoder, captioning.model.decoder
    parts: list[nn.Module] = [decoder]
    for name in ("embd_pdrop", "resid_pdrop", "attn_pdrop"):
        setattr(decoder.config, name, share)
    if isinstance(encoder, EfficientNetLiteModel):
        encoder.config.dropout = share
        parts.append(encoder.neck)
    for part in parts:
        for module in part.modules():
            if isinstance(module, nn.Dropout):
                module.p = share
