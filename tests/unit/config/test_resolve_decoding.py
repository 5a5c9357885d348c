"""What options come to for a model, whose own defaults count where nothing was asked for."""

from __future__ import annotations

from typing import Any

import pytest

from capgen.config import DecodeOptions, DecodeSettings, resolve_decoding
from capgen.errors import ModelError, UsageError


def resolved(
    options: DecodeOptions | None = None, positions: int | None = None, **generation: Any
) -> DecodeSettings:
    return resolve_decoding(options or DecodeOptions(), generation, positions=positions)[0]


def test_options_go_before_the_models_defaults() -> None:
    model = {
        "num_beams": 4,
        "max_length": 18,
        "min_length": 3,
        "length_penalty": 0.7,
        "repetition_penalty": 1.3,
        "no_repeat_ngram_size": 2,
    }
    defaults = resolved(**model)
    assert defaults == DecodeSettings(
        beams=4,
        max_length=18,
        min_length=3,
        length_penalty=0.7,
        repetition_penalty=1.3,
        no_repeat_ngram_size=2,
        repeat_nouns=False,
    )
    asked = {
        "beams": 2,
        "max_length": 9,
        "min_length": 0,
        "length_penalty": 0.0,
        "repetition_penalty": 1.0,
        "no_repeat_ngram_size": 0,
        "repeat_nouns": True,
    }
    assert resolved(DecodeOptions(**asked), **model) == DecodeSettings(**asked)


def test_a_model_that_samples_by_default() -> None:
    model = {"do_sample": True, "temperature": 0.6, "top_k": 40, "top_p": 0.8, "num_beams": 4}
    sampled = resolved(**model)
    assert sampled.sample and sampled.beams == 1
    assert (sampled.temperature, sampled.top_k, sampled.top_p) == (0.6, 40, 0.8)
    searched = resolved(DecodeOptions(beams=3), **model)
    assert not searched.sample and searched.beams == 3
    # The model's temperature belongs to its sampling, not to a search.
    assert (searched.temperature, searched.top_k, searched.top_p) == (1.0, 0, 1.0)


def test_temperature_with_beams_is_a_search_over_scaled_scores() -> None:
    settings = resolved(DecodeOptions(beams=3, temperature=0.5))
    assert (settings.sample, settings.beams, settings.temperature) == (False, 3, 0.5)


def test_more_captions_than_the_models_beams_get_more_beams() -> None:
    assert resolved(DecodeOptions(num_captions=5), num_beams=3).beams == 5
    assert resolved(DecodeOptions(num_captions=2), num_beams=3).beams == 3
    assert resolved(DecodeOptions(num_captions=5, temperature=1.0), num_beams=3).beams == 1


def test_null_in_a_generation_config_means_unset() -> None:
    keys = ("num_beams", "max_length", "length_penalty", "early_stopping", "do_sample", "top_k")
    assert resolved(**dict.fromkeys(keys)) == DecodeSettings(repeat_nouns=False)


def test_hugging_faces_max_new_tokens_counts_without_the_start_token() -> None:
    assert resolved(max_new_tokens=20).max_length == 21
    assert resolved(max_new_tokens=20, max_length=40).max_length == 21
    assert resolved(DecodeOptions(max_length=10), max_new_tokens=20).max_length == 10


def test_a_length_beyond_the_positions_is_clamped_with_a_note() -> None:
    settings, notes = resolve_decoding(DecodeOptions(max_length=90), {}, positions=24)
    assert settings.max_length == 24
    assert len(notes) == 1 and "90" in notes[0] and "24" in notes[0]
    assert resolve_decoding(DecodeOptions(max_length=24), {}, positions=24)[1] == ()
    # A default of the model's own is no wish of the user's.
    settings, notes = resolve_decoding(DecodeOptions(), {"max_length": 90}, positions=24)
    assert (settings.max_length, notes) == (24, ())


def test_a_shortest_length_that_cannot_be_had() -> None:
    with pytest.raises(UsageError, match=r"--min-length 30 .* 24"):
        resolved(DecodeOptions(min_length=30), positions=24)
    assert resolved(DecodeOptions(max_length=5), min_length=9).min_length == 5


@pytest.mark.parametrize("value", [True, False, "never"])
def test_early_stopping_comes_from_the_model(value: bool | str) -> None:
    assert resolved(early_stopping=value).early_stopping == value


@pytest.mark.parametrize(
    "generation",
    [
        {"num_beams": "three"},
        {"max_length": [20]},
        {"length_penalty": "nan?"},
        {"max_length": 1},
        {"num_beams": 0},
        {"do_sample": True, "temperature": 0.0},
        {"do_sample": True, "top_p": -1.0},
        {"repetition_penalty": 0.0},
        {"max_new_tokens": -3},
    ],
)
def test_a_damaged_generation_config_is_the_models_fault(generation: dict[str, Any]) -> None:
    (name,) = set(generation) - {"do_sample"}
    with pytest.raises(ModelError, match=name):
        resolved(**generation)


def test_a_noun_is_said_once_unless_it_is_asked_for_or_nouns_are_not_known() -> None:
    assert DecodeSettings().repeat_nouns  # what records and fits without the field were made with
    for asked, knows, repeat in (
        (False, True, False),
        (True, True, True),
        (False, False, True),
        (True, False, True),
    ):
        options = DecodeOptions(repeat_nouns=asked)
        settings, notes = resolve_decoding(options, {}, positions=None, knows_nouns=knows)
        assert settings.repeat_nouns is repeat
        assert not notes


def test_only_models_that_see_concepts_favour_them() -> None:
    def both(options: DecodeOptions) -> list[tuple[DecodeSettings, tuple[str, ...]]]:
        return [
            resolve_decoding(options, {}, positions=None, knows_concepts=known)
            for known in (True, False)
        ]

    (known, _), (unknown, notes) = both(DecodeOptions())
    assert (known.concept_bonus, unknown.concept_bonus, notes) == (1.0, 0.0, ())
    assert known.to_dict()["concept_bonus"] == 1.0
    assert "concept_bonus" not in unknown.to_dict()
    (known, notes), (unknown, told) = both(DecodeOptions(concept_bonus=2))
    assert (known.concept_bonus, notes) == (2.0, ())
    assert unknown.concept_bonus == 0.0 and "no concept head" in told[0]
    (known, notes), (unknown, told) = both(DecodeOptions(concept_bonus=0))
    assert known == unknown == resolved()
    assert notes == told == ()
