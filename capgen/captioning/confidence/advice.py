"""What to do where captions get no confidence."""

from __future__ import annotations

import dataclasses
import shlex
from typing import Any

from capgen.captioning.confidence.fits import Fits
from capgen.captioning.confidence.model import IRRELEVANT
from capgen.config import DecodeOptions, flag_name

# Options that `capgen calibrate` does not have.
_NOT_CALIBRATED = ("diverse", "avoid_words", "include_words")


def confidence_advice(options: DecodeOptions, name: str, fits: Fits) -> str:
    """Return which options to leave out, and how to make a fit for them.

    Args:
        options: What was asked for, without a fit.
        name: The model.
        fits: The fits of the model.
    """
    asked = {
        field.name: value
        for field in dataclasses.fields(options)
        if (value := getattr(options, field.name)) != field.default and field.name not in IRRELEVANT
    }
    command = " ".join(["capgen calibrate", shlex.quote(name), "--dataset NAME", *_flags(asked)])
    known = fits.beams
    if not known or not asked:
        return f"Make it: {command}"
    leave = " and ".join(map(flag_name, asked))
    numbers = " or ".join(map(str, known))
    advice = f"Leave out {leave} (there is confidence for --beams {numbers})"
    if asked.keys() & set(_NOT_CALIBRATED):
        return f"{advice}."
    return f"{advice}, or make it for these settings: {command}"


def _flags(asked: dict[str, Any]) -> list[str]:
    flags = []
    for name, value in asked.items():
        if name in _NOT_CALIBRATED:
            continue
        flags.append(flag_name(name) if value is True else f"{flag_name(name)} {value}")
    return flags
