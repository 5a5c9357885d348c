"""The torch runtime: any captioner that transformers can `generate` with, on any device."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from functools import cached_property
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from capgen.captioning.decoding.hypotheses import Hypothesis, NounTable
from capgen.captioning.decoding.noun_lexicon import noun_table
from capgen.captioning.runtimes.base import Generated, ModelInput, PixelRuntime, Replay, stacked
from capgen.captioning.runtimes.torch_generation import (
    generation_config,
    hypotheses_of,
    score_processors,
    seeded,
)
from capgen.config import DecodeSettings
from capgen.errors import ModelError
from capgen.models.folder import ModelFolder
from capgen.models.foreign import end_tokens, image_encoder, load_captioner
from capgen.models.kinds import ENCODER_DECODER
from capgen.models.loading import load_tokenizer, quiet_transformers
from capgen.models.torch_devices import choose_device, weights_dtype


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
        model = load_captioner(
            folder, dtype=weights_dtype(dtype, torch_device), trust_remote_code=trust_remote_code
        )
        with quiet_transformers():
            self._tokenizer: Any = load_tokenizer(folder)
        self._model = model.to(self.device)
        self.dtype = str(self._model.dtype).removeprefix("torch.")
        self._ends = end_tokens(folder, model)

    @cached_property
    def nouns(self) -> NounTable | None:
        """The nouns of the vocabulary, or None: see `Runtime`."""
        return noun_table(self._tokenizer.get_vocab())

    def generate(self, inputs: Sequence[ModelInput], settings: DecodeSettings) -> Generated:
        """Caption prepared images, all of one shape."""
        pixels = torch.from_numpy(stacked(inputs)).to(self.device, self._model.dtype)
        # One image at a time, each from the same seed: a batch must not change samples.
        parts = [image[None] for image in pixels] if settings.sample else [pixels]
        with self._kept_encoder_outputs() as outputs:
            hypotheses = [image for part in parts for image in self._generate(part, settings)]
        return Generated(hypotheses, lambda: self._summaries(outputs, len(inputs)))

    @contextlib.contextmanager
    def _kept_encoder_outputs(self) -> Iterator[list[Any]]:
        """Collect the encoder's outputs; nothing if the encoder is not known."""
        outputs: list[Any] = []
        try:
            encoder = image_encoder(self.folder, self._model)
        except ModelError:
            yield outputs
            return
        hook = encoder.register_forward_hook(lambda *call: outputs.append(call[-1]))
        try:
            yield outputs
        finally:
            hook.remove()

    def _summaries(self, outputs: Sequence[Any], images: int) -> NDArray[np.float32]:
        """Return the (B, D) summaries that `Generated` describes, from the encoder's outputs."""
        image_encoder(self.folder, self._model)  # raises if the encoder is not known
        states = [
            each[0] if isinstance(each, tuple) else each.last_hidden_state for each in outputs
        ]
        with torch.inference_mode():
            pooled = torch.cat([_projected(self._model, each).mean(1) for each in states])
        # Some kinds of model encode an image once per beam.
        return pooled[:: len(pooled) // images].float().cpu().numpy()

    def _generate(self, inputs: torch.Tensor, settings: DecodeSettings) -> list[list[Hypothesis]]:
        lengths = {"max_length": settings.max_length, "min_length": settings.min_length}
        config = generation_config(self._model.generation_config, settings, **lengths)
        nouns = None if settings.repeat_nouns else self.nouns
        with torch.inference_mode(), quiet_transformers(), seeded(settings, self.device):
            try:
                output = self._model.generate(
                    pixel_values=inputs,
                    generation_config=config,
                    logits_processor=score_processors(settings, nouns),
                )
            except ValueError as error:
                if not str(error).startswith("Input image size"):
                    raise
                raise ModelError(f"{self.folder.name}: {error}") from error
            return hypotheses_of(self._model, output, settings, self._ends, nouns)

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
            states = self._encoder_states(image.pixels)
        return {"features": states[0].float().cpu().numpy()}

    def replay(self, image: ModelInput, ids: Sequence[int]) -> Replay:
        """Feed the tokens (at least one) of a caption of one image."""
        if obstacle := self.obstacle():
            raise ModelError(f"{self.folder.name}: {obstacle}")
        config = self._model.generation_config
        if self.folder.config.get("model_type") == "blip":
            decoder, start = self._model.text_decoder, self._model.config.text_config.bos_token_id
        else:
            starts = (config.decoder_start_token_id, config.bos_token_id)
            decoder = self._model.decoder
            start = next(token for token in starts if token is not None)
        inputs = torch.tensor([[start, *ids[:-1]]], device=self.device)
        with torch.inference_mode(), _eager_attention(decoder):
            states = self._encoder_states(image.pixels)
            projection = getattr(self._model, "enc_to_dec_proj", None)
            output = decoder(
                input_ids=inputs,
                encoder_hidden_states=states if projection is None else projection(states),
                output_attentions=True,
                return_dict=True,
            )
            log_probs = torch.log_softmax(output.logits[0].float(), dim=-1)
            attention = torch.stack(output.cross_attentions)[:, 0].float()  # (L, H, T, cells)
        return Replay(log_probs.cpu().numpy(), attention.permute(2, 0, 1, 3).cpu().numpy())

    def _encoder_states(self, pixels: NDArray[np.float32]) -> torch.Tensor:
        """Map one image's pixels (3, H, W) to features (1, cells, width)."""
        inputs = torch.from_numpy(pixels[None]).to(self.device, self._model.dtype)
        encoder = image_encoder(self.folder, self._model)
        return encoder(pixel_values=inputs).last_hidden_state

    def decode(self, ids: Sequence[int]) -> str:
        """Return the text of token ids, special tokens left out."""
        return str(self._tokenizer.decode(list(ids), skip_special_tokens=True))


def _projected(model: Any, states: torch.Tensor) -> torch.Tensor:
    """Map states to the first layer's cross-attention values, where the decoder is a GPT-2."""
    if hasattr(model, "enc_to_dec_proj"):
        states = model.enc_to_dec_proj(states)
    blocks = getattr(getattr(getattr(model, "decoder", None), "transformer", None), "h", None)
    if not blocks or not hasattr(blocks[0], "crossattention"):
        return states
    return blocks[0].crossattention.c_attn(states).chunk(2, dim=-1)[1]


@contextlib.contextmanager
def _eager_attention(decoder: Any) -> Iterator[None]:
    """Switch a decoder to the implementation that returns attention weights; others are faster."""
    before = decoder.config._attn_implementation
    decoder.set_attn_implementation("eager")
    try:
        yield
    finally:
        decoder.set_attn_implementation(before)
