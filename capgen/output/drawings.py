"""Image files that capgen draws, marked so that later runs replace only them."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path

from PIL import Image
from PIL.PngImagePlugin import PngInfo

from capgen.overwriting import IMAGE_MARK, OWN_IMAGE, check_output
from capgen.paths import writing


def write_drawing(path: Path, image: Image.Image, *, jpeg: bool = False) -> None:
    """Write an RGB image as a PNG or a JPEG.

    Raises:
        ProtectedFileError: `path` is a file that capgen did not draw.
        StorageError: The file cannot be written.
    """
    check_output(path, OWN_IMAGE)
    data = BytesIO()
    if jpeg:
        image.save(data, "JPEG", optimize=True, quality=85, comment=IMAGE_MARK.encode())
    else:
        mark = PngInfo()
        mark.add_text("Software", IMAGE_MARK)
        image.save(data, "PNG", optimize=True, pnginfo=mark)
    with writing(path, over_image=True) as temporary:
        temporary.write_bytes(data.getvalue())
