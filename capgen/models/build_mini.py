"""New small captioners: an ImageNet EfficientNet-Lite and a small new GPT-2."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass

import tokenizers
from transformers import GenerationConfig, GPT2Config, GPT2LMHeadModel

from capgen.models.build import Captioning, join
from capgen.models.efficientnet import EfficientNetLiteConfig, EfficientNetLiteModel
from capgen.models.imagenet import imagenet_origin, load_imagenet
from capgen.models.lineage import imagenet_notices
from capgen.models.preprocessing.preprocess import Preprocessor
from capgen.models.vocabulary import SPECIAL_TOKENS, wrap_word_tokenizer


@dataclass(frozen=True, kw_only=True)
class MiniConfig:
    """Shape of the small captioner; the defaults are the bundled model's."""

    variant: str = "lite2"
    image_size: int = 288
    hidden_size: int = 256
    decoder_layers: int = 3
    neck_layers: int = 1
    heads: int = 8
    positions: int = 24
    max_length: int = 22
    beams: int = 3
    dropout: float = 0.2


def build_mini(
    tokenizer: tokenizers.Tokenizer, config: MiniConfig | None = None, *, imagenet: bool = True
) -> Captioning:
    """Build the small captioner: EfficientNet-Lite and a small GPT-2.

    Args:
        tokenizer: Word-level tokenizer (see `capgen.models.vocabulary`).
        config: Shape of the model.
        imagenet: Load the published ImageNet weights into the backbone (see `load_imagenet`).

    Raises:
        MissingDependencyError, ModelError: As for `load_imagenet`.
    """
    config = config or MiniConfig()
    encoder = _encoder(config)
    if imagenet:
        load_imagenet(encoder, config.variant)
    pad, start, end, unknown = (tokenizer.token_to_id(token) for token in SPECIAL_TOKENS)
    special = {"bos_token_id": start, "eos_token_id": end, "pad_token_id": pad}
    generation = GenerationConfig(
        **special,
        decoder_start_token_id=start,
        suppress_tokens=[pad, start, unknown],
        num_beams=config.beams,
        max_length=config.max_length,
        length_penalty=1.0,
    )
    # EfficientNet-Lite's published normalisation: pixels of 0..255 to (x - 127) / 128.
    preprocessor = Preprocessor(
        size=(config.image_size, config.image_size), mean=(127 / 255,) * 3, std=(128 / 255,) * 3
    )
    model = join(encoder, _decoder(config, tokenizer.get_vocab_size(), special), generation)
    captioning = Captioning(model, wrap_word_tokenizer(tokenizer), preprocessor)
    if not imagenet:
        return captioning
    origin = imagenet_origin(config.variant)
    return dataclasses.replace(captioning, lineage=(origin,), notices=imagenet_notices())


def _encoder(config: MiniConfig) -> EfficientNetLiteModel:
    return EfficientNetLiteModel(
        EfficientNetLiteConfig(
            variant=config.variant,
            image_size=config.image_size,
            hidden_size=config.hidden_size,
            num_hidden_layers=config.neck_layers,
            num_attention_heads=config.heads,
            intermediate_size=4 * config.hidden_size,
            dropout=config.dropout,
        )
    )


def _decoder(config: MiniConfig, words: int, special: Mapping[str, int | None]) -> GPT2LMHeadModel:
    return GPT2LMHeadModel(
        GPT2Config(
            **special,
            vocab_size=words,
            n_positions=config.positions,
            n_embd=config.hidden_size,
            n_layer=config.decoder_layers,
            n_head=config.heads,
            embd_pdrop=config.dropout,
            resid_pdrop=config.dropout,
            attn_pdrop=config.dropout,
            add_cross_attention=True,
        )
    )
