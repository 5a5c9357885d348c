"""`mini:int8`: the bundled model in 8 bits, which ships beside it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file

from capgen.captioning.captioner import Captioner
from capgen.cli.main import main
from capgen.errors import ModelError
from capgen.models.folder import WEIGHTS_FILE
from capgen.models.resolve import BUNDLED_INT8, resolve_model
from capgen.registry.verify import verify_model
from tests.colours import plain


def test_it_captions_in_8_bits(tmp_path: Path) -> None:
    captioner = Captioner.from_pretrained(BUNDLED_INT8)
    caption = captioner.caption(plain(tmp_path, "a.png", 9))
    assert captioner.runtime.dtype == "int8"
    assert caption.text and caption.model == "mini:int8"
    assert caption.revision != resolve_model("mini").fingerprint
    assert captioner.runtime.gives_concepts


@pytest.mark.parametrize("beams", [1, 3, 5])
def test_it_has_a_confidence_of_its_own(tmp_path: Path, beams: int) -> None:
    captioner = Captioner.from_pretrained(BUNDLED_INT8)
    caption = captioner.caption(plain(tmp_path, "a.png", 9), beams=beams, confidence=True)
    assert caption.confidence is not None, caption.notes


def test_it_is_made_of_the_bundled_model() -> None:
    """If this fails: python -m capgen._build.bundle int8 IMAGE_FOLDER."""
    export = resolve_model(BUNDLED_INT8).provenance.export
    assert export["source_fingerprint"] == resolve_model("mini").fingerprint


def test_its_weights_have_7_bits() -> None:
    """Processors that add pairs of products in 16 bits would overflow with more."""
    weights = load_file(resolve_model(BUNDLED_INT8).path / WEIGHTS_FILE)
    integers = [weight for weight in weights.values() if weight.dtype == np.int8]
    assert len(integers) > 60
    largest = max(int(np.abs(weight.astype(int)).max()) for weight in integers)
    assert largest > 60 and 2 * largest * 255 < 2**15


def test_it_is_intact_and_listed(capsys: pytest.CaptureFixture[str]) -> None:
    assert all(check.ok for check in verify_model(BUNDLED_INT8))
    assert main(["models", "list"]) == 0
    assert "mini:int8" in capsys.readouterr().out


def test_it_stays_where_it_is(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["models", "remove", "mini:int8", "--yes"]) == 2
    assert main(["models", "rename", "mini:int8", "other"]) == 2
    assert "part of capgen" in capsys.readouterr().err
    assert resolve_model(BUNDLED_INT8).has_onnx


def test_torch_cannot_run_it() -> None:
    with pytest.raises(ModelError, match="only ONNX Runtime can run"):
        Captioner.from_pretrained(BUNDLED_INT8, runtime="torch")
