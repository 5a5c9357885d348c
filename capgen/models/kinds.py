"""What kind of model files are of: told from their names and from `config.json` alone.

What capgen does not caption with is named as what it is, with what can be done about it.
Loads no model and imports neither torch nor transformers.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import Any, NamedTuple

from capgen.errors import ModelError, UnsafeModelError

ENCODER_DECODER = "vision-encoder-decoder"
# Kinds of models (`model_type`) that caption an image without being told anything else.
CAPTIONER_KINDS = (ENCODER_DECODER, "blip", "git")
ADAPTER_FILE = "adapter_config.json"
SAFETENSORS_HINT = "Give a folder as `save_pretrained` of transformers writes it, with safetensors."
_OPEN_CLIP_FILE = "open_clip_config.json"
_PIPELINE_FILE = "model_index.json"

# Heads of BLIP and GIT (`architectures`) that write no captions → what they do.
_OTHER_HEADS = {
    "BlipForQuestionAnswering": "answers questions about images",
    "BlipForImageTextRetrieval": "compares images with texts",
    "BlipModel": "compares images with texts",
    "BlipTextModel": "reads text only",
    "BlipVisionModel": "sees images and writes no text",
    "GitModel": "has no head that writes words",
    "GitVisionModel": "sees images and writes no text",
}
_KNOWN_HINT = "capgen captions with: " + ", ".join(CAPTIONER_KINDS)
# Formats of weights by the endings of their files.
_FORMATS = {
    ".gguf": "GGUF, the format of llama.cpp",
    ".h5": "TensorFlow's HDF5",
    ".msgpack": "Flax's msgpack",
    ".ckpt": "a PyTorch checkpoint",
}


class Described(NamedTuple):
    """A model that does not caption.

    Attributes:
        what: What it is, as in "a LoRA adapter of gpt2".
        hint: What can be done about it.
    """

    what: str
    hint: str


def check_captioner(
    name: str, config: Mapping[str, Any], *, trust_remote_code: bool = False
) -> None:
    """Check that a model is of a kind that captions images.

    Args:
        name: What the user calls the model, for messages.
        config: Its `config.json`.
        trust_remote_code: Whether kinds that capgen does not know may bring their own code.

    Raises:
        ModelError: It is of another kind.
        UnsafeModelError: It needs code of its own, which is not to be run.
    """
    other = other_kind(name, config)
    if other is None:
        return
    if "auto_map" in config and config.get("model_type") not in CAPTIONER_KINDS:
        if trust_remote_code:
            return
        raise own_code_error(name)
    raise ModelError(
        f"{name} is not a captioner that capgen knows, but {other.what}", hint=other.hint
    )


def own_code_error(name: str) -> UnsafeModelError:
    """Return the error for a model whose code would have to be run."""
    return UnsafeModelError(
        f"{name} needs code of its own, which capgen does not run by itself",
        hint="Read that code first; --trust-remote-code runs it.",
    )


def other_kind(name: str, config: Mapping[str, Any]) -> Described | None:
    """Return what a model that does not caption is, or None for one that does.

    Args:
        name: What the user calls the model, for hints.
        config: Its `config.json`.
    """
    kind = config.get("model_type")
    heads = _heads(config)
    if kind in CAPTIONER_KINDS:
        found = [head for head in heads if head in _OTHER_HEADS]
        if not found or len(found) < len(heads):
            return None
        return Described(
            f"a '{kind}' model that {_OTHER_HEADS[found[0]]} ({found[0]})",
            f"Use the captioning model of its family. {_KNOWN_HINT}",
        )
    article = "an" if str(kind)[:1] in tuple("aeio") else "a"
    title = f"{article} '{kind}' model" + (f" ({heads[0]})" if heads else "")
    if not isinstance(kind, str) and not heads:
        title = "a model whose config.json names no kind (model_type)"
    reads = any(isinstance(config.get(key), Mapping) for key in ("text_config", "text_cfg"))
    sees = any(isinstance(config.get(key), Mapping) for key in ("vision_config", "vision_cfg"))
    writes = any("For" in head for head in heads)
    if sees and writes:
        return Described(f"{title}: it answers prompts about images", _KNOWN_HINT)
    if sees and reads:
        return Described(
            f"{title}: it compares images with texts and writes none", _encoder_hint(name)
        )
    if sees or ("vocab_size" not in config and config.keys() & {"image_size", "num_channels"}):
        return Described(f"{title}: it sees images and writes no text", _encoder_hint(name))
    if kind == "gpt2":
        return Described(
            f"{title}: it reads text only",
            f"A captioner can be trained with it: capgen train --preset clip-gpt2 --decoder {name}",
        )
    if "vocab_size" in config or reads:
        return Described(f"{title}: it reads text only", _KNOWN_HINT)
    return Described(title, _KNOWN_HINT)


def without_config(
    names: Collection[str], read: Callable[[str], Mapping[str, Any]]
) -> Described | None:
    """Return what files without a `config.json` are, or None where nothing tells.

    Args:
        names: The names of the files, relative to the model's folder.
        read: Returns the content of one of the JSON files among them; empty if it cannot.
    """
    if ADAPTER_FILE in names:
        adapter = read(ADAPTER_FILE)
        base = adapter.get("base_model_name_or_path") or "a model that it does not name"
        kind = str(adapter.get("peft_type") or "peft").replace("LORA", "LoRA")
        return Described(
            f"a {kind} adapter of {base}, without that model",
            "Merge it into its model with peft (merge_and_unload), save_pretrained, and give "
            "that folder.",
        )
    if _OPEN_CLIP_FILE in names:
        settings = read(_OPEN_CLIP_FILE).get("model_cfg")
        coca = isinstance(settings, Mapping) and "multimodal_cfg" in settings
        return Described(
            "a CoCa model of OpenCLIP" if coca else "a model of OpenCLIP",
            f"Only models of transformers can be loaded. {_KNOWN_HINT}",
        )
    if _PIPELINE_FILE in names:
        return Described("a pipeline of diffusers, which makes images", _KNOWN_HINT)
    form = weights_format(names)
    if form is None:
        return None
    return Described(f"a model in {form}, without a config.json", SAFETENSORS_HINT)


def weights_format(names: Collection[str]) -> str | None:
    """Return the format that capgen does not read of weights among files, if there are such."""
    for ending, form in _FORMATS.items():
        if any(name.endswith(ending) for name in names):
            return form
    return None


def _encoder_hint(name: str) -> str:
    return (
        f"A captioner can be trained on top of it: capgen train --preset clip-gpt2 --encoder {name}"
    )


def _heads(config: Mapping[str, Any]) -> list[str]:
    heads = config.get("architectures")
    return [head for head in heads if isinstance(head, str)] if isinstance(heads, list) else []
