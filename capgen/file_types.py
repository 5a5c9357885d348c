"""The type of a file, from its first bytes or the suffix of its name.

Suffixes can be wrong, so files to read are judged by their bytes. Files to write have no bytes yet,
so their suffix counts. Nothing here raises an error, whatever the bytes.
"""

from __future__ import annotations

import posixpath
import re
from dataclasses import dataclass
from pathlib import PurePath

# How many bytes of a file `sniff` needs.
HEAD_BYTES = 1024

# Suffixes of the images that capgen takes from folders, patterns, archives and data sets.
IMAGE_SUFFIXES = (
    *(".jpg", ".jpeg", ".jpe", ".jfif", ".mpo", ".png", ".apng", ".webp", ".gif"),
    *(".tif", ".tiff", ".bmp", ".avif", ".heic", ".heif", ".hif"),
)

IMAGES, RAW_FILES, VIDEOS = "images", "camera raw files", "videos or sounds"

# Suffixes of files that are not plain text.
_SUFFIXES_BY_KIND: dict[str, tuple[str, ...]] = {
    IMAGES: (
        *IMAGE_SUFFIXES,
        *(".heics", ".heifs", ".avifs", ".jxl", ".jp2", ".j2k", ".jpf", ".jpx", ".jxr", ".wdp"),
        *(".svg", ".svgz", ".psd", ".psb", ".xcf", ".kra", ".ora", ".ico", ".cur", ".icns"),
        *(".qoi", ".exr", ".hdr", ".tga", ".dds", ".pcx", ".dib", ".djvu", ".fits", ".fit"),
        *(".ppm", ".pgm", ".pbm", ".pnm", ".pam", ".pfm", ".emf", ".wmf", ".eps", ".ai"),
    ),
    RAW_FILES: (
        *(".dng", ".cr2", ".cr3", ".crw", ".nef", ".nrw", ".arw", ".srf", ".sr2", ".raf"),
        *(".orf", ".rw2", ".rwl", ".pef", ".srw", ".x3f", ".mrw", ".3fr", ".fff", ".iiq"),
        *(".erf", ".kdc", ".dcr", ".mos", ".mef", ".gpr", ".raw", ".insp"),
    ),
    VIDEOS: (
        *(".mp4", ".m4v", ".mov", ".avi", ".mkv", ".webm", ".mts", ".m2ts", ".mpg", ".mpeg"),
        *(".3gp", ".wmv", ".flv", ".ogv", ".insv", ".lrv", ".thm", ".wav", ".mp3", ".m4a"),
        *(".aac", ".flac", ".ogg"),
    ),
    "image editors' settings": (".xmp", ".aae", ".pp3", ".arp", ".dop", ".cos", ".nksc"),
    "structured files": (
        *(".json", ".jsonl", ".ndjson", ".xml", ".html", ".htm", ".xhtml", ".csv", ".tsv"),
        *(".parquet", ".arrow", ".feather", ".yaml", ".yml", ".toml", ".ini", ".plist"),
        *(".db", ".sqlite", ".lrcat", ".npy", ".npz", ".safetensors", ".pt", ".onnx"),
    ),
    "documents": (
        *(".pdf", ".ps", ".doc", ".docx", ".xls", ".xlsx", ".ppt", ".pptx", ".odt", ".ods"),
        *(".odp", ".rtf", ".epub"),
    ),
    "archives": (".zip", ".tar", ".gz", ".tgz", ".bz2", ".xz", ".zst", ".7z", ".rar"),
}
_IMAGE_KINDS = (IMAGES, RAW_FILES)
_KIND_BY_SUFFIX = {
    suffix: kind for kind, suffixes in _SUFFIXES_BY_KIND.items() for suffix in suffixes
}


def has_image_suffix(name: str) -> bool:
    """Whether a name, path or address has the suffix of an image that capgen reads."""
    return posixpath.splitext(name)[1].lower() in IMAGE_SUFFIXES


