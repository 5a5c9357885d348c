"""What `capgen alt scan` and `check` print."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

from capgen.alt_text.findings import Finding
from capgen.alt_text.site import Site, SiteImage
from capgen.cli.console import Console, counted
from capgen.images.decoders import printable

_SCHEMA_VERSION = 1


def show_scan(console: Console, site: Site) -> None:
    """Print a line for each image without alternative text, then tell how many there are."""
    for image in site.missing:
        console.data(f"{where(image)}: {printable(image.place.address)}{problem_of(image)}")
    for path, error in site.unreadable.items():
        console.error(error.message or path, error.hint)
    counts = Counter[str](image.place.state for image in site.images)
    kinds = {"written": "a text", "decoration": "decoration", "computed": "made by a template"}
    rest = [f"{counts[state]:,} {said}" for state, said in kinds.items() if counts[state]]
    read = f"{counted(len(site.images), 'image')} in {counted(len(site.pages), 'page')}"
    missing = f"{counts['missing']:,} without a text"
    console.note(f"{read}: {', '.join([missing, *rest])}")
    tell_image_root(console, site)


def tell_image_root(console: Console, site: Site) -> None:
    """Tell the option for images of the site's own addresses, if none of these was found."""
    own = [
        image
        for image in site.images
        if image.address is None and image.place.address.startswith("/")
    ]
    lost = any(image.place.state == "missing" for image in own)
    if lost and all(image.file is None for image in own):
        console.note("--image-root FOLDER says where the images are whose addresses begin with /")


def scan_fields(site: Site) -> dict[str, Any]:
    """Return what a scan found, for JSON."""
    return {
        "schema_version": _SCHEMA_VERSION,
        "pages": len(site.pages),
        "unreadable": {path: error.message for path, error in site.unreadable.items()},
        "images": [_image_fields(image) for image in site.images],
    }


def _image_fields(image: SiteImage) -> dict[str, Any]:
    place = image.place
    return {
        "page": image.page.path.as_posix(),
        "line": place.line,
        "column": place.column,
        "address": place.address,
        "file": None if image.file is None else image.file.as_posix(),
        "alt": place.state,
        "text": place.text,
        "heading": place.heading,
        "paragraph": place.paragraph,
    }


def finding_lines(found: Sequence[Finding]) -> list[str]:
    """Return a line for each finding, as editors and `grep` read places."""
    lines = []
    for each in found:
        place = "" if each.line is None else f":{each.line}:{each.column}"
        lines.append(f"{printable(each.page)}{place}: {each.rule.id}: {printable(each.message)}")
    return lines


def check_fields(site: Site, found: Sequence[Finding]) -> dict[str, Any]:
    """Return findings, for JSON."""
    return {
        "schema_version": _SCHEMA_VERSION,
        "pages": len(site.pages),
        "images": len(site.images),
        "findings": [
            {
                "rule": each.rule.id,
                "level": "error" if each.rule.error else "warning",
                "page": each.page,
                "line": each.line,
                "column": each.column,
                "message": each.message,
                "address": each.address,
                "text": each.text,
            }
            for each in found
        ],
    }


def tell_findings(console: Console, site: Site, found: Sequence[Finding]) -> None:
    """Tell how much was found, by rule."""
    read = f"{counted(len(site.images), 'image')} in {counted(len(site.pages), 'page')}"
    if not found:
        console.note(f"{read}: nothing to mend")
        return
    rules = Counter(each.rule.id for each in found)
    counts = ", ".join(f"{rule} {count:,}" for rule, count in rules.most_common())
    console.note(f"{read}: {counted(len(found), 'finding')} ({counts})")


def where(image: SiteImage) -> str:
    """Return an image's place as editors read it: `page.md:12:3`."""
    return f"{printable(image.page.path)}:{image.place.line}:{image.place.column}"


def problem_of(image: SiteImage) -> str:
    """Return why an image cannot get a text; empty if it can."""
    if image.place.edit is None:
        return " (its alternative text cannot be changed there)"
    if image.is_drawing:
        return " (an SVG drawing: write its text yourself)"
    if image.file is not None:
        return ""
    if image.address is not None:
        return " (on the web: --download)"
    if image.place.address.startswith("data:"):
        return " (in the page itself)"
    return " (no such file)" if image.place.address else "(an expression makes its address)"
