"""SPICE, computed by its official program in pycocoevalcap, in Java.

It is optional: `pip install 'capgen[coco]'` and a Java runtime. The program is started as
pycocoevalcap starts it, within limits (`capgen.metrics.java`), with up to 8 GB of memory. It parses
captions with models of Stanford CoreNLP, which have to be there: nothing is downloaded here. Its
cache is not used, since a killed program may leave it locked.
"""

from __future__ import annotations

import json
import math
import tempfile
from importlib.util import find_spec
from pathlib import Path

import numpy as np

from capgen.config.evaluation import JavaLimits
from capgen.errors import MetricError, MissingDependencyError
from capgen.json_files import parse_json
from capgen.metrics.corpus import Corpus, Floats
from capgen.metrics.java import JavaProgram, check_java, java_version
from capgen.paths import storage_errors

SPICE_NAME = "SPICE"

# Heap memory in GB, as pycocoevalcap sets it.
_GIGABYTES = 8
# SPICE writes its result with the JavaScript of Java, which Java 15 no longer has; it was
# compiled for Java 8.
_SPICE_JAVA = range(8, 15)
_CORENLP = "stanford-corenlp-3.6.0"


def spice(corpus: Corpus, limits: JavaLimits | None = None) -> tuple[float, Floats]:
    """Return the SPICE score of the corpus and of its images: NaN if nothing is comparable.

    Args:
        corpus: The captions.
        limits: How long the program may take.

    Raises:
        MetricError: The program cannot run, fails, or takes longer than its limits.
        MissingDependencyError: pycocoevalcap is not installed.
    """
    limits = limits or JavaLimits()
    version = check_present(limits)
    references = corpus.by_image(corpus.reference_tokens)
    asked = [
        {"image_id": number, "test": caption, "refs": list(texts)}
        for number, (caption, texts) in enumerate(
            zip(corpus.prediction_tokens, references, strict=True)
        )
    ]
    where = Path(tempfile.gettempdir())
    with storage_errors(where), tempfile.TemporaryDirectory(prefix="capgen-spice-") as name:
        question, answer = Path(name, "captions.json"), Path(name, "scores.json")
        # ASCII: SPICE reads files in the system's encoding.
        question.write_text(json.dumps(asked), encoding="ascii")
        arguments = ("-jar", "spice-1.0.jar", str(question), "-out", str(answer), "-silent")
        with JavaProgram(
            SPICE_NAME,
            arguments
            if version < 9
            else ("--add-opens=java.base/java.lang=ALL-UNNAMED", *arguments),
            gigabytes=_GIGABYTES,
            folder=_package() / "spice",
            limits=limits,
        ) as program:
            program.finish()
            try:
                found = parse_json(answer.read_text("utf-8"), answer, fault=MetricError)
                scores = {item["image_id"]: item["scores"]["All"]["f"] for item in found}
                images = np.array([_number(scores[number]) for number in range(len(asked))])
            except (MetricError, OSError, ValueError, LookupError, TypeError) as error:
                raise program.failure("wrote no scores, or not those of these images") from error
    return float(np.mean(images)), images


def check_present(limits: JavaLimits | None = None) -> int:
    """Check that SPICE's program can start, and return the version of Java.

    Args:
        limits: How long Java may take to start.

    Raises:
        MetricError: There is no Java, it does not start in time, or its version is of no use; or
            the models that SPICE needs are missing.
        MissingDependencyError: pycocoevalcap is not installed.
    """
    if find_spec("pycocoevalcap") is None:
        raise MissingDependencyError("pycocoevalcap", extra="coco", purpose="The official SPICE")
    check_java(SPICE_NAME)
    _check_corenlp(_package() / "spice" / "lib")
    version = java_version(SPICE_NAME, _GIGABYTES, limits or JavaLimits())
    if version not in _SPICE_JAVA:
        raise MetricError(
            f"The official SPICE needs Java {_SPICE_JAVA[0]} to {_SPICE_JAVA[-1]}, and this is "
            f"Java {version}",
            hint="Put another Java first on the PATH, or leave SPICE out.",
        )
    return version


def _check_corenlp(folder: Path) -> None:
    """Check that the models are there that pycocoevalcap downloads on SPICE's first use."""
    files = [folder / f"{_CORENLP}.jar", folder / f"{_CORENLP}-models.jar"]
    missing = [file.name for file in files if not file.is_file()]
    if missing:
        # No folders: the message gets into reports.
        raise MetricError(
            f"The official SPICE needs Stanford CoreNLP: {' and '.join(missing)} "
            f"{'is' if len(missing) == 1 else 'are'} missing in pycocoevalcap's folder spice/lib",
            hint="With internet, this downloads them (400 MB): "
            'python -c "from pycocoevalcap.spice.spice import Spice; Spice()".',
        )


def _package() -> Path:
    spec = find_spec("pycocoevalcap")
    if spec is None or not spec.submodule_search_locations:
        raise MissingDependencyError("pycocoevalcap", extra="coco", purpose="The official SPICE")
    return Path(next(iter(spec.submodule_search_locations)))


def _number(value: object) -> float:
    """Return a score, NaN where SPICE has none."""
    return float(value) if isinstance(value, int | float) else math.nan
