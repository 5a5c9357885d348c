"""Text encoders of the BERT family: a vector for each token of a text, from a layer of choice.

Those whose layers are a list that the model runs through: BERT, RoBERTa, XLM-RoBERTa, ELECTRA,
DistilBERT, MPNet and the like.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from transformers import AutoModel, GPT2Tokenizer, RobertaTokenizer

from capgen.errors import ModelError
from capgen.models.folder import ModelFolder
from capgen.models.loading import (
    load_config,
    load_tokenizer,
    load_weights,
    quiet_transformers,
    reported,
)
from capgen.models.out_of_memory import device_memory_errors

Vectors = npt.NDArray[np.float32]
_POSITIONS = 512


class TokenEncoder:
    """Computes in float32.

    Args:
        folder: The model folder, with safetensors weights and a tokenizer.
        layer: How many layers the text goes through; 0 gives the embeddings.
        device: Where to compute.

    Raises:
        ModelError: It is not such a model, has fewer layers, or is damaged.
        UnsafeModelError: The only weights are pickled.
    """

    def __init__(self, folder: ModelFolder, layer: int, device: torch.device) -> None:
        with quiet_transformers():
            config = load_config(folder)
            folder.check_weights()
            tokenizer: Any = load_tokenizer(folder)
            model: Any = load_weights(folder, AutoModel, dtype=torch.float32)
        # DeBERTa-v2 needs one layer at least, also where only the embeddings are asked for.
        del _layers(model, folder, layer)[max(layer, 1) :]
        self._embeddings = layer == 0
        self.name = folder.name
        self._model = model.eval().to(device)
        self._device = device
        self._tokenizer = tokenizer
        # RoBERTas count positions from the number after that of their padding. Tokenizers without
        # a limit of their own have an enormous one.
        first = getattr(model.embeddings, "padding_idx", -1) + 1
        positions = getattr(config, "max_position_embeddings", _POSITIONS) - first
        self._limit = min(tokenizer.model_max_length, positions)
        self._spaced = isinstance(tokenizer, GPT2Tokenizer | RobertaTokenizer)
        self._special = (tokenizer.cls_token_id, tokenizer.sep_token_id)

    def tokens(self, text: str) -> list[int]:
        """Return the ids of a text's tokens, between those of its start and its end.

        The first word is read as one inside a sentence, which byte-level tokenizers tell apart.
        Texts that are too long are cut.
        """
        text = text.encode("utf-8", "replace").decode().strip()  # no lone surrogates
        if self._spaced and text:
            text = f" {text}"
        ids: list[int] = self._tokenizer.encode(text, truncation=True, max_length=self._limit)
        return ids

    def counts(self, ids: Sequence[int]) -> npt.NDArray[np.bool_]:
        """Return which tokens are part of the text, and no marks of its start and its end."""
        return ~np.isin(ids, self._special)

    def unknown(self, ids: Sequence[int]) -> int:
        """Return how many tokens stand for what the model has no token for."""
        unknown = self._tokenizer.unk_token_id
        return 0 if unknown is None else sum(token == unknown for token in ids)

    def encode(self, texts: Sequence[Sequence[int]]) -> Vectors:
        """Return the (texts, tokens, width) vectors of texts with equally many tokens.

        Raises:
            ModelError: The model needs more than texts, or more memory than there is.
        """
        ids = torch.tensor(texts, device=self._device)
        memory = device_memory_errors(
            f"{self.name} needs more memory than {self._device} has left",
            hint="Use --device cpu, or a smaller --bert-model.",
        )
        # Some kinds need more than the text, such as a picture or where on a page it stands.
        needs = reported(f"{self.name} does not encode texts alone")
        with needs, memory, torch.inference_mode():
            output = self._model(
                ids,
                attention_mask=torch.ones_like(ids),
                output_hidden_states=self._embeddings,
            )
        states = output.hidden_states[0] if self._embeddings else output.last_hidden_state
        vectors: Vectors = states.cpu().numpy()
        return vectors


def check_token_encoder(folder: ModelFolder, layer: int) -> None:
    """Check what a `TokenEncoder` needs, without reading the weights.

    Raises:
        ModelError, UnsafeModelError: As for `TokenEncoder`.
    """
    with quiet_transformers():
        config = load_config(folder)
        folder.check_weights()
        load_tokenizer(folder)
        with reported(f"Cannot build {folder.name}"), torch.device("meta"):
            model = AutoModel.from_config(config)
    _layers(model, folder, layer)


def _layers(model: Any, folder: ModelFolder, layer: int) -> torch.nn.ModuleList:
    """Return the layers of a model; raise ModelError if it has none, or too few."""
    stack = getattr(model, "encoder", None) or getattr(model, "transformer", None)
    layers = getattr(stack, "layer", None)
    if not isinstance(layers, torch.nn.ModuleList) or hasattr(model, "decoder"):
        raise ModelError(
            f"{folder.name} is a '{model.config.model_type}' model, which does not encode texts "
            "as BERT does",
            hint="Use one such as roberta-large or bert-base-multilingual-cased.",
        )
    if layer > len(layers):
        raise ModelError(
            f"{folder.name} has {len(layers)} layers, and layer {layer} is asked for",
            hint="Name another with --bert-layer.",
        )
    return layers
