"""Archives whose images and captions are extracted into a cache folder, once."""

from __future__ import annotations

import json
import logging
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path, PurePosixPath

from capgen.cache_folders import Cache
from capgen.data.download.unpack import Member, check_space, opened
from capgen.data.problems import Problem, Report
from capgen.data.staging import staged
from capgen.file_types import is_foreign_image
from capgen.images.folders import is_seen_member
from capgen.images.tar_archives import BLOCK_BYTES
from capgen.paths import create, storage_errors

logger = logging.getLogger(__name__)

_DONE = ".complete"
# To be changed with the rules for what is extracted, which makes older folders useless.
_RULES = "3"


def extracted(
    cache: Cache,
    places: Mapping[Path, str],
    wanted: Callable[[PurePosixPath], bool],
    report: Report,
) -> Path:
    """Return a cache folder with the members of archives, and report those left out.

    Args:
        cache: The cache, which has one entry for the same archives.
        places: Archive → subfolder for its members.
        wanted: Whether a member is extracted, by its path in the archive.
        report: Receives images that capgen does not read, and members that are unsafe.

    Raises:
        DataError: An archive is damaged, or would grow too large.
        StorageError: There is no room for them.
    """
    archives = list(places)
    folder = _filled(cache, places, wanted)
    for number, message, code in json.loads((folder / _DONE).read_bytes()):
        report(Problem(code=code, message=message, file=archives[number]))
    return folder


def _filled(
    cache: Cache, places: Mapping[Path, str], wanted: Callable[[PurePosixPath], bool]
) -> Path:
    marks = [f"{path.resolve()}:{path.stat().st_size}:{path.stat().st_mtime_ns}" for path in places]
    folder = cache.entry(_RULES, *marks)
    known = (folder / _DONE).exists()
    logger.debug("%s %s: %d archives unpacked", "found" if known else "making", folder, len(places))
    if known:
        return folder
    skipped: list[tuple[int, str, str]] = []
    with storage_errors(folder), staged(folder, "unpacking") as temporary:
        for index, (path, place) in enumerate(places.items()):
            skipped += [(index, *item) for item in _extract(path, temporary / place, wanted)]
        (temporary / _DONE).write_text(json.dumps(skipped), encoding="utf-8")
        shutil.rmtree(folder, ignore_errors=True)
    return folder


def _extract(
    path: Path, into: Path, wanted: Callable[[PurePosixPath], bool]
) -> list[tuple[str, str]]:
    """Extract the wanted members of an archive; return (message, code) per skipped member."""
    into.mkdir(parents=True)
    refused: list[Member] = []
    skipped: list[tuple[str, str]] = []
    mode = path.stat().st_mode
    with opened(path, on_refused=refused.append) as members:
        seen = [member for member in members if is_seen_member(str(member.target))]
        chosen = [member for member in seen if wanted(member.target)]
        check_space(into, sum(member.size for member in chosen), f"unpack {path.name}")
        for member in chosen:
            target = into / member.target
            target.parent.mkdir(parents=True, exist_ok=True)
            with member.open() as source, create(target, mode) as file:
                shutil.copyfileobj(source, file, BLOCK_BYTES)
    for member in filter(lambda member: is_foreign_image(member.target), seen):
        message = f"its member {member.name!r} is an image that capgen does not read"
        skipped.append((message, "image_not_taken"))
    return skipped + [(f"its member {m.name!r} {m.fault}", "member_refused") for m in refused]
