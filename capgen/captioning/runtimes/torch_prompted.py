"""The torch runtime of models that answer prompts about images, each with its own processor."""

from __future__ import annotations

import copy
import logging
import threading
from collections.abc import Mapping, Sequence
from concurrent.futures import CancelledError
from dataclasses import replace
from functools import cached_property
from typing import Any, ClassVar, Self, cast

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from transformers import StoppingCriteria, StoppingCriteriaList

from capgen.captioning.decoding.hypotheses import Hypothesis
from capgen.captioning.decoding.word_rules import WordRules
from capgen.captioning.prompts import Prompt
from capgen.captioning.runtimes.base import Generated, ModelInput, Replay
from capgen.captioning.runtimes.torch_device_memory import TOO_LARGE, captioning_memory
from capgen.captioning.runtimes.torch_generation import (
    all_in_time,
    finished_or_again,
    generation_config,
    hypotheses_of,
    score_processors,
    seeded,
    with_enough_beams,
)
from capgen.captioning.runtimes.torch_prompted_batches import PADDED_KINDS, Prepared, groups, joined
from capgen.captioning.runtimes.torch_prompted_inputs import PromptedInputs
from capgen.captioning.runtimes.torch_prompted_model import completed_config, image_summary
from capgen.captioning.runtimes.torch_words import word_rules
from capgen.captioning.thinking import answer_begins
from capgen.config import DecodeSettings, ModelOptions
from capgen.errors import ModelError, UsageError
from capgen.models.chat import CLOSED_PROMPTS
from capgen.models.folder import ModelFolder
from capgen.models.foreign_errors import model_errors
from capgen.models.loading import quiet_transformers
from capgen.models.out_of_memory import device_memory_errors
from capgen.models.prompted import load_prompted, needs_own_code, placement, prompted_dtype
from capgen.models.torch_devices import attention_of_any_shape, choose_device

logger = logging.getLogger(__name__)


class _Stopped(StoppingCriteria):
    """Ends the answers of a whole batch once an event is set."""

    def __init__(self, stop: threading.Event) -> None:
        self._stop = stop

    def __call__(
        self, input_ids: torch.LongTensor, scores: torch.FloatTensor, **_: Any
    ) -> torch.BoolTensor:
        ended = torch.full((len(input_ids),), self._stop.is_set(), device=input_ids.device)
        return cast("torch.BoolTensor", ended)


