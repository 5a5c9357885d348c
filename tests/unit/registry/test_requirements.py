"""Whether a machine can run a model, and with which options."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from capgen.models.folder import ModelFolder
from capgen.models.known import KNOWN_MODELS, known_model
from capgen.models.torch_devices import DTYPES, weights_dtype
from capgen.registry.entries import describe
from capgen.registry.machine import Accelerator, Machine
from capgen.registry.requirements import (
    AUTO_ELSEWHERE,
    AUTO_ON_CPU,
    BYTES,
    Requirements,
    of_entry,
    of_known,
    requirements,
)
from tests.unit.registry.folders import CONFIG, PROVENANCE, write_model

GB = 10**9
CARD = Accelerator("cuda", "Card", 8 * GB)
SECOND = Accelerator("cuda:1", "Second", 80 * GB)


def on(memory: float | None, *cards: Accelerator, disk: float = 1000) -> Machine:
    size = None if memory is None else round(memory * GB)
    return Machine(memory=size, accelerators=cards, disk=round(disk * GB))


def taken(found: Requirements) -> tuple[str, str, str] | None:
    return found.chosen and (found.chosen.device, found.chosen.dtype, found.options)


@pytest.mark.parametrize(
    ("machine", "way"),
    [
        (on(4.8), ("cpu", "fp32", "")),  # 4 bytes per parameter, and a fifth more
        (on(4.79), ("cpu", "bf16", "--dtype bf16")),
        (on(2.4), ("cpu", "bf16", "--dtype bf16")),
        (on(16, CARD), ("cuda", "fp16", "")),
        (on(16, Accelerator("cuda", "Small", GB)), ("cpu", "fp32", "--device cpu")),
        (on(3, Accelerator("cuda", "Small", GB)), ("cpu", "bf16", "--device cpu --dtype bf16")),
        (on(1, Accelerator("cuda", "Small", GB), SECOND), ("cuda:1", "fp16", "--device cuda:1")),
        (on(1, Accelerator("cuda:1", "Left", 8 * GB)), ("cuda:1", "fp16", "--device cuda:1")),
        (on(16, Accelerator("mps", "Apple GPU", 16 * GB)), ("mps", "fp16", "")),
    ],
)
def test_the_first_way_that_fits(machine: Machine, way: tuple[str, str, str]) -> None:
    found = requirements(machine, GB)
    assert found.possible is True and not found.problem
    assert taken(found) == way


def test_a_model_that_fits_nowhere() -> None:
    found = requirements(on(2.3, Accelerator("cuda", "Small", GB)), GB)
    assert (found.possible, found.chosen, found.options) == (False, None, "")
    assert "needs 2.4 GB of memory" in found.problem and "at most 2.3 GB are free" in found.problem
    assert [way.fits for way in found.ways] == [False] * 3


def test_what_is_not_known_is_not_guessed() -> None:
    found = requirements(on(None), GB)
    assert found.possible is None and found.chosen is not None and found.chosen.fits is None
    found = requirements(on(16), None)
    assert (found.possible, found.ways, found.chosen, found.problem) == (None, (), None, "")


def test_models_with_graphs_run_in_onnx_runtime_by_themselves() -> None:
    found = requirements(on(16, CARD), GB, graphs="fp32")
    assert [(way.title, way.options) for way in found.ways] == [
        ("CPU, ONNX Runtime", ""),
        ("Card", "--device cuda"),
        ("CPU", "--device cpu --dtype bf16"),
    ]
    (only,) = requirements(on(16, CARD), GB, graphs="int8").ways
    assert (only.dtype, only.needed) == ("int8", 1.2 * GB)


def test_the_download_must_fit_on_the_disk() -> None:
    joy, blip = known_model("joycaption"), known_model("blip-base")
    assert joy is not None and blip is not None
    found = of_known(joy, on(64, disk=15))
    assert found.possible is False
    assert found.problem == "the download needs 16.0 GB of disk space"
    assert of_known(joy, on(64, disk=16)).possible is True
    assert of_known(blip, on(64)).download == blip.download_bytes
    assert requirements(on(64, disk=0), GB, known=joy).download == 0  # it is here


def test_terms_to_accept() -> None:
    gated = known_model("gemma-3-4b")
    assert gated is not None
    (step,) = of_known(gated, on(64)).first
    assert "https://huggingface.co/google/gemma-3-4b-it" in step and "hub login" in step
    assert not requirements(on(64), GB, known=gated).first


@pytest.mark.parametrize("model", KNOWN_MODELS, ids=lambda model: model.name)
def test_every_known_model_runs_on_a_large_machine(model) -> None:
    found = of_known(model, on(200))
    assert found.possible is True
    assert json.loads(json.dumps(found.to_dict()))["ways"][0]["fits"] is True


def test_a_broken_folder_runs_nowhere(tmp_path: Path) -> None:
    folder = ModelFolder(write_model(tmp_path / "m", config={"model_type": "bert"}), "m")
    entry = describe(folder, "folder")
    found = of_entry(entry, folder, on(64))
    assert found.possible is False and found.problem == entry.problem != ""


def test_a_folder_needs_what_its_parameters_take(tmp_path: Path) -> None:
    folder = ModelFolder(write_model(tmp_path / "m"), "m")
    found = of_entry(describe(folder, "folder"), folder, on(64))
    assert [(way.dtype, way.needed) for way in found.ways] == [("fp32", 82), ("bf16", 41)]  # of 17
    assert found.possible and not found.download


def test_an_int8_export_runs_in_onnx_runtime_only(tmp_path: Path) -> None:
    provenance = {**PROVENANCE, "export": {"precision": "int8"}}
    path = write_model(tmp_path / "m", config=CONFIG, provenance=provenance)
    (path / "onnx").mkdir()
    for name in ("encoder.onnx", "decoder.onnx"):
        (path / "onnx" / name).write_bytes(b"graph")
    folder = ModelFolder(path, "m")
    (way,) = of_entry(describe(folder, "folder"), folder, on(64, CARD)).ways
    assert way.dtype == "int8"


def test_types_are_those_that_captioning_takes() -> None:
    import torch

    assert {name: dtype.itemsize for name, dtype in DTYPES.items()} == {
        name: BYTES[name] for name in DTYPES
    }
    assert weights_dtype("auto", torch.device("cpu")) == DTYPES[AUTO_ON_CPU]
    assert weights_dtype("auto", torch.device("cuda")) == DTYPES[AUTO_ELSEWHERE]
