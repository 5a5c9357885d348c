"""Word-level tokenizers for small decoders, and wrapping them for transformers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

import tokenizers
from tokenizers import Regex, normalizers, pre_tokenizers
from tokenizers.models import WordLevel
from transformers import PreTrainedTokenizerFast

PAD, START, END, UNKNOWN = "<pad>", "<s>", "</s>", "<unk>"
SPECIAL_TOKENS = (PAD, START, END, UNKNOWN)


def build_word_tokenizer(captions: Iterable[str], *, min_count: int = 4) -> tokenizers.Tokenizer:
    """Build a word-level tokenizer: lower case, punctuation to space, words in order of count.

    Args:
        captions: The training captions.
        min_count: Words seen less often become `<unk>`.

    Returns:
        A tokenizer whose ids 0 to 3 are pad, start, end and unknown.
    """
    normalizer = normalizers.Sequence(
        [normalizers.Lowercase(), normalizers.Replace(Regex(r"[^\w\s'-]"), " ")]
    )
    splitter = pre_tokenizers.WhitespaceSplit()
    counts = Counter(
        word
        for caption in captions
        for word, _ in splitter.pre_tokenize_str(normalizer.normalize_str(caption))
    )
    kept = [word for word, count in counts.items() if count >= min_count]
    ordered = sorted(kept, key=lambda word: (-counts[word], word))
    vocabulary = {token: index for index, token in enumerate((*SPECIAL_TOKENS, *ordered))}
    tokenizer = tokenizers.Tokenizer(WordLevel(vocabulary, unk_token=UNKNOWN))
    tokenizer.normalizer = normalizer
    tokenizer.pre_tokenizer = splitter
    tokenizer.add_special_tokens(list(SPECIAL_TOKENS))
    return tokenizer


def wrap_word_tokenizer(tokenizer: tokenizers.Tokenizer) -> PreTrainedTokenizerFast:
    """Wrap a word-level tokenizer so that it saves and loads as any transformers tokenizer."""
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        pad_token=PAD,
        bos_token=START,
        eos_token=END,
        unk_token=UNKNOWN,
        clean_up_tokenization_spaces=False,
    )
