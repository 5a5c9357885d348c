"""The CPU runtime: ONNX Runtime and our own decoding. Imports neither torch nor transformers."""

from __future__ import annotations

import mmap
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cached_property
from typing import Any

import numpy as np
import onnxruntime
import tokenizers
from numpy.typing import NDArray
from onnxruntime.capi import onnxruntime_pybind11_state as onnxruntime_errors

from capgen.captioning.decoding.beam_search import decode
from capgen.captioning.decoding.hypotheses import Hypothesis, NounTable, TokenIds, log_softmax
from capgen.captioning.decoding.noun_lexicon import noun_table
from capgen.captioning.decoding.token_bytes import token_bytes
from capgen.captioning.decoding.word_constraints import WordRules
from capgen.captioning.runtimes.base import (
    Generated,
    ModelInput,
    PixelRuntime,
    Replay,
    by_start,
    stacked,
)
from capgen.captioning.runtimes.cores import usable_cores
from capgen.config import DecodeSettings
from capgen.errors import ModelError
from capgen.models.folder import (
    CONFIG_FILE,
    DECODER_GRAPH,
    ENCODER_GRAPH,
    TOKENIZER_FILE,
    WEIGHTS_FILE,
    ModelFolder,
)
from capgen.models.safetensors_index import PRECISION, WEIGHTS_DIGEST, header_digest

Floats = NDArray[np.float32]
Ints = NDArray[np.int64]
Listener = Callable[[dict[str, Any]], None]


class OnnxRuntime(PixelRuntime):
    """Runs a model folder's ONNX graphs on the CPU.

    Args:
        folder: A model folder with `onnx/` graphs.
        threads: Threads of one operation; None uses all cores this process may use.

    Raises:
        ModelError: The graphs, weights or tokenizer are missing, damaged or do not fit.
    """

    name = "onnx"
    device = "cpu"
    dtype = "float32"

    def __init__(self, folder: ModelFolder, *, threads: int | None = None) -> None:
        self.folder = folder
        self.preprocessor = folder.preprocessor
        self.tokens = token_ids(folder)
        self.layers, self.heads, self.head_width = _decoder_shape(folder)
        self._tokenizer = _load_tokenizer(folder)
        self._tokenizer.encode_special_tokens = True  # their names in a prompt are text
        self._encoder, self._decoder = _load_sessions(folder, threads or usable_cores())
        self._check_fit()
        metadata = self._decoder.get_modelmeta().custom_metadata_map
        self.dtype = metadata.get(PRECISION, self.dtype)

    def _check_fit(self) -> None:
        """Check that the graphs fit the configuration and the image size."""
        inputs = {
            graph_input.name: graph_input.shape
            for session in (self._encoder, self._decoder)
            for graph_input in session.get_inputs()
        }
        size = self.preprocessor.input_size
        if size is not None and inputs["pixel_values"][2:] != list(size):
            raise ModelError(
                f"{self.folder.name}: its ONNX encoder is for images of another size than {size}"
            )
        caches = [shape for name, shape in inputs.items() if name.startswith("past_key_")]
        shape = (len(caches), caches[0][1], caches[0][3])
        if shape != (self.layers, self.heads, self.head_width):
            raise ModelError(f"{self.folder.name}: its ONNX decoder does not fit its config.json")

    @cached_property
    def nouns(self) -> NounTable | None:
        """The nouns of the vocabulary, or None: see `Runtime`."""
        table = noun_table(self._tokenizer.get_vocab())
        return None if table is None else table.of_width(_vocabulary_size(self._decoder))

    @cached_property
    def _words(self) -> WordRules:
        tokens = self.tokens
        return WordRules(
            lambda: token_bytes(self._tokenizer), tokens.end, (*tokens.suppress, tokens.start)
        )

    def encode(self, pixels: Floats) -> dict[str, Floats]:
        """Map pixels (B, 3, H, W) to each decoder layer's cross keys and values, by name.

        Keys are (B, heads, width, cells), values (B, heads, cells, width).
        """
        names = [output.name for output in self._encoder.get_outputs()]
        return dict(zip(names, self._encoder.run(names, {"pixel_values": pixels}), strict=True))

    def start(self, cross: dict[str, Floats], listen: Listener | None = None) -> OnnxDecoder:
        """Return a decoder at the start of the captions of images that `encode` returned.

        `listen` is called with the inputs of each step, by name.
        """
        shape = (self.layers, self.heads, self.head_width)
        return OnnxDecoder(self._decoder, cross, *shape, listen=listen)

    def generate(self, inputs: Sequence[ModelInput], settings: DecodeSettings) -> Generated:
        """Caption prepared images, all of one shape."""
        cross = self.encode(stacked(inputs))
        words = self._words.constraints(settings, _vocabulary_size(self._decoder))
        tokens = replace(self.tokens, words=words)
        if not settings.repeat_nouns:
            tokens = replace(tokens, nouns=self.nouns)
        hypotheses: list[list[Hypothesis]] = [[] for _ in inputs]
        for begin, places in by_start(inputs).items():
            begun = replace(tokens, prefix=self.token_ids(begin))
            some = {name: value[places] for name, value in cross.items()}
            found = decode(self.start(some), len(places), settings, begun)
            for place, each in zip(places, found, strict=True):
                hypotheses[place] = each
        values = cross["cross_value_0"]  # (B, heads, cells, width)
        return Generated(hypotheses, lambda: values.mean(axis=2).reshape(len(inputs), -1))

    def obstacle(self) -> str:
        """Return an empty string: every model with ONNX graphs has cross-attention."""
        return ""

    def features(self, image: ModelInput) -> dict[str, Floats]:
        """Return each decoder layer's cross keys and values of one image."""
        return {name: value[0] for name, value in self.encode(image.pixels[None]).items()}

    def replay(self, image: ModelInput, ids: Sequence[int]) -> Replay:
        """Feed the generated tokens (at least one) of a caption of one image."""
        decoder = self.start(self.encode(image.pixels[None]))
        begun = replace(self.tokens, prefix=self.token_ids(image.start)).fed
        for token in begun[:-1]:
            decoder.logits(np.array([[token]]), np.zeros(1, np.int64))
        logits, attention = [], []
        for token in (begun[-1], *ids[:-1]):
            row, layers = decoder.logits_and_attention(np.array([[token]]), np.zeros(1, np.int64))
            logits.append(row[0])
            attention.append([layer[0, :, 0] for layer in layers])  # of (1, heads, 1, cells)
        return Replay(log_softmax(np.array(logits)), np.array(attention, dtype=np.float32))

    def decode(self, ids: Sequence[int]) -> str:
        """Return the text of token ids, special tokens left out."""
        return str(self._tokenizer.decode(list(ids), skip_special_tokens=True))

    @cached_property
    def unknown_token(self) -> int | None:  # type: ignore[override]
        """The token of words that are not in the vocabulary, or None."""
        name = getattr(self._tokenizer.model, "unk_token", None)
        return None if name is None else self._tokenizer.token_to_id(name)

    def token_ids(self, text: str) -> tuple[int, ...]:
        """Return a text as the decoder reads it; names of special tokens in it are text."""
        return tuple(self._tokenizer.encode(text, add_special_tokens=False).ids)


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
        self._vocabulary = _vocabulary_size(session)
        self._length = 0

    def logits(self, ids: Ints, parents: Ints) -> Floats:
        """Feed ids (B, K), row n continuing row parents[n] → logits (B·K, V)."""
        return self._step(ids, parents, ["logits"], 1)[0]

    def top(self, ids: Ints, parents: Ints, count: int) -> tuple[Floats, Ints]:
        """As `logits`, but return the best log-probabilities and ids, both (B·K, count)."""
        count = min(count, self._vocabulary)
        values, best = self._step(ids, parents, ["top_log_probs", "top_ids"], count)
        return values, best

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


