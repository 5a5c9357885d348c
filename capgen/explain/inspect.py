"""One image inspected: the encoder's input, token probabilities, captions decoded otherwise."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from capgen.captioning.captioner import Captioner
from capgen.captioning.to_record import caption_or_raise
from capgen.config import DecodeOptions, ImageLimits
from capgen.explain.explain import explains, prepare_to_explain
from capgen.images.load import DEFAULT_LIMITS, ImageSource
from capgen.records import SCHEMA_VERSION, Caption

Floats = NDArray[np.float32]

RUNNERS_UP = 5
# Ways of decoding to compare: name → options.
WAYS: Mapping[str, DecodeOptions] = {
    "greedy": DecodeOptions(beams=1),
    "3 beams": DecodeOptions(beams=3),
    "5 beams": DecodeOptions(beams=5),
    "sampling, temperature 0.7, seed 0": DecodeOptions(temperature=0.7, seed=0),
    "sampling, temperature 1.0, seed 0": DecodeOptions(temperature=1.0, seed=0),
    "sampling, top-p 0.9, seed 0": DecodeOptions(top_p=0.9, seed=0),
}


@dataclass(frozen=True, kw_only=True)
class Statistics:
    """A summary of the numbers in an array of `shape`."""

    name: str
    shape: tuple[int, ...]
    mean: float
    std: float
    least: float
    most: float


@dataclass(frozen=True, kw_only=True)
class Choice:
    """A token, and the probability that the model gave it."""

    id: int
    text: str
    probability: float


@dataclass(frozen=True, kw_only=True)
class Step:
    """One token of the caption.

    Attributes:
        id: Index into the vocabulary.
        text: What it adds to the caption.
        probability: Its probability in decoding, with penalties and temperature.
        model_probability: Its probability in the model, or None without a replay.
        rank: Its rank among all tokens, 1 for the likeliest, or None without a replay.
        runners_up: The likeliest other tokens.
    """

    id: int
    text: str
    probability: float
    model_probability: float | None = None
    rank: int | None = None
    runners_up: tuple[Choice, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Inspection:
    """What `capgen caption --debug` shows.

    Attributes:
        caption: The caption.
        seen: The image as the encoder saw it, before normalisation.
        preprocessing: The model's `preprocessor_config.json`.
        statistics: Of the encoder's input, per channel, and of the features the decoder sees.
        steps: The caption, token by token.
        others: Captions from other ways of decoding, by name.
        notes: What could not be computed.
    """

    caption: Caption
    seen: Image.Image
    preprocessing: Mapping[str, Any]
    statistics: tuple[Statistics, ...]
    steps: tuple[Step, ...]
    others: Mapping[str, Caption]
    notes: tuple[str, ...]

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON form: built-in types only, with `schema_version`."""
        return {
            "schema_version": SCHEMA_VERSION,
            "caption": self.caption.to_dict(),
            "input": {
                "width": self.seen.width,
                "height": self.seen.height,
                "preprocessing": dict(self.preprocessing),
            },
            "statistics": [{**asdict(each), "shape": list(each.shape)} for each in self.statistics],
            "steps": [
                {**asdict(step), "runners_up": list(map(asdict, step.runners_up))}
                for step in self.steps
            ],
            "others": {
                name: {"caption": each.text, "score": each.score, "settings": dict(each.settings)}
                for name, each in self.others.items()
            },
            "notes": list(self.notes),
        }


def inspect_image(
    captioner: Captioner,
    image: ImageSource,
    options: DecodeOptions | None = None,
    *,
    limits: ImageLimits = DEFAULT_LIMITS,
) -> Inspection:
    """Caption one image and gather what explains the caption.

    Raises:
        ImageError: The image cannot be read.
        ModelError: The model has its own code, and its encoder is not known; or it is on a server.
        UsageError: The options do not suit the model.
    """
    prepared, upright = prepare_to_explain(captioner, image, limits)

    def captioned(chosen: DecodeOptions) -> Caption:
        settings, notes = captioner.settings(chosen)
        return caption_or_raise(captioner.caption_prepared([prepared], settings, notes)[0])

    caption = captioned(options or DecodeOptions())
    runtime, notes = captioner.runtime, []
    steps = [
        Step(id=each.id, text=each.text, probability=each.probability)
        for each in caption.tokens
        if each.id is not None
    ]
    if not explains(captioner):
        notes.append(f"No runners-up: {runtime.obstacle()}")
    elif steps:
        log_probs = runtime.replay(prepared.input, [step.id for step in steps]).log_probs
        steps = [
            _with_alternatives(step, row, lambda token: runtime.decode([token]).strip())
            for step, row in zip(steps, log_probs, strict=True)
        ]
    preprocessor, arrays = runtime.preprocessor, {}
    if preprocessor is not None:
        channels = zip(("red", "green", "blue"), prepared.pixels, strict=True)
        arrays = {f"input, {name}": plane for name, plane in channels}
        arrays |= runtime.features(prepared.input)
    return Inspection(
        caption=caption,
        seen=upright if preprocessor is None else Image.fromarray(preprocessor.reshape(upright)),
        preprocessing={} if preprocessor is None else preprocessor.to_dict(),
        statistics=tuple(_statistics(name, array) for name, array in arrays.items()),
        steps=tuple(steps),
        others={name: captioned(way) for name, way in WAYS.items()},
        notes=tuple(notes),
    )


def _statistics(name: str, array: Floats) -> Statistics:
    return Statistics(
        name=name,
        shape=array.shape,
        mean=float(array.mean()),
        std=float(array.std()),
        least=float(array.min()),
        most=float(array.max()),
    )


def _with_alternatives(step: Step, log_probs: Floats, text: Callable[[int], str]) -> Step:
    """Return a token with its place in the model's distribution; `text` spells a token."""
    order: Sequence[int] = np.argsort(-log_probs, kind="stable").tolist()
    others = [other for other in order[: RUNNERS_UP + 1] if other != step.id][:RUNNERS_UP]
    return replace(
        step,
        model_probability=float(np.exp(log_probs[step.id])),
        rank=order.index(step.id) + 1,
        runners_up=tuple(
            Choice(id=other, text=text(other), probability=float(np.exp(log_probs[other])))
            for other in others
        ),
    )
