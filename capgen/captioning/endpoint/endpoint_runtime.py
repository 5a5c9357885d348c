"""The runtime whose model is on a server that speaks the OpenAI chat protocol."""

from __future__ import annotations

import copy
import threading
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from io import BytesIO
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from capgen.captioning.endpoint.answers import Choice
from capgen.captioning.endpoint.client import Client, ImageRefusedError
from capgen.captioning.endpoint.requests import encoded, messages
from capgen.captioning.endpoint.served_captions import Served, served_image, total_usage
from capgen.captioning.endpoint.side_by_side import side_by_side
from capgen.captioning.prompts import Prompt
from capgen.captioning.runtimes.base import Generated, ModelInput, NoCaption, Replay
from capgen.config import NAMED_PROMPTS, DecodeSettings, EndpointOptions
from capgen.errors import ModelError, UsageError
from capgen.images.thumbnails import shrunk
from capgen.records import Usage

_OBSTACLE = "its server gives neither attention nor features"
# Drawings and screenshots: JPEG blurs their lines, and PNG makes them smaller.
_FEW_COLOURS = 256
_JPEG_QUALITY = 90


class EndpointRuntime:
    """Asks a model server for captions.

    Args:
        client: Asks the server.
        model: The server's name of the model.
        options: How many requests are in flight, and how large the images are.
        system: The system message, or "".
    """

    name = "endpoint"
    answers = True
    device = "server"
    dtype = "unknown"
    preprocessor = None
    nouns = None
    gives_concepts = False
    image_bytes = 0

    def __init__(
        self, client: Client, model: str, options: EndpointOptions, *, system: str = ""
    ) -> None:
        self.client = client
        self.model = model
        self.in_flight = options.concurrency
        self._side = options.send_size
        self._system = system
        self._stop: threading.Event | None = None

    @property
    def recorded(self) -> Mapping[str, Any]:
        """How large the images are that the server sees."""
        return {"send_size": self._side}

    @property
    def size_hint(self) -> tuple[int, int] | None:
        """(width, height) that decoding an image needs at least."""
        return self._side, self._side

    def until(self, stop: threading.Event) -> Self:
        """Return a runtime that asks the same server, until `stop` is set."""
        other = copy.copy(self)
        other._stop = stop
        return other

    def with_system(self, system: str) -> Self:
        """Return a runtime that asks the same server with another system message."""
        other = copy.copy(self)
        other._system = system
        return other

    def batch_of(self, size: int) -> int:
        """Return `size`: each image is a request of its own."""
        return size

    def prompt_for(self, asked: Prompt) -> str:
        """Return the words that the model is asked with; by default, for one sentence.

        Raises:
            UsageError: The answer was to begin with certain words.
        """
        if asked.start_with:
            raise UsageError(
                "--start-with and --endpoint cannot be used together: the protocol has no way to "
                "begin an answer",
                hint="Ask for such a beginning in --prompt.",
            )
        return asked.text or NAMED_PROMPTS["caption"]

    def check_prompt(self, prompt: str, start: str, max_length: int) -> tuple[str, ...]:
        """Return no note: only the server knows how long a prompt is for its model."""
        return ()

    def prepare(self, image: Image.Image, prompt: str, start: str = "") -> ModelInput:
        """Make an upright RGB image small, and encode it without metadata. Thread-safe."""
        small, buffer = shrunk(image, self._side), BytesIO()
        if small.getcolors(_FEW_COLOURS) is not None:
            small.save(buffer, "PNG")
        else:
            small.save(buffer, "JPEG", quality=_JPEG_QUALITY)
        return ModelInput(buffer.getvalue(), prompt)

    def generate(self, inputs: Sequence[ModelInput], settings: DecodeSettings) -> Generated:
        """Ask for captions of prepared images, with `in_flight` requests at a time.

        Raises:
            NetworkError: The server cannot be reached.
            EndpointError: It refuses.
        """
        stop = self._stop or threading.Event()

        def ask(image: ModelInput) -> Served | NoCaption:
            try:
                return self._ask(image, settings, stop)
            except ImageRefusedError as error:
                return error.why

        try:
            answers = side_by_side(ask, inputs, self.in_flight + 1)
        finally:
            if self._stop is None:
                stop.set()  # what is abandoned must not try again
        served = {place: item for place, item in enumerate(answers) if isinstance(item, Served)}
        return Generated(
            hypotheses=[served[n].hypotheses if n in served else [] for n in range(len(inputs))],
            # A calibration then rests on log-probabilities alone.
            summarise=lambda: np.zeros((len(inputs), 1), np.float32),
            failures={n: item for n, item in enumerate(answers) if isinstance(item, NoCaption)},
            usage={n: item.usage for n, item in served.items() if item.usage is not None},
            notes={n: item.notes for n, item in served.items() if item.notes},
        )

    def _ask(self, image: ModelInput, settings: DecodeSettings, stop: threading.Event) -> Served:
        """Ask until there are as many captions as were asked for: some servers give one at most."""
        payload = self._payloads(image, settings)
        choices: list[Choice] = []
        usage: Usage | None = None
        while len(choices) < settings.num_captions:
            answer = self.client.complete(partial(payload, len(choices)), stop)
            if answer.usage is not None:
                usage = total_usage(usage, answer.usage)
            choices += answer.choices
        notes = self.client.dialect.notes(settings)
        return served_image(choices[: settings.num_captions], usage, notes, settings)

    def request(self, image: ModelInput, settings: DecodeSettings) -> bytes:
        """Return the first request for captions of an image."""
        return encoded(self._payloads(image, settings)(0))

    def _payloads(
        self, image: ModelInput, settings: DecodeSettings
    ) -> Callable[[int], dict[str, Any]]:
        """Return what makes requests for the captions of an image from a number on."""
        asked = messages(image, self._system)
        return partial(self.client.dialect.payload, self.model, asked, settings)

    def decode(self, ids: Sequence[int]) -> str:
        """Raise ModelError: the server has the vocabulary."""
        raise ModelError(f"{self.model}: its server does not give its vocabulary")

    def obstacle(self) -> str:
        """Return why captions cannot be replayed."""
        return _OBSTACLE

    def features(self, image: ModelInput) -> dict[str, NDArray[np.float32]]:
        """Raise ModelError: the server does not give them."""
        raise ModelError(f"{self.model}: {_OBSTACLE}")

    def replay(self, image: ModelInput, ids: Sequence[int]) -> Replay:
        """Raise ModelError: the server cannot."""
        raise ModelError(f"{self.model}: {_OBSTACLE}")
