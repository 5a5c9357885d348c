"""What a runtime offers, whichever library computes."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from capgen.captioning.decoding.hypotheses import Hypothesis, NounTable
from capgen.captioning.prompts import Prompt
from capgen.config import DecodeSettings
from capgen.errors import UsageError
from capgen.models.preprocessing.preprocess import Preprocessor


@dataclass(frozen=True, slots=True, eq=False)
class ModelInput:
    """What a runtime makes a caption from; its own `prepare` makes one.

    Attributes:
        content: (3, H, W) float32 pixels for encoders; for models with a processor, what that
            makes of the image and the prompt, arrays or tensors by name, or an upright RGB
            image to be prepared later; an encoded image for servers.
        prompt: What to tell the model about this image: the beginning of the caption for
            captioners, a message for models that follow prompts. May be empty.
    """

    content: NDArray[np.float32] | Mapping[str, Any] | Image.Image | bytes
    prompt: str = ""

    @property
    def pixels(self) -> NDArray[np.float32]:
        """The (3, H, W) float32 pixels of an encoder's input."""
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
class Generated:
    """What a model generated for a batch of images.

    Attributes:
        hypotheses: For each image, best first: all finished beams of a beam search, else
            `num_captions` samples, or the one greedy caption.
        summarise: Returns a summary (B, D) float32 of each image: the mean of the first decoder
            layer's cross-attention values over the image's cells (without cross-attention, of
            the encoder's states), the same in both runtimes. Raises ModelError if the model's
            encoder is not known.
    """

    hypotheses: list[list[Hypothesis]]
    summarise: Callable[[], NDArray[np.float32]]


class Runtime(Protocol):
    """Captions prepared images with one model.

    Attributes:
        name: `onnx` or `torch`.
        device: Where it computes, such as `cpu` or `cuda`.
        dtype: Type it computes in, such as `float32`.
        answers: Whether it answers prompts: lengths are those of the answer alone, and search
            settings that are meant for conversations are not its defaults for captions.
        nouns: Which tokens begin which noun, so that a caption uses each noun once; None where
            that is unknown, as for languages other than English.
    """

    name: str
    device: str
    dtype: str
    answers: bool

    @property
    def preprocessor(self) -> Preprocessor | None:
        """How images become pixels; None if the model prepares them itself."""
        ...

    @property
    def nouns(self) -> NounTable | None: ...

    @property
    def size_hint(self) -> tuple[int, int] | None:
        """(width, height) that decoding an image needs at least; None for all of it."""
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

    def prepare(self, image: Image.Image, prompt: str) -> ModelInput:
        """Make an upright RGB image and its prompt the model's input. Thread-safe.

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
        """Feed the tokens (at least one) of a caption of one image.

        Raises:
            ModelError: The model has no cross-attention.
        """
        ...


class PixelRuntime:
    """What runtimes share whose inputs are pixels that a `Preprocessor` makes."""

    answers = False
    preprocessor: Preprocessor

    def prompt_for(self, asked: Prompt) -> str:
        """Return the words that captions begin with.

        Raises:
            UsageError: There is a message, which these models do not read.
        """
        if asked.name or asked.system:
            what = f"--prompt {asked.name}" if asked.name else "--system"
            raise UsageError(
                f"{what} is a message, and this model does not read messages",
                hint='Give the words that captions begin with: --prompt "a photo of".',
            )
        return asked.text

    @property
    def size_hint(self) -> tuple[int, int] | None:
        """(width, height) that decoding an image needs at least; None for all of it."""
        size = self.preprocessor.input_size
        return None if size is None else size[::-1]

    def batch_of(self, size: int) -> int:
        """Return `size`, or 1 if pixels keep each image's shape."""
        return 1 if self.preprocessor.input_size is None else size

    def prepare(self, image: Image.Image, prompt: str) -> ModelInput:
        """Make an upright RGB image (3, H, W) float32."""
        return ModelInput(self.preprocessor.preprocess(image), prompt)


def stacked(inputs: Sequence[ModelInput]) -> NDArray[np.float32]:
    """Return the pixels of inputs as one array (B, 3, H, W)."""
    return np.stack([each.pixels for each in inputs])
