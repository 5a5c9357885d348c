"""`calibration.json` of a model folder: read, checked, written.

It holds a fit (`capgen.captioning.confidence.model.Fit`) per calibrated way of decoding, and
the hash of the weights they were made for: only numbers and names, and all of them checked, so
that a foreign file can neither give a confidence outside [0, 1] nor exhaust memory.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from capgen.captioning.confidence.model import (
    FEATURES,
    Fit,
    Reals,
    Regression,
    Subspace,
    same_decoding,
)
from capgen.config import DecodeSettings
from capgen.digests import files_digest
from capgen.errors import ModelError
from capgen.models.folder import CALIBRATION_FILE, ModelFolder
from capgen.paths import data_dir, write_text
from capgen.records import SCHEMA_VERSION

FORMAT = "capgen calibration"
_MAX_BYTES = 32 << 20
_MAX_FITS = 64
_MAX_DIRECTIONS = 256
_MAX_WIDTH = 16384
_LARGEST = 1e9
_SMALLEST = 1e-9
_LONGEST_PROMPT = 1 << 16
_HINT = "Calibrate again with `capgen calibrate`, or remove the file."


@dataclass(frozen=True)
class Calibration:
    """The fits of a model with these weights (`weights_digest`), one per way of decoding."""

    weights: str
    fits: tuple[Fit, ...]

    def fit_for(
        self, settings: DecodeSettings, asked: Mapping[str, str] | None = None
    ) -> Fit | None:
        """Return the fit for these settings and this prompt (see `Fit.asked`), or None."""
        fits = (fit for fit in self.fits if _is_for(fit, settings, asked or {}))
        return next(fits, None)

    @cached_property
    def digest(self) -> str:
        """Identifies this calibration in records."""
        content = json.dumps(self.to_dict(), sort_keys=True)
        return f"sha256:{hashlib.sha256(content.encode()).hexdigest()[:16]}"

    def with_fit(self, fit: Fit) -> Calibration:
        """Return the calibration with a fit added, replacing one for the same decoding."""
        settings = DecodeSettings(**fit.settings)
        others = [old for old in self.fits if not _is_for(old, settings, fit.asked)]
        return Calibration(self.weights, (*others, fit))

    def write(self, path: Path) -> None:
        """Write the file."""
        write_text(path, json.dumps(self.to_dict(), indent=1) + "\n")

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON form: built-in types only."""
        return {
            "format": FORMAT,
            "schema_version": SCHEMA_VERSION,
            "weights": self.weights,
            "fits": [_fit_to_dict(fit) for fit in self.fits],
        }

    @classmethod
    def read(cls, path: Path) -> Calibration:
        """Read and check a file; raise ModelError unless it is a calibration."""
        try:
            if path.stat().st_size > _MAX_BYTES:
                raise ModelError(f"{path} is too large for a calibration", hint=_HINT)
            record = json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError, RecursionError) as error:
            raise ModelError(f"Cannot read {path}: {error}", hint=_HINT) from error
        try:
            if record["format"] != FORMAT:
                raise ValueError(f"its format is not '{FORMAT}'")
            fits = _list(record["fits"], _MAX_FITS)
            return cls(_text(record["weights"]), tuple(_fit_from_dict(item) for item in fits))
        except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
            reason = f"it lacks {error}" if isinstance(error, KeyError) else str(error)
            raise ModelError(f"{path} is not a capgen calibration: {reason}", hint=_HINT) from error


def _is_for(fit: Fit, settings: DecodeSettings, asked: Mapping[str, str]) -> bool:
    return dict(fit.asked) == dict(asked) and same_decoding(settings, fit.settings)


@dataclass(frozen=True)
class CalibrationPlace:
    """Where a model's calibration is.

    Attributes:
        name: The model.
        path: The file.
        digest: Returns the hash of what it must have been made for.
    """

    name: str
    path: Path
    digest: Callable[[], str]

    def read(self) -> tuple[Calibration | None, str]:
        """Return the calibration, or None and the reason; raise ModelError if it is damaged."""
        if not self.path.is_file():
            return None, f"{self.name} is not calibrated"
        calibration = Calibration.read(self.path)
        if calibration.weights != self.digest():
            return None, f"{self.path} was made for other weights than those of {self.name}"
        return calibration, ""


def place_in_folder(folder: ModelFolder) -> CalibrationPlace:
    """Return the place of a model folder's calibration."""
    path = folder.path / CALIBRATION_FILE
    return CalibrationPlace(folder.name, path, lambda: weights_digest(folder))


def place_of_served(name: str, address: str, asked: Mapping[str, Any]) -> CalibrationPlace:
    """Return the place of the calibration of a model on a server, asked in a certain way."""
    text = json.dumps([name, address, dict(asked)], sort_keys=True)
    digest = hashlib.sha256(text.encode()).hexdigest()
    path = data_dir() / "endpoints" / f"{digest[:16]}.json"
    return CalibrationPlace(name, path, lambda: f"sha256:{digest}")


def weights_digest(folder: ModelFolder) -> str:
    """Return the SHA-256 of a model's weights."""
    return f"sha256:{files_digest(folder.weight_files(), ModelError)}"


