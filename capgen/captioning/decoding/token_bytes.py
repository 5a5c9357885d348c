"""What each token of a vocabulary adds to a text, whatever kind of tokenizer it is from."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

# Marks of a token that begins a word (GPT-2, SentencePiece), continues one (BERT), ends one
# (CLIP). In vocabularies without any, every token is a word.
_BYTE_LEVEL, _SENTENCE_PIECE, _WORD_PIECE, _CLIP = "Ġ", "▁", "##", "</w>"
_ONE_BYTE = re.compile(r"<0x([0-9A-F]{2})>")


@dataclass(frozen=True)
class TokenBytes:
    """The UTF-8 bytes that tokens add to a text; a token may hold a part of a character.

    Attributes:
        vocabulary: Token → id.
        special: Ids of tokens that add nothing.
        added: Id → text of tokens that were added to the vocabulary as they are.
    """

    vocabulary: Mapping[str, int]
    special: frozenset[int]
    added: Mapping[int, str]

    @cached_property
    def table(self) -> dict[int, bytes]:
        """The bytes of each id; ids that are not in it add nothing."""
        mark = _mark(self.vocabulary)
        found = {}
        for token, number in self.vocabulary.items():
            if number in self.special:
                continue
            raw = self.added.get(number)
            # Between words there are spaces, around added ones too.
            space = " " if mark in ("", _WORD_PIECE) else ""
            found[number] = _bytes(token, mark) if raw is None else f"{space}{raw}".encode()
        return found


def token_bytes(tokenizer: Any) -> TokenBytes:
    """Return what the tokens of a tokenizer add.

    Args:
        tokenizer: A `tokenizers.Tokenizer`, or a tokenizer of transformers.
    """
    if hasattr(tokenizer, "get_added_tokens_decoder"):
        added = tokenizer.get_added_tokens_decoder()
        special: Iterable[int] = ()
    else:
        added = tokenizer.added_tokens_decoder
        special = tokenizer.all_special_ids
    return TokenBytes(
        tokenizer.get_vocab(),
        frozenset(special) | {number for number, token in added.items() if token.special},
        {number: token.content for number, token in added.items() if not token.special},
    )


def _mark(vocabulary: Iterable[str]) -> str:
    counts = dict.fromkeys((_BYTE_LEVEL, _SENTENCE_PIECE, _WORD_PIECE, _CLIP), 0)
    for token in vocabulary:
        counts[_BYTE_LEVEL] += token.startswith(_BYTE_LEVEL)
        counts[_SENTENCE_PIECE] += token.startswith(_SENTENCE_PIECE)
        # Byte-level vocabularies have tokens of number signs.
        counts[_WORD_PIECE] += token.startswith(_WORD_PIECE) and token.strip("#") != ""
        counts[_CLIP] += token.endswith(_CLIP)
    best = max(counts, key=lambda mark: counts[mark])
    return best if counts[best] else ""


def _bytes(token: str, mark: str) -> bytes:
    if mark in (_BYTE_LEVEL, _CLIP):
        text, ends = token, b""
        if mark == _CLIP and token.endswith(_CLIP):
            text, ends = token.removesuffix(_CLIP), b" "
        known = [_BYTES_OF.get(character) for character in text]
        plain = (
            text.encode() if None in known else bytes(byte for byte in known if byte is not None)
        )
        return plain + ends
    if mark == _SENTENCE_PIECE:
        one = _ONE_BYTE.fullmatch(token)
        return bytes.fromhex(one[1]) if one else token.replace(mark, " ").encode()
    if mark == _WORD_PIECE and token.startswith(mark):
        return token.removeprefix(mark).encode()
    return b" " + token.encode()


def _bytes_of() -> dict[str, int]:
    """Return how byte-level vocabularies write bytes (Radford et al., 2019): as letters."""
    plain = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    others = [byte for byte in range(256) if byte not in plain]
    shown = {chr(byte): byte for byte in plain}
    return shown | {chr(256 + place): byte for place, byte in enumerate(others)}


_BYTES_OF = _bytes_of()
