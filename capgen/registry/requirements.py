"""Whether a machine can run a model, and how: from sizes alone, without loading anything."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from capgen.errors import CapgenError
from capgen.models.folder import INT8, ModelFolder
from capgen.models.known import KnownModel, known_model
from capgen.registry.entries import ModelEntry
from capgen.registry.machine import Machine

# What the work needs beside the weights, as a share of them: a rule of thumb of accelerate's
# "Model memory estimator", found by EleutherAI (blog.eleuther.ai/transformer-math).
OVERHEAD = 0.2
# Bytes per parameter of the values of `--dtype`, and of an int8 export.
BYTES = {"fp32": 4, "bf16": 2, "fp16": 2, "int8": 1}
# What `--dtype auto` is (`models.torch_devices.weights_dtype`).
AUTO_ON_CPU, AUTO_ELSEWHERE = "fp32", "fp16"
_CPU = "cpu"


@dataclass(frozen=True)
class Way:
    """One way to run a model.

    Attributes:
        device: As for `--device`.
        title: The device's name.
        dtype: As for `--dtype`.
        options: The options that choose it; empty if capgen does so by itself.
        needed: Bytes of memory for the weights and the work.
        available: Bytes of the device's memory that are free; None if unknown.
        fits: Whether that is enough; None if unknown.
    """

    device: str
    title: str
    dtype: str
    options: str
    needed: int
    available: int | None
    fits: bool | None


@dataclass(frozen=True, kw_only=True)
class Requirements:
    """What a model needs of this machine.

    Attributes:
        possible: Whether it can run here; None if its size or this machine's is unknown.
        ways: The ways to run it, best first.
        download: Bytes to download first; 0 for a model that is here.
        disk: Free bytes where it would be stored; None if unknown.
        disk_place: That folder.
        options: All options that it needs, for the first way that fits.
        first: What to do before that, in words.
        problem: Why it cannot run; empty if it can, or nobody knows.
    """

    possible: bool | None
    ways: tuple[Way, ...] = ()
    download: int = 0
    disk: int | None = None
    disk_place: str = ""
    options: str = ""
    first: tuple[str, ...] = ()
    problem: str = ""

    @property
    def chosen(self) -> Way | None:
        """The way to take: the first that fits, or may fit."""
        wanted = (way for fits in (True, None) for way in self.ways if way.fits is fits)
        return next(wanted, None)

    def to_dict(self) -> dict[str, Any]:
        """Return it as built-in types."""
        ways, first = [dataclasses.asdict(way) for way in self.ways], list(self.first)
        return {**dataclasses.asdict(self), "ways": ways, "first": first}


def of_entry(entry: ModelEntry, folder: ModelFolder, machine: Machine) -> Requirements:
    """Return whether and how a model that is here runs on a machine."""
    try:
        precision = folder.provenance.export.get("precision")
    except CapgenError:  # an unreadable record, which is the entry's problem
        precision = None
    known = known_model(entry.name.partition("@")[0])
    graphs = (INT8 if precision == INT8 else "fp32") if entry.onnx else ""
    return requirements(
        machine, entry.parameters, known=known, graphs=graphs, problem=entry.problem
    )


def of_known(known: KnownModel, machine: Machine) -> Requirements:
    """Return whether and how a model that is yet to be downloaded runs on a machine."""
    return requirements(machine, known.parameters, known=known, present=False)


def requirements(
    machine: Machine,
    parameters: int | None,
    *,
    known: KnownModel | None = None,
    graphs: str = "",
    present: bool = True,
    problem: str = "",
) -> Requirements:
    """Return whether and how a model runs on a machine.

    Args:
        machine: See `registry.machine.this_machine`.
        parameters: Its number of parameters, if known.
        known: What is published about it.
        graphs: The type (`fp32` or `int8`) of its graphs for ONNX Runtime, which capgen then uses
            by itself; empty if it has none.
        present: Whether it is on this machine already.
        problem: Why capgen cannot run it anywhere, if so.
    """
    ways = tuple(_ways(machine, parameters, graphs)) if parameters else ()
    download = 0 if present else _download(known, parameters)
    short = machine.disk is not None and machine.disk < download
    problems = [
        problem,
        _too_small(ways, quantizes=known is not None and known.takes_prompt),
        f"the download needs {gigabytes(download)} of disk space" if short else "",
    ]
    found = Requirements(
        possible=None,
        ways=ways,
        download=download,
        disk=machine.disk,
        disk_place=str(machine.disk_place),
        first=tuple(_steps(known, present=present)),
        problem="; ".join(filter(None, problems)),
    )
    way = found.chosen
    possible = False if found.problem else (None if way is None else way.fits)
    return dataclasses.replace(found, possible=possible, options=way.options if way else "")


def gigabytes(size: int) -> str:
    """Return a size as `4.3 GB`, or `513 MB` below one gigabyte."""
    return f"{size / 1e9:,.1f} GB" if size >= 1e9 else f"{size / 1e6:,.0f} MB"


def _ways(machine: Machine, parameters: int, graphs: str) -> Iterator[Way]:
    """Yield the ways to run a model, the one that capgen takes by itself first."""

    def way(device: str, title: str, dtype: str, options: str, available: int | None) -> Way:
        needed = round(parameters * BYTES[dtype] * (1 + OVERHEAD))
        fits = None if available is None else needed <= available
        return Way(device, title, dtype, options, needed, available, fits)

    if graphs:
        yield way(_CPU, "CPU, ONNX Runtime", graphs, "", machine.memory)
    if graphs == "int8":
        return
    for item in machine.accelerators:
        itself = not graphs and ":" not in item.device  # `auto` is the first GPU
        options = "" if itself else f"--device {item.device}"
        yield way(item.device, item.title, AUTO_ELSEWHERE, options, item.free)
    device = f"--device {_CPU}" if machine.accelerators else ""
    if not graphs:
        yield way(_CPU, "CPU", AUTO_ON_CPU, device, machine.memory)
    yield way(_CPU, "CPU", "bf16", f"{device} --dtype bf16".strip(), machine.memory)


def _too_small(ways: tuple[Way, ...], *, quantizes: bool) -> str:
    if not ways or any(way.fits is not False for way in ways):
        return ""
    least = min(ways, key=lambda way: way.needed)
    most = max(way.available or 0 for way in ways)
    less = "; --quantize int4 needs about a quarter of that" if quantizes else ""
    return (
        f"it needs {gigabytes(least.needed)} of memory, even in {least.dtype}, and at most "
        f"{gigabytes(most)} are free{less}"
    )


def _download(known: KnownModel | None, parameters: int | None) -> int:
    """Return the size of a download: as published, or that of its parameters in 16 bits."""
    if known is not None and known.download_bytes is not None:
        return known.download_bytes
    return (parameters or 0) * BYTES["bf16"]


def _steps(known: KnownModel | None, *, present: bool) -> Iterator[str]:
    if known is None or present:
        return
    if known.gated:
        yield (
            f"accept its terms at https://huggingface.co/{known.identifier}, then "
            "`capgen hub login`"
        )