def kind_of_suffix(suffix: str) -> str | None:
    """Return the kind of files with a suffix, or None if they may be plain text.

    Args:
        suffix: Such as `.jpg`, in upper or lower case.

    Returns:
        A plural or mass noun: "images", "camera raw files", "structured files", …
    """
    return _KIND_BY_SUFFIX.get(suffix.lower())


def is_foreign_image(path: PurePath) -> bool:
    """Whether a file's suffix is that of an image that capgen does not read."""
    return not has_image_suffix(path.name) and kind_of_suffix(path.suffix) in _IMAGE_KINDS


@dataclass(frozen=True)
class Sniffed:
    """The type of a file.

    Attributes:
        format: Pillow's name of the format, or None if capgen cannot decode it.
        description: Its name for people, with an article ("a PDF document").
        image: Whether it is an image of any kind.
        known: Whether its bytes prove that it is not text.
    """

    format: str | None
    description: str
    image: bool
    known: bool = True


_TEXT = Sniffed(None, "text", False, known=False)
_WEB_PAGE = Sniffed(None, "a web page", False, known=False)
_UNKNOWN = Sniffed(None, "an unknown kind of file", False, known=False)
_RAW = Sniffed(None, "a camera raw file", True)
_PPM = Sniffed(None, "a PPM image", True)

_MAGIC: tuple[tuple[bytes, Sniffed], ...] = (
    (b"\xff\xd8\xff", Sniffed("JPEG", "a JPEG image", True)),
    (b"\x89PNG\r\n\x1a\n", Sniffed("PNG", "a PNG image", True)),
    (b"GIF87a", Sniffed("GIF", "a GIF image", True)),
    (b"GIF89a", Sniffed("GIF", "a GIF image", True)),
    (b"II*\0", Sniffed("TIFF", "a TIFF image", True)),
    (b"MM\0*", Sniffed("TIFF", "a TIFF image", True)),
    (b"II+\0", Sniffed("TIFF", "a BigTIFF image", True)),
    (b"MM\0+", Sniffed("TIFF", "a BigTIFF image", True)),
    (b"\xff\x0a", Sniffed(None, "a JPEG XL image", True)),
    (b"\0\0\0\x0cJXL ", Sniffed(None, "a JPEG XL image", True)),
    (b"\0\0\0\x0cjP  ", Sniffed(None, "a JPEG 2000 image", True)),
    (b"\xff\x4f\xff\x51", Sniffed(None, "a JPEG 2000 image", True)),
    (b"II\xbc\x01", Sniffed(None, "a JPEG XR image", True)),
    (b"8BPS", Sniffed(None, "a Photoshop document", True)),
    (b"gimp xcf", Sniffed(None, "a GIMP image", True)),
    (b"\0\0\1\0", Sniffed(None, "a Windows icon", True)),
    (b"icns", Sniffed(None, "a macOS icon", True)),
    (b"qoif", Sniffed(None, "a QOI image", True)),
    (b"DDS ", Sniffed(None, "a DirectDraw image", True)),
    (b"\x76\x2f\x31\x01", Sniffed(None, "an OpenEXR image", True)),
    (b"#?RADIANCE", Sniffed(None, "a Radiance HDR image", True)),
    (b"FUJIFILMCCD-RAW", _RAW),
    (b"FOVb", _RAW),
    (b"\0MRM", _RAW),
    (b"MMOR", _RAW),
    (b"IIU\0", _RAW),
    (b"IIRO", _RAW),
    (b"%PDF-", Sniffed(None, "a PDF document", False)),
    (b"%!PS", Sniffed(None, "a PostScript document", False)),
    (b"PK\3\4", Sniffed(None, "a ZIP archive or office document", False)),
    (b"\x1f\x8b", Sniffed(None, "a gzip archive", False)),
    (b"BZh", Sniffed(None, "a bzip2 archive", False)),
    (b"\xfd7zXZ\0", Sniffed(None, "an XZ archive", False)),
    (b"7z\xbc\xaf\x27\x1c", Sniffed(None, "a 7-Zip archive", False)),
    (b"Rar!\x1a\x07", Sniffed(None, "a RAR archive", False)),
    (b"\x28\xb5\x2f\xfd", Sniffed(None, "a Zstandard archive", False)),
    (b"SQLite format 3\0", Sniffed(None, "a database", False)),
    (b"\x1a\x45\xdf\xa3", Sniffed(None, "a video", False)),
    (b"\x7fELF", Sniffed(None, "a program", False)),
    (b"version https://git-lfs", Sniffed(None, "a Git LFS pointer, not its image", False)),
)
_RIFF = {
    b"WEBP": Sniffed("WEBP", "a WebP image", True),
    b"AVI ": Sniffed(None, "a video", False),
    b"WAVE": Sniffed(None, "a sound recording", False),
}
_CONTROL = re.compile(rb"[\0-\x08\x0e-\x1f]")
# Netpbm's header is text: the letter, then numbers or a comment (PAM: words).
_NETPBM = re.compile(rb"P[1-6]\s+[#\d]|P[Ff]\s+\d|P7\s")
# The root of a drawing, after what XML allows before it. No backtracking (`*+`, `(?>`).
_SVG = re.compile(
    r"(?>\s+|<\?.*?\?>|<!--.*?-->|<!doctype\s+svg[^\[>]*(?:\[.*?\]\s*)?>)*+<(?:\w+:)?svg\b",
    re.DOTALL | re.IGNORECASE,
)


