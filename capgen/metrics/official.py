"""METEOR 1.5 and SPICE, computed by the official programs through pycocoevalcap and Java.

They are optional: `pip install 'capgen[coco]'` and a Java runtime. Neither is METEOR as
`capgen.metrics.meteor` computes it, and they are reported under names of their own.

SPICE fetches models of Stanford CoreNLP from the internet on its first run, and needs about
8 GB of memory; that path is untested here, as the tests run offline.
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

METEOR_NAME = "METEOR-1.5"
SPICE_NAME = "SPICE"


def meteor_1_5(corpus: Corpus) -> tuple[float, Floats]:
    """Return the METEOR 1.5 score of the corpus and of each of its (images,) images.

    The corpus score is that of the summed statistics, not the mean of the images'.

    Raises:
        MissingDependencyError: pycocoevalcap is not installed.
        MetricError: Java is missing, or the program failed.
    """
    check_present(METEOR_NAME)
    from pycocoevalcap.meteor.meteor import Meteor

    references, predictions = _as_coco(corpus)
    try:
        whole, images = Meteor().compute_score(references, predictions)
    except (OSError, ValueError) as error:
        raise MetricError(f"The official METEOR 1.5 failed: {error}") from error
    return float(whole), np.array(images, np.float64)


def spice(corpus: Corpus) -> tuple[float, Floats]:
    """Return the SPICE score of the corpus and of each of its (images,) images.

    An image without anything to compare has no score (NaN).

    Raises:
        MissingDependencyError: pycocoevalcap is not installed.
        MetricError: Java is missing, the models cannot be fetched, or the program failed.
    """
    check_present(SPICE_NAME)
    from pycocoevalcap.spice.spice import Spice

    references, predictions = _as_coco(corpus)
    try:
        # It reports the progress of a download on standard output.
        with redirect_stdout(sys.stderr):
            whole, images = Spice().compute_score(references, predictions)
    except (OSError, ValueError, BadZipFile, subprocess.CalledProcessError) as error:
        raise MetricError(
            f"The official SPICE failed: {error}",
            hint="Its first run fetches models from the internet, and it needs 8 GB of memory.",
        ) from error
    # SPICE sorts the images by their key.
    return float(whole), np.array([image["All"]["f"] for image in images], np.float64)


def _as_coco(corpus: Corpus) -> tuple[dict[int, list[str]], dict[int, list[str]]]:
    """Return tokenized references and predictions under the numbers of the images."""
    references: dict[int, list[str]] = {number: [] for number in range(len(corpus))}
    for number, line in zip(corpus.reference_image.tolist(), corpus.reference_tokens, strict=True):
        references[number].append(line)
    return references, {number: [line] for number, line in enumerate(corpus.prediction_tokens)}


def check_present(name: str) -> None:
    """Check that the official program `name` could run.

    Raises:
        MissingDependencyError: pycocoevalcap is not installed.
        MetricError: Java is missing.
    """
    if find_spec("pycocoevalcap") is None:
        raise MissingDependencyError("pycocoevalcap", extra="coco", purpose=f"Official {name}")
    if shutil.which("java") is None:
        raise MetricError(
            f"Official {name} needs Java, and there is no java on the PATH",
            hint="Install a Java runtime, or leave this metric out.",
        )