def _vocabulary_size(decoder: onnxruntime.InferenceSession) -> int:
    shapes = {output.name: output.shape for output in decoder.get_outputs()}
    return int(shapes["logits"][-1])


def token_ids(folder: ModelFolder) -> TokenIds:
    """Read the special token ids from a folder's generation settings."""
    generation = folder.generation
    start = generation.get("decoder_start_token_id", generation.get("bos_token_id"))
    end = generation.get("eos_token_id")
    if start is None or end is None:
        raise ModelError(f"{folder.name} does not name its start and end tokens")
    ends = end if isinstance(end, list) else [end]
    suppress = generation.get("suppress_tokens") or []
    return TokenIds(int(start), tuple(map(int, ends)), tuple(map(int, suppress)))


def _decoder_shape(folder: ModelFolder) -> tuple[int, int, int]:
    """Return the layers, the heads and the width of a head of a folder's GPT-2."""
    decoder: Any = folder.config.get("decoder")
    try:
        layers, heads, width = (int(decoder[key]) for key in ("n_layer", "n_head", "n_embd"))
        return layers, heads, width // heads
    except (KeyError, TypeError, ValueError, ZeroDivisionError) as error:
        raise ModelError(
            f"{folder.path / CONFIG_FILE} does not describe a GPT-2 decoder"
        ) from error


def _load_tokenizer(folder: ModelFolder) -> tokenizers.Tokenizer:
    file = folder.path / TOKENIZER_FILE
    if not file.is_file():
        raise ModelError(f"{folder.path} has no {TOKENIZER_FILE}")
    try:
        return tokenizers.Tokenizer.from_file(str(file))
    except Exception as error:  # the library raises nothing more specific
        raise ModelError(f"{file} is not a tokenizer: {error}") from error


def _load_sessions(
    folder: ModelFolder, threads: int
) -> tuple[onnxruntime.InferenceSession, onnxruntime.InferenceSession]:
    """Load both graphs; their weights stay in the safetensors file, which is mapped."""
    weights = folder.path / WEIGHTS_FILE
    if not weights.is_file():
        raise ModelError(f"{folder.path} has no weights ({WEIGHTS_FILE})")
    digest = header_digest(weights)  # also reports a damaged file by name
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    options.intra_op_num_threads = threads
    with weights.open("rb") as stream:
        mapped = mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ)
    options.add_external_initializers_from_files_in_memory([WEIGHTS_FILE], [mapped], [len(mapped)])
    try:
        encoder, decoder = (
            onnxruntime.InferenceSession(
                (folder.path / graph).read_bytes(), options, providers=["CPUExecutionProvider"]
            )
            for graph in (ENCODER_GRAPH, DECODER_GRAPH)
        )
    except (OSError, RuntimeError, *_SESSION_ERRORS) as error:
        first_line = str(error).strip().split("\n")[0]
        raise ModelError(
            f"{folder.name}: ONNX Runtime cannot load its graphs: {first_line}"
        ) from error
    for session in (encoder, decoder):
        made_for = session.get_modelmeta().custom_metadata_map.get(WEIGHTS_DIGEST, digest)
        if made_for != digest:
            raise ModelError(
                f"{folder.name}: its ONNX graphs were made for other weights",
                hint="Remove its onnx folder, export it again, or use --runtime torch.",
            )
    return encoder, decoder


_SESSION_ERRORS = (
    onnxruntime_errors.Fail,
    onnxruntime_errors.InvalidArgument,
    onnxruntime_errors.InvalidGraph,
    onnxruntime_errors.InvalidProtobuf,
    onnxruntime_errors.NoSuchFile,
)
