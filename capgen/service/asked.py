"""What requests ask for: options over the service's own, resolved once for the same options."""

from __future__ import annotations

import dataclasses
import json
import threading
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from capgen.captioning.captioner import Captioner
from capgen.captioning.prepare import Prepared
from capgen.captioning.prompts import resolve_prompt
from capgen.config import DecodeOptions, DecodeSettings, ImageLimits, PromptOptions, parse_setting
from capgen.errors import UsageError, did_you_mean
from capgen.records import CaptionFailure, Record
from capgen.service.caps import Caps

# Different options that are kept resolved.
_MOST_KEPT = 64
_PROMPT = tuple(field.name for field in dataclasses.fields(PromptOptions))
_DECODING = tuple(field.name for field in dataclasses.fields(DecodeOptions))
# Of the operator only: the regular expressions of strangers could take any time and memory.
_UNASKABLE = ("replace",)
# Longer ones are no prompt for a caption; the file of a prompt is not read from requests.
_LONGEST_TEXT = 20_000


@dataclass(frozen=True, kw_only=True)
class RequestOptions:
    """Options of a request: how to decode, and what to ask the model."""

    decoding: DecodeOptions
    prompt: PromptOptions

    def with_given(self, given: Mapping[str, Any]) -> RequestOptions:
        """Return these options with some others.

        Args:
            given: Name → a value of JSON, or text, or a list of texts, as forms have them.

        Raises:
            UsageError: A name is unknown, or a value is not one of its option.
        """
        decoding: dict[str, Any] = {}
        prompt: dict[str, Any] = {}
        for name, value in given.items():
            if name in _UNASKABLE:
                raise UsageError(
                    f"{name} is not taken from requests", hint="Start the service with it."
                )
            if name in _PROMPT:
                prompt[name] = _value(PromptOptions, name, value)
            elif name in _DECODING:
                decoding[name] = _value(DecodeOptions, name, value)
            else:
                hint = did_you_mean(name, (*_DECODING, *_PROMPT))
                raise UsageError(f"Unknown option '{name[:100]}'", hint=hint)
        return RequestOptions(
            decoding=replace(self.decoding, **decoding), prompt=replace(self.prompt, **prompt)
        )


def _is_unicode(text: str) -> bool:
    """Whether a text has no half of a surrogate pair, which JSON can hold."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _value(kind: type, name: str, value: Any) -> Any:
    default = {field.name: field.default for field in dataclasses.fields(kind)}[name]
    if value is None:
        return default
    if isinstance(value, list):
        if not all(isinstance(item, str) for item in value):
            raise UsageError(f"{name} must be a list of texts")
        if len(value) != 1:
            raise UsageError(f"{name} is given {len(value)} times")
        value = value[0]
    if isinstance(value, Mapping):
        raise UsageError(f"{name} cannot be an object")
    text = value if isinstance(value, str) else json.dumps(value)
    if len(text) > _LONGEST_TEXT:
        raise UsageError(f"{name} has {len(text):,} characters; at most {_LONGEST_TEXT:,} are read")
    if not _is_unicode(text):
        raise UsageError(f"{name} is not valid text")
    if isinstance(value, str) and kind is PromptOptions:
        return text
    return parse_setting(kind, name, text)


@dataclass(frozen=True, eq=False)
class Asked:
    """Options that are resolved: images with the same `Asked` may share a batch.

    Attributes:
        captioner: Asks the model.
        settings: How to decode.
        notes: What was changed on the way.
        model: The model's name in records.
        revision: The model's revision in records.
        batch_size: Most images at once.
    """

    captioner: Captioner
    settings: DecodeSettings
    notes: tuple[str, ...]
    model: str
    revision: str
    batch_size: int

    def prepare(
        self, data: bytes, name: str | None, limits: ImageLimits
    ) -> Prepared | CaptionFailure:
        """Decode an image and make it the model's input."""
        made = self.captioner.prepare(data, path=name, limits=limits)
        return self.failed(made) if isinstance(made, CaptionFailure) else made

    def failed(self, failure: CaptionFailure) -> CaptionFailure:
        """Return a failure that records what was asked, as a caption does."""
        settings = self.captioner.record_settings(self.settings)
        return replace(failure, model=self.model, revision=self.revision, settings=settings)

    def caption(self, batch: Sequence[Prepared]) -> list[Record]:
        """Caption prepared images; see `Captioner.caption_prepared`."""
        made = self.captioner.caption_prepared(
            batch, self.settings, self.notes, revision=self.revision
        )
        return [replace(record, model=self.model) for record in made]


class Resolver:
    """Resolves the options of requests for a model. Thread-safe.

    Args:
        captioner: The model.
        defaults: The options of requests that say nothing.
        name: The model's name in records.
        batch_size: Most images at once.
        caps: How much work requests may ask for.

    Raises:
        UsageError: The model does not take the default options.
    """

    def __init__(
        self,
        captioner: Captioner,
        defaults: RequestOptions,
        name: str,
        batch_size: int | None,
        caps: Caps,
    ) -> None:
        self.captioner = captioner
        self.defaults = defaults
        self.name = name
        self.caps = caps
        self.revision = captioner.model.fingerprint
        self._batch_size = batch_size
        self._lock = threading.Lock()
        self._kept: OrderedDict[RequestOptions, Asked] = OrderedDict()
        self._prompted: OrderedDict[PromptOptions, Captioner] = OrderedDict()
        self._prompted[defaults.prompt] = captioner
        self.resolve(defaults)

    def resolve(self, options: RequestOptions) -> Asked:
        """Return what options mean for the model.

        Raises:
            UsageError: The model does not take them.
        """
        self.caps.check(options.decoding)
        with self._lock:
            asked = self._kept.get(options)
            if asked is None:
                captioner = self._captioner(options.prompt)
                try:
                    settings, notes = captioner.settings(options.decoding)
                except UsageError as error:
                    message, hint = map(self._without_folder, (error.message, error.hint))
                    raise UsageError(message, hint=hint) from error
                asked = Asked(
                    captioner,
                    settings,
                    tuple(map(self._without_folder, notes)),
                    model=self.name,
                    revision=self.revision,
                    batch_size=captioner.batch_of(self._batch_size),
                )
                self._kept[options] = asked
            _keep(self._kept, options)
            return asked

    def _without_folder(self, text: str) -> str:
        """Return a text with the model's name for answers: its folder is nobody's business."""
        return text.replace(self.captioner.name, self.name)

    def _captioner(self, prompt: PromptOptions) -> Captioner:
        """Return what asks a prompt; captioners of one model share its weights."""
        if prompt not in self._prompted:
            own = self.captioner
            runtime = own.runtime
            if prompt.system != self.defaults.prompt.system:
                runtime = runtime.with_system(prompt.system or "")
            self._prompted[prompt] = Captioner(own.model, runtime, prompt=resolve_prompt(prompt))
        _keep(self._prompted, prompt)
        return self._prompted[prompt]


def _keep(kept: OrderedDict[Any, Any], key: Any) -> None:
    """Note that a value was used; forget what was not for the longest time."""
    kept.move_to_end(key)
    while len(kept) > _MOST_KEPT:
        kept.popitem(last=False)
