"""SPICE, computed by its official program through pycocoevalcap and Java.

It is optional: `pip install 'capgen[coco]'` and a Java runtime.

On its first run it downloads models of Stanford CoreNLP, and it needs about 8 GB of memory;
this is not tested, because the tests run offline.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from contextlib import redirect_stdout
from importlib.util import find_spec
from zipfile import BadZipFile

import numpy as np

from capgen.errors import MetricError, MissingDependencyError
from capgen.metrics.corpus import Corpus, Floats

SPICE_NAME = "SPICE"


def spice(corpus: Corpus) -> tuple[float, Floats]:
    """Return the SPICE score of the corpus and of its images: NaN if nothing is comparable."""
    check_present(SPICE_NAME)
    from pycocoevalcap.spice.spice import Spice

    references, predictions = _as_coco(corpus)
    try:
        # It writes download progress to standard output.
        with redirect_stdout(sys.stderr):
            whole, images = Spice().compute_score(references, predictions)
    except (OSError, ValueError, BadZipFile, subprocess.CalledProcessError) as error:
        raise MetricError(
            f"The official SPICE failed: {error}",
            hint="Its first run downloads models, and it needs 8 GB of memory.",
        ) from error
    # SPICE sorts the images by key.
    return float(whole), np.array([image["All"]["f"] for image in images], np.float64)


def _as_coco(corpus: Corpus) -> tuple[dict[int, list[str]], dict[int, list[str]]]:
    """Return tokenized references and predictions by image number."""
    references = dict(enumerate(map(list, corpus.by_image(corpus.reference_tokens))))
    return references, {number: [line] for number, line in enumerate(corpus.prediction_tokens)}


def check_present(name: str) -> None:
    """Check that pycocoevalcap and Java are installed, for the official program `name`."""
    if find_spec("pycocoevalcap") is None:
        raise MissingDependencyError("pycocoevalcap", extra="coco", purpose=f"Official {name}")
    if shutil.which("java") is None:
        raise MetricError(
            f"Official {name} needs Java, but there is no java on the PATH",
            hint="Install a Java runtime, or leave this metric out.",
        )
