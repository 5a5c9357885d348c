"""How many cores a container may use."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from capgen import control_groups as module
from capgen.captioning.runtimes.cores import usable_cores
from capgen.control_groups import cores_allowed


@pytest.fixture
def groups(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A made-up Linux's control groups; the file `own` beside them names those of the process."""
    monkeypatch.setattr(module, "_OWN_GROUPS", tmp_path / "own")
    monkeypatch.setattr(module, "_GROUPS", tmp_path / "cgroup")
    return tmp_path / "cgroup"


def limit(folder: Path, version: int, quota: str, period: str = "100000") -> None:
    """Make a control group with this limit of processor time."""
    folder.mkdir(parents=True, exist_ok=True)
    if version == 2:
        (folder / "cpu.max").write_text(f"{quota} {period}\n")
    else:
        (folder / "cpu.cfs_quota_us").write_text(f"{quota}\n")
        (folder / "cpu.cfs_period_us").write_text(f"{period}\n")


@pytest.mark.parametrize("version", [1, 2])
@pytest.mark.parametrize(
    ("quota", "cores"),
    [("200000", 2), ("150000", 2), ("5000", 1), ("-1", None), ("max", None), ("0", None)],
)
def test_a_limit_of_time_is_worth_cores(
    groups: Path, version: int, quota: str, cores: int | None
) -> None:
    (groups.parent / "own").write_text(
        "3:cpuset:/\n1:cpu,cpuacct:/\n" if version == 1 else "0::/\n"
    )
    limit(groups / ("cpu" if version == 1 else ""), version, quota)
    assert cores_allowed() == cores


@pytest.mark.parametrize("version", [1, 2])
def test_the_least_limit_of_the_groups_around_the_process_counts(
    groups: Path, version: int
) -> None:
    (groups.parent / "own").write_text("1:cpu:/pod/own\n" if version == 1 else "0::/pod/own\n")
    root = groups / ("cpu" if version == 1 else "")
    limit(root / "pod" / "own", version, "800000")
    limit(root / "pod", version, "300000")
    limit(root / "pod" / "another", version, "100000")
    assert cores_allowed() == 3


def test_without_groups_there_is_no_limit(groups: Path) -> None:
    assert cores_allowed() is None


def test_a_container_on_a_large_machine_uses_no_more_cores_than_it_has(
    groups: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(64)), raising=False)
    (groups.parent / "own").write_text("0::/\n")
    limit(groups, 2, "200000")
    assert usable_cores() == 2
    limit(groups, 2, "max")
    assert usable_cores() == 64
