"""Files of pictures that capgen draws: marked, so that they and no others are replaced later."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path

from PIL import Image
from PIL.PngImagePlugin import PngInfo

from capgen.overwriting import OWN_PICTURE, PICTURE_MARK, check_output
from capgen.paths import writing


def write_drawing(path: Path, picture: Image.Image, *, jpeg: bool = False) -> None:
    """Write a picture as a PNG or a JPEG.

    Args:
        path: The file to write. A picture that is there is replaced only if this wrote it.
        picture: What was drawn, RGB.
        jpeg: Write a JPEG.

    Raises:
        ProtectedFileError: There is a file that capgen did not draw.
        StorageError: The file cannot be written.
    """
    check_output(path, OWN_PICTURE)
    data = BytesIO()
    if jpeg:
        picture.save(data, "JPEG", optimize=True, quality=85, comment=PICTURE_MARK.encode())
    else:
        mark = PngInfo()
        mark.add_text("Software", PICTURE_MARK)
        picture.save(data, "PNG", optimize=True, pnginfo=mark)
    with writing(path, over_picture=True) as temporary:
        temporary.write_bytes(data.getvalue())
