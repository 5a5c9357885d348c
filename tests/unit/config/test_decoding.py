"""Decoding options: ranges and contradictions."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import numpy as np
import pytest

from capgen.config import DecodeOptions, ImageLimits, flag_name, resolve_decoding
from capgen.errors import UsageError

SWITCHES = [field for field in dataclasses.fields(DecodeOptions) if field.type == "bool"]
TEXTS = [field for field in dataclasses.fields(DecodeOptions) if "str" in str(field.type)]
RANGED = [field for field in dataclasses.fields(DecodeOptions) if field not in (*SWITCHES, *TEXTS)]
WHOLE = [field.name for field in RANGED if "int" in str(field.type)]


def test_every_option_declares_a_range_and_help() -> None:
    assert all(field.metadata["help"] for field in (*RANGED, *SWITCHES, *TEXTS))
    for field in RANGED:
        assert field.metadata["low"] < field.metadata["high"]


@pytest.mark.parametrize("field", RANGED, ids=lambda field: field.name)
def test_values_at_the_ends_of_a_range_are_taken_and_those_beyond_refused(
    field: dataclasses.Field[Any],
) -> None:
    low, high = field.metadata["low"], field.metadata["high"]
    for value in (low, high):
        # Beams enough, so that many captions are no contradiction.
        others = {"beams": 64} if field.name == "num_captions" else {}
        assert getattr(DecodeOptions(**{field.name: value}, **others), field.name) == value
    step = 1 if field.name in WHOLE else 0.001
    for value in (low - step, high + step):
        with pytest.raises(UsageError) as caught:
            DecodeOptions(**{field.name: value})
        assert flag_name(field.name) in caught.value.message
        assert f"between {low} and {high}" in caught.value.message
        assert str(value) in caught.value.message


@pytest.mark.parametrize("field", RANGED, ids=lambda field: field.name)
@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, "3", True, [1], b"1"])
def test_what_is_no_number_is_refused(field: dataclasses.Field[Any], value: Any) -> None:
    with pytest.raises(UsageError, match=f"^{flag_name(field.name)} is .* number$"):
        DecodeOptions(**{field.name: value})


@pytest.mark.parametrize("name", WHOLE)
def test_a_fraction_is_refused_where_a_whole_number_belongs(name: str) -> None:
    low = next(field.metadata["low"] for field in RANGED if field.name == name)
    with pytest.raises(UsageError, match=f"^{flag_name(name)} is .*whole number"):
        DecodeOptions(**{name: low + 0.5})


def test_numpy_numbers_are_numbers() -> None:
    options = DecodeOptions(beams=np.int64(4), temperature=np.float32(0.5))  # type: ignore[arg-type]
    assert (options.beams, options.temperature) == (4, 0.5)


@pytest.mark.parametrize(
    ("options", "names"),
    [
        ({"beams": 3, "top_k": 5}, ("--top-k", "--beams 3")),
        ({"beams": 3, "top_p": 0.9}, ("--top-p", "--beams 3")),
        ({"beams": 2, "num_captions": 3}, ("--num-captions 3", "--beams 2")),
        ({"beams": 1, "num_captions": 2}, ("--num-captions 2", "--beams 1")),
        ({"min_length": 20, "max_length": 10}, ("20", "10")),
    ],
)
def test_contradictions(options: dict[str, Any], names: tuple[str, ...]) -> None:
    with pytest.raises(UsageError) as caught:
        DecodeOptions(**options)
    for name in names:
        assert name in caught.value.message


@pytest.mark.parametrize(
    ("options", "samples"),
    [
        ({}, False),
        ({"temperature": 1.0}, True),
        ({"top_k": 5}, True),
        ({"top_p": 1.0}, True),
        ({"temperature": 0.5, "beams": 1}, True),
        ({"temperature": 0.5, "beams": 2}, False),
        ({"seed": 1}, False),
    ],
)
def test_what_samples(options: dict[str, Any], samples: bool) -> None:
    chosen = DecodeOptions(**options)
    assert chosen.samples is samples
    settings, _ = resolve_decoding(chosen, {}, positions=None)
    assert settings.sample is samples


@pytest.mark.parametrize("name", ["max_pixels", "max_bytes"])
def test_image_limits_are_at_least_one(name: str) -> None:
    with pytest.raises(UsageError, match=f"^{flag_name(name)} is 0; it must be at least 1$"):
        ImageLimits(**{name: 0})


@pytest.mark.parametrize(
    ("limit", "least"), [({"max_words": 1}, 3), ({"max_words": 2}, 3), ({"max_characters": 14}, 15)]
)
def test_limits_that_no_sentence_fits_are_refused(limit: dict[str, int], least: int) -> None:
    with pytest.raises(UsageError, match=f"between {least} and") as caught:
        DecodeOptions(**limit)
    assert "--tags" in (caught.value.hint or "")
