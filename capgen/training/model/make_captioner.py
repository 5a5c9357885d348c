"""The captioner that a run trains: new, or an existing one."""

from __future__ import annotations

import dataclasses
import hashlib
import unicodedata
from collections import Counter
from collections.abc import Sequence

import tokenizers
from torch import nn
from transformers import GPT2LMHeadModel

from capgen.config import TrainConfig
from capgen.errors import ModelError, UsageError, did_you_mean
from capgen.models.build import Captioning, MiniConfig, build_clip_gpt2, build_mini
from capgen.models.checkpoint import load_captioning
from capgen.models.efficientnet import VARIANTS, EfficientNetLiteModel
from capgen.models.lineage import began_with, notices_of
from capgen.models.resolve import resolve_model
from capgen.models.vocabulary import SPECIAL_TOKENS, build_word_tokenizer, has_words
from capgen.training.model.caption_length import fit_generation_length, usual_length
from capgen.training.model.extend_vocabulary import extend_vocabulary
from capgen.training.model.lora import add_adapters, check_adapters
from capgen.training.objectives.cross_entropy import split_encoder
from capgen.training.objectives.distill.teachers import taught_vocabulary

# As Unicode's names of their letters begin.
_SCRIPTS_WITHOUT_SPACES = (
    "CJK",
    "HIRAGANA",
    "KATAKANA",
    "THAI",
    "LAO",
    "KHMER",
    "MYANMAR",
    "TIBETAN",
)


def make_captioner(config: TrainConfig, captions: Sequence[str]) -> Captioning:
    """Return the captioner to train, with dropout set and what is frozen frozen.

    Args:
        config: The run's settings.
        captions: The training captions, for the vocabulary of a small model.

    Raises:
        ModelError: A part cannot be found or loaded, or is of the wrong kind.
        NetworkError: The Hub cannot be reached.
        UsageError: There is no such encoder, or a new captioner cannot be trained this way.
        MissingDependencyError: peft is not installed.
    """
    if config.lora_rank:
        check_adapters()  # before parts of the model are downloaded
    captioning = _build(config, captions)
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
    """Leave only the last blocks of a pretrained encoder, and what follows them, trained.

    Raises:
        UsageError: The encoder has fewer blocks, or none can be told apart.
    """
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
            f"--train-encoder {config.train_encoder}: the encoder has {len(blocks)} blocks"
        )
    first = next(blocks[-wanted].parameters())
    trained = False
    for parameter in front.parameters():  # in the order of computation
        trained = trained or parameter is first
        parameter.requires_grad_(trained)


def frozen_digest(model: nn.Module) -> str:
    """Return the SHA-256 of all weights that are not trained, names included."""
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
        folder = resolve_model(config.init)
        captioning = dataclasses.replace(
            load_captioning(folder), lineage=began_with(folder), notices=notices_of(folder)
        )
        if not isinstance(captioning.model.decoder, GPT2LMHeadModel):
            kind = captioning.model.config.decoder.model_type
            raise ModelError(f"{config.init} has a {kind} decoder; only GPT-2 can be trained")
        # Adapters leave the embeddings as they are: new words would never be learned.
        if config.extend_vocabulary and not config.lora_rank:
            if has_words(captioning.tokenizer):
                check_spaces(captions)
            return extend_vocabulary(captioning, captions, min_count=config.min_count)
        return captioning
    if config.objective == "scst":
        raise UsageError(
            "--objective scst improves a trained captioner: name it with --init",
            hint="Train with cross-entropy first, then --init RUN/best-eval.",
        )
    if config.preset == "mini":
        variant = config.encoder or MiniConfig.variant
        if variant not in VARIANTS:
            raise UsageError(
                f"--encoder {variant}: the mini preset has no such encoder",
                hint=did_you_mean(variant, VARIANTS),
            )
        words = taught_vocabulary(config) or _vocabulary(captions, config.min_count)
        length = usual_length([len(row.ids) for row in words.encode_batch(list(captions))])
        return build_mini(
            words,
            MiniConfig(
                variant=variant,
                image_size=config.image_size,
                hidden_size=config.decoder_width,
                decoder_layers=config.decoder_layers,
                positions=max(MiniConfig.positions, min(config.max_tokens, length)),
                dropout=config.dropout,
            ),
        )
    if config.encoder is None or config.decoder is None:
        raise UsageError("clip-gpt2 needs --encoder and --decoder")
    return build_clip_gpt2(config.encoder, config.decoder)


def _vocabulary(captions: Sequence[str], min_count: int) -> tokenizers.Tokenizer:
    """Return the words of a new small model.

    Raises:
        UsageError: The captions have no words that are frequent enough, or no spaces.
    """
    check_spaces(captions)
    words = build_word_tokenizer(captions, min_count=min_count)
    if captions and words.get_vocab_size() == len(SPECIAL_TOKENS):
        raise UsageError(
            f"No word occurs {min_count} times in the training captions: the model would have "
            "no vocabulary",
            hint="Lower --min-count, or start from the bundled model with --init mini.",
        )
    return words


def check_spaces(captions: Sequence[str]) -> None:
    """Refuse captions in a script without spaces: every caption would become a single word.

    Raises:
        UsageError: Most letters are of such a script.
    """
    letters = Counter(
        unicodedata.name(letter, "").split(" ")[0]
        for caption in captions
        for letter in caption
        if letter.isalpha()
    )
    share = sum(letters[script] for script in _SCRIPTS_WITHOUT_SPACES) / max(letters.total(), 1)
    if share > 0.5:
        raise UsageError(
            "The captions are in a script without spaces between words, and this model's "
            "vocabulary is one of whole words",
            hint="Use --preset clip-gpt2 with a --decoder for that language, or put spaces "
            "between the words of the captions.",
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
