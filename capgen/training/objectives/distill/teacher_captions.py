"""Teachers' captions of the training images: generated once, cached in small files.

    cache/captions/HASH.json    captions of a block of images, in order

A file is named after the sources of its captions: the teacher's files, the decoding settings,
the data set and the block.
"""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Generator, Iterator, Sequence
from pathlib import Path
from typing import Any

import torch

from capgen.addresses import is_url
from capgen.cache_folders import TEACHER_CAPTIONS
from capgen.captioning.captioner import Captioner
from capgen.config import DecodeOptions, TrainConfig
from capgen.data.problems import BROKEN_IMAGE_HINT
from capgen.errors import DataError
from capgen.paths import write_text
from capgen.records import CaptionFailure, Example, PreparationEvent

logger = logging.getLogger(__name__)

# Images per file: a process that is killed loses no more.
_BLOCK = 128
_SECONDS_BETWEEN_EVENTS = 1.0
# For teachers that sample by default.
_BEAMS = 5


def teachers_captions(
    config: TrainConfig, examples: Sequence[Example], digest: str, device: torch.device
) -> Generator[PreparationEvent, None, list[list[str]]]:
    """Return each image's captions, one from each teacher."""
    by_teacher = []
    for name in config.teachers:
        # A server computes where it is.
        place = "auto" if is_url(name) else str(device)
        captioner = Captioner.from_pretrained(name, device=place)
        by_teacher.append((yield from _captions(captioner, examples, digest)))
    return [list(captions) for captions in zip(*by_teacher, strict=True)]


def _captions(
    captioner: Captioner, examples: Sequence[Example], digest: str
) -> Generator[PreparationEvent, None, list[str]]:
    options = DecodeOptions()
    if captioner.settings(options)[0].sample:
        options = DecodeOptions(beams=_BEAMS)
    settings, _ = captioner.settings(options)
    used = settings.to_dict()
    if captioner.runtime.in_flight:  # the address says less than the digest of a folder
        used = {**captioner.record_settings(settings), "model": captioner.name}
    source = [digest, captioner.model.fingerprint, json.dumps(used, sort_keys=True)]
    captions: list[str] = []
    for start in range(0, len(examples), _BLOCK):
        block = examples[start : start + _BLOCK]
        ids = [example.image_id for example in block]
        file = TEACHER_CAPTIONS.entry(*source, *ids, suffix=".json")
        texts = _read(file)[: len(block)]
        cached = len(texts) == len(block)
        logger.debug("%s %s: captions of %s", "found" if cached else "making", file, captioner.name)
        if not cached:
            for done in _complete(file, texts, _generate(captioner, block[len(texts) :], options)):
                yield PreparationEvent(
                    stage="captions", split="train", done=start + done, total=len(examples)
                )
        captions += texts
    return captions


def _complete(file: Path, texts: list[str], new: Iterator[str]) -> Iterator[int]:
    """Add the captions that a block lacks, and write them all; yield now and then how many."""
    told = time.monotonic()
    yield len(texts)  # before the first, which may take long
    try:
        for text in new:
            texts.append(text)
            if time.monotonic() - told > _SECONDS_BETWEEN_EVENTS:
                told = time.monotonic()
                yield len(texts)
    finally:  # an interrupted block is kept as far as it is
        if texts:
            write_text(file, json.dumps(texts))
    yield len(texts)


def _generate(
    captioner: Captioner, examples: Sequence[Example], options: DecodeOptions
) -> Iterator[str]:
    for record in captioner.stream((example.image for example in examples), options):
        if isinstance(record, CaptionFailure):
            raise DataError(record.message, hint=BROKEN_IMAGE_HINT)
        yield record.text


def _read(file: Path) -> list[str]:
    """Return the captions of a file; none if it is missing or damaged."""
    try:
        content: Any = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return []
    valid = isinstance(content, list) and all(isinstance(item, str) for item in content)
    return content if valid else []