def _fit_to_dict(fit: Fit) -> dict[str, Any]:
    return {
        "settings": dict(fit.settings),
        "definition": dict(fit.definition),
        "good": _regression_to_dict(fit.good),
        "known": _regression_to_dict(fit.known),
        "slope": fit.slope,
        "intercept": fit.intercept,
        "subspace": {
            "mean": _rounded(fit.subspace.mean),
            "deviation": _rounded(fit.subspace.deviation),
            "floor": fit.subspace.floor,
            # One string per row: a third of the lines, and as readable.
            "basis": [" ".join(map(str, _rounded(row))) for row in fit.subspace.basis],
        },
        "provenance": dict(fit.provenance),
        # Only if there is a prompt: files without one stay as they were.
        **({"asked": dict(fit.asked)} if fit.asked else {}),
    }


def _regression_to_dict(regression: Regression) -> dict[str, Any]:
    columns = zip(
        regression.features, regression.mean, regression.scale, regression.weights, strict=True
    )
    return {
        "bias": regression.bias,
        "features": [
            {"name": name, "mean": float(mean), "scale": float(scale), "weight": float(weight)}
            for name, mean, scale, weight in columns
        ],
    }


def _rounded(values: Reals) -> list[float]:
    return [float(f"{value:.5g}") for value in values]


def _fit_from_dict(record: Mapping[str, Any]) -> Fit:
    asked: Mapping[str, Any] = record.get("asked", {})
    return Fit(
        settings=_settings(record["settings"]),
        subspace=_subspace(record["subspace"]),
        good=_regression(record["good"]),
        known=_regression(record["known"]),
        slope=_number(record["slope"]),
        intercept=_number(record["intercept"]),
        definition=_definition(record["definition"]),
        provenance=dict(record.get("provenance", {})),
        asked={_text(name): _text(text, _LONGEST_PROMPT) for name, text in asked.items()},
    )


def _settings(record: Mapping[str, Any]) -> dict[str, Any]:
    known = {field.name for field in dataclasses.fields(DecodeSettings)}
    for name, value in record.items():
        if isinstance(value, float) and not math.isfinite(value):
            raise ValueError(f"the setting {name} is {value}")
        if not isinstance(value, bool | int | float | str | None):
            raise ValueError(f"the setting {name} is not a plain value")
        if name not in known:
            raise ValueError(f"the setting {name} is unknown")
    return dict(record)


def _definition(record: Mapping[str, Any]) -> dict[str, Any]:
    return {"metric": _text(record["metric"]), "threshold": _number(record["threshold"])}


def _subspace(record: Mapping[str, Any]) -> Subspace:
    mean = _vector(record["mean"], _MAX_WIDTH)
    deviation = _vector(record["deviation"], _MAX_DIRECTIONS)
    rows = _list(record["basis"], _MAX_DIRECTIONS)
    basis = np.array([_row(row, len(mean)) for row in rows]).reshape(len(rows), -1)
    if basis.shape != (len(deviation), len(mean)) or not len(deviation):
        raise ValueError(f"its basis has the shape {basis.shape}")
    if (deviation < _SMALLEST).any():
        raise ValueError("a deviation is not above zero")
    floor = _number(record["floor"])
    if floor < _SMALLEST:
        raise ValueError("its floor is not above zero")
    return Subspace(mean=mean, basis=basis, deviation=deviation, floor=floor)


def _row(text: str, width: int) -> list[float]:
    parts = _text(text, 64 * _MAX_WIDTH).split()
    if len(parts) != width:
        raise ValueError(f"a row of its basis has {len(parts)} numbers, not {width}")
    return [_number(float(part)) for part in parts]


def _regression(record: Mapping[str, Any]) -> Regression:
    items = _list(record["features"], len(FEATURES))
    names = tuple(_text(item["name"]) for item in items)
    unknown = [name for name in names if name not in FEATURES]
    if unknown or len(set(names)) < len(names):
        raise ValueError(f"it has unknown or repeated features: {unknown or names}")
    scale = np.array([_number(item["scale"]) for item in items])
    if (scale < _SMALLEST).any():
        raise ValueError("a scale is not above zero")
    return Regression(
        features=names,
        mean=np.array([_number(item["mean"]) for item in items]),
        scale=scale,
        weights=np.array([_number(item["weight"]) for item in items]),
        bias=_number(record["bias"]),
    )


def _vector(values: Any, limit: int) -> Reals:
    return np.array([_number(value) for value in _list(values, limit)])


def _number(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError(f"{str(value)[:40]!r} is not a number")
    if not math.isfinite(value) or abs(value) > _LARGEST:
        raise ValueError(f"{value} is out of range")
    return float(value)


def _text(value: Any, limit: int = 200) -> str:
    if not isinstance(value, str) or len(value) > limit:
        raise ValueError(f"{str(value)[:40]!r} is not a name")
    return value


def _list(values: Any, limit: int) -> Sequence[Any]:
    if not isinstance(values, list) or len(values) > limit:
        raise ValueError(f"a list of at most {limit} was expected")
    return values
