"""The Captioner: images in, Caption records out."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any, overload

from capgen.captioning.confidence.calibration_file import Calibration, calibration_of
from capgen.captioning.confidence.model import Fit
from capgen.captioning.prepare import (
    Prepared,
    batches_ahead,
    failure_of,
    for_prepared,
    path_of,
    stacked,
)
from capgen.captioning.retry import caption_pixels
from capgen.captioning.runtimes.select import check_runtime, load_runtime
from capgen.captioning.to_record import caption_of, caption_or_raise, with_confidence
from capgen.config import DecodeOptions, DecodeSettings, ImageLimits, resolve_decoding
from capgen.errors import ImageError, ModelError, UsageError
from capgen.images.decoders import printable
from capgen.images.load import DEFAULT_LIMITS, ImageSource, load_image
from capgen.images.thumbnails import thumbnail as make_thumbnail
from capgen.models.folder import ModelFolder
from capgen.models.resolve import resolve_model
from capgen.records import Caption, CaptionFailure, Record

if TYPE_CHECKING:
    from capgen.captioning.runtimes.base import Runtime

DEFAULT_BATCH_SIZE = 16


class Captioner:
    """A loaded model that captions images.

    Make one with `from_pretrained`.
    """

    def __init__(self, folder: ModelFolder, runtime: Runtime) -> None:
        self.folder = folder
        self.runtime = runtime

    @classmethod
    def from_pretrained(
        cls,
        model: str | os.PathLike[str] | None = None,
        *,
        revision: str | None = None,
        runtime: str = "auto",
        device: str = "auto",
        dtype: str = "auto",
        threads: int | None = None,
        trust_remote_code: bool = False,
    ) -> Captioner:
        """Load a captioner.

        Args:
            model: None or `mini` for the bundled model, a model folder, `RUN/best-eval` of a
                training run, or a Hub id, as in `USER/NAME` or `USER/NAME@REVISION`.
            revision: Branch, tag or commit of a Hub repository.
            runtime: `onnx`, `torch`, or `auto`: ONNX Runtime where the model has graphs for
                it and neither another device nor a type was asked for.
            device: `auto`, `cpu`, `cuda`, `cuda:N` or `mps`; `auto` with torch takes the
                fastest there is.
            dtype: `auto`, `fp32`, `bf16` or `fp16`.
            threads: Threads of ONNX Runtime; None takes the cores there are.
            trust_remote_code: Run code that comes with the model, where capgen does not know
                its kind.

        Raises:
            ModelError: The model cannot be found or is not a captioner.
            NetworkError: It would have to be fetched, and the Hub cannot be reached.
            UsageError: A value is not one of those above, or the device is not there.
        """
        check_runtime(runtime, device, dtype)
        folder = resolve_model(
            None if model is None else os.fspath(model),
            revision=revision,
            trust_remote_code=trust_remote_code,
        )
        return cls(
            folder,
            load_runtime(
                folder,
                runtime=runtime,
                device=device,
                dtype=dtype,
                threads=threads,
                trust_remote_code=trust_remote_code,
            ),
        )

    @property
    def name(self) -> str:
        """What the model was called when it was loaded."""
        return self.folder.name

    def settings(self, options: DecodeOptions) -> tuple[DecodeSettings, tuple[str, ...]]:
        """Return the decoding settings that `options` lead to, and notes on what changed.

        Raises:
            UsageError: They contradict each other, or a least confidence is asked for and the
                model is not calibrated for these settings.
            ModelError: The model's own settings or its calibration are damaged.
        """
        settings, notes = resolve_decoding(
            options,
            self.folder.generation,
            positions=self.folder.positions,
            knows_nouns=self.runtime.nouns is not None,
        )
        if not settings.confidence:
            return settings, notes
        reason = self._why_unsure(settings)
        if reason and settings.min_confidence is not None:
            raise UsageError(
                f"--min-confidence: {reason}", hint="Calibrate it: capgen calibrate --help"
            )
        return settings, (*notes, f"no confidence: {reason}") if reason else notes

    @cached_property
    def _calibration(self) -> tuple[Calibration | None, str]:
        return calibration_of(self.folder)

    def _why_unsure(self, settings: DecodeSettings) -> str:
        """Say why there is no confidence under these settings, or return an empty string."""
        calibration, reason = self._calibration
        if calibration is not None and calibration.fit_for(settings) is None:
            return f"{self.name} is not calibrated for these decoding settings"
        return reason

    def _fit(self, settings: DecodeSettings) -> Fit | None:
        """Return what gives captions their confidence, if it was asked for and there is a fit."""
        calibration = self._calibration[0] if settings.confidence else None
        return None if calibration is None else calibration.fit_for(settings)

    @overload
    def caption(
        self, images: ImageSource, *, return_attention: bool = False, **options: Any
    ) -> Caption: ...
    @overload
    def caption(
        self,
        images: list[Any] | tuple[Any, ...],
        *,
        return_attention: bool = False,
        **options: Any,
    ) -> list[Caption]: ...
    def caption(
        self,
        images: ImageSource | list[Any] | tuple[Any, ...],
        *,
        return_attention: bool = False,
        **options: Any,
    ) -> Caption | list[Caption]:
        """Caption one image, or several.

        Args:
            images: A path, bytes of a file, PIL image or numpy array (H, W), (H, W, 3) or
                (H, W, 4); or a list of these.
            return_attention: Fill `Caption.attention`, of the alternatives too: where the model
                looked for each word. Costs one more run of encoder and decoder per caption.
            **options: Fields of `capgen.config.DecodeOptions`: `beams=5`, `num_captions=3`,
                `diverse=5`, `temperature=0.7`, …

        Returns:
            A `Caption`, or a list of them in the order of the images.

        Raises:
            ImageError: An image cannot be read, or with `min_confidence` the model is not
                sure enough about it (code `low_confidence`).
            ModelError: Attention is asked for and the model has no cross-attention.
            UsageError: An option is unknown or out of range.
        """
        several = isinstance(images, list | tuple)
        try:
            chosen = DecodeOptions(**options)
        except TypeError as error:
            raise UsageError(f"Unknown decoding option: {error}") from error
        sources = list(images) if isinstance(images, list | tuple) else [images]
        captions = []
        for record in self.stream(sources, chosen, return_attention=return_attention):
            captions.append(caption_or_raise(record))
        return captions if several else captions[0]

    def stream(
        self,
        images: Iterable[ImageSource],
        options: DecodeOptions | None = None,
        *,
        batch_size: int = DEFAULT_BATCH_SIZE,
        limits: ImageLimits = DEFAULT_LIMITS,
        return_attention: bool = False,
    ) -> Iterator[Caption | CaptionFailure]:
        """Caption images as they come; an image that cannot be read becomes a failure.

        The next batch is decoded while the model works on one. An image's caption does not
        depend on the others in its batch.

        Args:
            images: Images, as for `caption`; any iterable, read as needed.
            options: What to ask of decoding.
            batch_size: Images the model sees at once.
            limits: The largest image to decode.
            return_attention: Fill `Caption.attention` (see `caption`).

        Yields:
            One record per image, in order.

        Raises:
            ModelError: Attention is asked for and the model has no cross-attention.
            UsageError: `batch_size` is below 1, or the options do not suit the model.
        """
        if batch_size < 1:
            raise UsageError(f"--batch-size is {batch_size}; it must be at least 1")
        settings, notes = self.settings(options or DecodeOptions())
        obstacle = self.runtime.obstacle() if return_attention else ""
        if obstacle:
            raise ModelError(f"{self.name}: {obstacle}")
        for batch in self.prepared_batches(images, batch_size, limits=limits):
            yield from for_prepared(
                lambda prepared: self._records(prepared, settings, notes, return_attention), batch
            )

    def prepared_batches(
        self,
        images: Iterable[ImageSource],
        batch_size: int = DEFAULT_BATCH_SIZE,
        *,
        limits: ImageLimits = DEFAULT_LIMITS,
    ) -> Iterator[list[Prepared | CaptionFailure]]:
        """Prepare images as they come; a thread prepares the next batch meanwhile."""
        prepare = partial(self.prepare, limits=limits)
        return batches_ahead(prepare, images, self.batch_of(batch_size))

    def batch_of(self, size: int) -> int:
        """Return how many images go together where `size` may: 1 if each keeps its own shape."""
        return 1 if self.runtime.preprocessor.input_size is None else size

    def prepare(
        self,
        image: ImageSource,
        *,
        path: str | None = None,
        sha256: str | None = None,
        limits: ImageLimits = DEFAULT_LIMITS,
        thumbnail: bool = False,
        keep_image: bool = False,
    ) -> Prepared | CaptionFailure:
        """Load an image, turn it upright and make it the model's input.

        It is decoded no larger than the model has use for. One that cannot be read, or whose
        shape is too extreme, becomes a failure.

        Args:
            image: An image, as for `caption`.
            path: What records and messages call it; by default the path that it is given by.
            sha256: SHA-256 of its file, for the record.
            limits: The largest image to decode.
            thumbnail: Make a small copy of it, too.
            keep_image: Keep the decoded image, too.
        """
        path = path_of(image) if path is None else path
        preprocessor = self.runtime.preprocessor
        try:
            loaded = load_image(
                image,
                limits=limits,
                name=None if path is None else printable(path) or "''",
                size_hint=preprocessor.input_size and preprocessor.input_size[::-1],
            )
            return Prepared(
                path,
                loaded.width,
                loaded.height,
                preprocessor.preprocess(loaded.image),
                sha256,
                make_thumbnail(loaded.image) if thumbnail else None,
                loaded.image if keep_image else None,
            )
        except (ImageError, MemoryError) as error:
            return failure_of(error, path)

    def caption_prepared(
        self,
        batch: Sequence[Prepared],
        settings: DecodeSettings,
        notes: tuple[str, ...] = (),
        *,
        revision: str | None = None,
    ) -> list[Record]:
        """Caption prepared images, all of one shape, at once.

        An image with less than the least confidence asked for becomes a failure.

        Args:
            batch: The images.
            settings: Decoding settings (see `settings`).
            notes: What records say was changed on the way.
            revision: What records call the model's revision; by default its commit.
        """
        if not batch:
            return []
        shared = {
            "model": self.name,
            "revision": self.folder.revision if revision is None else revision,
            "settings": self.record_settings(settings),
            "notes": notes,
        }
        found, generated = caption_pixels(self.runtime, stacked(batch), settings)
        captions = [
            caption_of(item, image, **shared) for item, image in zip(batch, found, strict=True)
        ]
        fit = self._fit(settings)
        if fit is None:
            return list[Record](captions)
        searches = zip(captions, generated.hypotheses, generated.summarise(), strict=True)
        return [
            with_confidence(caption, fit, hypotheses, summary, settings.min_confidence)
            for caption, hypotheses, summary in searches
        ]

    def _records(
        self,
        batch: Sequence[Prepared],
        settings: DecodeSettings,
        notes: tuple[str, ...],
        return_attention: bool,
    ) -> Iterator[Record]:
        records = self.caption_prepared(batch, settings, notes)
        if not return_attention:
            yield from records
            return
        from capgen.captioning.attention import with_attention

        for item, record in zip(batch, records, strict=True):
            if isinstance(record, Caption):
                record = with_attention(self.runtime, item.pixels, record, self.name)
            yield record

    def record_settings(self, settings: DecodeSettings) -> dict[str, Any]:
        """Return the settings as records have them."""
        runtime = self.runtime
        known = {**settings.to_dict(), "runtime": runtime.name, "dtype": runtime.dtype}
        calibration = self._calibration[0] if settings.confidence else None
        # A record made before the model was calibrated again is not one made after.
        return known if calibration is None else {**known, "calibration": calibration.digest}
