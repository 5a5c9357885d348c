"""The torch runtime: any captioner that transformers can `generate` with, on any device."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from capgen.captioning.decoding.concept_bonus import concept_bonus
from capgen.captioning.decoding.hypotheses import Hypothesis, StepModel, TokenIds
from capgen.captioning.decoding.noun_lexicon import noun_table
from capgen.captioning.decoding.noun_table import NounTable
from capgen.captioning.decoding.within_limits import decode_within
from capgen.captioning.decoding.word_rules import WordRules
from capgen.captioning.runtimes.base import Generated, ModelInput, Replay
from capgen.captioning.runtimes.generation_settings import torch_only
from capgen.captioning.runtimes.pixel_runtime import PixelRuntime, by_start, stacked
from capgen.captioning.runtimes.torch_device_memory import TOO_LARGE, captioning_memory
from capgen.captioning.runtimes.torch_encoder import (
    Encoded,
    encoder_states,
    kept_encoder_outputs,
    summaries,
    with_concepts,
)
from capgen.captioning.runtimes.torch_generation import (
    all_in_time,
    finished_or_again,
    generation_config,
    hypotheses_of,
    score_processors,
    seeded,
    with_enough_beams,
)
from capgen.captioning.runtimes.torch_replay import replayed
from capgen.captioning.runtimes.torch_steps import TorchSteps
from capgen.captioning.runtimes.torch_words import word_rules
from capgen.config import DecodeSettings
from capgen.errors import ModelError, UsageError
from capgen.models.concept_table import read_concepts
from capgen.models.folder import ModelFolder
from capgen.models.foreign import end_tokens, load_captioner
from capgen.models.foreign_errors import model_errors
from capgen.models.kinds import CAPTIONER_KINDS, ENCODER_DECODER
from capgen.models.loading import load_tokenizer, quiet_transformers
from capgen.models.out_of_memory import device_memory_errors
from capgen.models.torch_devices import attention_of_any_shape, choose_device, weights_dtype
from capgen.records import Concept


class TorchRuntime(PixelRuntime):
    """Runs a captioner with torch.

    Args:
        folder: Model folder of a VisionEncoderDecoder, BLIP, GIT or similar captioner.
        device: `auto`, `cpu`, `cuda`, `cuda:N` or `mps`.
        dtype: `auto`, `fp32`, `bf16` or `fp16`; `auto` is fp32 on the CPU and fp16 elsewhere.
        trust_remote_code: Run the model's own code if capgen does not know its kind.
    """

    name = "torch"

    def __init__(
        self,
        folder: ModelFolder,
        *,
        device: str = "auto",
        dtype: str = "auto",
        trust_remote_code: bool = False,
    ) -> None:
        self.folder = folder
        torch_device = choose_device(device)
        self.device = str(torch_device)
        folder.check_weights()
        self.preprocessor = folder.preprocessor
        self.concepts = read_concepts(folder)
        model = load_captioner(
            folder, dtype=weights_dtype(dtype, torch_device), trust_remote_code=trust_remote_code
        )
        with quiet_transformers():
            self._tokenizer: Any = load_tokenizer(folder)
        with device_memory_errors(
            f"{folder.name} does not fit into the memory of {self.device}", hint=TOO_LARGE
        ):
            self._model = model.to(self.device)
        self.dtype = str(self._model.dtype).removeprefix("torch.")
        self._ends = end_tokens(folder, model)

    @cached_property
    def nouns(self) -> NounTable | None:
        """The nouns of the vocabulary, or None: see `Runtime`."""
        return noun_table(self._tokenizer.get_vocab())

    @property
    def gives_concepts(self) -> bool:
        """Whether the model has a concept head."""
        return self.concepts is not None

    def generate(self, inputs: Sequence[ModelInput], settings: DecodeSettings) -> Generated:
        """Caption prepared images, all of one shape."""
        with captioning_memory(self.folder.name, self.device, len(inputs)):
            return self._generated(inputs, settings)

    def _generated(self, inputs: Sequence[ModelInput], settings: DecodeSettings) -> Generated:
        pixels = self._pixels(inputs)
        hypotheses: list[list[Hypothesis]] = [[] for _ in inputs]
        parts = [
            (self.token_ids(words), part)
            for words, places in by_start(inputs).items()
            # One image at a time, each from the same seed: a batch must not change samples.
            for part in ([[place] for place in places] if settings.sample else [places])
        ]
        find = self._search if self._searches(settings) else self._generate
        concepts: list[tuple[Concept, ...]] = [() for _ in inputs]
        with kept_encoder_outputs(self.folder, self._model) as outputs:
            for prefix, places in parts:
                images = self._encoded(pixels[places])
                found = find(images, prefix, settings)
                for place, each, seen in zip(places, found, self._seen(images), strict=True):
                    hypotheses[place], concepts[place] = each, seen
        order = np.argsort([place for _, places in parts for place in places])
        return Generated(
            hypotheses,
            lambda: summaries(self.folder, self._model, outputs, len(inputs))[order],
            concepts=concepts if self.gives_concepts else (),
        )

    def _encoded(self, pixels: torch.Tensor) -> Encoded:
        """Encode images (B, 3, H, W) if there is a concept head."""
        if self.concepts is None:
            return Encoded(pixels)
        with model_errors(self.folder.name, "it cannot caption"):
            return with_concepts(self.folder, self._model, pixels)

    def _seen(self, images: Encoded) -> list[tuple[Concept, ...]]:
        """Return the concepts of each image."""
        logits = images.concept_logits
        if self.concepts is None or logits is None:
            return [()] * len(images)
        return self.concepts.seen(logits)

    @cached_property
    def _words(self) -> WordRules:
        barred = self._model.generation_config.suppress_tokens or ()
        return word_rules(self._tokenizer, self._ends, barred)

    def _searches(self, settings: DecodeSettings) -> bool:
        """Whether to find captions by our own search.

        It finds better places for words, and captions that end in time.
        """
        asked = settings.include_words is not None or settings.asks_for_lengths
        if not asked or settings.sample:
            return False
        kind = self.folder.config.get("model_type")
        return kind in (ENCODER_DECODER, "blip") and not torch_only(self.folder.generation)

    def _search(
        self, images: Encoded, prefix: tuple[int, ...], settings: DecodeSettings
    ) -> list[list[Hypothesis]]:
        """Caption images as the ONNX runtime does."""
        if images.output is None:
            with torch.inference_mode():
                states = encoder_states(self.folder, self._model, images.pixels)
        else:
            states = images.output.last_hidden_state
        width = self._model.config.get_text_config(decoder=True).vocab_size
        logits = images.concept_logits

        def begin(rows: NDArray[np.int64], *, limited: bool) -> tuple[StepModel, TokenIds]:
            own = None if logits is None else logits[rows]
            tokens = TokenIds(
                self._start,
                self._ends,
                tuple(self._model.generation_config.suppress_tokens or ()),
                nouns=None if self.nouns is None else self.nouns.of_width(width),
                words=self._words.constraints(settings, width, limited=limited),
                prefix=prefix,
                concepts=concept_bonus(self.concepts, own, settings.concept_bonus),
                limits=self._words.limits(settings, width),
            )
            return TorchSteps(self._model, states[torch.from_numpy(rows).to(states.device)]), tokens

        return decode_within(begin, len(images), settings)

    def _generate(
        self, images: Encoded, prefix: tuple[int, ...], settings: DecodeSettings
    ) -> list[list[Hypothesis]]:
        wider = with_enough_beams(settings, self._words, len(self._tokenizer))
        lengths = {"max_length": settings.max_length, "min_length": settings.min_length}
        config = generation_config(self._model.generation_config, wider, **lengths)
        nouns = None if settings.repeat_nouns else self.nouns
        concepts = concept_bonus(self.concepts, images.concept_logits, settings.concept_bonus)
        processors = score_processors(wider, nouns, self._words, counted=True, concepts=concepts)
        with (
            torch.inference_mode(),
            quiet_transformers(),
            seeded(settings, self.device),
            attention_of_any_shape(),
            model_errors(self.folder.name, "it cannot caption"),
        ):
            try:
                output = self._model.generate(
                    generation_config=config,
                    logits_processor=processors,
                    **images.inputs,
                    **self._begun(prefix, len(images)),
                )
            except ValueError as error:
                if not str(error).startswith("Input image size"):
                    raise
                raise ModelError(f"{self.folder.name}: {error}") from error
            found = hypotheses_of(self._model, output, wider, self._ends, nouns, prefix, concepts)
            limits = self._words.limits(settings, output.scores[0].shape[-1])
            found = all_in_time(found, output, wider, limits, self._ends)
        return finished_or_again(
            found,
            settings,
            lambda row, less: self._generate(images.row(row), prefix, less)[0],
        )

    def _begun(self, prefix: tuple[int, ...], images: int) -> dict[str, torch.Tensor]:
        """Return what `generate` continues for a number of images; nothing without a prefix."""
        if not prefix:
            return {}
        ids = torch.tensor([[self._start, *prefix]] * images, device=self.device)
        kind = self.folder.config.get("model_type")
        if kind == ENCODER_DECODER:
            return {"decoder_input_ids": ids}
        # BLIP's own `generate` expects the end token of its tokenizer, and takes it off.
        return {"input_ids": ids if kind == "git" else torch.nn.functional.pad(ids, (0, 1))}

    def obstacle(self) -> str:
        """Return why captions cannot be replayed, or an empty string."""
        kind = self.folder.config.get("model_type")
        if kind == ENCODER_DECODER or kind == "blip":
            return ""
        if kind == "git":
            return "a 'git' model has no cross-attention: it reads the image like words"
        return f"capgen does not know the cross-attention of a '{kind}' model"

    def features(self, image: ModelInput) -> dict[str, NDArray[np.float32]]:
        """Return the encoder's features of one image: (cells, width)."""
        with torch.inference_mode():
            states = encoder_states(self.folder, self._model, self._pixels([image]))
        return {"features": states[0].float().cpu().numpy()}

    def replay(self, image: ModelInput, ids: Sequence[int]) -> Replay:
        """Feed the tokens (at least one) of a caption of one image."""
        if obstacle := self.obstacle():
            raise ModelError(f"{self.folder.name}: {obstacle}")
        prefix = self.token_ids(image.start)
        with torch.inference_mode():
            states = encoder_states(self.folder, self._model, self._pixels([image]))
            return replayed(self._model, states, [self._start, *prefix, *ids[:-1]], len(prefix))

    @property
    def _start(self) -> int:
        """The token that captions start with."""
        if self.folder.config.get("model_type") == "blip":
            return int(self._model.config.text_config.bos_token_id)
        config = self._model.generation_config
        starts = (config.decoder_start_token_id, config.bos_token_id)
        return int(next(token for token in starts if token is not None))

    def _pixels(self, inputs: Sequence[ModelInput]) -> torch.Tensor:
        """Return the pixels of inputs (B, 3, H, W) where and as the model computes."""
        return torch.from_numpy(stacked(inputs)).to(self.device, self._model.dtype)

    def decode(self, ids: Sequence[int]) -> str:
        """Return the text of token ids, special tokens left out."""
        return str(self._tokenizer.decode(list(ids), skip_special_tokens=True))

    @property
    def unknown_token(self) -> int | None:  # type: ignore[override]
        """The token of words that are not in the vocabulary, or None."""
        number: int | None = self._tokenizer.unk_token_id
        return number

    def token_ids(self, text: str) -> tuple[int, ...]:
        """Return a text as the decoder reads it; names of special tokens in it are text."""
        encoded = self._tokenizer(text, add_special_tokens=False, split_special_tokens=True)
        return tuple(encoded["input_ids"])

    def check_prompt(self, prompt: str, start: str, max_length: int) -> tuple[str, ...]:
        """Check the words that captions begin with; see `PixelRuntime`."""
        kind = self.folder.config.get("model_type")
        if (prompt or start) and kind not in CAPTIONER_KINDS:
            raise UsageError(
                f"{self.folder.name}: capgen does not know how captions of a '{kind}' model begin"
            )
        return super().check_prompt(prompt, start, max_length)
