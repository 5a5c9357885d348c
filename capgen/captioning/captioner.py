"""The Captioner: images in, Caption records out."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any, overload

import numpy as np

from capgen.captioning.confidence.calibration_file import Calibration, calibration_of
from capgen.captioning.confidence.model import Fit
from capgen.captioning.confidence.recorder import Watch
from capgen.captioning.prepare import ImageInput, Prepared, batches_ahead, path_of
from capgen.captioning.retry import caption_pixels
from capgen.captioning.runtimes.select import check_runtime, load_runtime
from capgen.captioning.to_record import caption_of, captioned, judged
from capgen.config import DecodeOptions, DecodeSettings, ImageLimits, resolve_decoding
from capgen.errors import ImageError, ModelError, UsageError
from capgen.images.decoders import out_of_memory
from capgen.images.load import DEFAULT_LIMITS, LoadedImage, load_image
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
        """Return the decoding settings that `options` comes to, and notes on what changed.

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
        """Return what gives captions their confidence, if it was asked for and is there."""
        calibration = self._calibration[0] if settings.confidence else None
        return None if calibration is None else calibration.fit_for(settings)

    @overload
    def caption(
        self, images: ImageInput, *, return_attention: bool = False, **options: Any
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
        images: ImageInput | list[Any] | tuple[Any, ...],
        *,
        return_attention: bool = False,
        **options: Any,
    ) -> Caption | list[Caption]:
        """Caption one image, or several.

        Args:
            images: A path, bytes of a file, PIL image or numpy array (H, W), (H, W, 3) or
                (H, W, 4); or a list of these.
            return_attention: Fill `Caption.attention`, of the alternatives too: where the model
                looked for each word. Costs one more run of encoder and decoder a caption.
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
            captions.append(captioned(record))
        return captions if several else captions[0]

    def stream(
        self,
        images: Iterable[ImageInput],
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
            One record an image, in order.

        Raises:
            ModelError: Attention is asked for and the model has no cross-attention.
            UsageError: `batch_size` is below 1, or the options do not suit the model.
        """
        if batch_size < 1:
            raise UsageError(f"--batch-size is {batch_size}; it must be at least 1")
        settings, notes = self.settings(options or DecodeOptions())
        batch_size = self.batch_of(batch_size)
        obstacle = self.runtime.obstacle() if return_attention else ""
        if obstacle:
            raise ModelError(f"{self.name}: {obstacle}")
        for batch in batches_ahead(partial(self._prepare, limits=limits), images, batch_size):
            yield from self._caption_batch(batch, settings, notes, return_attention)

    def batch_of(self, size: int) -> int:
        """Return how many images go together where `size` may: 1 if each keeps its own shape."""
        return 1 if self.runtime.preprocessor.input_size is None else size

    def _prepare(self, source: ImageInput, limits: ImageLimits) -> Prepared | CaptionFailure:
        path = path_of(source)
        try:
            return self.prepare(self.load(source, limits=limits), path)
        except (ImageError, MemoryError) as error:
            name = path or "image in memory"
            fault = error if isinstance(error, ImageError) else out_of_memory(name)
            return CaptionFailure(
                path=path, code=fault.code, message=fault.message, hint=fault.hint
            )

    def load(
        self,
        source: ImageInput,
        *,
        limits: ImageLimits = DEFAULT_LIMITS,
        name: str | None = None,
    ) -> LoadedImage:
        """Decode an image, no larger than this model has use for.

        Raises:
            ImageError: It cannot be read.
        """
        size = self.runtime.preprocessor.input_size
        hint = None if size is None else (size[1], size[0])
        return load_image(source, limits=limits, name=name, size_hint=hint)

    def prepare(self, loaded: LoadedImage, path: str | None, sha256: str | None = None) -> Prepared:
        """Make a decoded image the model's input.

        Raises:
            ImageError: Its shape is too extreme.
        """
        pixels = self.runtime.preprocessor.preprocess(loaded.image)
        return Prepared(path, loaded.width, loaded.height, pixels, sha256)

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
        pixels = np.stack([item.pixels for item in batch])
        shared = {
            "model": self.name,
            "revision": self.folder.revision if revision is None else revision,
            "settings": self.record_settings(settings),
            "notes": notes,
        }
        fit = self._fit(settings)
        watch = None if fit is None else Watch(self.runtime)
        attempts = caption_pixels(watch or self.runtime, pixels, settings)
        captions = [
            caption_of(item, attempt, **shared)
            for item, attempt in zip(batch, attempts, strict=True)
        ]
        if fit is None or watch is None:
            return list[Record](captions)
        return [
            judged(caption, fit, *seen, settings.min_confidence)
            for caption, seen in zip(captions, watch.seen, strict=True)
        ]

    def _caption_batch(
        self,
        batch: Sequence[Prepared | CaptionFailure],
        settings: DecodeSettings,
        notes: tuple[str, ...],
        return_attention: bool,
    ) -> Iterator[Caption | CaptionFailure]:
        good = [item for item in batch if isinstance(item, Prepared)]
        found = self.caption_prepared(good, settings, notes)
        if return_attention:
            from capgen.captioning.attention import with_attention

            found = [
                with_attention(self.runtime, item.pixels, caption, self.name)
                if isinstance(caption, Caption)
                else caption
                for item, caption in zip(good, found, strict=True)
            ]
        captions = iter(found)
        for item in batch:
            yield item if isinstance(item, CaptionFailure) else next(captions)

    def record_settings(self, settings: DecodeSettings) -> dict[str, Any]:
        """Return the settings as records have them."""
        runtime = self.runtime
        known = {**settings.to_dict(), "runtime": runtime.name, "dtype": runtime.dtype}
        calibration = self._calibration[0] if settings.confidence else None
        # A record made before the model was calibrated anew is not one made after.
        return known if calibration is None else {**known, "calibration": calibration.digest}