class PromptedRuntime:
    """Runs a model that answers prompts about images, with torch.

    Args:
        folder: Model folder with a processor.
        options: Where it runs, in what form, and the system message.
    """

    name = "torch"
    answers = True
    nouns = None
    gives_concepts = False
    preprocessor = None
    size_hint = None
    in_flight = 0
    image_bytes = 0
    recorded: ClassVar[Mapping[str, Any]] = {}

    def __init__(self, folder: ModelFolder, options: ModelOptions) -> None:
        self.folder = folder
        self._kind = str(folder.config.get("model_type"))
        device = choose_device(options.device)
        dtype = prompted_dtype(options.dtype, folder, device)
        place = placement(device, options.device_map, options.quantize, dtype)
        model = load_prompted(
            folder, dtype=dtype, trust_remote_code=options.trust_remote_code, placement=place
        )
        with device_memory_errors(
            f"{folder.name} does not fit into the memory of {device}", hint=TOO_LARGE
        ):
            self._model = model if place else model.to(device)
        self.device, self.dtype = str(self._model.device), str(dtype).removeprefix("torch.")
        if options.quantize is not None:
            self.dtype = f"{options.quantize} {self.dtype}"
        own_code = needs_own_code(folder)
        self._inputs = PromptedInputs(folder, options.system or "", own_code=own_code)
        processor = self._inputs.processor
        self._tokenizer = getattr(processor, "tokenizer", processor)
        self._stop = threading.Event()
        self._config = completed_config(folder.name, self._model, self._tokenizer)
        self._ends = self._config.eos_token_id

    def batch_of(self, size: int) -> int:
        """Return `size`: inputs that cannot be in one batch are grouped in `generate`."""
        return size

    def prompt_for(self, asked: Prompt) -> str:
        """Return what the model is asked, in the words that its kind understands.

        Raises:
            UsageError: It does not understand the name or the words, or has no place for a system
                message.
        """
        if asked.start_with and not self._can_begin:
            raise UsageError(
                f"--start-with: capgen cannot begin the answer of a '{self._kind}' model",
                hint="Ask for such a beginning in --prompt.",
            )
        return self._inputs.words_for(asked)

    @property
    def _can_begin(self) -> bool:
        """Whether an answer simply continues the prompt."""
        return not self._model.config.is_encoder_decoder and self._kind not in CLOSED_PROMPTS

    def check_prompt(self, prompt: str, start: str, max_length: int) -> tuple[str, ...]:
        """Return no note: `max_length` is that of the answer alone."""
        return ()

    def until(self, stop: threading.Event) -> Self:
        """Return a runtime of the same model that gives up at the next token once `stop` is set.

        A batch takes minutes on a CPU, and the process cannot end before its threads do.
        """
        other = copy.copy(self)
        other._stop = stop
        return other

    def with_system(self, system: str) -> Self:
        """Return a runtime of the same model with another system message."""
        other = copy.copy(self)
        other._inputs = self._inputs.with_system(system)
        return other

    def prepare(self, image: Image.Image, prompt: str, start: str = "") -> ModelInput:
        """Let the model's processor prepare an upright RGB image and its prompt. Thread-safe.

        Raises:
            ImageError: The image's shape is too extreme, or its own prompt has a mark that means
                something else to the model.
        """
        return self._inputs.prepare(image, prompt, start)

    def generate(self, inputs: Sequence[ModelInput], settings: DecodeSettings) -> Generated:
        """Caption prepared images.

        Raises:
            CancelledError: The event of `until` is set.
        """
        with captioning_memory(self.folder.name, self.device, len(inputs)):
            return self._generated(inputs, settings)

    def _generated(self, inputs: Sequence[ModelInput], settings: DecodeSettings) -> Generated:
        contents = [self._inputs.content(each) for each in inputs]
        starts = [self._start_ids(each.start) for each in inputs]
        if settings.sample:
            # One image at a time, each from the same seed: a batch must not change samples.
            places = [[place] for place in range(len(contents))]
        else:
            places = groups(contents, pad=self._kind in PADDED_KINDS)
        found: dict[int, list[Hypothesis]] = {}
        for group in places:
            chosen = [contents[place] for place in group]
            begun = [starts[place] for place in group]
            found |= zip(group, self._generate(chosen, begun, settings), strict=True)
        hypotheses = [found[place] for place in range(len(contents))]
        return Generated(hypotheses, lambda: np.stack([self._summary(each) for each in contents]))

    @cached_property
    def _words(self) -> WordRules:
        return word_rules(self._tokenizer, self._ends, self._config.suppress_tokens or ())

    def _start_ids(self, start: str) -> tuple[int, ...]:
        """Return the tokens of the words that an answer begins with, to show them."""
        if not start:
            return ()
        return tuple(self._tokenizer(start, add_special_tokens=False)["input_ids"])

    def _generate(
        self,
        contents: Sequence[Prepared],
        starts: Sequence[tuple[int, ...]],
        settings: DecodeSettings,
    ) -> list[list[Hypothesis]]:
        base = self._config
        left = not self._model.config.is_encoder_decoder
        batch = self._placed(joined(contents, pad_token=base.pad_token_id, left=left))
        lengths = {"max_new_tokens": settings.max_length, "min_new_tokens": settings.min_length}
        width = self._model.config.get_text_config(decoder=True).vocab_size
        wider = with_enough_beams(settings, self._words, width)
        config = generation_config(base, wider, **lengths)
        # Words count lengths with a start token, which an answer lacks.
        counted = replace(wider, max_length=settings.max_length + 1)
        with (
            torch.inference_mode(),
            quiet_transformers(),
            seeded(settings, self.device),
            attention_of_any_shape(),
            model_errors(self.folder.name, "it cannot caption"),
        ):
            output = self._model.generate(
                **batch,
                generation_config=config,
                logits_processor=score_processors(
                    counted, None, self._words, counted=False, starts=starts
                ),
                stopping_criteria=StoppingCriteriaList([_Stopped(self._stop)]),
            )
            if self._stop.is_set():  # these answers are cut off
                raise CancelledError
            found = hypotheses_of(self._model, output, wider, self._ends)
            found = [
                [replace(each, prefix=start) for each in image]
                for image, start in zip(found, starts, strict=True)
            ]
            limits = self._words.limits(settings, output.scores[0].shape[-1])
            found = all_in_time(found, output, wider, limits, self._ends)
        return finished_or_again(
            found,
            settings,
            lambda row, less: self._generate([contents[row]], [starts[row]], less)[0],
        )

    def _placed(self, batch: Mapping[str, Any]) -> dict[str, Any]:
        """Return a batch on the model's device, its numbers in the model's type."""
        placed = {}
        for name, value in batch.items():
            if isinstance(value, torch.Tensor):
                number = value.is_floating_point()
                value = value.to(self.device, self._model.dtype if number else None)
            placed[name] = value
        return placed

    def _summary(self, content: Prepared) -> NDArray[np.float32]:
        """Return the mean (D,) of the image features that the language model reads."""
        return image_summary(self.folder, self._model, self._placed(content))

    def decode(self, ids: Sequence[int]) -> str:
        """Return the answer that token ids spell, without special tokens and thoughts."""
        text = str(self._tokenizer.decode(list(ids), skip_special_tokens=True))
        return text[answer_begins(text) :]

    def obstacle(self) -> str:
        """Return why captions cannot be replayed: there is no cross-attention to an image."""
        return (
            f"capgen cannot show where a '{self._kind}' model looks: it reads the image as a part "
            "of the prompt"
        )

    def features(self, image: ModelInput) -> dict[str, NDArray[np.float32]]:
        """Return the mean of the image features."""
        return {"features": self._summary(self._inputs.content(image))[None]}

    def replay(self, image: ModelInput, ids: Sequence[int]) -> Replay:
        """Raise ModelError: see `obstacle`."""
        raise ModelError(f"{self.folder.name}: {self.obstacle()}")
