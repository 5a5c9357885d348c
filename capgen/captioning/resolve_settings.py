"""What decoding options mean for a loaded model: complete settings, checked, with notes."""

from __future__ import annotations

from capgen.captioning.caption_model import CaptionModel
from capgen.captioning.confidence.advice import confidence_advice
from capgen.captioning.confidence.fits import Fits
from capgen.captioning.prompting import Prompting
from capgen.config import DecodeOptions, DecodeSettings, resolve_decoding, resolve_served
from capgen.errors import UsageError
from capgen.models.folder import ModelFolder


def resolve_settings(
    options: DecodeOptions, model: CaptionModel, prompting: Prompting, fits: Fits
) -> tuple[DecodeSettings, tuple[str, ...]]:
    """Return the settings, and notes on what was changed; see `Captioner.settings`."""
    settings, notes = _resolved(options, model, prompting)
    notes += prompting.check(settings)
    fit, reason = fits.fit(settings)
    if fit is not None or not settings.confidence:
        return settings, notes
    if settings.min_confidence is not None:
        hint = confidence_advice(options, model.name, fits)
        raise UsageError(f"--min-confidence: {reason}", hint=hint)
    return settings, (*notes, f"no confidence: {reason}")


def _resolved(
    options: DecodeOptions, model: CaptionModel, prompting: Prompting
) -> tuple[DecodeSettings, tuple[str, ...]]:
    if not isinstance(model, ModelFolder):
        return resolve_served(options), ()
    return resolve_decoding(
        options,
        model.generation,
        positions=model.positions,
        knows_nouns=prompting.runtime.nouns is not None,
        knows_concepts=prompting.runtime.gives_concepts,
        answer_tokens=prompting.answer_tokens,
    )
