"""What a runtime offers, whichever library computes."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from threading import Event
from typing import Any, Protocol, Self

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from capgen.captioning.decoding.hypotheses import Hypothesis
from capgen.captioning.decoding.noun_table import NounTable
from capgen.captioning.prompts import Prompt
from capgen.config import DecodeSettings
from capgen.models.preprocessing.preprocess import Preprocessor
from capgen.records import Concept, Usage


@dataclass(frozen=True, slots=True, eq=False)
class ReshapedImage:
    """An image at the model's size that is not yet normalised: a quarter of the model's input.

    Attributes:
        array: (H, W, 3) uint8.
        preprocessor: How it is normalised.
    """

    array: NDArray[np.uint8]
    preprocessor: Preprocessor

    @property
    def nbytes(self) -> int:
        """How much memory it takes."""
        return self.array.nbytes

    def normalised(self) -> NDArray[np.float32]:
        """Return the encoder's input, (3, H, W)."""
        return self.preprocessor.normalise(self.array)


@dataclass(frozen=True, slots=True, eq=False)
class ModelInput:
    """What a runtime makes a caption from; its own `prepare` makes one.

    Attributes:
        content: For encoders (3, H, W) float32 pixels, or what they are made from when the
            encoder takes them; for models with a processor, what that
            makes of the image and the prompt, arrays or tensors by name, or an upright RGB
            image to be prepared later; an encoded image for servers.
        prompt: What to tell a model that follows prompts about this image. May be empty.
        start: The words that the caption begins with. May be empty.
    """

    content: NDArray[np.float32] | ReshapedImage | Mapping[str, Any] | Image.Image | bytes
    prompt: str = ""
    start: str = ""

    @property
    def pixels(self) -> NDArray[np.float32]:
        """The (3, H, W) float32 pixels of an encoder's input; computed anew at each access."""
        if isinstance(self.content, ReshapedImage):
            return self.content.normalised()
        assert isinstance(self.content, np.ndarray)
        return self.content

    @property
    def nbytes(self) -> int:
        """How much memory the content takes."""
        if isinstance(self.content, Image.Image):
            return self.content.width * self.content.height * len(self.content.getbands())
        if isinstance(self.content, Mapping):
            return sum(each.nbytes for each in self.content.values())
        return len(self.content) if isinstance(self.content, bytes) else self.content.nbytes


@dataclass(frozen=True)
class Replay:
    """What the model computes while the tokens of a caption are fed to it one by one.

    Attributes:
        log_probs: (T, V) float32, the model's distribution over the vocabulary at each given
            token, before any decoding setting changes it.
        attention: (T, layers, heads, cells) float32 cross-attention at each given token;
            over the cells it sums to one.
    """

    log_probs: NDArray[np.float32]
    attention: NDArray[np.float32]


@dataclass(frozen=True)
class NoCaption:
    """Why a server gave no caption of an image.

    Attributes:
        code: Stable name of the fault (see `capgen.errors.ImageError`).
        message: What happened, without the image's name.
        hint: What to do about it, or an empty string.
    """

    code: str
    message: str
    hint: str = ""


@dataclass(frozen=True)
class Generated:
    """What a model generated for a batch of images.

    Attributes:
        hypotheses: For each image, best first: all finished beams of a beam search, else
            `num_captions` samples, or the one greedy caption. None at all where a server failed.
        summarise: Returns a summary (B, D) float32 of each image: the mean of the first decoder
            layer's cross-attention values over the image's cells (without cross-attention, of
            the encoder's states), the same in ONNX Runtime and torch. For models that follow
            prompts it is the mean of their image features, for servers zeros. Raises ModelError
            if the model's encoder is not known.
        failures: Place of an image → why it has no hypotheses.
        usage: Place of an image → what it took of a server.
        notes: Place of an image → what was not as asked for, in plain words.
        concepts: For each image, the concepts that records have, likeliest first. Empty if the
            model has no concept head.
    """

    hypotheses: list[list[Hypothesis]]
    summarise: Callable[[], NDArray[np.float32]]
    failures: Mapping[int, NoCaption] = field(default_factory=dict)
    usage: Mapping[int, Usage] = field(default_factory=dict)
    notes: Mapping[int, tuple[str, ...]] = field(default_factory=dict)
    concepts: Sequence[tuple[Concept, ...]] = ()


