"""The Captioner: images in, Caption records out."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cached_property, partial
from threading import Event
from typing import TYPE_CHECKING, Any, overload

from capgen.captioning.caption_model import CaptionModel
from capgen.captioning.confidence.calibration_file import (
    Calibration,
    CalibrationPlace,
    place_in_folder,
    place_of_served,
)
from capgen.captioning.confidence.model import Fit
from capgen.captioning.edit_captions import edit_captions
from capgen.captioning.prepare import Prepared, batches_ahead, failure_of, for_prepared
from capgen.captioning.prompting import Prompting
from capgen.captioning.prompts import Prompt, resolve_prompt
from capgen.captioning.retry import caption_inputs
from capgen.captioning.runtimes.base import NoCaption
from capgen.captioning.runtimes.select import check_runtime, load_runtime
from capgen.captioning.to_record import caption_or_raise, uncaptioned, with_confidence
from capgen.captioning.word_notes import with_word_notes
from capgen.config import (
    DecodeOptions,
    DecodeSettings,
    ImageLimits,
    ModelOptions,
    resolve_decoding,
    resolve_served,
)
from capgen.config.prompts import ANSWER_TOKENS
from capgen.errors import ImageError, ModelError, UsageError
from capgen.images.decoders import printable
from capgen.images.load import DEFAULT_LIMITS, ImageSource, load_image, read_file
from capgen.images.thumbnails import thumbnail as make_thumbnail
from capgen.models.folder import ModelFolder
from capgen.models.resolve import resolve_model
from capgen.records import Caption, CaptionFailure, Record

if TYPE_CHECKING:
    from capgen.captioning.runtimes.base import Runtime

DEFAULT_BATCH_SIZE = 16
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
        self._asked = prompt or Prompt()
        self.prompting = Prompting(runtime, self._asked)

    @classmethod
    def from_pretrained(
        cls,
        model: str | os.PathLike[str] | None = None,
        *,
        threads: int | None = None,
        **options: Any,
    ) -> Captioner:
        """Load a captioner.

        Args:
            model: None or `mini` for the bundled model, a model folder, `RUN/best-eval` of a
                training run, or a Hub id, as in `USER/NAME` or `USER/NAME@REVISION`.
            threads: Threads of ONNX Runtime; None uses every core.
            **options: Fields of `capgen.config.ModelOptions`: `device="cuda"`, `dtype="bf16"`,
                `runtime="torch"`, `prompt="alt"`, …

        Raises:
            ModelError: The model cannot be found or is not a captioner.
            NetworkError: The model is not on this machine, and the Hub cannot be reached.
            UsageError: An option is unknown or has no such value, or there is no such device.
        """
        name = None if model is None else os.fspath(model)
        try:
            asked = ModelOptions(model=name, **options)
        except TypeError as error:
            raise UsageError(f"Unknown model option: {error}") from error
        return cls.from_options(asked, threads=threads)

    @classmethod
    def from_endpoint(cls, url: str, model: str | None = None, **options: Any) -> Captioner:
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
        return cls.from_pretrained(model, endpoint=url, **options)

    @classmethod
    def from_options(cls, options: ModelOptions, *, threads: int | None = None) -> Captioner:
        """Load the captioner that options name; see `from_pretrained` and `from_endpoint`."""
        if options.served:
            return _at_endpoint(cls, options)
        check_runtime(options.runtime, options.device, options.dtype)
        folder = resolve_model(
            options.model,
            revision=options.revision,
            trust_remote_code=options.trust_remote_code,
        )
        load = partial(load_runtime, folder, options, threads=threads)
        return cls(folder, load(), load, resolve_prompt(options))

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle how the model is loaded, since sessions of its runtime cannot be pickled."""
        if self._load is None:
            raise TypeError("Only a Captioner made by Captioner.from_pretrained can be pickled")
        return _loaded, (type(self), self.model, self._load, self._asked)

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
        settings, notes = self._resolved(options)
        notes += self.prompting.check(settings)
        fit, reason = self._fit(settings)
        if fit is not None or not settings.confidence:
            return settings, notes
        if settings.min_confidence is not None:
            raise UsageError(f"--min-confidence: {reason}", hint="See capgen calibrate --help")
        return settings, (*notes, f"no confidence: {reason}")

    def _resolved(self, options: DecodeOptions) -> tuple[DecodeSettings, tuple[str, ...]]:
        if not isinstance(self.model, ModelFolder):
            return resolve_served(options), ()
        return resolve_decoding(
            options,
            self.model.generation,
            positions=self.model.positions,
            knows_nouns=self.runtime.nouns is not None,
            answer_tokens=self._answer_tokens,
        )

    @property
    def calibration_place(self) -> CalibrationPlace:
        """Where the fits of the confidence are."""
        if isinstance(self.model, ModelFolder):
            return place_in_folder(self.model)
        asked = {**self.runtime.recorded, **self.prompting.asked}
        return place_of_served(self.name, self.model.revision, asked)

    @property
    def _answer_tokens(self) -> int | None:
        """How long an answer to the prompt may be by default; None if the model answers none."""
        if not self.runtime.answers:
            return None
        asked = self._asked
        return ANSWER_TOKENS[asked.name if asked.name or asked.text else "caption"]

    @cached_property
    def _calibration(self) -> tuple[Calibration | None, str]:
        return self.calibration_place.read()

    def _fit(self, settings: DecodeSettings) -> tuple[Fit | None, str]:
        """Return the fit that gives captions their confidence, or None and why there is none."""
        calibration, reason = self._calibration if settings.confidence else (None, "")
        if calibration is None:
            return None, reason
        fit = calibration.fit_for(settings, self.prompting.asked)
        if fit is None and self.prompting.asked and calibration.fit_for(settings) is not None:
            return None, f"{self.name} is calibrated without this prompt"
        return fit, f"{self.name} is not calibrated for these decoding settings"

    @overload
    def caption(
        self, images: ImageSource, *, return_attention: bool = False, **options: Any
    ) -> Caption: ...
    @overload
    def caption(
        self, images: _Several, *, return_attention: bool = False, **options: Any
    ) -> list[Caption]: ...
    def caption(
        self, images: ImageSource | _Several, *, return_attention: bool = False, **options: Any
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
        try:
            chosen = DecodeOptions(**options)
        except TypeError as error:
            raise UsageError(f"Unknown decoding option: {error}") from error
        sources = images if isinstance(images, list | tuple) else [images]
        records = self.stream(sources, chosen, return_attention=return_attention)
        captions = [caption_or_raise(record) for record in records]
        return captions if sources is images else captions[0]

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

        The next batch is read while the model works on this one. An image's caption does not
        depend on the others in its batch.

        Args:
            images: Images, as for `caption`; any iterable, read as needed.
            options: How to decode.
            batch_size: Images the model sees at once.
            limits: The largest image to decode.
            return_attention: Fill `Caption.attention` (see `caption`).

        Yields:
            One record per image, in order.

        Raises:
            UsageError: `batch_size` is below 1, or the options do not suit the model.
        """
        if batch_size < 1:
            raise UsageError(f"--batch-size is {batch_size}; it must be at least 1")
        settings, notes = self.settings(options or DecodeOptions())
        if return_attention and (obstacle := self.runtime.obstacle()):
            raise ModelError(f"{self.name}: {obstacle}")
        caption = partial(
            self.caption_prepared, settings=settings, notes=notes, return_attention=return_attention
        )
        for batch in self.prepared_batches(images, batch_size, limits=limits):
            yield from for_prepared(caption, batch)

    def prepared_batches(
        self,
        images: Iterable[ImageSource],
        batch_size: int = DEFAULT_BATCH_SIZE,
        *,
        limits: ImageLimits = DEFAULT_LIMITS,
    ) -> Iterator[list[Prepared | CaptionFailure]]:
        """Prepare images in batches, the next one in a thread while the caller has this one."""
        prepare = partial(self.prepare, limits=limits)
        return batches_ahead(prepare, images, self.batch_of(batch_size))

    def until(self, stop: Event) -> Captioner:
        """Return this captioner, sending no request to a server once `stop` is set."""
        runtime = self.runtime.until(stop)
        if runtime is self.runtime:
            return self
        return type(self)(self.model, runtime, self._load, self._asked)

    def batch_of(self, size: int) -> int:
        """Return the batch size to use: `size`, or less if the model cannot take as many."""
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
            sha256: SHA-256 of its file, for the record.
            limits: The largest image to decode.
            thumbnail: Also make a small copy.
            keep_image: Also keep the decoded image.
        """
        if path is None and isinstance(image, str | os.PathLike):
            path = os.fspath(image)
        try:
            name = None if path is None else printable(path) or "''"
            if self.prompting.placeholders and isinstance(image, str | os.PathLike):
                image = read_file(os.fspath(image), name or "''", limits)
            prompt, start = self.prompting.of_image(path, image)
            size_hint = self.runtime.size_hint
            loaded = load_image(image, limits=limits, name=name, size_hint=size_hint)
            made = self.runtime.prepare(loaded.image, prompt, start)
            small = make_thumbnail(loaded.image) if thumbnail else None
            kept = loaded.image if keep_image else None
            size = (loaded.width, loaded.height)
            return Prepared(path, *size, made, sha256, small, kept, prompt or None)
        except (ImageError, MemoryError) as error:
            return failure_of(error, path)

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
            revision: The model's revision in records; by default its commit.
            return_attention: Fill `Caption.attention` (see `caption`).
        """
        shared: dict[str, Any] = {
            "model": self.name,
            "revision": self.model.revision if revision is None else revision,
            "settings": self.record_settings(settings),
        }
        checked = self.prompting.check_each(batch, settings)
        usable = [
            (item, (*notes, *said))
            for item, said in zip(batch, checked, strict=True)
            if not isinstance(said, CaptionFailure)
        ]
        made = iter(self._captioned(usable, settings, shared, return_attention))
        return [
            replace(said, **shared) if isinstance(said, CaptionFailure) else next(made)
            for said in checked
        ]

    def _captioned(
        self,
        noted: Sequence[tuple[Prepared, tuple[str, ...]]],
        settings: DecodeSettings,
        shared: Mapping[str, Any],
        return_attention: bool,
    ) -> list[Record]:
        """Caption prepared images with notes on each; `shared` are fields of all their records."""
        if not noted:
            return []
        batch = [item for item, _ in noted]
        inputs = [item.input for item in batch]
        captions, generated = caption_inputs(self.runtime, inputs, settings)
        records: list[Record] = [
            uncaptioned(caption, item.path, sha256=item.sha256, **shared)
            if isinstance(caption, NoCaption)
            else with_word_notes(
                replace(caption, **item.record_fields(), **shared, notes=(*said, *caption.notes)),
                settings,
            )
            for (item, said), caption in zip(noted, captions, strict=True)
        ]
        if return_attention:
            from capgen.captioning.attention import with_attention

            records = [
                with_attention(self.runtime, item.input, record, self.name)
                if isinstance(record, Caption)
                else record
                for item, record in zip(batch, records, strict=True)
            ]
        records = [
            edit_captions(record, settings) if isinstance(record, Caption) else record
            for record in records
        ]
        fit, _ = self._fit(settings)
        if fit is None:
            return records
        searches = zip(records, generated.hypotheses, generated.summarise(), strict=True)
        return [
            with_confidence(record, hypotheses, summary, fit, settings.min_confidence)
            if isinstance(record, Caption)
            else record
            for record, hypotheses, summary in searches
        ]

    def record_settings(self, settings: DecodeSettings) -> dict[str, Any]:
        """Return the settings in the form that records hold."""
        runtime = self.runtime
        known = {**settings.to_dict(), "runtime": runtime.name, "dtype": runtime.dtype}
        known |= runtime.recorded
        # Only what was asked for: journals from before there were prompts stay valid.
        known |= self.prompting.asked
        calibration = self._calibration[0] if settings.confidence else None
        # A record made before the model was calibrated again is not one made after.
        return known if calibration is None else {**known, "calibration": calibration.digest}


def _loaded(
    kind: type[Captioner], model: CaptionModel, load: Callable[[], Runtime], prompt: Prompt
) -> Captioner:
    return kind(model, load(), load, prompt)


def _at_endpoint(kind: type[Captioner], options: ModelOptions) -> Captioner:
    from capgen.captioning.endpoint.served_model import connect, runtime_of

    model, runtime = connect(options)
    return kind(model, runtime, partial(runtime_of, options, model.name), resolve_prompt(options))
