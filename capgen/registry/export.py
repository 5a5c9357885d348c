"""Export a model to ONNX, or to int8 ONNX, as a new model folder."""

from __future__ import annotations

import dataclasses
import itertools
import random
import secrets
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from capgen.captioning.captioner import Captioner
from capgen.captioning.decoding.decode import decode
from capgen.captioning.prepare import Prepared
from capgen.config import DecodeOptions, setting
from capgen.errors import MissingDependencyError, ModelError, UsageError
from capgen.models.folder import (
    CALIBRATION_FILE,
    DECODER_GRAPH,
    ENCODER_GRAPH,
    INT8,
    WEIGHTS_FILE,
    WEIGHTS_INDEX_FILE,
    ModelFolder,
)
from capgen.models.resolve import resolve_model
from capgen.paths import models_dir, storage_errors
from capgen.records import Caption
from capgen.registry.changes import check_free

# Copied from the model: settings, tokenizer, licences; never weights.
_KEPT = ("*.json", "*.txt", "LICENSE*")
_BATCH = 8
# Every fourth batch is enough for the ranges of the decoder, which runs at every step.
_DECODED = 4
_Feeds = list[dict[str, Any]]


@dataclass(frozen=True, kw_only=True)
class CalibrationOptions:
    """The images that calibrate the scales of an int8 export."""

    images: int = setting(128, "Images to calibrate the int8 scales with.", low=8, high=4096)
    seed: int = setting(0, "Seed for choosing them.", low=0, high=2**32 - 1)


@dataclass(frozen=True, kw_only=True)
class Exported:
    """An exported model; sizes are the bytes of weights and graphs.

    An int8 model gives the same captions as the source for `same` of `photos` calibration images.
    """

    name: str
    path: Path
    source: str
    size: int
    source_size: int
    photos: int = 0
    same: int = 0

    def to_dict(self) -> dict[str, Any]:
        """Return the record as built-in types."""
        return {**dataclasses.asdict(self), "path": str(self.path)}


def export_model(
    name: str,
    *,
    revision: str | None = None,
    int8: bool = False,
    images: Sequence[Path] = (),
    output: Path | None = None,
    calibration: CalibrationOptions | None = None,
) -> Exported:
    """Write a model with ONNX graphs into a new folder.

    Args:
        name: Anything that `--model` takes; its decoder must be a GPT-2.
        revision: Branch, tag or commit of a Hub model.
        int8: Quantise it.
        images: With `int8`, calibration images of the kind that the model will caption.
        output: The folder; by default `NAME-onnx` or `NAME-int8` among the stored models.
        calibration: How many of the images to use.

    Raises:
        UsageError: The folder exists, or `int8` has no images.
        ModelError: The model cannot be exported.
        StorageError: It cannot be written.
    """
    calibration = calibration or CalibrationOptions()
    source = resolve_model(name, revision=revision)
    if source.provenance.export.get("precision") == INT8:
        raise ModelError(f"{name} is already an int8 export and cannot be exported again")
    if int8 and not images:
        raise UsageError(
            "int8 needs images for calibration",
            hint="Give a folder with at least a hundred typical images: --photos FOLDER",
        )
    target = _target(source, output, "int8" if int8 else "onnx")
    temporary = target.with_name(f".{target.name}.{secrets.token_hex(6)}.new")
    same = used = 0
    with storage_errors(target):
        temporary.mkdir(parents=True)
        try:
            if int8:
                same, used = _write_int8(source, temporary, images, calibration)
            else:
                _write_float(source, temporary)
            _write_provenance(source, temporary, calibration if int8 else None, used)
            temporary.rename(target)
        finally:
            shutil.rmtree(temporary, ignore_errors=True)
    return Exported(
        name=target.name if output is None else str(target),
        path=target,
        source=source.name,
        size=_computed_size(target),
        source_size=_computed_size(source.path),
        photos=used,
        same=same,
    )


def _target(source: ModelFolder, output: Path | None, kind: str) -> Path:
    if output is not None:
        if output.exists():
            raise UsageError(f"{output} already exists", hint="Choose another --output.")
        return output
    plain = source.name.partition("@")[0].replace("\\", "/").strip("./~")
    parts = [part for part in plain.split("/") if not part.endswith(":")]  # without the drive
    return models_dir() / check_free(f"{'-'.join(parts[-2:])}-{kind}")


def _write_float(source: ModelFolder, output: Path) -> None:
    """Copy the model with its graphs; export graphs if it has none."""
    weights = source.path / WEIGHTS_FILE
    if not weights.is_file():
        source.check_weights()
        raise ModelError(
            f"{source.name}: export needs the weights in one file ({WEIGHTS_FILE}), not in several"
        )
    _keep(source, output)
    shutil.copyfile(weights, output / WEIGHTS_FILE)
    if source.has_onnx:
        (output / ENCODER_GRAPH).parent.mkdir()
        for graph in (ENCODER_GRAPH, DECODER_GRAPH):
            shutil.copyfile(source.path / graph, output / graph)
        return
    with _needing_onnx():
        import onnxscript  # noqa: F401  torch's exporter uses it

        from capgen.models.onnx.export import export_onnx
    from capgen.models.checkpoint import load_captioning

    captioning = load_captioning(ModelFolder(output, source.name))
    size = captioning.preprocessor.input_size
    if size is None:
        raise ModelError(
            f"{source.name} takes images of any size; ONNX export needs a fixed input size"
        )
    export_onnx(output, captioning.model, image_size=size)


