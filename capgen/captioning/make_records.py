"""Captions prepared images: asks the model, and makes the records of what it answers."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import Any

from capgen.captioning.caption_model import CaptionModel
from capgen.captioning.confidence.fits import Fits
from capgen.captioning.prepare import Prepared
from capgen.captioning.prompting import Noted, Prompting
from capgen.captioning.retry_captions import caption_inputs
from capgen.captioning.runtimes.base import NoCaption, Runtime
from capgen.captioning.to_record import uncaptioned, with_confidence
from capgen.config import DecodeSettings
from capgen.errors import DeviceMemoryError
from capgen.records import Caption, Record, without_nulls

logger = logging.getLogger(__name__)


class RecordMaker:
    """Makes the records of prepared images with one model.

    Args:
        model: The model.
        runtime: Where it runs.
        prompting: What it is asked.
        fits: What gives captions their confidence.
    """

    def __init__(
        self, model: CaptionModel, runtime: Runtime, prompting: Prompting, fits: Fits
    ) -> None:
        self._model = model
        self._runtime = runtime
        self._prompting = prompting
        self._fits = fits
        self._most: int | None = None  # images at once; None is any number

    def settings(self, settings: DecodeSettings) -> dict[str, Any]:
        """Return the settings in the form that records hold."""
        runtime = self._runtime
        # Without those that were not set, as records hold them.
        known = {
            **without_nulls(settings.to_dict()),
            "runtime": runtime.name,
            "dtype": runtime.dtype,
        }
        # Only what was asked for: journals from before there were prompts stay valid.
        return {
            **known,
            **runtime.recorded,
            **self._prompting.asked,
            **self._fits.recorded(settings),
        }

    def records(
        self,
        batch: Sequence[Prepared],
        settings: DecodeSettings,
        notes: tuple[str, ...],
        *,
        revision: str | None,
        return_attention: bool,
    ) -> list[Record]:
        """Caption prepared images; see `Captioner.caption_prepared`.

        Raises:
            DeviceMemoryError: The device has too little memory for one image.
        """
        shared: dict[str, Any] = {
            "model": self._model.name,
            "revision": self._model.fingerprint if revision is None else revision,
            "settings": self.settings(settings),
        }
        make = partial(self._that_fit, settings=settings, return_attention=return_attention)
        made = self._prompting.for_usable(make, batch, settings)
        return [
            replace(record, **shared, notes=(*notes, *record.notes))
            if isinstance(record, Caption)
            else replace(record, **shared)
            for record in made
        ]

    def _that_fit(
        self, noted: Sequence[Noted], settings: DecodeSettings, return_attention: bool
    ) -> list[Record]:
        """Caption prepared images, fewer at once from when the device runs out of memory."""
        records: list[Record] = []
        while len(records) < len(noted):
            part = noted[len(records) :][: self._most]
            try:
                records += self._captioned(part, settings, return_attention)
                continue
            except DeviceMemoryError as error:
                if len(part) == 1:
                    raise
                logger.info("%s: fewer from now on", error.message)
            # The exception, and with it the tensors of the failed batch, is gone by here.
            self._most = min(len(part) // 2, self._most or len(part))
        return records

    def _captioned(
        self, noted: Sequence[Noted], settings: DecodeSettings, return_attention: bool
    ) -> list[Record]:
        """Caption prepared images with notes on each."""
        inputs = [item.input for item, _ in noted]
        captions, generated = caption_inputs(self._runtime, inputs, settings)
        records: list[Record] = [
            uncaptioned(caption, item.path, sha256=item.sha256)
            if isinstance(caption, NoCaption)
            else self._finished(
                replace(caption, **item.record_fields(), notes=(*notes, *caption.notes)),
                item,
                settings,
                return_attention,
            )
            for (item, notes), caption in zip(noted, captions, strict=True)
        ]
        fit, _ = self._fits.fit(settings)
        if fit is None:
            return records
        searches = zip(records, generated.hypotheses, generated.summarise(), strict=True)
        return [
            with_confidence(record, hypotheses, summary, fit, settings.min_confidence)
            if isinstance(record, Caption)
            else record
            for record, hypotheses, summary in searches
        ]

    def _finished(
        self, caption: Caption, item: Prepared, settings: DecodeSettings, return_attention: bool
    ) -> Caption:
        """Return a caption with what is asked for beside decoding; its text is changed last."""
        if settings.asks_for_words:
            from capgen.captioning.word_notes import with_word_notes

            caption = with_word_notes(caption, settings)
        if settings.asks_for_lengths:
            from capgen.captioning.caption_length import with_length_note

            caption = with_length_note(caption, settings)
        if return_attention:
            from capgen.captioning.attention import with_attention

            caption = with_attention(self._runtime, item.input, caption, self._model.name)
        if settings.asks_for_edits:
            from capgen.captioning.edit_captions import edit_captions

            caption = edit_captions(caption, settings)
        return caption
