"""New words for an existing captioner: a longer vocabulary."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Sequence

import torch
from torch import Tensor

from capgen.models.build import Captioning
from capgen.models.vocabulary import add_to_word_tokenizer, extend_word_tokenizer

# Spread of new embeddings around the mean, as a share of the spread of all embeddings.
_NOISE = 0.02


@torch.no_grad()
def extend_vocabulary(
    captioning: Captioning, captions: Iterable[str], *, min_count: int
) -> Captioning:
    """Add the words of captions that a captioner with a word vocabulary lacks.

    The embeddings of known words stay as they are. A captioner with subword tokens needs no new
    words and is returned as it is. Draws from torch's global generator.

    Args:
        captioning: The captioner; its tokenizer and its embeddings are changed.
        captions: The new training captions.
        min_count: Words seen less often are not added.
    """
    backend = getattr(captioning.tokenizer, "backend_tokenizer", None)
    if backend is None:
        return captioning
    words = extend_word_tokenizer(backend, captions, min_count=min_count)
    if not words:
        return captioning
    decoder = captioning.model.decoder
    old = decoder.get_input_embeddings().weight.detach().clone()
    first = backend.token_to_id(words[0])
    size = max(first + len(words), len(old))
    _resize(captioning, size)
    # New words start at the mean of all words, with a little noise.
    noise = torch.randn(size - first, old.shape[1]) * old.std(dim=0) * _NOISE
    decoder.get_input_embeddings().weight[first:] = old.mean(dim=0) + noise
    return dataclasses.replace(captioning, added_words=tuple(words))


@torch.no_grad()
def add_words(captioning: Captioning, words: Sequence[str], embeddings: Tensor) -> None:
    """Add words with given embeddings (words, E) to a captioner with a word vocabulary.

    Args:
        captioning: The captioner; its tokenizer and its embeddings are changed.
        words: New words.
        embeddings: Their embeddings.
    """
    backend = captioning.tokenizer.backend_tokenizer
    first = add_to_word_tokenizer(backend, words)
    decoder = captioning.model.decoder
    _resize(captioning, max(first + len(words), decoder.get_input_embeddings().num_embeddings))
    decoder.get_input_embeddings().weight[first : first + len(words)] = embeddings


def _resize(captioning: Captioning, size: int) -> None:
    decoder = captioning.model.decoder
    # In GPT-2, input and output embeddings are the same tensor.
    decoder.resize_token_embeddings(size, mean_resizing=False)
    captioning.model.config.decoder.vocab_size = decoder.config.vocab_size
