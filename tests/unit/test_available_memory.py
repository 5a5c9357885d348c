"""How much memory there is, within the limits of control groups."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from capgen import available_memory as module
from capgen import control_groups
from capgen.available_memory import available_memory

FREE = 2_048_000
FILES = {
    1: ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"),
    2: ("memory.max", "memory.current", "inactive_file"),
}


@pytest.fixture
def system(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a made-up Linux: `meminfo`, the process's `groups`, and their folders."""
    monkeypatch.setattr(module, "_MEMINFO", tmp_path / "meminfo")
    monkeypatch.setattr(control_groups, "_OWN_GROUPS", tmp_path / "groups")
    monkeypatch.setattr(control_groups, "_GROUPS", tmp_path / "cgroup")
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setattr(
        module.os, "sysconf", {"SC_PHYS_PAGES": 1000, "SC_PAGE_SIZE": 4096}.__getitem__
    )
    (tmp_path / "meminfo").write_text("MemTotal: 9000000 kB\nMemAvailable:    2000 kB\n")
    return tmp_path


def group(folder: Path, version: int, limit: str, used: int, cache: int | None = None) -> None:
    """Make a control group with these figures."""
    folder.mkdir(parents=True, exist_ok=True)
    limit_file, used_file, cached = FILES[version]
    (folder / limit_file).write_text(f"{limit}\n")
    (folder / used_file).write_text(f"{used}\n")
    if cache is not None:
        (folder / "memory.stat").write_text(f"anon 5\n{cached} {cache}\nshmem 7\n")


def test_the_memory_that_is_free(system: Path) -> None:
    assert available_memory() == FREE


@pytest.mark.parametrize(
    "content", ["", "MemAvailable:\n", "MemAvailable: many kB\n", "MemTotal: 1"]
)
def test_where_the_system_does_not_tell_it_all_there_is(system: Path, content: str) -> None:
    (system / "meminfo").write_text(content)
    assert available_memory() == 4096 * 1000


@pytest.mark.parametrize(
    ("limit", "free"),
    [
        ("1000000", 900_000),
        ("50000", 0),  # less than is in use already
        ("max", FREE),
        ("9223372036854771712", FREE),
        ("nonsense", FREE),
    ],
)
def test_a_container_has_what_its_limit_leaves(system: Path, limit: str, free: int) -> None:
    (system / "groups").write_text("0::/\n")
    group(system / "cgroup", 2, limit, 100_000)
    assert available_memory() == free


@pytest.mark.parametrize("version", [1, 2])
def test_the_group_of_the_process_and_those_around_it_count(system: Path, version: int) -> None:
    root = system / "cgroup" / ("memory" if version == 1 else "")
    (system / "groups").write_text(
        "5:devices:/\n4:cpu,memory:/pod/own\n0::/\n" if version == 1 else "0::/pod/own\n"
    )
    group(root, version, "max", 0)
    group(root / "pod", version, "1500000", 100_000)
    group(root / "pod" / "own", version, "1900000", 100_000)
    group(root / "pod" / "another", version, "1000", 1000)
    assert available_memory() == 1_400_000
    group(root / "pod" / "own", version, "900000", 100_000)
    assert available_memory() == 800_000


@pytest.mark.parametrize("version", [1, 2])
def test_a_container_that_sees_its_group_as_the_root(system: Path, version: int) -> None:
    (system / "groups").write_text("4:memory:/docker/1f\n" if version == 1 else "0::/docker/1f\n")
    group(system / "cgroup" / ("memory" if version == 1 else ""), version, "700000", 100_000)
    assert available_memory() == 600_000


@pytest.mark.parametrize("version", [1, 2])
def test_cached_files_make_way(system: Path, version: int) -> None:
    (system / "groups").write_text("4:memory:/\n" if version == 1 else "0::/\n")
    root = system / "cgroup" / ("memory" if version == 1 else "")
    group(root, version, "1000000", 900_000, cache=500_000)
    assert available_memory() == 600_000


def test_a_strange_list_of_groups_is_no_limit(system: Path) -> None:
    (system / "groups").write_text("nonsense\n")
    assert available_memory() == FREE
