"""Which fit gives captions their confidence, for one model and what it is asked."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property

from capgen.captioning.confidence.calibration_file import Calibration, CalibrationPlace
from capgen.captioning.confidence.model import Fit
from capgen.config import DecodeSettings


class Fits:
    """The fits of a model, read when they are first needed.

    Args:
        place: Where they are.
        asked: What the model is asked of all images, as records have it.
    """

    def __init__(self, place: CalibrationPlace, asked: Mapping[str, str]) -> None:
        self._place = place
        self._asked = asked

    @cached_property
    def _calibration(self) -> tuple[Calibration | None, str]:
        return self._place.read()

    def fit(self, settings: DecodeSettings) -> tuple[Fit | None, str]:
        """Return the fit that gives captions their confidence, or None and why there is none.

        Raises:
            ModelError: The calibration is damaged.
        """
        calibration, reason = self._calibration if settings.confidence else (None, "")
        if calibration is None:
            return None, reason
        name = self._place.name
        fit = calibration.fit_for(settings, self._asked)
        if fit is None and self._asked and calibration.fit_for(settings) is not None:
            return None, f"{name} is calibrated without this prompt"
        return fit, f"{name} is not calibrated for these decoding settings"

    def recorded(self, settings: DecodeSettings) -> dict[str, str]:
        """Return what records tell of the calibration: a later one makes other records."""
        calibration = self._calibration[0] if settings.confidence else None
        return {} if calibration is None else {"calibration": calibration.digest}
