"""What `capgen caption` and `capgen apply` say of captions in images and beside them."""

from __future__ import annotations

from capgen.cli.console import Console
from capgen.output.beside import BesideWriters


def summarise(console: Console, beside: BesideWriters) -> None:
    """Say how many images were changed, and what stays as it was."""
    if beside.metadata is not None:
        verb = "would be written" if beside.metadata.dry_run else "written"
        only = f"; {beside.beside_instead} only into XMP sidecars" if beside.beside_instead else ""
        what = "captions and tags" if beside.tags.tags else "captions"
        console.note(f"{what} {verb} into {beside.metadata.changed} images{only}")
        if beside.metadata.kept:
            many = _keep(beside.metadata.kept, "image")
            option = "--on-description append or replace"
            console.note(f"{many} a description that a person wrote: {option} changes that")
    if beside.kept + beside.passed_over:
        many = _keep(beside.kept + beside.passed_over, "sidecar")
        console.note(f"{many} what is there: --on-existing append or overwrite changes that")


def _keep(count: int, what: str) -> str:
    return f"1 {what} keeps" if count == 1 else f"{count} {what}s keep"
