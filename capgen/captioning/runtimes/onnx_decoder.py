"""The decoder graph of an ONNX export, one token at a time."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from capgen.captioning.decoding.hypotheses import with_others

if TYPE_CHECKING:
    import onnxruntime

Floats = NDArray[np.float32]
Ints = NDArray[np.int64]
Listener = Callable[[dict[str, Any]], None]


class OnnxDecoder:
    """The `StepModel` of `capgen.captioning.decoding.hypotheses` over the decoder graph."""

    def __init__(
        self,
        session: onnxruntime.InferenceSession,
        cross: dict[str, Floats],
        layers: int,
        heads: int,
        width: int,
        *,
        listen: Listener | None = None,
    ) -> None:
        self._session = session
        self._listen = listen
        self._cross = cross
        images = len(next(iter(cross.values())))
        empty = np.zeros((images, heads, 0, width), np.float32)
        parts = [f"{part}_{layer}" for layer in range(layers) for part in ("key", "value")]
        self._past = {f"past_{part}": empty for part in parts}
        self._present = [f"present_{part}" for part in parts]
        self._attentions = [f"cross_attention_{layer}" for layer in range(layers)]
        self._vocabulary = vocabulary_size(session)
        self._length = 0

    def logits(self, ids: Ints, parents: Ints) -> Floats:
        """Feed ids (B, K), row n continuing row parents[n] → logits (B·K, V)."""
        return self._step(ids, parents, ["logits"], 1)[0]

    def top(
        self, ids: Ints, parents: Ints, count: int, also: Ints | None = None
    ) -> tuple[Floats, Ints]:
        """As `logits`, but return the best log-probabilities and ids; see `StepModel`."""
        count = min(count, self._vocabulary)
        outputs = ["top_log_probs", "top_ids"]
        if also is None or not also.size:
            values, best = self._step(ids, parents, outputs, count)
            return values, best
        values, best, logits = self._step(ids, parents, [*outputs, "logits"], count)
        # Cheaper than a softmax over the vocabulary once more.
        rows = np.arange(len(best))[:, None]
        normaliser = logits[rows, best[:, :1]] - values[:, :1]
        found = with_others(best, also)
        others = logits[rows, found[:, count:]] - normaliser
        return np.concatenate([values, others], axis=1), found

    def logits_and_attention(self, ids: Ints, parents: Ints) -> tuple[Floats, list[Floats]]:
        """As `logits`, with each layer's cross-attention (B, heads, K, cells)."""
        logits, *attentions = self._step(ids, parents, ["logits", *self._attentions], 1)
        return logits, attentions

    def keep(self, images: Ints) -> None:
        """Forget all images but these."""
        self._cross = {name: value[images] for name, value in self._cross.items()}

    def _step(self, ids: Ints, parents: Ints, outputs: list[str], count: int) -> list[NDArray[Any]]:
        feeds = {
            "input_ids": np.ascontiguousarray(ids),
            "position": np.array([self._length]),
            "beam_index": np.ascontiguousarray(parents),
            "candidates": np.array([count]),
            **self._cross,
            **self._past,
        }
        if self._listen is not None:
            self._listen(feeds)
        results = self._session.run([*outputs, *self._present], feeds)
        self._past = dict(zip(self._past, results[len(outputs) :], strict=True))
        self._length += 1
        return results[: len(outputs)]


def vocabulary_size(decoder: onnxruntime.InferenceSession) -> int:
    shapes = {output.name: output.shape for output in decoder.get_outputs()}
    return int(shapes["logits"][-1])
