"""Which way up an image is."""

from __future__ import annotations

import io
import zlib

import pytest
from PIL import Image, PngImagePlugin

from capgen.images.load import load_image
from capgen.images.orientation import exif_of, exif_orientation, orientation_beside_exif

XMP = b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF><rdf:Description %s</rdf:RDF></x:xmpmeta>'
AS_ATTRIBUTE = XMP % b'tiff:Orientation="6"/>'
AS_ELEMENT = XMP % b"><tiff:Orientation>6</tiff:Orientation></rdf:Description>"


def picture(file_format: str, **options: object) -> bytes:
    image = Image.new("RGB", (40, 20), "red")
    image.paste("blue", (0, 0, 20, 20))
    data = io.BytesIO()
    image.save(data, file_format, **options)
    return data.getvalue()


def magick_profile(name: str, exif: bytes, *, compressed: bool) -> PngImagePlugin.PngInfo:
    info = PngImagePlugin.PngInfo()
    hexadecimal = exif.hex()
    lines = "\n".join(hexadecimal[i : i + 72] for i in range(0, len(hexadecimal), 72))
    info.add_text(f"Raw profile type {name}", f"\n{name}\n{len(exif):8}\n{lines}\n", zip=compressed)
    return info


TOLD_OTHERWISE = {
    "XMP in a JPEG": lambda: picture("JPEG", xmp=AS_ATTRIBUTE),
    "XMP in a WebP": lambda: picture("WEBP", xmp=AS_ELEMENT, lossless=True),
    "XMP in a PNG": lambda: picture("PNG", pnginfo=xmp_text(AS_ELEMENT)),
    "ImageMagick's exif": lambda: picture(
        "PNG", pnginfo=magick_profile("exif", exif_of(6), compressed=True)
    ),
    "ImageMagick's APP1": lambda: picture(
        "PNG", pnginfo=magick_profile("APP1", exif_of(6), compressed=False)
    ),
}


def xmp_text(packet: bytes) -> PngImagePlugin.PngInfo:
    info = PngImagePlugin.PngInfo()
    info.add_itxt("XML:com.adobe.xmp", packet.decode())
    return info


@pytest.mark.parametrize("where", TOLD_OTHERWISE)
def test_orientation_told_only_by_xmp_or_a_profile_is_applied(where: str) -> None:
    loaded = load_image(TOLD_OTHERWISE[where]())
    assert (loaded.width, loaded.height) == loaded.image.size == (20, 40)
    top, bottom = loaded.image.getpixel((10, 5)), loaded.image.getpixel((10, 35))
    assert isinstance(top, tuple) and isinstance(bottom, tuple)
    assert top[2] > 200 > top[0] and bottom[0] > 200 > bottom[2]  # turned clockwise


@pytest.mark.parametrize("file_format", ["JPEG", "PNG", "WEBP"])
def test_exif_wins_over_xmp(file_format: str) -> None:
    options = {"pnginfo": xmp_text(AS_ATTRIBUTE)} if file_format == "PNG" else {"xmp": AS_ATTRIBUTE}
    loaded = load_image(picture(file_format, exif=exif_of(1), **options))
    assert loaded.image.size == (40, 20)


@pytest.mark.parametrize("value", range(1, 9))
def test_exif_of_an_orientation(value: int) -> None:
    assert exif_orientation(exif_of(value)) == value


@pytest.mark.parametrize(
    "exif",
    [b"", b"Exif\0\0", exif_of(9), exif_of(6)[:20], b"II*\0\xff\xff\xff\xff", b"Exif\0\0" * 9],
)
def test_broken_exif_has_no_orientation(exif: bytes) -> None:
    assert exif_orientation(exif) is None


def test_broken_profiles_and_bombs_are_no_orientation() -> None:
    bomb = zlib.compress(b"\nexif\n 9\n" + b"00" * (50 << 20))
    whole = picture("PNG")
    chunk = b"zTXtRaw profile type exif\0\0" + bomb
    body = len(chunk[4:]).to_bytes(4, "big") + chunk + zlib.crc32(chunk).to_bytes(4, "big")
    data = whole[:33] + body + whole[33:]
    assert orientation_beside_exif("PNG", data) is None
    assert load_image(data).image.size == (40, 20)
    odd = magick_profile("exif", b"no exif", compressed=False)
    assert orientation_beside_exif("PNG", picture("PNG", pnginfo=odd)) is None
    assert orientation_beside_exif("WEBP", b"RIFF\0\0\0\0WEBPXMP \xff\xff\xff\xff") is None
