"""Saved states and loaded models where mapped files cannot be removed (Windows)."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from capgen.models.checkpoint import load_captioning, swap_folder
from capgen.models.folder import ModelFolder
from capgen.training.run.saved_state import RunState, StateStore
from tests.tiny_models import save_tiny_mini
from tests.windows import open_files_stay

pytestmark = pytest.mark.skipif(
    not Path("/proc/self/maps").exists(), reason="there is no /proc to see maps in"
)


def test_a_state_that_was_read_can_be_removed(tmp_path: Path) -> None:
    store = StateStore(tmp_path, keep=1)
    store.save(RunState({"a": torch.ones(50_000)}, {"step": 1}), step=1, epoch=0)
    with open_files_stay():
        state = store.newest()
        assert state is not None
        store.save(RunState(state.tensors, {"step": 2}), step=2, epoch=0)
        assert [path.name for path in store.folder.iterdir()] == ["step-00000002-epoch-00000"]
        again = store.newest()
        store.clear()
    assert not store.folder.exists()
    assert again is not None and torch.equal(again.tensors["a"], torch.ones(50_000))


def test_a_model_that_was_loaded_can_be_replaced(tmp_path: Path) -> None:
    for name in ("old", "new"):
        save_tiny_mini(tmp_path / name, ["a dog runs", "a cat sits"])
    with open_files_stay():
        captioning = load_captioning(ModelFolder(tmp_path / "old", "old"))
        swap_folder(tmp_path / "new", tmp_path / "old")
    assert [path.name for path in tmp_path.iterdir()] == ["old"]
    model = captioning.model
    assert model.decoder.lm_head.weight is model.decoder.transformer.wte.weight  # still tied
