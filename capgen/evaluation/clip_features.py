"""What a CLIP makes of images and captions, computed in batches and kept by content.

An image is known by the SHA-256 of its file, a text by its own, a model by its commit or the hash
of its files.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from capgen.cache_folders import CLIP_FEATURES
from capgen.data.cache.file_hashes import hash_files
from capgen.errors import ImageError, MetricError
from capgen.evaluation.events import FeaturesComputed
from capgen.evaluation.kept_vectors import Vector, kept_vectors
from capgen.images.load import load_image
from capgen.metrics.clipscore import PREFIX, ClipFeatures
from capgen.metrics.corpus import some_images

if TYPE_CHECKING:
    from capgen.models.clip import ClipModel

logger = logging.getLogger(__name__)

_IMAGES_AT_ONCE, _TEXTS_AT_ONCE = 32, 256


def clip_features(
    name: str, images: Mapping[str, Path], texts: Iterable[str], *, device: str = "auto"
) -> Generator[FeaturesComputed, None, ClipFeatures]:
    """Yield progress and return the features of images and captions.

    They come from the cache as far as they are there.

    Args:
        name: The CLIP: a folder or a Hub id.
        images: Image id → file.
        texts: Captions, without the prefix of CLIPScore, which is added.
        device: `auto`, `cpu`, `cuda`, `cuda:N` or `mps`.

    Raises:
        ModelError, NetworkError: The model cannot be found or is not a CLIP.
        MetricError: Images cannot be read, or the model computes no numbers.
    """
    from capgen.models.resolve import resolve_model

    folder = resolve_model(name)
    wanted = dict.fromkeys(texts)
    hashes = dict(zip(images, _hashes(images), strict=True))
    files = {hashes[image_id]: file for image_id, file in images.items()}
    prompts = {text: _readable(PREFIX + text) for text in wanted}
    digests = {text: hashlib.sha256(prompt.encode()).digest() for text, prompt in prompts.items()}
    of_digest = {digest: prompts[text] for text, digest in digests.items()}
    of_images, of_texts = (f"{folder.fingerprint} {kind}" for kind in ("image", "text"))
    with kept_vectors(CLIP_FEATURES, "<f4") as kept:
        known_images = kept.recall(of_images, list(files))
        known_texts = kept.recall(of_texts, list(of_digest))
        new_images = [key for key in files if key not in known_images]
        # Of like lengths together, so that little is filled up.
        new_texts = sorted(
            (key for key in of_digest if key not in known_texts),
            key=lambda key: len(of_digest[key]),
        )
        logger.debug(
            "CLIP features: %d images and %d texts are new", len(new_images), len(new_texts)
        )
        if new_images or new_texts:
            from capgen.models.clip import ClipModel
            from capgen.models.torch_devices import choose_device

            model = ClipModel(folder, choose_device(device))
            done, total = 0, len(new_images) + len(new_texts)
            yield FeaturesComputed(done=done, total=total)
            for keys in _batches(new_images, _IMAGES_AT_ONCE):
                fresh = _numbers(_of_images(model, {key: files[key] for key in keys}), name)
                kept.remember(of_images, fresh)
                known_images |= fresh
                done += len(keys)
                yield FeaturesComputed(done=done, total=total)
            for keys in _batches(new_texts, _TEXTS_AT_ONCE):
                vectors = model.text_features([of_digest[key] for key in keys])
                fresh = _numbers(dict(zip(keys, vectors, strict=True)), name)
                kept.remember(of_texts, fresh)
                known_texts |= fresh
                done += len(keys)
                yield FeaturesComputed(done=done, total=total)
    return ClipFeatures(
        model=f"{name} ({folder.fingerprint})",
        images={image_id: known_images[key] for image_id, key in hashes.items()},
        texts={text: known_texts[digest] for text, digest in digests.items()},
    )


def _readable(text: str) -> str:
    """Return a text without lone surrogates, which no tokenizer reads."""
    return text.encode("utf-8", "replace").decode()


def _hashes(images: Mapping[str, Path]) -> list[bytes]:
    missing = [image_id for image_id, file in images.items() if not file.is_file()]
    if missing:
        raise MetricError(
            f"CLIPScore needs the images, and there is no file of {some_images(missing)}",
            hint="With --references, give the folder of the images as --data-dir.",
        )
    return hash_files(list(images.values()))


def _of_images(model: ClipModel, files: Mapping[bytes, Path]) -> dict[bytes, Vector]:
    """Return the features of a batch of image files."""

    def prepared(file: Path) -> Vector | ImageError:
        try:
            return model.prepare(load_image(file).image)
        except ImageError as error:
            return error

    with ThreadPoolExecutor(4) as pool:
        made = list(pool.map(prepared, files.values()))
    for outcome in made:
        if isinstance(outcome, ImageError):
            raise MetricError(f"CLIPScore needs the images. {outcome.message}", hint=outcome.hint)
    vectors = model.image_features([each for each in made if not isinstance(each, ImageError)])
    return dict(zip(files, vectors, strict=True))


def _numbers(fresh: dict[bytes, Vector], name: str) -> dict[bytes, Vector]:
    """Return features; raise MetricError if some are NaN or infinite."""
    if not all(np.isfinite(vector).all() for vector in fresh.values()):
        raise MetricError(
            f"{name} computes features that are no numbers",
            hint="Its weights are damaged. Use another --clip-model.",
        )
    return fresh


def _batches(keys: Sequence[bytes], size: int) -> Iterator[list[bytes]]:
    left = iter(keys)
    while batch := list(islice(left, size)):
        yield batch
