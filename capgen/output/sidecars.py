"""Sidecars: a small file beside each image, text for training tools or XMP for image editors."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable, Sequence
from pathlib import Path

from capgen.config import MetadataOptions
from capgen.errors import DiskFullError, ProtectedFileError, StorageError, UsageError
from capgen.file_types import kind_of_suffix
from capgen.images.metadata import Unwritable
from capgen.output.sidecar_text import UnreadableTextError, has_caption, text_sidecar
from capgen.output.sidecar_xmp import SidecarContent, XmpPlaces, has_texts, xmp_sidecar
from capgen.overwriting import SIDECAR, InputFiles, check_output, real_place
from capgen.paths import (
    folded,
    is_file,
    replace_file,
    storage_errors,
    works_everywhere,
    writing,
)
from capgen.records import Caption, WriteOutcome
from capgen.undo_file import UndoFile

ON_EXISTING = ("skip", "update", "overwrite", "append", "prepend")


class _LeftAloneError(Exception):
    """A sidecar is not written; the message says why."""


class Sidecars:
    """Writes captions beside their images.

    Args:
        suffix: Suffix of the sidecars instead of the images': `.txt`, `.caption`. `.xmp` makes
            them XMP, into which captions are merged.
        on_existing: What to do with an existing sidecar: `skip` keeps it, `update` replaces what
            capgen wrote, and keeps the rest; `overwrite` replaces it, `append` and `prepend` add
            the caption, in the file's encoding. A caption that is there already is not added
            again, so a repeated run changes nothing. In XMP only the caption is skipped, replaced
            or added to; everything else stays.
        inputs: Files that no sidecar may replace. Images and other files of a known kind
            are never replaced.
        options: The separator, and the fields of XMP that get the caption.
        undo: Where to record changes.
        replace_own: Whether a caption that the undo file knows to be capgen's is replaced,
            whatever `on_existing`; what a person accepted or wrote only by the like.
        dry_run: Only say what would be written.

    Attributes:
        changed: How many sidecars were written.
        already: How many had their caption before, and stay as they were.

    Raises:
        UsageError: The suffix or the policy is invalid, or the suffix belongs to another kind
            of file than text or XMP.
    """

    def __init__(
        self,
        suffix: str,
        on_existing: str = "skip",
        *,
        inputs: InputFiles | None = None,
        options: MetadataOptions | None = None,
        undo: UndoFile | None = None,
        replace_own: bool = False,
        dry_run: bool = False,
    ) -> None:
        if on_existing not in ON_EXISTING:
            raise UsageError(
                f"--on-existing is '{on_existing}'; it must be one of {', '.join(ON_EXISTING)}"
            )
        self.suffix = suffix if suffix.startswith(".") else f".{suffix}"
        # Beyond capgen's own, `update` is `skip`.
        self.on_existing = "skip" if on_existing == "update" else on_existing
        self.inputs = inputs
        self.options = options or MetadataOptions()
        self.undo = undo
        self.replace_own = replace_own or on_existing == "update"
        self.dry_run = dry_run
        self.changed = self.already = 0
        self._xmp = XmpPlaces() if self.suffix.lower() == ".xmp" else None
        if self._xmp is None:
            _check_suffix(self.suffix)
        # Sidecar → its image, and folded name → the first sidecar that has it.
        self._owners: dict[str, str] = {}
        self._folded: dict[str, str] = {}

    def path(self, image: Path) -> Path:
        """Return the sidecar of an image."""
        return image.with_suffix(self.suffix) if self._xmp is None else self._xmp.path(image)

    @property
    def holds_xmp(self) -> bool:
        return self._xmp is not None

    def leaves(self, image: Path) -> bool:
        """Whether the image has a sidecar that must stay as it is."""
        path = self.path(image)
        if self.on_existing != "skip" or path == image or not is_file(path):
            return False
        if self._xmp is None and not self.replace_own:
            return True
        try:
            data = path.read_bytes()
            own = self._is_own(path, data)
            return not own and (self._xmp is None or has_texts(data, self.options))
        except (OSError, Unwritable):  # writing will find what is wrong
            return False

    def _is_own(self, path: Path, data: bytes) -> bool:
        """Whether capgen wrote a sidecar's caption, nobody accepted it, and it may be replaced."""
        if not self.replace_own or self.undo is None:
            return False
        if self._xmp is not None:
            return self.undo.caption_of(data, reviewed=False) is not None
        return self.undo.may_replace(path, data, reviewed=False)

    def holds(self, image: Path, caption: str) -> bool:
        """Whether an image's sidecar has a caption as capgen wrote it; raise OSError."""
        path = self.path(image)
        data = path.read_bytes()
        if self.undo is None or self._xmp is not None:
            return self.undo is not None and self.undo.caption_of(data, reviewed=True) == caption
        return self.undo.may_replace(path, data, reviewed=True) and has_caption(data, caption)

    def check(self, images: Iterable[Path], outputs: Sequence[Path] = ()) -> None:
        """Raise ProtectedFileError if a sidecar would replace a file that must not be lost.

        Args:
            images: The images, as far as they are known.
            outputs: Other files that the run writes.
        """
        taken = {real_place(output) for output in outputs}
        names = {Path(place).name for place in taken}
        if not names and self.on_existing == "skip":
            return
        for image in images:
            path = self.path(image)
            if os.path.normcase(path.name) in names and real_place(path) in taken:
                name = _one_line(str(path))
                raise ProtectedFileError(
                    f"--sidecar {self.suffix}: {name} is both a sidecar and another output",
                    hint="Choose another suffix, or another name for the output.",
                )
            if self.on_existing != "skip" and is_file(path):
                try:
                    self._check_content(path)
                except StorageError:
                    continue  # only this sidecar fails, when it is written

    def write(
        self, image: Path, record: Caption, tags: Sequence[str] | None = None
    ) -> WriteOutcome:
        """Write a caption and, into text, its alternatives.

        A sidecar that cannot be written is unchanged.

        Args:
            image: The image.
            record: The caption.
            tags: Tags: keywords of XMP, also where a description stays; in text they follow each
                caption. None for no tags.

        Raises:
            DiskFullError: No space is left.
            StorageError: The undo file cannot be written.
        """
        path = self.path(image)
        try:
            with storage_errors(path):
                before = self._before(path, image)
                policy = self._policy(path, before, record)
                if before is not None and policy == "skip" and self._xmp is None:
                    return WriteOutcome(kept=True)
                content = self._content(path, before, policy, record, tags)
        except (_LeftAloneError, ProtectedFileError, StorageError) as error:
            return WriteOutcome(_one_line(str(error)))
        data = content.data
        if data == before:
            if self.undo is not None and record.reviewed and not (content.kept or self.dry_run):
                self.undo.mark_reviewed(path, data)
            self.already += not content.kept
            return WriteOutcome(kept=content.kept, already=not content.kept)
        if self.dry_run:
            self.changed += 1
            return WriteOutcome(kept=content.kept)
        if self.undo is not None:
            self._record(path, before, content, record)
        try:
            if before is not None:
                replace_file(path, data)
            else:
                with writing(path, sweep=False) as temporary:
                    temporary.write_bytes(data)
        except DiskFullError as error:
            raise DiskFullError(_one_line(error.message), hint=error.hint) from error
        except StorageError as error:
            return WriteOutcome(_one_line(error.message))
        self.changed += 1
        return WriteOutcome(kept=content.kept)

    def _policy(self, path: Path, before: bytes | None, record: Caption) -> str:
        """Return what to do with a sidecar: one that capgen made is written anew."""
        if not self.replace_own or self.undo is None or before is None or self._xmp is not None:
            return self.on_existing
        own = self.undo.may_replace(path, before, reviewed=record.reviewed)
        return "overwrite" if own else self.on_existing

    def _record(
        self, path: Path, before: bytes | None, content: SidecarContent, record: Caption
    ) -> None:
        assert self.undo is not None
        caption, reviewed = None, record.reviewed
        if self._xmp is not None and content.kept:
            caption = self.undo.caption_of(before, reviewed=True)
            reviewed = self.undo.is_reviewed(before)
        elif self._xmp is not None:
            caption = record.text
        old = None if before is None else [before]
        self.undo.record(
            *(path, old, [content.data]),
            caption=caption,
            reviewed=reviewed,
            keywords=content.keywords,
        )

    def _before(self, path: Path, image: Path) -> bytes | None:
        """Return the content of a sidecar, or None; raise if it must not or cannot be written."""
        owner = self._owner(path, image)
        if owner != str(image):
            raise _LeftAloneError(
                f"{path} is the sidecar of {owner}: not written for {image}; "
                "rename one of the two images"
            )
        if path == image:
            raise _LeftAloneError(f"{path} is the image itself: no sidecar is written")
        exists = _exists(path)
        if exists and self.on_existing == "skip" and not self.replace_own and self._xmp is None:
            return b""
        if not os.access(os.path.dirname(os.path.realpath(path)), os.W_OK):  # noqa: PTH120
            raise StorageError(f"Not allowed to write {path}")
        if not exists:
            return None
        self._check_content(path)
        return path.read_bytes()

    def _content(
        self,
        path: Path,
        before: bytes | None,
        policy: str,
        record: Caption,
        tags: Sequence[str] | None,
    ) -> SidecarContent:
        """Return a sidecar's new content."""
        try:
            if self._xmp is not None:
                undo, caption = self.undo, None
                own = () if undo is None else undo.keywords_of(before)
                if undo is not None and self.replace_own:
                    caption = undo.caption_of(before, reviewed=record.reviewed)
                return xmp_sidecar(record.text, before, policy, self.options, tags, own, caption)
            captions = [caption.text for caption in (record, *record.alternatives)]
            separator = self.options.separator_text
            data = text_sidecar(captions, before or b"", policy, separator, tags or ())
            return SidecarContent(data)
        except Unwritable as error:
            raise _LeftAloneError(f"nothing was added to {path}: {error}") from error
        except UnreadableTextError as error:
            raise _LeftAloneError(f"{path}: {error}") from error

    def _check_content(self, path: Path) -> None:
        option = f"--sidecar {self.suffix}:"
        try:
            check_output(path, SIDECAR, option=option, inputs=self.inputs)
        except ProtectedFileError as error:
            raise ProtectedFileError(_one_line(error.message), hint=error.hint) from error

    def _owner(self, path: Path, image: Path) -> str:
        """Return the image of a sidecar: `a.txt` may be the `A.txt` that was written before."""
        name, common = str(path), folded(str(path))
        if name not in self._owners:
            other = common if common in self._owners else self._folded.get(common, name)
            both = other != name and path.exists() and Path(other).exists()
            same = both and path.samefile(other)
            self._owners[name] = self._owners[other] if same else str(image)
            if common != name:  # so most names are in one table only
                self._folded.setdefault(common, name)
        return self._owners[name]


