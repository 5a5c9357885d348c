"""The index of a safetensors file, whole and damaged."""

from __future__ import annotations

import json
import struct
from pathlib import Path

import numpy as np
import pytest
import safetensors.numpy
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from capgen.errors import ModelError
from capgen.models.safetensors_index import StoredTensor, read_index

TENSORS = {
    "a.weight": np.arange(6, dtype=np.float32).reshape(2, 3),
    "b": np.arange(4, dtype=np.float16),
    "empty": np.zeros((0, 3), np.float32),
}


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "model.safetensors"
    safetensors.numpy.save_file(TENSORS, path, metadata={"format": "pt"})
    return path


def with_header(path: Path, header: object, body: bytes = b"12345678") -> Path:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(text)) + text + body)
    return path


def test_each_tensor_lies_where_the_index_says(file: Path) -> None:
    index = read_index(file)
    assert set(index) == set(TENSORS)
    content = file.read_bytes()
    for name, array in TENSORS.items():
        entry = index[name]
        stored = content[entry.offset : entry.offset + entry.length]
        assert stored == array.tobytes()
        assert entry.shape == array.shape
    assert index["b"].dtype == "F16"


@given(st.data())
@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_file_that_is_cut_off(file: Path, data: st.DataObject) -> None:
    whole = file.read_bytes()
    length = data.draw(st.integers(0, len(whole) - 1))
    cut = file.with_name("cut.safetensors")
    cut.write_bytes(whole[:length])
    with pytest.raises(ModelError, match=r"cut\.safetensors"):
        read_index(cut)


@given(st.binary(max_size=200))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_any_bytes_give_an_index_or_a_model_error(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "x"
    path.write_bytes(content)
    try:
        assert all(isinstance(entry, StoredTensor) for entry in read_index(path).values())
    except ModelError as error:
        assert str(path) in error.message


@pytest.mark.parametrize(
    "header",
    [
        [],
        "text",
        {"a": 3},
        {"a": {"dtype": "F32", "shape": [1]}},
        {"a": {"dtype": "F32", "shape": 3, "data_offsets": [0, 4]}},
        {"a": {"dtype": "F32", "shape": ["x"], "data_offsets": [0, 4]}},
        {"a": {"dtype": "F32", "shape": [-1], "data_offsets": [0, 4]}},
        {"a": {"dtype": "F32", "shape": [1], "data_offsets": [0]}},
        {"a": {"dtype": "F32", "shape": [1], "data_offsets": ["0", "4"]}},
        {"a": {"dtype": "F32", "shape": [1], "data_offsets": [-4, 0]}},
        {"a": {"dtype": "F32", "shape": [1], "data_offsets": [4, 0]}},
        {"a": {"dtype": "F32", "shape": [1], "data_offsets": [0.5, 4.5]}},
        b"\xff\xfe",
        b"[" * 100_000,
    ],
    ids=lambda header: str(header)[:60],
)
def test_headers_that_make_no_sense(tmp_path: Path, header: object) -> None:
    path = with_header(tmp_path / "x", header)
    with pytest.raises(ModelError, match="not a safetensors file"):
        read_index(path)


def test_a_tensor_beyond_the_end(tmp_path: Path) -> None:
    entry = {"dtype": "F32", "shape": [3], "data_offsets": [0, 12]}
    with pytest.raises(ModelError, match="cut off"):
        read_index(with_header(tmp_path / "x", {"a": entry}))


@pytest.mark.parametrize("length", [1 << 40, (1 << 64) - 1])
def test_a_header_of_absurd_length_is_not_read(tmp_path: Path, length: int) -> None:
    (tmp_path / "x").write_bytes(struct.pack("<Q", length) + b"{}")
    with pytest.raises(ModelError, match="not a safetensors file"):
        read_index(tmp_path / "x")


def test_a_missing_file(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="x"):
        read_index(tmp_path / "x")
