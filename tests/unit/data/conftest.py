"""Every test of the data layer has its own capgen home."""

from __future__ import annotations

from pathlib import Path

import pytest


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A fresh CAPGEN_HOME."""
    place = tmp_path / "home"
    monkeypatch.setenv("CAPGEN_HOME", str(place))
    return place


@pytest.fixture
def shared_data() -> Path:
    """The research data beside the repository; tests that need it are skipped without."""
    folder = Path(__file__).parents[4] / "shared" / "data"
    if not folder.is_dir():
        pytest.skip("research data not there")
    return folder
