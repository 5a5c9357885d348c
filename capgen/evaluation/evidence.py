"""Collects what some metrics need besides captions and references."""

from __future__ import annotations

import dataclasses
from collections.abc import Generator, Mapping, Sequence
from itertools import chain
from pathlib import Path
from typing import Any

from capgen.config import EvalConfig
from capgen.data.problems import refusing
from capgen.data.text_files import read_json
from capgen.errors import CapgenError, DataError, UsageError
from capgen.evaluation.before_captioning import with_own_hint
from capgen.evaluation.bert_scores import match_captions
from capgen.evaluation.clip_features import clip_features
from capgen.evaluation.evaluation_set import EvaluationSet, number_in
from capgen.evaluation.events import FeaturesComputed, MetricsLeftOut
from capgen.evaluation.judged_language import judged_language
from capgen.metrics.bertscore import bert_model
from capgen.metrics.chair import ObjectTable, SceneObjects, coco_objects
from capgen.metrics.evidence import Evidence
from capgen.metrics.programs import sentence


def scene_objects(config: EvalConfig, data: EvaluationSet) -> SceneObjects | None:
    """Return the objects that CHAIR looks for and those that are there, or None without CHAIR.

    Raises:
        UsageError: There are files for CHAIR, but CHAIR is not wanted.
        MetricError, DataError: A file cannot be read or is not what it should be.
    """
    if "chair" not in config.metric_names:
        if config.objects is not None or config.instances is not None:
            flag = "--objects" if config.objects is not None else "--instances"
            raise UsageError(f"{flag} is for the metric chair", hint="Add chair to --metrics.")
        return None
    table = coco_objects() if config.objects is None else ObjectTable.load(config.objects)
    if config.instances is None:
        return SceneObjects(table=table)
    present = read_instances(config.instances, table, data)
    return SceneObjects(table=table, present=present, source=config.instances.name)


def read_instances(
    path: Path, table: ObjectTable, data: EvaluationSet
) -> dict[str, frozenset[str]]:
    """Return the objects that a COCO file of instances (`instances_val2014.json`) marks, by image.

    Images are found by id, file name or the number in it. Those of other splits are ignored.

    Raises:
        DataError: It is not such a file, or has a category that the table lacks.
    """
    content = read_json(path, refusing)
    names = {
        item["id"]: str(item["name"]) for item in _items(content, path, "categories", "id", "name")
    }
    unknown = sorted(name for name in names.values() if table.named(name) is None)
    if unknown:
        raise DataError(
            f"{path}: the table of objects has no line for {', '.join(map(repr, unknown[:5]))}",
            hint="Give a table that has all categories as --objects.",
        )
    files = {example.image_id: example.image.name for example in data.pool}
    ids = {
        item["id"]: _image_of(item, data, files) for item in _items(content, path, "images", "id")
    }
    present: dict[str, set[str]] = {image_id: set() for image_id in ids.values() if image_id}
    for item in _items(content, path, "annotations", "image_id", "category_id"):
        image_id = ids.get(item["image_id"])
        if image_id is not None:
            if item["category_id"] not in names:
                raise DataError(f"{path}: there is no category {item['category_id']}")
            present[image_id].add(str(table.named(names[item["category_id"]])))
    if not present:
        raise DataError(
            f"{path} has none of the images of {data.name}",
            hint="Give the instances of the same data set and split.",
        )
    return {image_id: frozenset(objects) for image_id, objects in present.items()}


def _image_of(item: Mapping[str, Any], data: EvaluationSet, files: Mapping[str, str]) -> str | None:
    """Return the id in `data` of an image of a COCO file, or None; `files` are those of `data`.

    Data sets may have ids of their own that are COCO's ids of other images: the numbers in the
    names of the files must be the same, if both have one.
    """
    file = str(item.get("file_name", ""))
    found = data.find(file) or data.find(str(item["id"]))
    if found is None:
        return None
    numbers = {number_in(file), number_in(files[found])} - {""}
    return found if len(numbers) < 2 else None


def gather_evidence(
    captions: Mapping[str, str],
    data: EvaluationSet,
    config: EvalConfig,
    known: Evidence,
    *,
    device: str = "auto",
) -> Generator[FeaturesComputed | MetricsLeftOut, None, Evidence]:
    """Yield progress and return what the metrics of `config` need for these captions.

    If a model of a metric cannot be used, the metric is unavailable, and the others are not harmed.

    Args:
        captions: Image → caption.
        data: The images and references.
        config: Metrics and their models.
        known: What is known already.
        device: Where a model computes.

    Raises:
        CapgenError: The model of the only metric, or the images, cannot be read.
    """
    for metric, gather in (("clipscore", _features), ("bertscore", _matches)):
        if metric not in config.metric_names or metric in known.unavailable:
            continue
        try:
            known = yield from gather(captions, data, config, known, device)
        except CapgenError as error:
            reason = {metric: sentence(with_own_hint(error, metric))}
            if not set(config.metric_names) - reason.keys() - known.unavailable.keys():
                raise
            yield MetricsLeftOut(reasons=reason)
            known = dataclasses.replace(known, unavailable={**known.unavailable, **reason})
    return known


def _features(
    captions: Mapping[str, str],
    data: EvaluationSet,
    config: EvalConfig,
    known: Evidence,
    device: str,
) -> Generator[FeaturesComputed, None, Evidence]:
    """Return evidence with what a CLIP makes of images, captions and references."""
    examples = {image_id: data.by_id[image_id] for image_id in captions}
    references = chain.from_iterable(example.references for example in examples.values())
    features = yield from clip_features(
        config.clip_model,
        {image_id: example.image for image_id, example in examples.items()},
        chain(captions.values(), references),
        device=device,
    )
    return dataclasses.replace(known, features=features)


def _matches(
    captions: Mapping[str, str],
    data: EvaluationSet,
    config: EvalConfig,
    known: Evidence,
    device: str,
) -> Generator[FeaturesComputed, None, Evidence]:
    """Return evidence with how captions and references match in a BERT."""
    language, _ = judged_language(data, config)
    matches = yield from match_captions(
        bert_model(language, config.bert_model, config.bert_layer),
        captions,
        {image_id: data.by_id[image_id].references for image_id in captions},
        device=device,
    )
    return dataclasses.replace(known, matches=matches)


def _items(content: Any, path: Path, where: str, *keys: str) -> Sequence[Mapping[str, Any]]:
    items = content.get(where) if isinstance(content, dict) else None
    if not isinstance(items, list):
        raise DataError(
            f"{path} has no list of {where}: it is not a COCO file of instances",
            hint="Give a file such as instances_val2014.json.",
        )
    for number, item in enumerate(items):
        if not isinstance(item, dict) or any(
            not isinstance(item.get(key), int | str) for key in keys
        ):
            raise DataError(f"{path}: entry {number} of {where} lacks {' or '.join(keys)}")
    return items
