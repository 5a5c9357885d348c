"""Captioners in torch, and new ones made of a pretrained vision encoder and a pretrained GPT-2.

Of those only the cross-attention (and the projection, if the widths differ) starts from scratch.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from transformers import (
    MODEL_MAPPING,
    AutoModel,
    ChineseCLIPVisionModel,
    CLIPVisionModel,
    GenerationConfig,
    GPT2Config,
    GPT2LMHeadModel,
    PreTrainedModel,
    SiglipVisionModel,
    VisionEncoderDecoderModel,
)

from capgen.errors import ModelError
from capgen.models.concept_table import ConceptTable
from capgen.models.folder import ModelFolder
from capgen.models.lineage import (
    DECODER,
    ENCODER,
    Entry,
    began_with,
    notices_of,
)
from capgen.models.loading import load_config, load_tokenizer, load_weights, quiet_transformers
from capgen.models.preprocessing.preprocess import Preprocessor
from capgen.models.resolve import resolve_model

DEFAULT_ENCODER = "openai/clip-vit-base-patch32"
DEFAULT_DECODER = "gpt2"
# Of models of images and texts, and of what AutoModel does not know: the part that sees.
_VISION_TOWERS: dict[str, Any] = {
    "chinese_clip": ChineseCLIPVisionModel,
    "clip": CLIPVisionModel,
    "clip_vision_model": CLIPVisionModel,
    "siglip": SiglipVisionModel,
}


@dataclass(frozen=True)
class Captioning:
    """A captioner in torch: the model, its tokenizer and its preprocessor.

    Attributes:
        model: The `VisionEncoderDecoderModel` (its generation_config holds the token ids).
        tokenizer: The decoder's tokenizer.
        preprocessor: How images become the encoder's input.
        added_words: Words added to the tokenizer for training, in order of id.
        lineage: Where its weights come from (see `capgen.models.lineage`).
        notices: Name → content of the licence texts of its parts.
        concepts: What the logits of its concept head stand for; None without one.
    """

    model: VisionEncoderDecoderModel
    tokenizer: Any
    preprocessor: Preprocessor
    added_words: tuple[str, ...] = ()
    lineage: tuple[Entry, ...] = ()
    notices: Mapping[str, bytes] = field(default_factory=dict)
    concepts: ConceptTable | None = None


def build_clip_gpt2(encoder: str = DEFAULT_ENCODER, decoder: str = DEFAULT_DECODER) -> Captioning:
    """Join a pretrained vision encoder and a pretrained GPT-2.

    If the encoder's width differs from GPT-2's, `VisionEncoderDecoderModel` adds the projection
    `enc_to_dec_proj`; otherwise the key and value maps of the new cross-attention act as it.

    Args:
        encoder: Hub id or folder of a CLIP checkpoint or any vision encoder of transformers.
        decoder: Hub id or folder of a GPT-2 of any size.

    Raises:
        ModelError: A part cannot be found, is of another kind, or lacks weights.
        UnsafeModelError: The only weights of a part are pickled.
        NetworkError: The Hub cannot be reached.
    """
    encoder_folder = resolve_model(encoder)
    decoder_folder = resolve_model(decoder)
    with quiet_transformers():
        parts = _load_encoder(encoder_folder), _load_gpt2(decoder_folder)
        tokenizer: Any = load_tokenizer(decoder_folder)
    decoder_config = parts[1].config
    start, end = _start_and_end(decoder_folder.name, tokenizer, decoder_config)
    model = join(
        *parts,
        GenerationConfig(
            decoder_start_token_id=start,
            bos_token_id=start,
            eos_token_id=end,
            pad_token_id=end,
            num_beams=5,
            max_length=min(32, decoder_config.n_positions),
            length_penalty=1.0,
        ),
    )
    return Captioning(
        model,
        tokenizer,
        encoder_folder.preprocessor,
        lineage=(*began_with(encoder_folder, ENCODER), *began_with(decoder_folder, DECODER)),
        notices=_notices(encoder_folder, ENCODER) | _notices(decoder_folder, DECODER),
    )


def _notices(folder: ModelFolder, role: str) -> dict[str, bytes]:
    """Return a part's licence texts, by names that are unique among the parts."""
    files = {Path(name): content for name, content in notices_of(folder).items()}
    return {f"{file.stem}-{role}{file.suffix}": content for file, content in files.items()}