def is_text(data: bytes) -> bool:
    """Whether `data`, the first bytes of a file, is text in some encoding: HTML too, not SVG."""
    sniffed = sniff(data)
    return sniffed in (_TEXT, _WEB_PAGE) or (
        not sniffed.known and _CONTROL.search(data[:HEAD_BYTES]) is None
    )


def sniff(data: bytes) -> Sniffed:
    """Return the type of a file that is, or begins with, `data` (`HEAD_BYTES` suffice)."""
    if data[:4] == b"RIFF" and data[8:12] in _RIFF:
        return _RIFF[data[8:12]]
    if data[4:8] == b"ftyp":
        return _sniff_iso(data)
    for magic, sniffed in _MAGIC:
        if data.startswith(magic):
            return sniffed
    # Text can begin with BM, too; but the sizes in a BMP's header have zero bytes.
    if data[:2] == b"BM" and (b"\0" in data[2:18] or len(data) <= 6):
        return Sniffed("BMP", "a BMP image", True)
    if _NETPBM.match(data):
        return _PPM
    if data[257:262] == b"ustar":
        return Sniffed(None, "a tar archive", False)
    return _sniff_text(data[:HEAD_BYTES])


def _sniff_iso(data: bytes) -> Sniffed:
    """Distinguish AVIF, HEIF, camera raw and video by the brands of an ISO media file."""
    length = max(16, min(int.from_bytes(data[:4], "big"), 256))
    # The minor version is between the major brand and the compatible ones.
    brands = {data[8:12], *(data[start : start + 4] for start in range(16, length, 4))}
    if brands & {b"avif", b"avis"}:
        return Sniffed("AVIF", "an AVIF image", True)
    if brands & {b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1"}:
        return Sniffed("HEIF", "a HEIC image", True)
    if b"crx " in brands:
        return _RAW
    return Sniffed(None, "a video", False)


def _sniff_text(head: bytes) -> Sniffed:
    if head.startswith((b"\xff\xfe", b"\xfe\xff")):
        text = head.decode("utf-16", errors="replace")
    else:
        # A character cut off at the end does not make it binary.
        text = head.decode("utf-8-sig", errors="ignore")
        if len(text.encode()) < len(head) - 6:
            return _UNKNOWN
    if any(ord(character) < 32 and character not in "\t\n\r\f" for character in text):
        return _UNKNOWN
    if _SVG.match(text):
        return Sniffed(None, "an SVG drawing", True)
    if text.lstrip().lower().startswith(("<!doctype html", "<html")):
        return _WEB_PAGE
    return _TEXT
