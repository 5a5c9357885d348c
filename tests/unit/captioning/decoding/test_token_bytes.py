"""What tokens add to a text, beside what tokenizers of every kind decode."""

from __future__ import annotations

import random

import pytest
import tokenizers
from tokenizers import decoders, models, normalizers, pre_tokenizers, trainers
from transformers import PreTrainedTokenizerFast

from capgen.captioning.decoding.token_bytes import token_bytes

TEXTS = ["a dog runs on the red grass", "two cats éat the same fish", "ein Hund läuft", "a 猫 sits"]
SPECIAL = ["<s>", "</s>", "<unk>"]


def byte_level() -> tokenizers.Tokenizer:
    made = tokenizers.Tokenizer(models.BPE())
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    made.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=320, special_tokens=SPECIAL, initial_alphabet=alphabet, show_progress=False
    )
    made.train_from_iterator(TEXTS, trainer)
    return made


def word_piece() -> tokenizers.Tokenizer:
    made = tokenizers.Tokenizer(models.WordPiece(unk_token="<unk>"))
    made.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    made.decoder = decoders.WordPiece(cleanup=False)
    trainer = trainers.WordPieceTrainer(vocab_size=90, special_tokens=SPECIAL, show_progress=False)
    made.train_from_iterator(TEXTS, trainer)
    return made


def sentence_piece() -> tokenizers.Tokenizer:
    bytes_ = {f"<0x{byte:02X}>": 3 + byte for byte in range(256)}
    vocabulary = {**{token: n for n, token in enumerate(SPECIAL)}, **bytes_}
    for piece in ("▁", "▁a", "▁dog", "s", "▁the", "é", "ca", "t", "▁▁"):
        vocabulary[piece] = len(vocabulary)
    made = tokenizers.Tokenizer(
        models.BPE(vocabulary, [], unk_token="<unk>", byte_fallback=True, fuse_unk=True)
    )
    made.normalizer = normalizers.Replace(" ", "▁")
    made.decoder = decoders.Sequence(
        [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse()]
    )
    made.add_special_tokens(SPECIAL)
    return made


def clip() -> tokenizers.Tokenizer:
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    pieces = [
        *SPECIAL,
        *alphabet,
        *(f"{each}</w>" for each in alphabet),
        "ca",
        "cat</w>",
        "dog</w>",
    ]
    made = tokenizers.Tokenizer(
        models.BPE(
            {piece: n for n, piece in enumerate(pieces)},
            [],
            unk_token="<unk>",
            end_of_word_suffix="</w>",
        )
    )
    made.add_special_tokens(SPECIAL)
    return made


def words() -> tokenizers.Tokenizer:
    vocabulary = {
        word: n for n, word in enumerate([*SPECIAL, *sorted(set(" ".join(TEXTS).split()))])
    }
    made = tokenizers.Tokenizer(models.WordLevel(vocabulary, unk_token="<unk>"))
    made.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    made.add_special_tokens(SPECIAL)
    return made


KINDS = [byte_level, word_piece, sentence_piece, words]


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
@pytest.mark.parametrize("wrapped", [False, True], ids=["tokenizers", "transformers"])
def test_bytes_join_to_what_the_tokenizer_decodes(kind, wrapped: bool) -> None:
    tokenizer = kind()
    tokenizer.add_tokens(["<extra>"])
    size = tokenizer.get_vocab_size()
    if wrapped:
        tokenizer = PreTrainedTokenizerFast(
            tokenizer_object=tokenizer, bos_token="<s>", eos_token="</s>", unk_token="<unk>"
        )
    texts = token_bytes(tokenizer)
    assert not {0, 1, 2} & set(texts.table)
    rng = random.Random(0)
    for _ in range(300):
        ids = [rng.randrange(size) for _ in range(rng.randrange(1, 7))]
        ours = b"".join(texts.table.get(token, b"") for token in ids).decode(errors="replace")
        theirs = tokenizer.decode(ids, skip_special_tokens=True)
        # A text does not begin within a word: there the mark would be shown.
        if "\ufffd" not in ours + theirs and not theirs.startswith("##"):
            assert ours.split() == theirs.split()
            assert ours.strip() == theirs.strip()


def test_tokens_that_end_words() -> None:
    tokenizer = clip()
    table, vocabulary = token_bytes(tokenizer).table, tokenizer.get_vocab()
    said = [vocabulary[token] for token in ("ca", "t</w>", "dog</w>", "Ã", "©</w>")]
    assert b"".join(table[token] for token in said).decode() == "cat dog é "
