"""Where the function is made, on a driver, nothing heavy is loaded, nor what its batches are of."""

from __future__ import annotations

import subprocess
import sys

PROGRAM = """
import pickle, sys
from capgen.distributed import CaptionBatches
pickle.loads(pickle.dumps(CaptionBatches("mini:int8", beams=3)))
print(*sorted(name.partition(".")[0] for name in sys.modules))
"""


def test_a_driver_loads_no_model_and_no_library_of_tables() -> None:
    command = [sys.executable, "-c", PROGRAM]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    names = set(done.stdout.split())
    heavy = {"torch", "transformers", "onnxruntime", "pandas", "pyarrow", "pyspark", "dask", "daft"}
    assert "capgen" in names and not names & heavy
