"""Which fit gives captions their confidence, for one model and what it is asked."""

from __future__ import annotations

from functools import cached_property

from capgen.captioning.caption_model import CaptionModel
from capgen.captioning.confidence.calibration_file import (
    Calibration,
    CalibrationPlace,
    place_in_folder,
    place_of_served,
)
from capgen.captioning.confidence.model import Fit
from capgen.captioning.prompting import Prompting
from capgen.config import DecodeSettings
from capgen.models.folder import ModelFolder


class Fits:
    """The fits of a model, read when they are first needed.

    Args:
        model: The model.
        prompting: What it is asked.
    """

    def __init__(self, model: CaptionModel, prompting: Prompting) -> None:
        self._model = model
        self._prompting = prompting

    @property
    def place(self) -> CalibrationPlace:
        """Where they are."""
        if isinstance(self._model, ModelFolder):
            return place_in_folder(self._model)
        asked = {**self._prompting.runtime.recorded, **self._prompting.asked}
        return place_of_served(self._model.name, self._model.revision, asked)

    @cached_property
    def _calibration(self) -> tuple[Calibration | None, str]:
        return self.place.read()

    def fit(self, settings: DecodeSettings) -> tuple[Fit | None, str]:
        """Return the fit that gives captions their confidence, or None and why there is none.

        Raises:
            ModelError: The calibration is damaged.
        """
        calibration, reason = self._calibration if settings.confidence else (None, "")
        if calibration is None:
            return None, reason
        name, asked = self._model.name, self._prompting.asked
        fit = calibration.fit_for(settings, asked)
        if fit is None and asked and calibration.fit_for(settings) is not None:
            return None, f"{name} is calibrated without this prompt"
        return fit, f"{name} is not calibrated for these decoding settings"

    @property
    def beams(self) -> tuple[int, ...]:
        """The numbers of beams of a search that there are fits for, with what the model is asked.

        Empty if there is no calibration that can be used.
        """
        calibration, _ = self._calibration
        if calibration is None:
            return ()
        asked = {**self._prompting.asked}
        own = [fit.settings for fit in calibration.fits if dict(fit.asked) == asked]
        return tuple(sorted({int(each.get("beams", 1)) for each in own if not each.get("sample")}))

    def recorded(self, settings: DecodeSettings) -> dict[str, str]:
        """Return what records tell of the calibration: a later one makes other records."""
        calibration = self._calibration[0] if settings.confidence else None
        return {} if calibration is None else {"calibration": calibration.digest}
