"""What is checked before a runtime is loaded."""

from __future__ import annotations

import errno

import pytest

from capgen import Captioner
from capgen.errors import StorageError


def test_torch_without_a_place_for_temporary_files_is_an_error(monkeypatch):
    """As in a container whose file system is read-only, where transformers cannot be imported."""

    def none():
        raise FileNotFoundError(errno.ENOENT, "No usable temporary directory found")

    monkeypatch.setattr("tempfile.gettempdir", none)
    with pytest.raises(StorageError, match="temporary files") as failure:
        Captioner.from_pretrained(runtime="torch")
    assert "TMPDIR" in failure.value.hint
    assert Captioner.from_pretrained(runtime="onnx").name == "mini"
