"""The model card's sections on a model's origin: base models, data, languages, licences."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from capgen.data.download.catalog import DATASETS
from capgen.data.formats.manifest import LANGUAGE_TAG
from capgen.hub.escaping import inline
from capgen.models.lineage import (
    BUNDLED_SOURCE,
    HUB,
    INIT,
    PYPI,
    RUN,
    Entry,
    lineage_of,
    sources,
)
from capgen.models.provenance import Provenance

ENGLISH = "en"


def data_sets(provenance: Provenance) -> list[Mapping[str, Any]]:
    """Return the record of each data set that the model was trained on."""
    sets = provenance.data.get("sets")
    records = sets if isinstance(sets, list) else [provenance.data]
    return [data for data in records if isinstance(data, Mapping) and data]


def languages(provenance: Provenance) -> list[str]:
    """Return the languages of the training captions, for the data sets that state one."""
    tags: dict[str, None] = {}
    for data in data_sets(provenance):
        spec = DATASETS.get(str(data.get("name")))
        language = data.get("language") or (spec.language if spec is not None else "")
        if isinstance(language, str) and LANGUAGE_TAG.fullmatch(language):
            tags[language] = None
    return list(tags)


def made_from(provenance: Provenance) -> str:
    """Return a list of the models that the weights come from, nearest first."""
    lineage = lineage_of(provenance)
    if not lineage:
        return "The origin of its weights is not recorded."
    lines = [f"- {_origin(entry)}" for entry in lineage]
    if lineage[-1].get("role") == INIT:
        lines.append("- The origin of that model is not recorded.")
    return "\n".join(lines)


def _origin(entry: Entry) -> str:
    name, role = inline(entry.get("name", "unnamed")), entry.get("role")
    titles = {
        BUNDLED_SOURCE: f"**{name}**, the captioner bundled with capgen",
        HUB: f"**{name}** on the Hub",
        RUN: f"**{name}**, a private checkpoint of a training run",
        PYPI: f"**{name}**, from the package {inline(entry.get('package', 'unnamed'))}",
    }
    facts = [
        titles.get(str(entry.get("source")), f"**{name}**, a private model folder"),
        f"commit {inline(entry['revision'])}" if entry.get("revision") else "",
        f"pretrained on {inline(entry['pretrained_on'])}" if entry.get("pretrained_on") else "",
        _trained_on(entry),
        f"licence {inline(entry['licence'])}" if entry.get("licence") else "",
    ]
    begin = "Started from" if role in (INIT, None) else f"Its {inline(role)} started from"
    return f"{begin} " + ", ".join(filter(None, facts)) + "."


def _trained_on(entry: Entry) -> str:
    names = ", ".join(_weighted(data) for _, data in sources([entry]))
    settings = entry.get("training")
    how = settings.get("objective") if isinstance(settings, Mapping) else None
    return f"trained on {names}" + (f" ({inline(how)})" if how else "") if names else ""


def _weighted(data: Mapping[str, Any]) -> str:
    """Return a data set's name, with its weight if that is not 1."""
    name, weight = inline(data.get("name", "unnamed")), data.get("weight", 1)
    return name if weight == 1 else f"{name} with weight {inline(weight)}"


def weights(provenance: Provenance) -> list[str]:
    """Return a line for each data set whose weight is recorded."""
    return [
        f"- **{inline(data.get('name', 'unnamed'))}.** weight {inline(data['weight'])}"
        + (f": {inline(data['drawn'])} training images per epoch" if "drawn" in data else "")
        for data in data_sets(provenance)
        if "weight" in data
    ]


def terms(provenance: Provenance, licence: str) -> str:
    """Return the licences of the weights, of the models they come from, and of all data."""
    lineage = lineage_of(provenance)
    lines = [f"- **Weights.** `{licence}`, as stated by their uploader."]
    lines += [
        f"- **{inline(entry.get('name', 'unnamed'))}, which it started from.** "
        + inline(entry.get("licence") or "not recorded")
        for entry in lineage
    ]
    data = (*data_sets(provenance), *(item for _, item in sources(lineage)))
    return "\n".join(dict.fromkeys([*lines, *map(_data_licence, data)]))


def _data_licence(data: Mapping[str, Any]) -> str:
    spec = DATASETS.get(str(data.get("name")))
    licence = data.get("licence") or (spec.licence if spec else "not recorded")
    return f"- **Data ({inline(data.get('name', 'unnamed'))}).** {inline(licence)}"
