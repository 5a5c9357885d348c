"""Sidecars: a small text file beside each picture, as training tools and galleries read them."""

from __future__ import annotations

from pathlib import Path

from capgen.errors import UsageError
from capgen.paths import folded, storage_errors, write_text
from capgen.records import Caption

ON_EXISTING = ("skip", "overwrite", "append", "prepend")


class Sidecars:
    """Writes captions beside their pictures.

    Args:
        suffix: Ending of the sidecars' names in place of the pictures': `.txt`, `.caption`.
        on_existing: What becomes of a sidecar that is there: `skip` leaves it, `overwrite`
            replaces it, `append` and `prepend` add the caption as a line of its own. A line
            that is there already is not added again, so that a repeated run changes nothing.

    Raises:
        UsageError: The suffix or the policy is none.
    """

    def __init__(self, suffix: str, on_existing: str = "skip") -> None:
        if on_existing not in ON_EXISTING:
            raise UsageError(
                f"--on-existing is '{on_existing}'; it must be one of {', '.join(ON_EXISTING)}"
            )
        suffix = suffix if suffix.startswith(".") else f".{suffix}"
        if len(suffix) < 2 or set(suffix) & set("/\\\0"):
            raise UsageError(f"--sidecar is '{suffix}'; it must be a suffix such as .txt")
        self.suffix = suffix
        self.on_existing = on_existing
        # Sidecar → its picture, and folded name → the first sidecar that has it.
        self._owners: dict[str, str] = {}
        self._folded: dict[str, str] = {}

    def path(self, picture: Path) -> Path:
        """Return the sidecar of a picture."""
        return picture.with_suffix(self.suffix)

    def leaves(self, picture: Path) -> bool:
        """Whether the picture has a sidecar that is to stay as it is."""
        return self.on_existing == "skip" and self.path(picture).exists()

    def write(self, picture: Path, record: Caption) -> str:
        """Write a caption (and its alternatives, a line each).

        Returns:
            Why nothing was written, or an empty string.

        Raises:
            StorageError: The sidecar cannot be written.
        """
        path = self.path(picture)
        owner = self._owner(path, picture)
        if owner != str(picture):
            return f"{path} is the sidecar of {owner}: not written for {picture}"
        with storage_errors(path):
            there = path.exists()
            if there and self.on_existing == "skip":
                return ""
            before = path.read_bytes().decode("utf-8", "surrogateescape") if there else ""
        added = [caption.text for caption in (record, *record.alternatives)]
        lines = self._merged(before.splitlines(), added)
        write_text(path, "".join(f"{line}\n" for line in lines))
        return ""

    def _owner(self, path: Path, picture: Path) -> str:
        """Return whose sidecar a path is: `a.txt` may be the `A.txt` that was written before."""
        name, common = str(path), folded(str(path))
        if name not in self._owners:
            other = common if common in self._owners else self._folded.get(common, name)
            there = other != name and path.exists() and Path(other).exists()
            same = there and path.samefile(other)
            self._owners[name] = self._owners[other] if same else str(picture)
            if common != name:  # a second table only for names that need it
                self._folded.setdefault(common, name)
        return self._owners[name]

    def _merged(self, before: list[str], added: list[str]) -> list[str]:
        if self.on_existing == "append":
            return before if before[-len(added) :] == added else before + added
        if self.on_existing == "prepend":
            return before if before[: len(added)] == added else added + before
        return added
