"""The Captioner: images in, Caption records out."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import cached_property, partial
from threading import Event
from typing import TYPE_CHECKING, Any, Unpack, overload

from capgen.captioning.batch_size import fitting_batch
from capgen.captioning.caption_model import CaptionModel
from capgen.captioning.confidence.calibration_file import CalibrationPlace
from capgen.captioning.confidence.fits import Fits
from capgen.captioning.load_model import load_model
from capgen.captioning.make_records import RecordMaker
from capgen.captioning.prepare import Prepared, batches_ahead, for_prepared
from capgen.captioning.prepare_image import prepare_image
from capgen.captioning.prompting import Prompting
from capgen.captioning.prompts import Prompt, resolve_prompt
from capgen.captioning.resolve_settings import resolve_settings
from capgen.captioning.to_record import caption_or_raise
from capgen.config import DecodeOptions, DecodeSettings, ImageLimits, ModelOptions
from capgen.config.fields import check_names
from capgen.config.keywords import DecodeKeywords, ModelKeywords
from capgen.errors import ModelError, UsageError
from capgen.images.load import DEFAULT_LIMITS, ImageSource
from capgen.models.folder import ModelFolder
from capgen.records import Caption, CaptionFailure, Record

if TYPE_CHECKING:
    from capgen.captioning.runtimes.base import Runtime

_Several = list[Any] | tuple[Any, ...]


class Captioner:
    """A loaded model that captions images; `from_pretrained` or `from_endpoint` makes one."""

    def __init__(
        self,
        model: CaptionModel,
        runtime: Runtime,
        load: Callable[[], Runtime] | None = None,
        prompt: Prompt | None = None,
    ) -> None:
        self.model = model
        self.runtime = runtime
        self._load = load
        self.prompting = Prompting(runtime, prompt or Prompt())
        self._fits = Fits(model, self.prompting)

    @classmethod
    def from_pretrained(
        cls,
        model: str | os.PathLike[str] | None = None,
        *,
        threads: int | None = None,
        **options: Unpack[ModelKeywords],
    ) -> Captioner:
        """Load a captioner.

        Args:
            model: None or `mini` for the bundled model, `mini:int8` for it in 8 bits, a model
                folder, `RUN/best-eval` of a training run, or a Hub id, as in `USER/NAME` or
                `USER/NAME@REVISION`.
            threads: Threads of ONNX Runtime; None uses every core.
            **options: Fields of `capgen.config.ModelOptions`: `device="cuda"`, `dtype="bf16"`,
                `runtime="torch"`, `prompt="alt"`, …

        Raises:
            ModelError: The model cannot be found or is not a captioner.
            NetworkError: The model is not on this machine, and the Hub cannot be reached.
            UsageError: An option is unknown or has no such value, or there is no such device.
        """
        name = None if model is None else os.fspath(model)
        check_names(options, ModelOptions, "model option")
        return cls.from_options(ModelOptions(model=name, **options), threads=threads)

    @classmethod
    def from_endpoint(
        cls, url: str, model: str | None = None, **options: Unpack[ModelKeywords]
    ) -> Captioner:
        """Caption with a model on a server that speaks the OpenAI chat protocol.

        Images are sent to that server, made small and without metadata. A key is taken from the
        environment (`CAPGEN_ENDPOINT_KEY`) alone.

        Args:
            url: The address, as in `http://127.0.0.1:8080/v1`.
            model: The server's name of the model; may be left out if it has only one.
            **options: Further fields of `capgen.config.ModelOptions`: `prompt="alt"`,
                `concurrency=32`, `send_size=768`, …

        Raises:
            NetworkError: The server cannot be reached.
            EndpointError: It refuses.
            UsageError: An option is unknown or has no such value, or the server has several models.
        """
        options["endpoint"] = url
        return cls.from_pretrained(model, **options)

    @classmethod
    def from_options(cls, options: ModelOptions, *, threads: int | None = None) -> Captioner:
        """Load the captioner that options name; see `from_pretrained` and `from_endpoint`."""
        return cls(*load_model(options, threads=threads), resolve_prompt(options))

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle how the model is loaded, since sessions of its runtime cannot be pickled."""
        if self._load is None:
            raise TypeError("Only a Captioner made by Captioner.from_pretrained can be pickled")
        return _loaded, (type(self), self.model, self._load, self.prompting.prompt)

    @property
    def name(self) -> str:
        """The name the model was loaded by."""
        return self.model.name

    @property
    def folder(self) -> ModelFolder:
        """The model's folder; raises ModelError if it is on a server."""
        if not isinstance(self.model, ModelFolder):
            raise ModelError(
                f"{self.name} is on a server ({self.model.revision}): it has no folder"
            )
        return self.model

    def settings(self, options: DecodeOptions) -> tuple[DecodeSettings, tuple[str, ...]]:
        """Resolve decoding options for this model: settings, and notes on what was changed.

        Raises:
            UsageError: The options contradict each other, or set a minimum confidence for a
                model that is not calibrated for these settings.
            ModelError: The model's own settings or its calibration are damaged.
        """
        return resolve_settings(options, self.model, self.prompting, self._fits)

    @property
    def calibration_place(self) -> CalibrationPlace:
        """Where the fits of the confidence are."""
        return self._fits.place

    @cached_property
    def _records(self) -> RecordMaker:
        return RecordMaker(self.model, self.runtime, self.prompting, self._fits)

    @overload
    def caption(
        self,
        images: ImageSource,
        *,
        return_attention: bool = False,
        **options: Unpack[DecodeKeywords],
    ) -> Caption: ...
    @overload
    def caption(
        self,
        images: _Several,
        *,
        return_attention: bool = False,
        **options: Unpack[DecodeKeywords],
    ) -> list[Caption]: ...
    def caption(
        self,
        images: ImageSource | _Several,
        *,
        return_attention: bool = False,
        **options: Unpack[DecodeKeywords],
    ) -> Caption | list[Caption]:
        """Caption one image, or several.

        Args:
            images: A path, bytes of a file, PIL image or numpy array (H, W), (H, W, 3) or
                (H, W, 4); or a list of these.
            return_attention: Fill `Caption.attention`, for the alternatives too: where the model
                looked for each word. Costs one more run of encoder and decoder per caption.
            **options: Fields of `capgen.config.DecodeOptions`: `beams=5`, `num_captions=3`,
                `diverse=5`, `temperature=0.7`, …

        Returns:
            A `Caption`, or a list of them in the order of the images.

        Raises:
            ImageError: An image cannot be read, or its caption has less than `min_confidence`
                (code `low_confidence`).
            ModelError: You ask for attention and the model has no cross-attention.
            UsageError: An option is unknown or out of range.
        """
        check_names(options, DecodeOptions, "decoding option")
        chosen = DecodeOptions(**options)
        sources = images if isinstance(images, list | tuple) else [images]
        settings, notes = self._checked_settings(chosen, return_attention)
        captions = [
            caption_or_raise(record)
            for batch in self.prepared_batches(sources, thumbnail=True)
            for record in self._with_thumbnails(batch, settings, notes, return_attention)
        ]
        return captions if sources is images else captions[0]

    def stream(
        self,
        images: Iterable[ImageSource],
        options: DecodeOptions | None = None,
        *,
        batch_size: int | None = None,
        limits: ImageLimits = DEFAULT_LIMITS,
        return_attention: bool = False,
    ) -> Iterator[Caption | CaptionFailure]:
        """Caption images as they come; an image that cannot be read becomes a failure.

        The next batch is read while the model works on this one. An image's caption does not
        depend on the others in its batch.

        Args:
            images: Images, as for `caption`; any iterable, read as needed.
            options: How to decode.
            batch_size: Images the model sees at once; None is 16, or fewer where memory is short.
            limits: The largest image to decode.
            return_attention: Fill `Caption.attention` (see `caption`).

        Yields:
            One record per image, in order.

        Raises:
            UsageError: `batch_size` is below 1, or the options do not suit the model.
        """
        if batch_size is not None and batch_size < 1:
            raise UsageError(f"--batch-size is {batch_size}; it must be at least 1")
        settings, notes = self._checked_settings(options or DecodeOptions(), return_attention)
        caption = partial(
            self.caption_prepared, settings=settings, notes=notes, return_attention=return_attention
        )
        for batch in self.prepared_batches(images, batch_size, limits=limits):
            yield from for_prepared(caption, batch)

    def _checked_settings(
        self, options: DecodeOptions, return_attention: bool
    ) -> tuple[DecodeSettings, tuple[str, ...]]:
        settings, notes = self.settings(options)
        if return_attention and (obstacle := self.runtime.obstacle()):
            raise ModelError(f"{self.name}: {obstacle}")
        return settings, notes

    def _with_thumbnails(
        self,
        batch: Sequence[Prepared | CaptionFailure],
        settings: DecodeSettings,
        notes: tuple[str, ...],
        return_attention: bool,
    ) -> Iterator[Record]:
        """Caption a batch; the captions have thumbnails, which notebooks show."""
        caption = partial(
            self.caption_prepared, settings=settings, notes=notes, return_attention=return_attention
        )
        for item, record in zip(batch, for_prepared(caption, batch), strict=True):
            if isinstance(record, Caption) and isinstance(item, Prepared):
                record = dataclasses.replace(record, thumbnail=item.thumbnail)
            yield record

    def prepared_batches(
        self,
        images: Iterable[ImageSource],
        batch_size: int | None = None,
        *,
        limits: ImageLimits = DEFAULT_LIMITS,
        thumbnail: bool = False,
    ) -> Iterator[list[Prepared | CaptionFailure]]:
        """Prepare images in batches, the next one in a thread while the caller has this one."""
        prepare = partial(self.prepare, limits=limits, thumbnail=thumbnail)
        return batches_ahead(prepare, images, self.batch_of(batch_size))

    def until(self, stop: Event) -> Captioner:
        """Return this captioner, giving up what takes long, as requests, once `stop` is set."""
        runtime = self.runtime.until(stop)
        if runtime is self.runtime:
            return self
        return type(self)(self.model, runtime, self._load, self.prompting.prompt)

    def batch_of(self, size: int | None, lanes: int = 1) -> int:
        """Return the batch size to use: `size`, or less if the model cannot take as many.

        None is what suits the memory that is available, with `lanes` batches at the same time.
        """
        if size is None:
            size = fitting_batch(self.runtime.image_bytes, lanes)
        return self.runtime.batch_of(size)

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

        An image that cannot be read, or whose shape is too extreme, becomes a failure.

        Args:
            image: An image, as for `caption`.
            path: Its name in records and messages; by default its path.
            sha256: SHA-256 of its file, for the record; by default that of the bytes that are
                read. Pixels have none.
            limits: The largest image to decode.
            thumbnail: Also make a small copy.
            keep_image: Also keep the decoded image.
        """
        return prepare_image(
            self.runtime,
            self.prompting,
            image,
            path=path,
            sha256=sha256,
            limits=limits,
            thumbnail=thumbnail,
            keep_image=keep_image,
        )

    def caption_prepared(
        self,
        batch: Sequence[Prepared],
        settings: DecodeSettings,
        notes: tuple[str, ...] = (),
        *,
        revision: str | None = None,
        return_attention: bool = False,
    ) -> list[Record]:
        """Caption prepared images, all of one shape, at once.

        An image whose caption has less than the minimum confidence becomes a failure.

        Args:
            batch: The images.
            settings: Decoding settings (see `settings`).
            notes: What was changed on the way, for the records.
            revision: The model's revision in records; by default its commit, or the hash of its
                files.
            return_attention: Fill `Caption.attention` (see `caption`).
        """
        return self._records.records(
            batch, settings, notes, revision=revision, return_attention=return_attention
        )

    def record_settings(self, settings: DecodeSettings) -> dict[str, Any]:
        """Return the settings in the form that records hold."""
        return self._records.settings(settings)


def _loaded(
    kind: type[Captioner], model: CaptionModel, load: Callable[[], Runtime], prompt: Prompt
) -> Captioner:
    return kind(model, load(), load, prompt)
