"""The vocabulary of a model of whole words, and captions that it cannot be made of."""

from __future__ import annotations

from collections.abc import Sequence

import tokenizers

from capgen.errors import UsageError
from capgen.metrics.scripts import unspaced_share
from capgen.models.vocabulary import SPECIAL_TOKENS, build_word_tokenizer


def word_vocabulary(captions: Sequence[str], *, min_count: int) -> tokenizers.Tokenizer:
    """Return the word-level tokenizer of a new model.

    Args:
        captions: The training captions.
        min_count: Rarer words are left out.

    Raises:
        UsageError: No word is frequent enough, or the captions have no spaces between words.
    """
    check_spaces(captions)
    tokenizer = build_word_tokenizer(captions, min_count=min_count)
    if captions and tokenizer.get_vocab_size() == len(SPECIAL_TOKENS):
        raise UsageError(
            f"No word occurs {min_count} times in the training captions: the model would have "
            "no vocabulary",
            hint="Lower --min-count, or start from the bundled model with --init mini.",
        )
    return tokenizer


def check_spaces(captions: Sequence[str]) -> None:
    """Refuse captions in a script without spaces: every caption would become a single word.

    Raises:
        UsageError: More than half of the letters are of such a script.
    """
    if unspaced_share(captions) > 0.5:
        raise UsageError(
            "The captions are in a script without spaces between words, and this model has a "
            "vocabulary of whole words",
            hint="Use --preset clip-gpt2 with a --decoder for that language, or put spaces "
            "between the words of the captions.",
        )
