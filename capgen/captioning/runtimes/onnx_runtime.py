"""The CPU runtime: ONNX Runtime and our own decoding. Imports neither torch nor transformers."""

from __future__ import annotations

import math
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from capgen.captioning.decoding.concept_bonus import concept_bonus
from capgen.captioning.decoding.hypotheses import Hypothesis, StepModel, TokenIds, log_softmax
from capgen.captioning.decoding.noun_lexicon import noun_table
from capgen.captioning.decoding.noun_table import NounTable
from capgen.captioning.decoding.within_limits import decode_within
from capgen.captioning.runtimes.base import Generated, ModelInput, Replay
from capgen.captioning.runtimes.cores import usable_cores
from capgen.captioning.runtimes.onnx_decoder import Listener, OnnxDecoder, vocabulary_size
from capgen.captioning.runtimes.onnx_loading import (
    decoder_shape,
    load_sessions,
    load_tokenizer,
    special_tokens,
)
from capgen.captioning.runtimes.pixel_runtime import PixelRuntime, by_start
from capgen.config import DecodeSettings
from capgen.errors import ModelError
from capgen.models.concept_table import read_concepts
from capgen.models.folder import CONCEPT_LOGITS, ModelFolder
from capgen.models.safetensors_index import PRECISION

if TYPE_CHECKING:
    from capgen.captioning.decoding.word_rules import WordRules

Floats = NDArray[np.float32]

# What decoding an image takes, with beams of its own and the next batches waiting, in units of
# what the encoder returns of it: as measured with the bundled model.
_DECODING_SHARE = 6


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
        self.tokens = special_tokens(folder)
        self.layers, self.heads, self.head_width = decoder_shape(folder)
        with ThreadPoolExecutor(1) as other:
            loading = other.submit(load_sessions, folder, threads or usable_cores())
            self._tokenizer = load_tokenizer(folder)
            self._tokenizer.encode_special_tokens = True  # their names in a prompt are text
            self.concepts = read_concepts(folder)
            self._nouns = noun_table(self._tokenizer.get_vocab())
            self._encoder, self._decoder = loading.result()
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
        outputs = {output.name for output in self._encoder.get_outputs()}
        if self.concepts is not None and CONCEPT_LOGITS not in outputs:
            raise ModelError(
                f"{self.folder.name}: its ONNX encoder lacks the concept head of its config.json",
                hint="Remove its onnx folder, export it again, or use --runtime torch.",
            )

    @cached_property
    def nouns(self) -> NounTable | None:
        """The nouns of the vocabulary, or None: see `Runtime`."""
        table = self._nouns
        return None if table is None else table.of_width(vocabulary_size(self._decoder))

    @property
    def image_bytes(self) -> int:
        """Main memory that an image of a batch takes, roughly; 0 if the graph does not tell."""
        shapes = [output.shape[1:] for output in self._encoder.get_outputs()]
        if not all(isinstance(edge, int) for shape in shapes for edge in shape):
            return 0
        return _DECODING_SHARE * 4 * sum(map(math.prod, shapes))

    @property
    def gives_concepts(self) -> bool:
        """Whether the model has a concept head."""
        return self.concepts is not None

    @cached_property
    def _words(self) -> WordRules:
        from capgen.captioning.decoding.token_bytes import token_bytes
        from capgen.captioning.decoding.word_rules import WordRules

        tokens = self.tokens
        return WordRules(
            lambda: token_bytes(self._tokenizer), tokens.end, (*tokens.suppress, tokens.start)
        )

    def encode(self, pixels: Floats) -> dict[str, Floats]:
        """Map pixels (B, 3, H, W) to each decoder layer's cross keys and values, by name.

        Keys are (B, heads, width, cells), values (B, heads, cells, width).
        """
        return self._encode([ModelInput(each) for each in pixels])[0]

    def _encode(self, images: Sequence[ModelInput]) -> tuple[dict[str, Floats], Floats | None]:
        """As `encode`, with the logits of the concept head (B, C), or None without one.

        The images are encoded one by one: their activations then stay in the processor's cache,
        so this takes less time than a batch, and as little memory as one image.
        """
        names = [output.name for output in self._encoder.get_outputs()]
        runs = [self._encoder.run(names, {"pixel_values": each.pixels[None]}) for each in images]
        parts = zip(names, zip(*runs, strict=True), strict=True)
        found = {name: np.concatenate(arrays) for name, arrays in parts}
        logits = found.pop(CONCEPT_LOGITS, None)
        return found, logits

    def start(self, cross: dict[str, Floats], listen: Listener | None = None) -> OnnxDecoder:
        """Return a decoder at the start of the captions of images that `encode` returned.

        `listen` is called with the inputs of each step, by name.
        """
        shape = (self.layers, self.heads, self.head_width)
        return OnnxDecoder(self._decoder, cross, *shape, listen=listen)

    def generate(self, inputs: Sequence[ModelInput], settings: DecodeSettings) -> Generated:
        """Caption prepared images, all of one shape."""
        cross, logits = self._encode(inputs)
        hypotheses: list[list[Hypothesis]] = [[] for _ in inputs]
        for words, places in by_start(inputs).items():
            prefix = self.token_ids(words)
            group = np.array(places)

            def begin(
                rows: NDArray[np.int64],
                *,
                limited: bool,
                group: NDArray[np.int64] = group,
                prefix: tuple[int, ...] = prefix,
            ) -> tuple[StepModel, TokenIds]:
                every = len(rows) == len(inputs)  # in order, so that no copy is needed
                some = cross if every else {name: x[group[rows]] for name, x in cross.items()}
                own = None if logits is None else logits[group[rows]]
                tokens = self._steering(settings, own, limited=limited)
                return self.start(some), replace(tokens, prefix=prefix)

            found = decode_within(begin, len(places), settings)
            for place, each in zip(places, found, strict=True):
                hypotheses[place] = each
        values = cross["cross_value_0"]  # (B, heads, cells, width)
        seen = () if self.concepts is None or logits is None else self.concepts.seen(logits)
        return Generated(
            hypotheses, lambda: values.mean(axis=2).reshape(len(inputs), -1), concepts=seen
        )

    def _steering(
        self, settings: DecodeSettings, logits: Floats | None, *, limited: bool
    ) -> TokenIds:
        """Return the tokens that steer decoding, for images with these concept logits."""
        tokens = self.tokens
        if settings.asks_for_words or settings.asks_for_lengths:
            width = vocabulary_size(self._decoder)
            tokens = replace(
                tokens,
                words=self._words.constraints(settings, width, limited=limited),
                limits=self._words.limits(settings, width),
            )
        if not settings.repeat_nouns:
            tokens = replace(tokens, nouns=self.nouns)
        return replace(
            tokens, concepts=concept_bonus(self.concepts, logits, settings.concept_bonus)
        )

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
