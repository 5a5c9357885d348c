"""One table of all caches: nothing is written elsewhere, and clearing leaves nothing."""

from __future__ import annotations

import ast
import tarfile
from pathlib import Path

import numpy as np

import capgen
from capgen.cache_folders import CACHES, FEATURES, SHARDS, TEACHER_CAPTIONS, clear, usage
from capgen.data.cache.file_hashes import hash_files
from capgen.data.cache.images import cached_images
from capgen.data.dataset import load_dataset
from capgen.paths import cache_dir
from capgen.training.data.feature_cache import CacheFile
from tests.minis import draw, squash

PACKAGE = Path(capgen.__file__).parent


def test_every_cache_is_shown_and_cleared(home: Path) -> None:
    for cache in CACHES:
        file = cache.path if cache.path.suffix else cache.path / "inner" / "file"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(bytes(1000))
    assert [(part.path, part.files, part.bytes) for part in usage()] == [
        (cache.path, 1, 1000) for cache in CACHES
    ]
    assert clear() == 1000 * len(CACHES)
    assert list(cache_dir().iterdir()) == []


def test_what_capgen_does_not_know_stays(home: Path) -> None:
    (cache_dir() / "mine").mkdir(parents=True)
    assert usage() == []
    assert clear() == 0
    assert (cache_dir() / "mine").is_dir()


def names_in(module: Path) -> set[str]:
    tree = ast.walk(ast.parse(module.read_text(encoding="utf-8")))
    return {
        node.attr if isinstance(node, ast.Attribute) else node.id
        for node in tree
        if isinstance(node, ast.Attribute | ast.Name)
    }


def test_only_the_table_asks_where_caches_are() -> None:
    asking = {
        module.relative_to(PACKAGE).as_posix()
        for module in PACKAGE.rglob("*.py")
        if "cache_dir" in names_in(module)
    }
    # `capgen doctor` looks whether one can write there.
    assert asking == {"cache_folders.py", "doctor/storage.py"}


def test_what_is_written_is_in_the_table(tmp_path: Path, home: Path) -> None:
    image = tmp_path / "a.png"
    draw(1).save(image)
    (tmp_path / "a.txt").write_text("a red circle")
    hash_files([image])
    list(cached_images([image], squash(8)))
    with tarfile.open(tmp_path / "shard.tar", "w") as tar:
        for name in ("a.png", "a.txt"):
            tar.add(tmp_path / name, name)
    load_dataset(tmp_path / "shard.tar")
    blocks = [np.zeros((1, 2), np.float16)]
    list(
        CacheFile(split="train", sources=("digest",), rows=1).get(
            lambda first, stop: iter(blocks[first:stop])
        )
    )
    written = {place.name for place in cache_dir().iterdir()}
    elsewhere = {
        *("captions", "datasets", "thumbnails", "archives", "clip-features.sqlite"),
        *("bert-scores.sqlite", "meteor-paraphrases"),
    }
    assert written == {cache.name for cache in CACHES} - elsewhere
    assert {part.path for part in usage()} >= {SHARDS.path, FEATURES.path}


def test_an_entry_is_named_after_all_of_its_sources(home: Path) -> None:
    first = TEACHER_CAPTIONS.entry("ab", "c", suffix=".json")
    assert first.parent == TEACHER_CAPTIONS.path and first.suffix == ".json"
    assert first != TEACHER_CAPTIONS.entry("a", "bc", suffix=".json")
    assert first == TEACHER_CAPTIONS.entry("ab", "c", suffix=".json")
