"""The process that talks to Weights & Biases."""

from __future__ import annotations

import subprocess
import sys


def test_it_starts_without_torch():
    """A run that is interrupted waits 10 seconds for it: importing torch would take them."""
    code = (
        "import sys; import capgen.training.tracking.wandb.process; "
        "print({'torch', 'transformers'} & set(sys.modules))"
    )
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert result.stdout == "set()\n"
