"""What kind of model some files are, judged by their names and by `config.json` alone.

Models that do not caption are described, with a hint at what to do. Imports neither torch nor
transformers.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from importlib.util import find_spec
from typing import Any, NamedTuple

from capgen.errors import MissingDependencyError, ModelError, UnsafeModelError

ENCODER_DECODER = "vision-encoder-decoder"
# Kinds of models (`model_type`) that caption an image without a prompt.
CAPTIONER_KINDS = (ENCODER_DECODER, "blip", "git")
# Kinds that answer prompts about images, and are tested: all that transformers loads as
# `AutoModelForImageTextToText` run, these also in batches of different images and prompts.
PROMPTED_KINDS = (
    *("blip-2", "florence2", "gemma3", "idefics3", "instructblip", "internvl", "kosmos-2"),
    *("llava", "llava_onevision", "paligemma", "qwen2_5_vl", "qwen2_vl", "smolvlm"),
)
ADAPTER_FILE = "adapter_config.json"
SAFETENSORS_HINT = "Use a folder written by `save_pretrained` of transformers, with safetensors."
_OPEN_CLIP_FILE = "open_clip_config.json"
_PIPELINE_FILE = "model_index.json"

# Architectures of BLIP and GIT that write no captions → what they do.
_OTHER_ARCHITECTURES = {
    "BlipForQuestionAnswering": "answers questions about images",
    "BlipForImageTextRetrieval": "compares images with texts",
    "BlipModel": "compares images with texts",
    "BlipTextModel": "reads text only",
    "BlipVisionModel": "sees images and writes no text",
    "GitModel": "has no head that generates text",
    "GitVisionModel": "sees images and writes no text",
}
# Encoders of encoder-decoders that read what is written in an image → their models.
_READERS = {"donut-swin": "Donut"}
# Ends of the names of architectures with one answer of a fixed list.
_ANSWERING = ("ForQuestionAnswering", "ForVisualQuestionAnswering")
# Kinds that transformers loads as captioners, and whose processors draw the prompt into the image.
_DRAWING = ("pix2struct",)
_KNOWN_HINT = (
    f"capgen captions with these kinds: {', '.join((*CAPTIONER_KINDS, *PROMPTED_KINDS))}, and "
    "with others that transformers loads as AutoModelForImageTextToText"
)
# Ends of the names of architectures that write.
_WRITING = ("ForConditionalGeneration", "ForCausalLM", "ForVision2Seq", "ForImageTextToText")
# What an `auto_map` names, of models with their own code that answer prompts.
PROMPTED_CLASSES = ("AutoModelForImageTextToText", "AutoModelForVision2Seq", "AutoModelForCausalLM")
# Formats of weights, by file suffix.
_FORMATS = {
    ".gguf": "GGUF, the format of llama.cpp",
    ".h5": "TensorFlow's HDF5",
    ".msgpack": "Flax's msgpack",
    ".ckpt": "a PyTorch checkpoint",
    ".onnx": "ONNX",
}
_GGUF_HINT = (
    "Run it with llama.cpp or Ollama and use --endpoint URL, or use the model it was made from."
)
# LoRA files that diffusers and kohya's scripts save.
_IMAGE_LORA_FILE = "pytorch_lora_weights.safetensors"


class Described(NamedTuple):
    """A model that does not caption: what it is ("a LoRA adapter of gpt2"), and what to do."""

    what: str
    hint: str


def check_captioner(
    name: str, config: Mapping[str, Any], *, trust_remote_code: bool = False
) -> None:
    """Check that a model is of a kind that captions images.

    Args:
        name: The user's name for the model, for messages.
        config: Its `config.json`.
        trust_remote_code: Whether kinds that capgen does not know may run their own code.

    Raises:
        ModelError: The model is of another kind.
        UnsafeModelError: The model needs its own code, which is not allowed to run.
    """
    other = other_kind(name, config)
    known = config.get("model_type") in (*CAPTIONER_KINDS, *PROMPTED_KINDS)
    if "auto_map" in config and not known:
        if trust_remote_code:
            return
        raise own_code_error(name)
    if other is not None:
        raise ModelError(
            f"{name} is not a captioner that capgen knows, but {other.what}", hint=other.hint
        )
    _check_quantization(name, config)


def _check_quantization(name: str, config: Mapping[str, Any]) -> None:
    """Check that weights that were saved quantised can be loaded; raise ModelError if not."""
    settings = config.get("quantization_config")
    if not isinstance(settings, Mapping):
        return
    method = str(settings.get("quant_method", "an unnamed method"))
    kind = config.get("model_type")
    if kind in CAPTIONER_KINDS:
        raise ModelError(
            f"{name} has weights quantised with {method}, which capgen does not load in '{kind}' "
            "models",
            hint="Use the model it was made from, unquantised.",
        )
    if method == "bitsandbytes" and find_spec(method) is None:
        # What other methods need, transformers says when it loads the weights.
        raise MissingDependencyError(
            method, extra="quantize", purpose=f"{name} has quantised weights: loading them"
        )


def follows_prompts(config: Mapping[str, Any]) -> bool:
    """Whether a captioner answers prompts, and prepares images with its own processor."""
    kind, mapped = config.get("model_type"), config.get("auto_map")
    if kind in CAPTIONER_KINDS:
        return False
    if kind not in PROMPTED_KINDS and isinstance(mapped, Mapping):
        return "AutoProcessor" in mapped or any(name in mapped for name in PROMPTED_CLASSES)
    return other_kind("", config) is None


def own_code_error(name: str) -> UnsafeModelError:
    """Return the error for a model that needs its own code."""
    return UnsafeModelError(
        f"{name} needs its own code, which capgen does not run by default",
        hint="Read that code, then use --trust-remote-code to run it.",
    )


def other_kind(name: str, config: Mapping[str, Any]) -> Described | None:
    """Describe a model that does not caption; None for one that does. See `check_captioner`."""
    kind = config.get("model_type")
    if kind in PROMPTED_KINDS:
        return None
    reader = _reader(config) if kind == ENCODER_DECODER else None
    if reader is not None:
        return Described(
            f"a {reader} model, which reads what is written in documents",
            f"Use a model that describes images. {_KNOWN_HINT}",
        )
    if kind in CAPTIONER_KINDS:
        return _relative(kind, _architectures(config))
    return _other(name, kind, config)


def _reader(config: Mapping[str, Any]) -> str | None:
    """Return the name of a model that reads text in images, or None."""
    encoder = config.get("encoder")
    return _READERS.get(str(encoder.get("model_type"))) if isinstance(encoder, Mapping) else None


def _relative(kind: str, architectures: Sequence[str]) -> Described | None:
    """Describe a model of a captioner's family that does not caption; None if it does."""
    if not architectures or not set(architectures) <= _OTHER_ARCHITECTURES.keys():
        return None
    first = architectures[0]
    return Described(
        f"a '{kind}' model that {_OTHER_ARCHITECTURES[first]} ({first})",
        f"Use the captioning model of its family. {_KNOWN_HINT}",
    )


