"""Word-level tokenizers for small decoders, and wrapping them for transformers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

import tokenizers
from tokenizers import Regex, normalizers, pre_tokenizers
from tokenizers.models import WordLevel
from transformers import PreTrainedTokenizerFast

PAD, START, END, UNKNOWN = "<pad>", "<s>", "</s>", "<unk>"
SPECIAL_TOKENS = (PAD, START, END, UNKNOWN)


def build_word_tokenizer(captions: Iterable[str], *, min_count: int = 4) -> tokenizers.Tokenizer:
    """Build a word-level tokenizer: lower case, punctuation to space, words in order of count.

    Ids 0 to 3 are pad, start, end and unknown; words seen less than `min_count` times are unknown.
    """
    normalizer = normalizers.Sequence(
        [normalizers.Lowercase(), normalizers.Replace(Regex(r"[^\w\s'-]"), " ")]
    )
    splitter = pre_tokenizers.WhitespaceSplit()
    ordered = _frequent_words(captions, normalizer, splitter, min_count)
    vocabulary = {token: index for index, token in enumerate((*SPECIAL_TOKENS, *ordered))}
    tokenizer = tokenizers.Tokenizer(WordLevel(vocabulary, unk_token=UNKNOWN))
    tokenizer.normalizer = normalizer
    tokenizer.pre_tokenizer = splitter
    tokenizer.add_special_tokens(list(SPECIAL_TOKENS))
    return tokenizer


def has_words(tokenizer: Any) -> bool:
    """Return whether a tokenizer of transformers has a vocabulary of whole words."""
    backend = getattr(tokenizer, "backend_tokenizer", None)
    return backend is not None and isinstance(backend.model, WordLevel)


def extend_word_tokenizer(
    tokenizer: tokenizers.Tokenizer, captions: Iterable[str], *, min_count: int
) -> list[str]:
    """Add words to a word-level tokenizer in place, in order of count, and return them.

    Existing ids do not change. A tokenizer of another kind is left alone: it has pieces for every
    word.
    """
    model = tokenizer.model
    if not isinstance(model, WordLevel):
        return []
    words = _frequent_words(captions, tokenizer.normalizer, tokenizer.pre_tokenizer, min_count)
    vocabulary = tokenizer.get_vocab(with_added_tokens=True)
    new = [word for word in words if word not in vocabulary]
    if new:
        add_to_word_tokenizer(tokenizer, new)
    return new


def add_to_word_tokenizer(tokenizer: tokenizers.Tokenizer, words: Sequence[str]) -> int:
    """Add new words to a word-level tokenizer in place; return the id of the first."""
    vocabulary = tokenizer.get_vocab(with_added_tokens=True)
    first: int = max(vocabulary.values()) + 1
    vocabulary |= {word: first + index for index, word in enumerate(words)}
    tokenizer.model = WordLevel(vocabulary, unk_token=tokenizer.model.unk_token)
    return first


def caption_words(tokenizer: tokenizers.Tokenizer, caption: str) -> list[str]:
    """Return the words of a caption as a word-level tokenizer sees them, unknown ones too."""
    return _words(caption, tokenizer.normalizer, tokenizer.pre_tokenizer)


def _words(caption: str, normalizer: Any, splitter: Any) -> list[str]:
    text = normalizer.normalize_str(caption) if normalizer is not None else caption
    return [text] if splitter is None else [word for word, _ in splitter.pre_tokenize_str(text)]


def _frequent_words(
    captions: Iterable[str], normalizer: Any, splitter: Any, min_count: int
) -> list[str]:
    """Return the words seen at least `min_count` times, most frequent first."""
    counts: Counter[str] = Counter()
    for caption in captions:
        counts.update(_words(caption, normalizer, splitter))
    kept = [word for word, count in counts.items() if count >= min_count]
    return sorted(kept, key=lambda word: (-counts[word], word))


def wrap_word_tokenizer(tokenizer: tokenizers.Tokenizer) -> PreTrainedTokenizerFast:
    """Wrap a word-level tokenizer as one that transformers saves and loads."""
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        pad_token=PAD,
        bos_token=START,
        eos_token=END,
        unk_token=UNKNOWN,
        clean_up_tokenization_spaces=False,
    )
