"""What `capgen caption` and `capgen apply` say of captions in images and beside them."""

from __future__ import annotations

from capgen.cli.console import Console, counted
from capgen.cli.places import OutputOptions
from capgen.config import ImageLimits
from capgen.images.decoders import printable
from capgen.images.metadata.write import MetadataWriter
from capgen.output.beside import BesideWriters
from capgen.output.sidecars import Sidecars
from capgen.undo_file import UndoFile


def open_beside(
    places: OutputOptions, sidecars: Sidecars | None, limits: ImageLimits, *, dry_run: bool
) -> BesideWriters:
    """Return what writes into images and beside them, and records that for undoing."""
    undo = None if places.changes_written_to is None else UndoFile(places.changes_written_to)
    metadata = None
    if undo is not None and places.write_metadata:
        metadata = MetadataWriter(undo, places, limits=limits, dry_run=dry_run)
    if sidecars is not None:
        sidecars.undo = undo
    return BesideWriters(undo, metadata, sidecars, places)


def summarise(console: Console, beside: BesideWriters) -> None:
    """Say how many images were changed, and what stays as it was."""
    if beside.metadata is not None:
        verb = "would be written" if beside.metadata.dry_run else "written"
        only = f"; {beside.beside_instead} only into XMP sidecars" if beside.beside_instead else ""
        what = "captions and tags" if beside.tags.tags else "captions"
        changed = beside.metadata.changed
        number = counted(changed, "image")
        console.note(f"{what} {verb} into {number}{already_there(beside.metadata.already)}{only}")
        if beside.metadata.kept:
            many = _keep(beside.metadata.kept, "image")
            option = "--on-description append or replace"
            console.note(f"{many} a description that a person wrote: {option} changes that")
    count = beside.kept + beside.passed_over
    if count and beside.sidecars is not None:
        own = "" if beside.sidecars.replace_own else "update (capgen's own), "
        more = ", …" if count > len(beside.kept_names) else ""
        console.note(
            f"{_keep(count, 'sidecar')} what is there: --on-existing {own}append or overwrite "
            f"changes that ({', '.join(map(printable, beside.kept_names))}{more})"
        )


def already_there(count: int) -> str:
    """Return the end of a line about what was written: how many needed nothing."""
    return f"; {count:,} already there" if count else ""


def _keep(count: int, what: str) -> str:
    return f"1 {what} keeps" if count == 1 else f"{count} {what}s keep"
