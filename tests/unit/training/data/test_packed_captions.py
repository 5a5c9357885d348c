"""Captions as ids, and their packing."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch

from capgen.models.build import build_clip_gpt2
from capgen.training.data.packed_captions import CaptionCodec, pack_captions
from tests.tiny_models import save_tiny_clip, save_tiny_gpt2, tiny_mini

CAPTIONS = ["A dog runs.", "the dog jumps over a ball", "a cat"]
PAD, START, END, UNKNOWN = range(4)


@pytest.fixture(scope="module")
def codec():
    return CaptionCodec.of(tiny_mini(CAPTIONS), 64)


def test_a_caption_starts_and_ends(codec):
    (ids,) = codec.encode(["A dog runs."])
    assert ids[0] == START
    assert ids[-1] == END
    assert codec.tokenizer.decode(ids[1:-1]) == "a dog runs"


def test_no_captions_are_no_ids(codec):
    assert codec.encode([]) == []


def test_a_caption_too_long_is_cut_and_does_not_end(codec):
    short = dataclasses.replace(codec, max_tokens=4)
    (ids,) = short.encode(["the dog jumps over a ball"])
    assert len(ids) == 5  # four are read, the fifth is predicted
    assert END not in ids


def test_the_decoders_positions_limit_the_length():
    assert CaptionCodec.of(tiny_mini(CAPTIONS, positions=6), 64).max_tokens == 6


def test_the_end_of_gpt2_is_learned_although_it_is_the_unknown_token(tmp_path):
    clip, gpt2 = save_tiny_clip(tmp_path / "clip"), save_tiny_gpt2(tmp_path / "gpt2", CAPTIONS)
    codec = CaptionCodec.of(build_clip_gpt2(str(clip), str(gpt2)), 64)
    assert codec.unknown is None
    ids = codec.encode(["a cat"])
    packed = pack_captions([ids], pad=codec.end, unknown=codec.unknown)
    assert packed.targets[-1] == codec.end
    assert packed.tokens == len(ids[0]) - 1


def test_packing_keeps_captions_apart():
    rows = [[np.array([1, 10, 11, 2]), np.array([1, 12, 2])], [np.array([1, 13, 2])]]
    packed = pack_captions(rows, pad=0, unknown=None)
    assert packed.input_ids.tolist() == [[1, 10, 11, 1, 12, 0, 0, 0], [1, 13, 0, 0, 0, 0, 0, 0]]
    assert packed.position_ids.tolist()[0] == [0, 1, 2, 0, 1, 0, 0, 0]
    assert packed.segments.tolist() == [[0, 0, 0, 1, 1, 2, 2, 2], [0, 0, 1, 1, 1, 1, 1, 1]]
    assert packed.picks.tolist() == [0, 1, 2, 3, 4, 8, 9]
    assert packed.targets.tolist() == [10, 11, 2, 12, 2, 13, 2]


def test_unknown_words_are_read_but_not_learned():
    packed = pack_captions([[np.array([1, 3, 11, 2])]], pad=0, unknown=3)
    assert packed.input_ids[0, :3].tolist() == [1, 3, 11]
    assert packed.targets.tolist() == [11, 2]


def test_the_mask_shows_a_token_its_own_past_only():
    packed = pack_captions([[np.array([1, 10, 2]), np.array([1, 12, 2])]], pad=0, unknown=None)
    mask = packed.attention_mask(torch.float32)
    assert mask.shape == (1, 1, 8, 8)
    seen = mask[0, 0] == 0
    assert seen[:4, :4].tolist() == [
        [True, False, False, False],
        [True, True, False, False],
        [False, False, True, False],
        [False, False, True, True],
    ]
    assert seen.any(-1).all()
    assert not seen[:4, 4:].any()
