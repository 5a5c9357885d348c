"""What a folder or file has, said where it is in no known layout."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from capgen.data.formats.archived_images import archives_in
from capgen.data.formats.json_sources import json_files
from capgen.data.formats.parquet import all_files, sets_of
from capgen.data.formats.rows import has_captions, head_of_table
from capgen.data.formats.table import tables_in
from capgen.file_types import has_image_suffix
from capgen.images.folders import walk_files

_SHOWN = 5


def what_is_seen(root: Path) -> str:
    """Return what a folder or file has, in a few words."""
    if root.is_file():
        return f"a {root.suffix or 'nameless'} file without captions in a form that capgen knows"
    files = list(walk_files(root))
    if not files:
        return "nothing"
    suffixes = Counter(path.suffix.lower() or "no suffix" for path in files)
    images = sum(has_image_suffix(path.name) for path in files)
    others = [
        f"{count} {suffix}"
        for suffix, count in suffixes.most_common()
        if not has_image_suffix(f"x{suffix}")
    ]
    counted = f"{images} image{'s' * (images > 1)}" if images else "no images"
    return ", ".join([counted, *others[:_SHOWN]])


def choice_of(root: Path) -> str:
    """Return a hint where a folder has several files of captions, or none that says so."""
    if root.is_file():
        return ""
    captioned = [path for path in tables_in(root) if has_captions(head_of_table(path))]
    named = captioned if len(captioned) > 1 else []
    sets = sets_of(all_files(root))
    named = named or (sorted(sets) if len(sets) > 1 else [])
    named = named or tables_in(root) or json_files(root)[:_SHOWN]
    if len(named) > 1:
        shown = ", ".join(path.relative_to(root).as_posix() for path in named[:_SHOWN])
        more = f" and {len(named) - _SHOWN} more" if len(named) > _SHOWN else ""
        return f"It has several files that may hold captions: name one of them ({shown}{more})."
    if not any(has_image_suffix(path.name) for path in walk_files(root)) and archives_in(root):
        return "Unpack its archives first."
    if not any(not has_image_suffix(path.name) for path in walk_files(root)):
        return "Put a captions.csv with the columns image and caption beside the images."
    return ""
