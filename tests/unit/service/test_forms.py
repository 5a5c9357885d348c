"""Forms are read in pieces of any size; damaged ones are refused."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from capgen.service.answers import RequestError
from capgen.service.forms import Form, read_form

KIND = "multipart/form-data; boundary=line"
IMAGE = bytes(range(256)) + b"\r\n--lin"
WHOLE = (
    b'--line\r\nContent-Disposition: form-data; name="image"; filename="caf\xc3\xa9.jpg"\r\n'
    b"Content-Type: image/jpeg\r\n\r\n" + IMAGE + b"\r\n"
    b'--line\r\nContent-Disposition: form-data; name="beams"\r\n\r\n5\r\n--line--\r\n'
)


def read(data: bytes, size: int = 1 << 16, kind: str = KIND, most: int = 2) -> Form:
    async def parts() -> AsyncIterator[bytes]:
        for start in range(0, len(data), size):
            yield data[start : start + size]

    return asyncio.run(read_form(kind, parts(), most))


@pytest.mark.parametrize("size", [1, 2, 7, 64, 1000])
def test_pieces_of_any_size(size: int) -> None:
    form = read(WHOLE, size)
    assert form.images == [("café.jpg", IMAGE)]
    assert form.options == {"beams": ["5"]}


@pytest.mark.parametrize("end", range(0, len(WHOLE) - 4, 11))
def test_half_a_form_is_refused(end: int) -> None:
    with pytest.raises(RequestError) as caught:
        read(WHOLE[:end])
    assert caught.value.status == 400


@pytest.mark.parametrize(
    ("data", "kind", "status"),
    [
        (WHOLE, "multipart/form-data", 400),
        (b"no form at all", KIND, 400),
        (b"--line\r\n\r\nx\r\n--line--\r\n", KIND, 400),
        (b"--line\r\nX: " + b"y" * 20_000 + b"\r\n\r\n--line--\r\n", KIND, 400),
        (WHOLE.replace(b"5\r\n", b"5" * 70_000 + b"\r\n"), KIND, 413),
        (WHOLE[: WHOLE.index(b"--line\r\n", 9)] * 3 + b"--line--\r\n", KIND, 413),
    ],
)
def test_what_is_no_such_form(data: bytes, kind: str, status: int) -> None:
    with pytest.raises(RequestError) as caught:
        read(data, kind=kind)
    assert caught.value.status == status


def test_too_many_fields_are_refused() -> None:
    field = b'--line\r\nContent-Disposition: form-data; name="beams"\r\n\r\n5\r\n'
    assert len(read(field * 100 + b"--line--\r\n").options["beams"]) == 100
    with pytest.raises(RequestError):
        read(field * 101 + b"--line--\r\n")
