"""Which prepared inputs share a batch, and how they are joined."""

from __future__ import annotations

import pytest
import torch

from capgen.captioning.prompts import Prompt
from capgen.captioning.runtimes.prompt_words import TASKS, words_for
from capgen.captioning.runtimes.torch_prompted_batches import PADDED_KINDS, groups, joined
from capgen.config import DecodeOptions, resolve_decoding
from capgen.config.prompts import ANSWER_TOKENS, NAMED_PROMPTS
from capgen.models.kinds import PROMPTED_KINDS


def made(length: int, tiles: int = 1, edge: int = 2) -> dict[str, torch.Tensor]:
    ids = torch.arange(1, length + 1)[None]
    pixels = torch.full((1, tiles, 3, edge, edge), float(length))
    return {"input_ids": ids, "attention_mask": torch.ones_like(ids), "pixel_values": pixels}


def test_prompts_and_tiles_are_padded() -> None:
    inputs = [made(2, tiles=1), made(4, tiles=3)]
    assert groups(inputs, pad=True) == [[0, 1]]
    batch = joined(inputs, pad_token=9, left=True)
    assert batch["input_ids"].tolist() == [[9, 9, 1, 2], [1, 2, 3, 4]]
    assert batch["attention_mask"].tolist() == [[0, 0, 1, 1], [1, 1, 1, 1]]
    assert batch["pixel_values"].shape == (2, 3, 3, 2, 2)
    assert batch["pixel_values"][0, 1:].abs().sum() == 0
    behind = joined(inputs, pad_token=9, left=False)
    assert behind["input_ids"][0].tolist() == [1, 2, 9, 9]


def test_only_equal_shapes_are_joined_without_padding() -> None:
    inputs = [made(2), made(4), made(2), made(2, tiles=2)]
    assert groups(inputs, pad=False) == [[0, 2], [1], [3]]


def test_what_cannot_be_joined_stays_alone() -> None:
    inputs = [made(2), made(2, edge=4), made(2), {**made(2), "odd": "thing"}]
    assert groups(inputs, pad=True) == [[0, 2], [1], [3]]
    assert joined(inputs[3:], pad_token=0, left=True)["odd"] == "thing"


def test_patches_of_all_images_in_one_row() -> None:
    """As Qwen's processors make them."""
    rows = [
        {"input_ids": torch.ones(1, 2, dtype=torch.long), "pixel_values": torch.ones(count, 6)}
        for count in (4, 8)
    ]
    assert groups(rows, pad=True) == [[0, 1]]
    assert joined(rows, pad_token=0, left=True)["pixel_values"].shape == (12, 6)


def test_kosmos_counts_padding() -> None:
    assert set(PROMPTED_KINDS) - set(PADDED_KINDS) == {"kosmos-2"}


def test_named_prompts_are_known_everywhere() -> None:
    assert ANSWER_TOKENS.keys() == {*NAMED_PROMPTS, ""}
    for kind, tasks in TASKS.items():
        assert kind in PROMPTED_KINDS and tasks.keys() <= NAMED_PROMPTS.keys()
        assert words_for(kind, Prompt()) == tasks["caption"]
    assert words_for("llava", Prompt()) == NAMED_PROMPTS["caption"]


@pytest.mark.parametrize(
    ("generation", "length"),
    [
        ({}, 64),
        ({"max_length": 20}, 64),
        ({"max_new_tokens": 9}, 9),
        ({"max_new_tokens": None}, 64),
    ],
)
def test_lengths_of_answers(generation: dict[str, int | None], length: int) -> None:
    def resolve(**options: int) -> int:
        settings, notes = resolve_decoding(
            DecodeOptions(**options), generation, positions=16, answer_tokens=64
        )
        assert notes == ()
        return settings.max_length

    assert resolve() == length
    assert resolve(max_length=500) == 500