class Runtime(Protocol):
    """Captions prepared images with one model.

    Attributes:
        name: `onnx`, `torch` or `endpoint`.
        device: Where it computes, such as `cpu` or `cuda`.
        dtype: Type it computes in, such as `float32`.
        in_flight: Requests to a server at the same time; 0 for what computes here.
        recorded: Further settings that captions depend on, for records.
        answers: Whether it answers prompts: lengths are those of the answer alone, and search
            settings that are meant for conversations are not its defaults for captions.
        nouns: Which tokens begin which noun, so that a caption uses each noun once; None where
            that is unknown, as for languages other than English.
        gives_concepts: Whether the model has a concept head, so that `generate` tells concepts.
    """

    name: str
    device: str
    dtype: str
    answers: bool

    @property
    def in_flight(self) -> int: ...

    @property
    def recorded(self) -> Mapping[str, Any]: ...

    @property
    def image_bytes(self) -> int:
        """Main memory that an image of a batch takes, roughly; 0 if that does not count."""
        ...

    @property
    def preprocessor(self) -> Preprocessor | None:
        """How images become pixels; None if the model prepares them itself."""
        ...

    @property
    def nouns(self) -> NounTable | None: ...

    @property
    def gives_concepts(self) -> bool: ...

    @property
    def size_hint(self) -> tuple[int, int] | None:
        """(width, height) that decoding an image needs at least; None for all of it."""
        ...

    def until(self, stop: Event) -> Self:
        """Return this runtime, giving up what takes long, as requests, once `stop` is set."""
        ...

    def with_system(self, system: str) -> Self:
        """Return this runtime with another system message; they share the model."""
        ...

    def batch_of(self, size: int) -> int:
        """Return how many inputs of any images `generate` takes at once: at most `size`."""
        ...

    def prompt_for(self, asked: Prompt) -> str:
        """Return what this model is asked, in the words that it understands; may be empty.

        Raises:
            UsageError: The model cannot be asked that.
        """
        ...

    def check_prompt(self, prompt: str, start: str, max_length: int) -> tuple[str, ...]:
        """Check the prompt and the start of captions of `max_length` tokens; return notes.

        Raises:
            UsageError: The model cannot begin a caption so, or no room is left for one.
        """
        ...

    def prepare(self, image: Image.Image, prompt: str, start: str = "") -> ModelInput:
        """Make an upright RGB image and what is asked about it the model's input. Thread-safe.

        Args:
            image: The image.
            prompt: The prompt, or "".
            start: The words that the caption begins with, or "".

        Raises:
            ImageError: The image's shape is too extreme.
        """
        ...

    def generate(self, inputs: Sequence[ModelInput], settings: DecodeSettings) -> Generated:
        """Caption prepared images."""
        ...

    def decode(self, ids: Sequence[int]) -> str:
        """Return the text of token ids, special tokens left out."""
        ...

    def obstacle(self) -> str:
        """Return why captions cannot be replayed, or an empty string."""
        ...

    def features(self, image: ModelInput) -> dict[str, NDArray[np.float32]]:
        """Return what the decoder sees of one image, by name.

        Raises:
            ModelError: The model has its own code, and its encoder is not known.
        """
        ...

    def replay(self, image: ModelInput, ids: Sequence[int]) -> Replay:
        """Feed the generated tokens (at least one) of a caption of one image, behind its start.

        Raises:
            ModelError: The model has no cross-attention.
        """
        ...
