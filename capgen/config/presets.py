"""The settings of training that presets and objectives change."""

from __future__ import annotations

from typing import Any

# Preset → settings that differ from the defaults.
TRAIN_PRESETS: dict[str, dict[str, Any]] = {
    "mini": {"encoder": "lite2"},
    "clip-gpt2": {
        "encoder": "openai/clip-vit-base-patch32",
        "decoder": "gpt2",
        "num_epochs": 10,
        "batch_size": 32,
        "learning_rate": 2e-4,
        "encoder_learning_rate": 1e-5,
        "decoder_learning_rate": 5e-5,
        "dropout": 0.1,
    },
}

# What names the parts of a new model: a run with `init` has a model.
NEW_PARTS = ("encoder", "decoder")

# Objective → preset ("" for all) → settings that differ from the preset's.
OBJECTIVE_DEFAULTS: dict[str, dict[str, dict[str, Any]]] = {
    "scst": {
        "": {
            "num_epochs": 9,
            "learning_rate": 3e-4,
            "encoder_learning_rate": 1e-5,
            "decoder_learning_rate": 3e-4,
            "weight_decay": 0.01,
            "warmup_steps": 50,
            "dropout": 0.1,
            "crop_area": 0.3,
            "ema_decay": 0.995,
        },
        # Lower learning rates for large pretrained parts.
        "clip-gpt2": {
            "num_epochs": 5,
            "learning_rate": 5e-5,
            "encoder_learning_rate": 1e-6,
            "decoder_learning_rate": 1e-5,
        },
    },
    "text": {
        "": {
            "num_epochs": 6,
            "batch_size": 512,
            "learning_rate": 1e-3,
            "decoder_learning_rate": 1e-3,
            "warmup_steps": 50,
        },
        # A pretrained decoder knows language.
        "clip-gpt2": {"num_epochs": 1, "batch_size": 128, "decoder_learning_rate": 5e-5},
    },
}


def preset_settings(preset: str, *, init: bool) -> dict[str, Any]:
    """Return a preset's settings, without the parts of a new model if there is one (`init`)."""
    settings = TRAIN_PRESETS.get(preset, {})
    return {name: value for name, value in settings.items() if not (init and name in NEW_PARTS)}


def objective_defaults(objective: str, preset: str) -> dict[str, Any]:
    """Return the settings of an objective that differ from a preset's."""
    changes = OBJECTIVE_DEFAULTS.get(objective, {})
    return {**changes.get("", {}), **changes.get(preset, {})}