def join(
    encoder: PreTrainedModel, decoder: GPT2LMHeadModel, generation: GenerationConfig
) -> VisionEncoderDecoderModel:
    """Join an encoder and a decoder, and set the token ids of the whole."""
    decoder.config.is_decoder = True
    decoder.config.add_cross_attention = True
    model = VisionEncoderDecoderModel(encoder=encoder, decoder=decoder)
    model.config.decoder_start_token_id = generation.decoder_start_token_id
    model.config.pad_token_id = generation.pad_token_id
    model.config.eos_token_id = generation.eos_token_id
    model.generation_config = generation
    return model


def _start_and_end(name: str, tokenizer: Any, config: GPT2Config) -> tuple[int, int]:
    """Return the ids that a caption starts and ends with, and name them in the tokenizer.

    A tokenizer that names neither (a BERT tokenizer beside a GPT-2, for one) starts with its
    `cls` and ends with its `sep` token; one without any has those of the GPT-2's config.

    Raises:
        ModelError: There is no end token, or the tokenizer is not this GPT-2's.
    """
    rows = config.vocab_size
    if len(tokenizer) > rows:
        raise ModelError(
            f"{name}: its tokenizer has {len(tokenizer)} tokens, its embeddings {rows} rows",
            hint="Use the tokenizer that the model was trained with.",
        )
    named = tokenizer.eos_token_id, tokenizer.sep_token_id, config.eos_token_id
    end = next((number for number in named if _is_token(number, tokenizer)), None)
    if end is None:
        raise ModelError(
            f"{name}: its tokenizer has no end token, so captions would never end",
            hint="Set `eos_token` in its tokenizer_config.json.",
        )
    named = tokenizer.bos_token_id, tokenizer.cls_token_id, config.bos_token_id
    start: int = next((number for number in named if _is_token(number, tokenizer)), end)
    tokenizer.bos_token, tokenizer.eos_token = tokenizer.convert_ids_to_tokens([start, end])
    tokenizer.pad_token = tokenizer.eos_token
    return start, end


def _is_token(number: Any, tokenizer: Any) -> bool:
    return isinstance(number, int) and 0 <= number < len(tokenizer)


def _load_encoder(folder: ModelFolder) -> PreTrainedModel:
    config = load_config(folder)
    if config.model_type == "vit_mae":
        raise ModelError(
            f"{folder.name} (vit_mae) hides three quarters of every image, at random",
            hint="Save its weights as a ViT: ViTModel.from_pretrained(IT).save_pretrained(FOLDER).",
        )
    kind = _VISION_TOWERS.get(config.model_type, AutoModel)
    if kind is AutoModel and type(config) not in MODEL_MAPPING:
        raise ModelError(f"{folder.name} ({config.model_type}) is not a vision encoder")
    folder.check_weights()
    model: Any = load_weights(folder, kind, dtype=torch.float32)
    if getattr(model, "main_input_name", "") != "pixel_values" or not hasattr(
        model.config, "hidden_size"
    ):
        raise ModelError(f"{folder.name} ({config.model_type}) is not a vision encoder")
    encoder: PreTrainedModel = model
    return encoder


def _load_gpt2(folder: ModelFolder) -> GPT2LMHeadModel:
    config = load_config(folder)
    if config.model_type != "gpt2":
        raise ModelError(f"{folder.name} ({config.model_type}) is not a GPT-2")
    config.add_cross_attention = True
    folder.check_weights()
    model = load_weights(
        folder,
        GPT2LMHeadModel,
        dtype=torch.float32,
        config=config,
        new=("crossattention.", "ln_cross_attn."),
    )
    assert isinstance(model, GPT2LMHeadModel)
    return model