def _check_suffix(suffix: str) -> None:
    if len(suffix) < 2 or not works_everywhere(f"x{suffix}"):
        raise UsageError(f"--sidecar is '{suffix}'; it must be a suffix such as .txt")
    kind = kind_of_suffix(Path(f"x{suffix}").suffix)
    if kind is None:
        return
    raise UsageError(
        f"--sidecar is '{suffix}', the suffix of {kind}; sidecars are plain text, or .xmp",
        hint="Choose a suffix such as .txt, .caption or .xmp.",
    )


def _one_line(message: str) -> str:
    """Return a message with the control characters of the names in it escaped."""
    from capgen.images.decoders import printable  # imports Pillow

    return printable(message)


def _exists(path: Path) -> bool:
    """Whether a sidecar exists; raises _LeftAloneError if something else has its name."""
    try:
        mode = path.stat().st_mode
    except FileNotFoundError:
        if path.is_symlink():
            raise _LeftAloneError(
                f"Cannot write {path}: it is a link to a file that does not exist"
            ) from None
        return False
    if stat.S_ISDIR(mode):
        raise _LeftAloneError(f"Cannot write {path}: it is a folder")
    if not stat.S_ISREG(mode):
        raise _LeftAloneError(f"Cannot write {path}: it is not a regular file")
    return True