def _write_int8(
    source: ModelFolder, output: Path, images: Sequence[Path], calibration: CalibrationOptions
) -> tuple[int, int]:
    """Write the quantised model; return the number of unchanged captions and of all captions."""
    with _needing_onnx():
        from capgen.models.onnx.int8 import quantise_folder
    with tempfile.TemporaryDirectory(prefix="capgen-export-") as scratch:
        folder = source
        if not source.has_onnx:
            _write_float(source, Path(scratch))
            folder = ModelFolder(Path(scratch), source.name)
        # In a function, so that its captioner unmaps the scratch folder's weights on return.
        prepared, feeds, before = _calibrate(folder, images, calibration)
        _keep(source, output)
        # It was fitted for other weights: the export's own is `capgen calibrate`'s to make.
        (output / CALIBRATION_FILE).unlink(missing_ok=True)
        quantise_folder(folder.path, output, *feeds)
    after = _captions(Captioner.from_pretrained(output, runtime="onnx"), prepared)
    return sum(a == b for a, b in zip(before, after, strict=True)), len(prepared)


def _calibrate(
    folder: ModelFolder, images: Sequence[Path], calibration: CalibrationOptions
) -> tuple[list[Prepared], tuple[_Feeds, _Feeds], list[str]]:
    """Return the calibration images, the inputs of both graphs for them, and their captions."""
    captioner = Captioner.from_pretrained(folder.path, runtime="onnx")
    prepared = _prepared(captioner, images, calibration)
    return prepared, _feeds(captioner, prepared), _captions(captioner, prepared)


def _prepared(
    captioner: Captioner, images: Sequence[Path], calibration: CalibrationOptions
) -> list[Prepared]:
    """Return a random choice of the readable images, prepared for the model."""
    shuffled = sorted(images)
    random.Random(calibration.seed).shuffle(shuffled)
    outcomes = map(captioner.prepare, shuffled)
    readable = (item for item in outcomes if isinstance(item, Prepared))
    prepared = list(itertools.islice(readable, calibration.images))
    if not prepared:
        raise UsageError(f"None of the {len(images)} images can be read")
    return prepared


def _feeds(captioner: Captioner, prepared: Sequence[Prepared]) -> tuple[_Feeds, _Feeds]:
    """Return the inputs of the encoder and decoder graphs while the images are captioned."""
    from capgen.captioning.runtimes.onnx_runtime import OnnxRuntime

    runtime = captioner.runtime
    assert isinstance(runtime, OnnxRuntime)
    settings, _ = captioner.settings(DecodeOptions())
    pixels = np.stack([item.pixels for item in prepared])
    encoder = [
        {"pixel_values": pixels[start : start + _BATCH]} for start in range(0, len(pixels), _BATCH)
    ]
    decoder: _Feeds = []
    for feeds in encoder[::_DECODED]:
        cross = runtime.encode(feeds["pixel_values"])
        started = runtime.start(cross, decoder.append)
        decode(started, len(feeds["pixel_values"]), settings, runtime.tokens)
    return encoder, decoder


def _captions(captioner: Captioner, prepared: Sequence[Prepared]) -> list[str]:
    settings, _ = captioner.settings(DecodeOptions())
    return [
        caption.text
        for start in range(0, len(prepared), _BATCH)
        for caption in captioner.caption_prepared(prepared[start : start + _BATCH], settings)
        if isinstance(caption, Caption)  # always: these settings never abstain
    ]


def _keep(source: ModelFolder, output: Path) -> None:
    for pattern in _KEPT:
        for file in source.path.glob(pattern):
            if file.is_file() and file.name != WEIGHTS_INDEX_FILE:
                shutil.copyfile(file, output / file.name)


def _write_provenance(
    source: ModelFolder, output: Path, calibration: CalibrationOptions | None, images: int
) -> None:
    from capgen.models.checkpoint import stamped

    export: dict[str, Any] = {
        "format": "onnx",
        "source": source.name,
        "source_fingerprint": source.fingerprint,
    }
    provenance = source.provenance
    if calibration is not None:
        export |= {"precision": INT8, "calibration": {"photos": images, "seed": calibration.seed}}
        # The recorded scores are those of the original weights.
        provenance = dataclasses.replace(provenance, metrics={})
    dataclasses.replace(
        stamped(provenance),
        files=ModelFolder(output, output.name).file_digests(),
        export=export,
    ).write(output)


@contextmanager
def _needing_onnx() -> Iterator[None]:
    try:
        yield
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] not in ("onnx", "onnxscript"):
            raise
        raise MissingDependencyError(
            error.name or "onnx", extra="export", purpose="Exporting to ONNX"
        ) from error


def _computed_size(folder: Path) -> int:
    files = (*folder.glob("model*.safetensors"), folder / ENCODER_GRAPH, folder / DECODER_GRAPH)
    return sum(file.stat().st_size for file in files if file.is_file())
