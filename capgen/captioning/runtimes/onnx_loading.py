"""Loads what the ONNX runtime needs of a model folder: graphs, weights, tokenizer, tokens."""

from __future__ import annotations

import mmap
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import onnxruntime
import tokenizers
from onnxruntime.capi import onnxruntime_pybind11_state as onnxruntime_errors

from capgen.captioning.decoding.hypotheses import TokenIds
from capgen.errors import ModelError
from capgen.models.folder import (
    CONFIG_FILE,
    DECODER_GRAPH,
    ENCODER_GRAPH,
    TOKENIZER_FILE,
    WEIGHTS_FILE,
    ModelFolder,
)
from capgen.models.safetensors_index import WEIGHTS_DIGEST, header_digest

_SESSION_ERRORS = (
    onnxruntime_errors.Fail,
    onnxruntime_errors.InvalidArgument,
    onnxruntime_errors.InvalidGraph,
    onnxruntime_errors.InvalidProtobuf,
    onnxruntime_errors.NoSuchFile,
)


def special_tokens(folder: ModelFolder) -> TokenIds:
    """Read the special token ids from a folder's generation settings."""
    generation = folder.generation
    start = generation.get("decoder_start_token_id", generation.get("bos_token_id"))
    end = generation.get("eos_token_id")
    if start is None or end is None:
        raise ModelError(f"{folder.name} does not name its start and end tokens")
    ends = end if isinstance(end, list) else [end]
    suppress = generation.get("suppress_tokens") or []
    return TokenIds(int(start), tuple(map(int, ends)), tuple(map(int, suppress)))


def decoder_shape(folder: ModelFolder) -> tuple[int, int, int]:
    """Return the layers, the heads and the width of a head of a folder's GPT-2."""
    decoder: Any = folder.config.get("decoder")
    try:
        layers, heads, width = (int(decoder[key]) for key in ("n_layer", "n_head", "n_embd"))
        return layers, heads, width // heads
    except (KeyError, TypeError, ValueError, ZeroDivisionError) as error:
        raise ModelError(
            f"{folder.path / CONFIG_FILE} does not describe a GPT-2 decoder"
        ) from error


def load_tokenizer(folder: ModelFolder) -> tokenizers.Tokenizer:
    file = folder.path / TOKENIZER_FILE
    if not file.is_file():
        raise ModelError(f"{folder.path} has no {TOKENIZER_FILE}")
    try:
        return tokenizers.Tokenizer.from_file(str(file))
    except Exception as error:  # the library raises nothing more specific
        raise ModelError(f"{file} is not a tokenizer: {error}") from error


def load_sessions(
    folder: ModelFolder, threads: int
) -> tuple[onnxruntime.InferenceSession, onnxruntime.InferenceSession]:
    """Load both graphs at once; their weights stay in the safetensors file, which is mapped."""
    weights = folder.path / WEIGHTS_FILE
    if not weights.is_file():
        raise ModelError(f"{folder.path} has no weights ({WEIGHTS_FILE})")
    digest = header_digest(weights)  # also reports a damaged file by name
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    options.intra_op_num_threads = threads
    # Threads that wait in a loop would take the time of those that load and decode.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    with weights.open("rb") as stream:
        mapped = mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ)
    options.add_external_initializers_from_files_in_memory([WEIGHTS_FILE], [mapped], [len(mapped)])

    def load(graph: str) -> onnxruntime.InferenceSession:
        content = (folder.path / graph).read_bytes()
        return onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])

    try:
        with ThreadPoolExecutor(1) as other:  # ONNX Runtime lets go of Python's lock
            loading = other.submit(load, DECODER_GRAPH)
            encoder, decoder = load(ENCODER_GRAPH), loading.result()
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
