"""Training settings and events."""

from __future__ import annotations

from pathlib import Path

import pytest

from capgen.config import InputOptions, TrainConfig, parse_setting, train_config
from capgen.errors import UsageError
from capgen.records import EpochEvent, event_from_dict


def test_mini_is_the_measured_recipe():
    config = train_config("mini")
    assert (config.image_size, config.batch_size, config.captions_per_image) == (288, 64, 5)
    assert (config.beta1, config.beta2, config.weight_decay) == (0.9, 0.98, 0.05)
    assert (config.learning_rate, config.encoder_learning_rate) == (5e-4, 2e-4)
    assert (config.warmup_steps, config.schedule, config.clip_norm) == (200, "cosine", 1.0)
    assert (config.label_smoothing, config.dropout, config.ema_decay) == (0.1, 0.2, 0.998)
    assert (config.crop_area, config.crop_aspect, config.flip) == (0.5, 4 / 3, True)
    assert (config.color_jitter, config.num_epochs, config.min_count) == (0.3, 20, 4)


def test_what_is_given_wins_over_the_preset():
    assert train_config().preset == "clip-gpt2"
    assert train_config("clip-gpt2").decoder == "gpt2"
    assert train_config("clip-gpt2", decoder="other", batch_size=3).decoder == "other"


def test_an_unknown_preset_gets_a_suggestion():
    with pytest.raises(UsageError, match="Unknown preset 'mino'") as caught:
        train_config("mino")
    assert "mini" in caught.value.hint


@pytest.mark.parametrize(
    ("settings", "named"),
    [
        ({"num_epochs": 0}, "--num-epochs is 0"),
        ({"learning_rate": float("nan")}, "--learning-rate"),
        ({"schedule": "step"}, "cosine, linear, constant"),
        ({"decoder": "gpt2"}, "--decoder"),
        ({"shard_decoder": True, "objective": "scst"}, "--shard-decoder .* --objective scst"),
        ({"shard_decoder": True, "lora_rank": 8}, "--shard-decoder .* --lora-rank"),
        ({"shard_decoder": True, "class_nouns": True}, "--shard-decoder .* --class-nouns"),
        ({"shard_decoder": True, "precision": "fp16"}, "--shard-decoder .* --precision fp16"),
    ],
)
def test_bad_values_are_named(settings, named):
    with pytest.raises(UsageError, match=named):
        train_config("mini", **settings)


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("num-epochs", "3", 3),
        ("learning_rate", "1e-4", 1e-4),
        ("flip", "no", False),
        ("eval_limit", "none", None),
        ("eval_limit", "12", 12),
        ("data_dir", "photos", Path("photos")),
        ("encoder", "lite0", "lite0"),
    ],
)
def test_settings_as_text(name, text, value):
    assert parse_setting(TrainConfig, name, text) == value


def test_lists_as_text():
    assert parse_setting(InputOptions, "include", "*.jpg") == ("*.jpg",)
    assert parse_setting(InputOptions, "include", '["*.jpg", "*.png"]') == ("*.jpg", "*.png")


@pytest.mark.parametrize(
    ("name", "text"), [("num_epochs", "3.5"), ("flip", "maybe"), ("num_epoch", "3")]
)
def test_bad_text_is_a_usage_error(name, text):
    with pytest.raises(UsageError):
        parse_setting(TrainConfig, name, text)


def test_events_of_later_versions_are_read():
    event = EpochEvent(epoch=2, step=10, train_loss=2.0, metrics={"CIDEr-D": 0.5})
    record = {**event.to_dict(), "schema_version": 9, "new_field": 1}
    assert event_from_dict(record) == event
    assert event_from_dict({"schema_version": 9, "event": "unheard of"}) is None
