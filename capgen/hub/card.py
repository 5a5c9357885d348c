"""The model card, README.md with its metadata, written from a model's provenance.

It states only what is recorded, and says what is not recorded.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any

from capgen.hub.card_examples import Example
from capgen.hub.escaping import inline
from capgen.hub.files import without_paths
from capgen.hub.model_code import has_own_encoder
from capgen.hub.origins import ENGLISH, languages, made_from, terms, weights
from capgen.models.folder import ModelFolder
from capgen.models.lineage import hub_bases, lineage_of
from capgen.models.provenance import Provenance
from capgen.models.recorded_scores import RecordedEvaluation, recorded_evaluations
from capgen.models.safetensors_index import read_index

# Start of a metric's name → the Hub's metric type.
_KINDS = {name: name.lower() for name in ("BLEU", "ROUGE", "METEOR", "CIDEr", "SPICE")}
_RECIPE = (
    *("objective", "teacher", "train_encoder", "lora_rank", "num_epochs", "epoch"),
    *("batch_size", "accumulation", "learning_rate", "encoder_learning_rate"),
    *("decoder_learning_rate", "schedule", "label_smoothing", "dropout", "ema_decay"),
    *("seed", "precision", "hardware", "seconds", "stages"),
)


def model_card(
    folder: ModelFolder,
    repository: str,
    *,
    licence: str = "other",
    examples: tuple[Example, ...] = (),
) -> str:
    """Return the card of a model for the repository `USER/NAME`."""
    provenance = folder.provenance
    parts = [
        f"---\n{_metadata(folder, provenance, repository, licence)}---",
        f"# {repository.partition('/')[2]}",
        _introduction(folder, provenance),
        _section("Use", _usage(folder, repository)),
        _section("Figures", _figures(provenance)),
        _section("Examples", _examples(examples)),
        _section("Made from", made_from(provenance)),
        _section("Training", _training(provenance)),
        _section("Limits and biases", _limits(provenance)),
        _section("Licence", terms(provenance, licence)),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def _metadata(folder: ModelFolder, provenance: Provenance, repository: str, licence: str) -> str:
    from huggingface_hub import ModelCardData

    results = list(_results(provenance))
    data = ModelCardData(
        language=languages(provenance) or None,
        license=licence,
        library_name="transformers",
        pipeline_tag="image-to-text",
        tags=["image-captioning", str(folder.config.get("model_type")), "capgen"],
        base_model=hub_bases(lineage_of(provenance)) or None,
        model_name=repository.partition("/")[2] if results else None,
        eval_results=results or None,
    )
    return data.to_yaml() + "\n"


def _results(provenance: Provenance) -> Iterator[Any]:
    """Yield the scores on whole splits of single data sets.

    Leaderboards would show a mean over several sets, or over a part of a split, as the score of
    a whole one.
    """
    from huggingface_hub import EvalResult

    for recorded in recorded_evaluations(provenance):
        if recorded.parts or recorded.partial:
            continue
        images = "" if recorded.images is None else f" ({recorded.images:,} images)"
        for metric, value in recorded.scores.items():
            kinds = [kind for start, kind in _KINDS.items() if metric.startswith(start)]
            yield EvalResult(
                task_type="image-to-text",
                task_name="Image captioning",
                dataset_type=recorded.dataset.lower(),
                dataset_name=f"{recorded.dataset}{images}",
                dataset_split=recorded.split,
                metric_type=kinds[0] if kinds else metric.lower(),
                metric_name=metric,
                metric_value=round(value, 4),
            )


def _sentence(provenance: Provenance) -> str:
    tags = languages(provenance)
    if not tags:
        return "one sentence, in the language of its training captions, which is not recorded"
    if tags == [ENGLISH]:
        return "one English sentence"
    return f"one sentence (language: {inline(', '.join(tags))})"


def _introduction(folder: ModelFolder, provenance: Provenance) -> str:
    config = folder.config
    encoder, decoder = config.get("encoder") or {}, config.get("decoder") or {}
    weights = [read_index(file) for file in folder.path.glob("model*.safetensors")]
    count = sum(math.prod(tensor.shape) for index in weights for tensor in index.values())
    kinds = sorted({tensor.dtype for index in weights for tensor in index.values()})
    lines = [
        f"It describes an image in {_sentence(provenance)}.",
        "",
        f"- **Encoder.** `{encoder.get('model_type', config.get('model_type'))}`"
        + (f" at {encoder['image_size']} pixels." if encoder.get("image_size") else "."),
        f"- **Decoder.** `{decoder.get('model_type', 'its own')}`.",
        f"- **Size.** {count / 1e6:.1f} million parameters, stored as {', '.join(kinds)}.",
    ]
    generation = folder.generation
    if generation.get("num_beams"):
        lines.append(
            f"- **Decoding.** {generation['num_beams']} beams, "
            f"at most {generation.get('max_length', '?')} tokens."
        )
    return "\n".join(lines)


def _usage(folder: ModelFolder, repository: str) -> str:
    parts = [
        "With capgen:\n",
        f"```console\ncapgen caption photo.jpg --model {repository}\n```",
    ]
    if folder.config.get("model_type") == "vision-encoder-decoder":
        parts.append(
            "\nWith only transformers and Pillow. This runs the repository's "
            "`modeling_capgen.py`:\n"
        )
        parts.append(
            "```python\nfrom transformers import AutoModel\n\n"
            f'model = AutoModel.from_pretrained("{repository}", trust_remote_code=True)\n'
            'print(model.generate_caption("photo.jpg", num_beams=3))\n```'
        )
        if not has_own_encoder(folder.config):
            parts.append("\nWith only transformers, and without this repository's code:\n")
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
        'image = Image.open("photo.jpg").convert("RGB")\n'
        'pixels = processor(image, return_tensors="pt").pixel_values\n'
        "print(tokenizer.decode(model.generate(pixels)[0], skip_special_tokens=True))\n```"
    )


def _figures(provenance: Provenance) -> str:
    rows = recorded_evaluations(provenance)
    names = list(dict.fromkeys(name for row in rows for name in row.scores))
    if not names:
        return "No evaluation is recorded."
    headers = ["data set", "split", "images", *map(inline, names)]
    lines = ["| " + " | ".join(headers) + " |", "|---" * len(headers) + "|"]
    for row in rows:
        values = [f"{row.scores[name]:.4f}" if name in row.scores else "" for name in names]
        cells = [_title(row), inline(row.split), row.images_text, *values]
        lines.append("| " + " | ".join(cells) + " |")
    lines += ["", *_protocols(rows)]
    return "\n".join(lines).rstrip()


def _title(row: RecordedEvaluation) -> str:
    return f"mean of {inline(row.dataset)}" if row.parts else inline(row.dataset)


def _protocols(rows: list[RecordedEvaluation]) -> Iterator[str]:
    for row in rows:
        protocol = row.protocol
        if isinstance(protocol, Mapping):
            known = ("protocol", "tokenizer", "references", "document_frequencies")
            protocol = ", ".join(f"{k}: {protocol[k]}" for k in known if protocol.get(k))
        if protocol:
            yield f"{_title(row)}, {inline(row.split)}: {inline(protocol)}.  "


def _examples(examples: tuple[Example, ...]) -> str:
    return "\n\n".join(
        f"![an image]({item.name})\n\n> {inline(item.caption)}"
        + (f" ({inline(item.credit)})" if item.credit else "")
        for item in examples
    )


def _training(provenance: Provenance) -> str:
    data, training = provenance.data, without_paths(provenance.training)
    if not data and not training:
        return "How the weights were trained is not recorded."
    lines = []
    if data:
        counts = data.get("counts") or {k: data[k] for k in ("train", "val", "test") if k in data}
        lines.append(f"- **Data.** {inline(data.get('name', 'unnamed'))}: {inline(counts)}.")
        lines += weights(provenance)
        if data.get("digest"):
            lines.append(f"- **Digest of the data.** `{inline(data['digest'])}`")
    lines += [
        f"- **{key}.** {inline(training[key])}"
        for key in _RECIPE
        if training.get(key) not in (None, "", 0)
    ]
    if provenance.versions:
        lines.append(f"- **Versions.** {inline(provenance.versions)}")
    lines.append("\n`capgen.json` has the complete record.")
    return "\n".join(lines)


def _limits(provenance: Provenance) -> str:
    name = provenance.data.get("name")
    english = languages(provenance) == [ENGLISH]
    language = "English" if english else "the language of its training captions"
    source = f"the images of {inline(name)}" if name else "its training images"
    return (
        f"- It knows only what {source} show, and describes everything else in those terms: "
        "a fluent sentence can be entirely wrong.\n"
        "- It miscounts, confuses colours, and guesses people's sex and age as its training "
        "captions do. Do not use its captions to identify or judge anybody.\n"
        f"- It does not read text in images, and writes only {language}."
    )


def _section(title: str, text: str) -> str:
    return f"## {title}\n\n{text}" if text else ""
