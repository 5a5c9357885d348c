"""A captioner of transformers as the `StepModel` of our own decoding."""

from __future__ import annotations

import inspect
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from transformers.modeling_outputs import BaseModelOutput

from capgen.captioning.decoding.hypotheses import log_softmax, with_others

Floats = NDArray[np.float32]
Ints = NDArray[np.int64]


class TorchSteps:
    """Advances the decoder of a VisionEncoderDecoder or BLIP by one token at a time.

    Args:
        model: The captioner.
        states: (B, cells, width) what its encoder makes of the images.
    """

    def __init__(self, model: Any, states: torch.Tensor) -> None:
        self._model = model
        self._states = states
        self._cache: Any = None
        parameters = inspect.signature(getattr(model, "text_decoder", model).forward).parameters
        # Renamed in transformers 5.
        self._name = "cache" if "cache" in parameters else "past_key_values"

    def logits(self, ids: Ints, parents: Ints) -> Floats:
        """Feed ids (B, K), row n continuing row parents[n] → logits (B·K, V)."""
        beams = ids.shape[1]
        tokens = torch.from_numpy(np.ascontiguousarray(ids.reshape(-1, 1))).to(self._states.device)
        rows = torch.from_numpy(np.ascontiguousarray(parents)).to(self._states.device)
        if self._cache is not None:
            self._cache.reorder_cache(rows)
        with torch.inference_mode():
            output = self._forward(tokens, beams)
        self._cache = output[self._name]
        return output.logits[:, -1].float().cpu().numpy()

    def top(
        self, ids: Ints, parents: Ints, count: int, also: Ints | None = None
    ) -> tuple[Floats, Ints]:
        """As `logits`, but return the best log-probabilities and ids; see `StepModel`."""
        scores = log_softmax(self.logits(ids, parents))
        best = np.argsort(-scores, axis=1, kind="stable")[:, :count]
        if also is not None:
            best = with_others(best, also)
        return np.take_along_axis(scores, best, axis=1), best

    def keep(self, images: Ints) -> None:
        """Forget all images but these."""
        kept = torch.from_numpy(np.ascontiguousarray(images)).to(self._states.device)
        self._states = self._states[kept]

    def _forward(self, tokens: torch.Tensor, beams: int) -> Any:
        shared: dict[str, Any] = {self._name: self._cache, "use_cache": True, "return_dict": True}
        states = self._states.repeat_interleave(beams, dim=0)
        if hasattr(self._model, "text_decoder"):
            return self._model.text_decoder(
                input_ids=tokens, encoder_hidden_states=states, **shared
            )
        encoded = BaseModelOutput(last_hidden_state=states)
        return self._model(encoder_outputs=encoded, decoder_input_ids=tokens, **shared)
