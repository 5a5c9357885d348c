"""The model card: README.md with its metadata, made from where a model comes from.

It says what is recorded and nothing else; what is not recorded is said to be missing.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from capgen.data.sources import DATASETS
from capgen.hub.code import has_own_encoder
from capgen.hub.files import without_paths
from capgen.models.folder import ModelFolder, Provenance
from capgen.models.weights import read_index

# Metric of a report → the Hub's name for the kind of metric.
_KINDS = (("BLEU", "bleu"), ("ROUGE", "rouge"), ("METEOR", "meteor"), ("CIDEr", "cider"))
_KINDS_TOO = (("SPICE", "spice"),)
# Numbers beside the scores of a split.
_NO_SCORES = ("images", "references", "beams", "loss")
_RECIPE = (
    *("preset", "encoder", "decoder", "init", "train_encoder", "lora_rank", "num_epochs", "epoch"),
    *("batch_size", "accumulation", "learning_rate", "encoder_learning_rate"),
    *("decoder_learning_rate", "schedule", "label_smoothing", "dropout", "ema_decay"),
    *("seed", "precision", "hardware", "seconds", "stages"),
)
_HUB_ID = re.compile(r"[\w-][\w.-]*(/[\w-][\w.-]*)?")


@dataclass(frozen=True)
class Example:
    """A photo with the model's caption of it.

    Attributes:
        name: Path of the photo in the repository.
        caption: What the model said.
        content: The photo, a JPEG without metadata.
        credit: Whose photo it is, as its pusher says.
    """

    name: str
    caption: str
    content: bytes
    credit: str = ""


def model_card(
    folder: ModelFolder,
    repository: str,
    *,
    licence: str = "other",
    examples: tuple[Example, ...] = (),
) -> str:
    """Return the card of a model.

    Args:
        folder: The model.
        repository: Where it is pushed to, `USER/NAME`.
        licence: The Hub's name of the weights' licence, as in `apache-2.0`.
        examples: Photos with captions.

    Raises:
        ModelError: The folder is damaged.
    """
    provenance = folder.provenance
    parts = [
        f"---\n{_metadata(folder, provenance, repository, licence)}---",
        f"# {repository.partition('/')[2]}",
        _introduction(folder),
        _section("Use", _usage(folder, repository)),
        _section("Figures", _figures(provenance)),
        _section("Examples", _examples(examples)),
        _section("Training", _training(provenance)),
        _section("Limits and biases", _limits(provenance)),
        _section("Licence", _licence(provenance, licence)),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def scores(metrics: Mapping[str, Any]) -> dict[str, float]:
    """Return the scores among what was measured on one split."""
    return {
        name: float(value)
        for name, value in metrics.items()
        if isinstance(value, int | float) and not isinstance(value, bool) and name not in _NO_SCORES
    }


def _metadata(folder: ModelFolder, provenance: Provenance, repository: str, licence: str) -> str:
    from huggingface_hub import ModelCardData

    results = list(_results(provenance))
    data = ModelCardData(
        language="en",
        license=licence,
        library_name="transformers",
        pipeline_tag="image-to-text",
        tags=["image-captioning", "vision-encoder-decoder", "capgen"],
        base_model=_base_models(provenance) or None,
        model_name=repository.partition("/")[2] if results else None,
        eval_results=results or None,
    )
    return data.to_yaml() + "\n"


def _results(provenance: Provenance) -> Iterator[Any]:
    from huggingface_hub import EvalResult

    name = str(provenance.data.get("name") or "unnamed")
    for split, metrics in provenance.metrics.items():
        for metric, value in scores(metrics).items():
            kinds = [kind for start, kind in (*_KINDS, *_KINDS_TOO) if metric.startswith(start)]
            yield EvalResult(
                task_type="image-to-text",
                task_name="Image captioning",
                dataset_type=name.lower(),
                dataset_name=name,
                dataset_split=split,
                metric_type=kinds[0] if kinds else metric.lower(),
                metric_name=metric,
                metric_value=round(value, 4),
            )


def _base_models(provenance: Provenance) -> list[str]:
    """Return the Hub ids of what the model was made from, as far as they are ids."""
    if provenance.preset == "mini":
        return []
    found = (provenance.training.get(key) for key in ("encoder", "decoder", "init"))
    return [str(name) for name in found if isinstance(name, str) and _HUB_ID.fullmatch(name)]


def _introduction(folder: ModelFolder) -> str:
    config = folder.config
    encoder, decoder = config.get("encoder") or {}, config.get("decoder") or {}
    weights = [read_index(file) for file in folder.path.glob("model*.safetensors")]
    count = sum(_product(tensor.shape) for index in weights for tensor in index.values())
    kinds = sorted({tensor.dtype for index in weights for tensor in index.values()})
    lines = [
        "It says what is on a photo, in one English sentence.",
        "",
        f"- **Encoder.** `{encoder.get('model_type', config.get('model_type'))}`"
        + (f" at {encoder['image_size']} pixels." if encoder.get("image_size") else "."),
        f"- **Decoder.** `{decoder.get('model_type', 'its own')}`.",
        f"- **Size.** {count / 1e6:.1f} million numbers, stored as {', '.join(kinds)}.",
    ]
    generation = folder.generation
    if generation.get("num_beams"):
        lines.append(
            f"- **Decoding.** {generation['num_beams']} beams, "
            f"at most {generation.get('max_length', '?')} tokens."
        )
    return "\n".join(lines)


def _product(shape: tuple[int, ...]) -> int:
    product = 1
    for edge in shape:
        product *= edge
    return product


def _usage(folder: ModelFolder, repository: str) -> str:
    parts = [
        "With capgen:\n",
        f"```console\ncapgen caption photo.jpg --model {repository}\n```",
    ]
    if folder.config.get("model_type") == "vision-encoder-decoder":
        parts.append(
            "\nWith transformers and Pillow only. `modeling_capgen.py` of this repository is run:\n"
        )
        parts.append(
            "```python\nfrom transformers import AutoModel\n\n"
            f'model = AutoModel.from_pretrained("{repository}", trust_remote_code=True)\n'
            'print(model.generate_caption("photo.jpg", num_beams=3))\n```'
        )
        if not has_own_encoder(folder.config):
            parts.append("\nWith transformers only, and no code of this repository:\n")
            parts.append(_plain_usage(repository))
    return "\n".join(parts)


def _plain_usage(repository: str) -> str:
    return (
        "```python\nimport torch\nfrom PIL import Image\n"
        "from transformers import AutoImageProcessor, AutoTokenizer, VisionEncoderDecoderModel\n\n"
        f'name = "{repository}"\n'
        "model = VisionEncoderDecoderModel.from_pretrained(name, dtype=torch.float32)\n"
        'processor = AutoImageProcessor.from_pretrained(name, backend="pil")\n'
        "tokenizer = AutoTokenizer.from_pretrained(name)\n"
        'photo = Image.open("photo.jpg").convert("RGB")\n'
        'pixels = processor(photo, return_tensors="pt").pixel_values\n'
        "print(tokenizer.decode(model.generate(pixels)[0], skip_special_tokens=True))\n```"
    )


def _figures(provenance: Provenance) -> str:
    rows = {split: scores(metrics) for split, metrics in provenance.metrics.items()}
    names = list(dict.fromkeys(name for row in rows.values() for name in row))
    if not names:
        return "No evaluation is recorded."
    lines = ["| split | photos | " + " | ".join(names) + " |", "|---" * (len(names) + 2) + "|"]
    for split, row in rows.items():
        values = [f"{row[name]:.4f}" if name in row else "" for name in names]
        photos = provenance.metrics[split].get("images", "")
        lines.append(f"| {split} | {photos} | " + " | ".join(values) + " |")
    lines += ["", *_protocols(provenance)]
    return "\n".join(lines).rstrip()


def _protocols(provenance: Provenance) -> Iterator[str]:
    for split, metrics in provenance.metrics.items():
        protocol = metrics.get("protocol") or metrics.get("scorer")
        if isinstance(protocol, Mapping):
            known = ("protocol", "tokenizer", "references", "document_frequencies")
            protocol = ", ".join(f"{k}: {protocol[k]}" for k in known if protocol.get(k))
        if protocol:
            yield f"{split}: {_inline(protocol)}.  "


def _examples(examples: tuple[Example, ...]) -> str:
    blocks = []
    for example in examples:
        credit = f" ({_inline(example.credit)})" if example.credit else ""
        blocks.append(f"![a photo]({example.name})\n\n> {_inline(example.caption)}{credit}")
    return "\n\n".join(blocks)


def _training(provenance: Provenance) -> str:
    data, training = provenance.data, without_paths(provenance.training)
    if not data and not training:
        return "Where the weights come from is not recorded."
    lines = []
    if data:
        counts = data.get("counts") or {k: data[k] for k in ("train", "val", "test") if k in data}
        lines.append(f"- **Data.** {_inline(data.get('name', 'unnamed'))}: {_inline(counts)}.")
        if data.get("digest"):
            lines.append(f"- **Digest of the data.** `{_inline(data['digest'])}`")
    lines += [
        f"- **{key}.** {_inline(training[key])}"
        for key in _RECIPE
        if training.get(key) not in (None, "", 0)
    ]
    if provenance.versions:
        lines.append(f"- **Versions.** {_inline(provenance.versions)}")
    lines.append("\n`capgen.json` holds all that is recorded.")
    return "\n".join(lines)


def _limits(provenance: Provenance) -> str:
    name = provenance.data.get("name")
    source = f"the photos of {_inline(name)}" if name else "its training photos"
    return (
        f"- It knows what {source} show, and describes what they do not show by what they do: "
        "a fluent sentence can be wrong altogether.\n"
        "- It miscounts, mistakes colours, and guesses at people's sex and age as the captions "
        "it learnt from do. Don't use its words to identify or judge anybody.\n"
        "- It reads no text in pictures, and writes English only."
    )


def _licence(provenance: Provenance, licence: str) -> str:
    lines = [f"- **Weights.** `{licence}`, as the one who pushed them says."]
    spec = DATASETS.get(str(provenance.data.get("name")))
    data = provenance.data.get("licence") or (spec.licence if spec else "")
    if data:
        lines.append(f"- **Data.** {_inline(data)}")
    return "\n".join(lines)


def _section(title: str, text: str) -> str:
    return f"## {title}\n\n{text}" if text else ""


def _inline(value: Any) -> str:
    """Return a value as text that cannot change the layout of the card."""
    if isinstance(value, Mapping):
        text = ", ".join(f"{key} {_inline(item)}" for key, item in value.items())
    elif isinstance(value, list | tuple):
        text = "; ".join(_inline(item) for item in value)
    else:
        text = value if isinstance(value, str) else json.dumps(value)
    return re.sub(r"([\\`*_<>\[\]|#])", r"\\\1", " ".join(text.split()))