def _other(name: str, kind: Any, config: Mapping[str, Any]) -> Described | None:
    """Describe a model of a kind that capgen does not know, by what its config names."""
    architectures = _architectures(config)
    article = "an" if str(kind)[:1] in tuple("aeio") else "a"
    title = f"{article} '{kind}' model" + (f" ({architectures[0]})" if architectures else "")
    if not isinstance(kind, str) and not architectures:
        title = "a model whose config.json does not name its kind (model_type)"
    reads = any(isinstance(config.get(key), Mapping) for key in ("text_config", "text_cfg"))
    sees = any(isinstance(config.get(key), Mapping) for key in ("vision_config", "vision_cfg"))
    writes = any(architecture.endswith(_WRITING) for architecture in architectures)
    encoder_hint = f"Train a captioner on it: capgen train --preset clip-gpt2 --encoder {name}"
    if kind in _DRAWING:
        return Described(
            f"{title}: it reads its prompt from the image, which capgen does not draw",
            f"Use another model. {_KNOWN_HINT}",
        )
    if any(architecture.endswith(_ANSWERING) for architecture in architectures):
        return Described(
            f"{title}: it answers questions with one of the answers it was trained with",
            f"Use a captioning model. {_KNOWN_HINT}",
        )
    if sees and writes:
        return None
    if sees and reads:
        return Described(f"{title}: it compares images with texts and writes none", encoder_hint)
    # BEiT's `vocab_size` is that of pieces of images.
    words = "vocab_size" in config and not {"image_size", "patch_size"} <= config.keys()
    if sees or (not words and config.keys() & {"image_size", "num_channels"}):
        return Described(f"{title}: it sees images and writes no text", encoder_hint)
    if kind == "gpt2":
        return Described(
            f"{title}: it reads text only",
            f"Train a captioner with it: capgen train --preset clip-gpt2 --decoder {name}",
        )
    if "vocab_size" in config or reads:
        return Described(f"{title}: it reads text only", _KNOWN_HINT)
    return Described(title, _KNOWN_HINT)


def without_config(
    names: Collection[str], read: Callable[[str], Mapping[str, Any]]
) -> Described | None:
    """Describe files without a `config.json`, or return None if that is impossible.

    Args:
        names: The names of the files, relative to the model's folder.
        read: Returns the content of one of the JSON files among them; empty if it cannot.
    """
    if ADAPTER_FILE in names:
        adapter = read(ADAPTER_FILE)
        base = adapter.get("base_model_name_or_path") or "an unnamed model"
        kind = str(adapter.get("peft_type") or "peft").replace("LORA", "LoRA")
        return Described(
            f"a {kind} adapter of {base}, without that model",
            "Merge it into its model with peft (merge_and_unload), save that with "
            "save_pretrained, and use its folder.",
        )
    if _OPEN_CLIP_FILE in names:
        settings = read(_OPEN_CLIP_FILE).get("model_cfg")
        coca = isinstance(settings, Mapping) and "multimodal_cfg" in settings
        return Described(
            "a CoCa model of OpenCLIP" if coca else "a model of OpenCLIP",
            f"capgen loads only models of transformers. {_KNOWN_HINT}",
        )
    if _IMAGE_LORA_FILE in names:
        return Described("a LoRA for a model that makes images", _KNOWN_HINT)
    if _PIPELINE_FILE in names:
        return Described("a diffusers pipeline, which makes images", _KNOWN_HINT)
    form = weights_format(names)
    if form is None:
        return None
    return Described(f"a model in {form}, without a config.json", format_hint(names))


def weights_format(names: Collection[str]) -> str | None:
    """Return the format of weights that capgen cannot read among these files, or None."""
    formats = (form for suffix, form in _FORMATS.items() for name in names if name.endswith(suffix))
    return next(formats, None)


def format_hint(names: Collection[str]) -> str:
    """Return what to do about weights in a format that capgen cannot read."""
    return _GGUF_HINT if any(name.endswith(".gguf") for name in names) else SAFETENSORS_HINT


def _architectures(config: Mapping[str, Any]) -> list[str]:
    names = config.get("architectures")
    return [name for name in names if isinstance(name, str)] if isinstance(names, list) else []
