"""What of the training captions the model cannot learn: what is cut, and unknown words."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from capgen.models.vocabulary import has_words
from capgen.records import Example, Notice
from capgen.training.data.packed_captions import CaptionCodec

# From this share of unknown words on, captions lose their sense.
_MANY_UNKNOWN = 0.05


def coverage_notices(codec: CaptionCodec, examples: Sequence[Example]) -> Iterator[Notice]:
    """Yield how many training captions are cut, and how many of their words are unknown.

    Args:
        codec: How captions become ids.
        examples: The training images.
    """
    captions = [text for example in examples for text in example.references]
    rows = codec.tokens(captions)
    cut = sum(len(row) + 1 > codec.max_tokens for row in rows)
    if cut:
        yield Notice(
            message=f"{cut:,} of {len(rows):,} training captions are longer than "
            f"{codec.max_tokens} tokens and are cut; --max-tokens or the model's positions limit "
            "them"
        )
    words = sum(map(len, rows))
    unknown = 0 if codec.unknown is None else sum(row.count(codec.unknown) for row in rows)
    if unknown:
        share = unknown / words
        advice = (
            "lower --min-count, or add data"
            if has_words(codec.tokenizer)
            else "choose a --decoder whose tokenizer knows them"
        )
        warning = f": captions will miss many words; {advice}"
        yield Notice(
            message=f"{share:.1%} of the words in the training captions are not in the vocabulary"
            + (warning if share > _MANY_UNKNOWN else "")
        )
