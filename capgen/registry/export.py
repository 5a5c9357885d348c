"""Export to ONNX, and to ONNX in int8: a new model folder each, that loads like any other."""

from __future__ import annotations

import dataclasses
import random
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

# What an export takes over from the model: settings, tokenizer, licences; never weights.
_KEPT = ("*.json", "*.txt", "LICENSE*")
_BATCH = 8
# Decoding repeats itself: a quarter of the images tells its ranges.
_DECODED = 4


@dataclass(frozen=True, kw_only=True)
class CalibrationOptions:
    """What the scales of an int8 export are taken from."""

    images: int = setting(128, "Images to take the scales of int8 from.", low=8, high=4096)
    seed: int = setting(0, "Seed of their choice.", low=0, high=2**32 - 1)


@dataclass(frozen=True, kw_only=True)
class Exported:
    """A model that was exported.

    Attributes:
        name: What `--model` calls it.
        path: Its folder.
        source: The model it was made from.
        size: Bytes of weights and graphs.
        source_size: Bytes of the source's weights and graphs.
        photos: Calibration images; 0 without int8 (the name is that of the JSON form).
        same: Of these, how many have the same caption as from the source.
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
    """Write a model with ONNX graphs into a folder of its own.

    Args:
        name: Anything that `--model` takes; its decoder must be a GPT-2.
        revision: Branch, tag or commit of a Hub model.
        int8: Quantise it.
        images: With `int8`, images of the kind that it will see.
        output: The folder; by default `NAME-onnx` or `NAME-int8` among the kept models.
        calibration: How many of the images to use.

    Raises:
        UsageError: The place is taken, or `int8` has no images.
        ModelError: The model cannot be exported.
        StorageError: It cannot be written.
    """
    calibration = calibration or CalibrationOptions()
    source = resolve_model(name, revision=revision)
    if source.provenance.export.get("precision") == INT8:
        raise ModelError(f"{name} is an int8 export already: it cannot be exported again")
    if int8 and not images:
        raise UsageError(
            "int8 needs images to take its scales from",
            hint="Name a folder with a hundred or more of the kind it will see: --photos FOLDER",
        )
    target = _target(source, output, "int8" if int8 else "onnx")
    temporary = target.with_name(f".{target.name}.new")
    with storage_errors(target):
        shutil.rmtree(temporary, ignore_errors=True)
        temporary.mkdir(parents=True)
        try:
            same, used = 0, 0
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
            raise UsageError(f"{output} is there already", hint="Choose another --output.")
        return output
    plain = source.name.partition("@")[0].replace("\\", "/").strip("./~")
    parts = [part for part in plain.split("/") if not part.endswith(":")]  # a drive
    return models_dir() / check_free(f"{'-'.join(parts[-2:])}-{kind}")


def _write_float(source: ModelFolder, output: Path) -> None:
    """Copy the model, and its graphs or new ones."""
    weights = source.path / WEIGHTS_FILE
    if not weights.is_file():
        source.check_weights()
        raise ModelError(f"{source.name}: only weights in one file ({WEIGHTS_FILE}) are exported")
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
        raise ModelError(f"{source.name} takes images of any shape; ONNX export needs a fixed one")
    export_onnx(output, captioning.model, image_size=size)


def _write_int8(
    source: ModelFolder, output: Path, images: Sequence[Path], calibration: CalibrationOptions
) -> tuple[int, int]:
    """Write the quantised model; return how many captions stayed the same, and of how many."""
    with _needing_onnx():
        from capgen.models.onnx.int8 import quantise_folder
    with tempfile.TemporaryDirectory(prefix="capgen-export-") as scratch:
        folder = source
        if not source.has_onnx:
            _write_float(source, Path(scratch))
            folder = ModelFolder(Path(scratch), source.name)
        # A function of its own: its captioner has the scratch folder's weights mapped.
        prepared, feeds, before = _measured(folder, images, calibration)
        _keep(source, output)
        quantise_folder(folder.path, output, *feeds)
    after = _captions(Captioner.from_pretrained(output, runtime="onnx"), prepared)
    return sum(a == b for a, b in zip(before, after, strict=True)), len(prepared)


def _measured(
    folder: ModelFolder, images: Sequence[Path], calibration: CalibrationOptions
) -> tuple[list[Prepared], tuple[list[dict[str, Any]], list[dict[str, Any]]], list[str]]:
    """Return images, what both graphs are given for them, and their captions."""
    captioner = Captioner.from_pretrained(folder.path, runtime="onnx")
    prepared = _prepared(captioner, images, calibration)
    return prepared, _feeds(captioner, prepared), _captions(captioner, prepared)


def _prepared(
    captioner: Captioner, images: Sequence[Path], calibration: CalibrationOptions
) -> list[Prepared]:
    """Return some of the images, ready for the model; those that cannot be read are left out."""
    shuffled = sorted(images)
    random.Random(calibration.seed).shuffle(shuffled)
    found: list[Prepared] = []
    for image in shuffled:
        if len(found) == calibration.images:
            break
        prepared = captioner.prepare(image)
        if isinstance(prepared, Prepared):
            found.append(prepared)
    if not found:
        raise UsageError(f"None of the {len(images)} images can be read")
    return found


def _feeds(
    captioner: Captioner, prepared: Sequence[Prepared]
) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Return what both graphs are given while the images are captioned."""
    from capgen.captioning.runtimes.onnx_runtime import OnnxRuntime

    runtime = captioner.runtime
    assert isinstance(runtime, OnnxRuntime)
    settings, _ = captioner.settings(DecodeOptions())
    pixels = np.stack([item.pixels for item in prepared])
    encoder = [
        {"pixel_values": pixels[start : start + _BATCH]} for start in range(0, len(pixels), _BATCH)
    ]
    decoder: list[dict[str, Any]] = []
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
        if isinstance(caption, Caption)  # nothing makes it abstain here
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
        # The scores are of other weights.
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
