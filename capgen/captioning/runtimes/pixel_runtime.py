"""What runtimes share whose inputs are pixels: prompts as the words that captions begin with."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from threading import Event
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from capgen.captioning.decoding.noun_table import NounTable
from capgen.captioning.prompts import Prompt, one_spaced
from capgen.captioning.runtimes.base import Generated, ModelInput, Replay, ReshapedImage
from capgen.config import DecodeSettings
from capgen.errors import UsageError
from capgen.models.preprocessing.preprocess import Preprocessor

# Characters of a prompt that a message shows.
_SHOWN = 60


class PixelRuntime(ABC):
    """A `Runtime` whose inputs are pixels that a `Preprocessor` makes.

    A class for one library has the abstract methods, and sets the attributes.

    Attributes:
        name: See `Runtime`.
        device: See `Runtime`.
        dtype: See `Runtime`.
        preprocessor: How images become pixels.
        unknown_token: The token of words that are not in the vocabulary, or None.
    """

    name: str
    device: str
    dtype: str
    answers = False
    preprocessor: Preprocessor
    unknown_token: int | None = None
    in_flight: ClassVar[int] = 0
    recorded: ClassVar[Mapping[str, Any]] = {}

    @property
    @abstractmethod
    def nouns(self) -> NounTable | None:
        """Which tokens begin which noun, or None: see `Runtime`."""

    @abstractmethod
    def token_ids(self, text: str) -> tuple[int, ...]:
        """Return a text as the decoder reads it; names of special tokens in it are text."""

    @abstractmethod
    def generate(self, inputs: Sequence[ModelInput], settings: DecodeSettings) -> Generated:
        """Caption prepared images."""

    @abstractmethod
    def decode(self, ids: Sequence[int]) -> str:
        """Return the text of token ids, special tokens left out."""

    @abstractmethod
    def obstacle(self) -> str:
        """Return why captions cannot be replayed, or an empty string."""

    @abstractmethod
    def features(self, image: ModelInput) -> dict[str, NDArray[np.float32]]:
        """Return what the decoder sees of one image, by name."""

    @abstractmethod
    def replay(self, image: ModelInput, ids: Sequence[int]) -> Replay:
        """Feed the generated tokens (at least one) of a caption of one image, behind its start."""

    def prompt_for(self, asked: Prompt) -> str:
        """Return the words that captions begin with.

        Raises:
            UsageError: There is a message, which these models do not read.
        """
        if asked.name or asked.system:
            what = f"--prompt {asked.name}" if asked.name else "--system"
            raise UsageError(
                f"{what} is a message, and this model does not read messages",
                hint='Give the words that captions begin with: --prompt "a photo of". Models that '
                "follow prompts are in: capgen models list --known",
            )
        if asked.text and asked.start_with:
            raise UsageError(
                "--prompt and --start-with are the same for this model: the words that captions "
                "begin with",
                hint="Leave out one of them.",
            )
        return one_spaced(asked.text)

    def check_prompt(self, prompt: str, start: str, max_length: int) -> tuple[str, ...]:
        """Check the words that captions begin with; return a note if the model lacks some.

        Raises:
            UsageError: They are nothing in the model's tokens, or leave no room for another.
        """
        start = start or prompt
        if not start:
            return ()
        shown = start if len(start) <= _SHOWN else start[:_SHOWN] + "…"
        ids = self.token_ids(start)
        if not ids:
            raise UsageError(
                f"Captions cannot begin with '{shown}': this model has no tokens for it",
                hint="Begin with words.",
            )
        if len(ids) + 2 > max_length:  # the start token comes first, and one more is generated
            raise UsageError(
                f"Captions cannot begin with '{shown}': that is {len(ids)} tokens, and a caption "
                f"has at most {max_length}, start and end included",
                hint="Begin with fewer words, or raise --max-length if the model allows more.",
            )
        unknown = [word for word in start.split() if self.unknown_token in self.token_ids(word)]
        if not unknown:
            return ()
        words = ", ".join(f"'{word}'" for word in unknown)
        return (f"not in the model's vocabulary, so it cannot heed them: {words}",)

    @property
    def image_bytes(self) -> int:
        """Main memory that an image of a batch takes; 0: unknown."""
        return 0

    @property
    def gives_concepts(self) -> bool:
        """Whether the model has a concept head."""
        return False

    @property
    def size_hint(self) -> tuple[int, int] | None:
        """(width, height) that decoding an image needs at least; None for all of it."""
        size = self.preprocessor.input_size
        return None if size is None else size[::-1]

    def until(self, stop: Event) -> Self:
        """Return this runtime: it computes here."""
        return self

    def with_system(self, system: str) -> Self:
        """Return this runtime: `prompt_for` refuses system messages."""
        return self

    def batch_of(self, size: int) -> int:
        """Return `size`, or 1 if pixels keep each image's shape."""
        return 1 if self.preprocessor.input_size is None else size

    def prepare(self, image: Image.Image, prompt: str, start: str = "") -> ModelInput:
        """Make an upright RGB image the encoder's input; a prompt is the caption's start."""
        if self.preprocessor.input_size is None:
            # Of any size: where memory is too small for it, this image alone must fail.
            return ModelInput(self.preprocessor.preprocess(image), prompt, start or prompt)
        reshaped = ReshapedImage(self.preprocessor.reshape(image), self.preprocessor)
        return ModelInput(reshaped, prompt, start or prompt)


def by_start(inputs: Sequence[ModelInput]) -> dict[str, list[int]]:
    """Return the places of inputs that begin with the same words, by those words."""
    places: dict[str, list[int]] = {}
    for place, each in enumerate(inputs):
        places.setdefault(each.start, []).append(place)
    return places


def stacked(inputs: Sequence[ModelInput]) -> NDArray[np.float32]:
    """Return the pixels of inputs as one array (B, 3, H, W)."""
    return np.stack([each.pixels for each in inputs])
