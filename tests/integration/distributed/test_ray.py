"""A Ray cluster of three nodes whose parts die: nothing is missing, nothing doubled."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from capgen import Captioner
from capgen.config import CsvOptions, EngineOptions, TagOptions
from capgen.distributed.caption_share import ShareJob, caption_share
from capgen.distributed.merge import check_parts
from capgen.distributed.ray_engine import caption_with_ray
from capgen.distributed.write_merged import write_merged
from capgen.errors import MissingDependencyError, NetworkError, UsageError
from tests.fakes import draw_image
from tests.ray_clusters import actors, add_node, cluster, kill, start_driver, until, vouchers
from tests.ray_driver import PART_SIZE, gated_units

pytest.importorskip("ray")
PICTURES = 160


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("pictures")
    for number in range(PICTURES):
        draw_image(number, (96, 64)).save(folder / f"{number:04}.jpg")
    (folder / "0123.jpg").write_bytes(b"not an image")
    return folder


@pytest.fixture(scope="module")
def three_nodes() -> Iterator[Any]:
    with cluster(3) as running:
        yield running


def merged(place: Path) -> bytes:
    file = place.with_suffix(".jsonl")
    write_merged(check_parts(str(place)), file, "jsonl", CsvOptions(), TagOptions())
    return file.read_bytes()


def on_one_machine(pictures: Path, output: Path) -> bytes:
    gate = output.with_suffix(".gate")
    gate.touch()
    captioner = Captioner.from_pretrained("mini:int8")
    job = ShareJob(place=str(output), part_size=PART_SIZE)
    list(caption_share(captioner, gated_units(pictures, gate, ()), job))
    return merged(output)


def test_whatever_is_killed_the_output_is_that_of_one_machine(
    pictures: Path, three_nodes: Any, tmp_path: Path
) -> None:
    output, gate = tmp_path / "out", tmp_path / "gate"
    arguments = (pictures, output, three_nodes.address, gate)
    first = start_driver(*arguments, log=tmp_path / "first")
    try:
        # Pictures wait until the gate is open: what dies, dies at work.
        until(lambda: len(actors(three_nodes)) == 3, of=first)
        gate.touch()
        until(lambda: vouchers(output) >= 2, of=first)
        gate.unlink()
        kill(next(iter(actors(three_nodes))))
        until(lambda: b"its process died" in (tmp_path / "first").read_bytes(), of=first)
        add_node(three_nodes)
        until(lambda: len(actors(three_nodes)) == 3, of=first)
        head = three_nodes.head_node
        away = next(node for node in actors(three_nodes).values() if node is not head)
        three_nodes.remove_node(away, allow_graceful=False)
        until(lambda: _machine_lost((tmp_path / "first").read_text()), of=first)
        seen = vouchers(output)
        gate.touch()
        until(lambda: vouchers(output) >= seen + 2, of=first)
        gate.unlink()
        assert first.poll() is None
    finally:
        first.kill()
        first.wait()
    assert not (output / "_manifest.json").exists()

    gate.touch()
    second = start_driver(*arguments, log=tmp_path / "second")
    assert second.wait(100) == 0, (tmp_path / "second").read_text()
    assert b"PartReused" in (tmp_path / "second").read_bytes()
    assert (output / "_manifest.json").exists()
    assert merged(output) == on_one_machine(pictures, tmp_path / "one")


def _machine_lost(log: str) -> bool:
    return "it cannot be reached" in log or "its machine is gone" in log


def test_a_picture_that_kills_who_reads_it_is_a_record(
    pictures: Path, three_nodes: Any, tmp_path: Path
) -> None:
    few = tmp_path / "few"
    few.mkdir()
    for number in range(25):
        os.link(pictures / f"{number:04}.jpg", few / f"{number:04}.jpg")
    output, gate = tmp_path / "out", tmp_path / "gate"
    gate.touch()
    driver = start_driver(
        *(few, output, three_nodes.address, gate, "0007.jpg"), log=tmp_path / "log"
    )
    assert driver.wait(100) == 0, (tmp_path / "log").read_text()
    records = [json.loads(line) for line in merged(output).splitlines()]
    assert [Path(record["path"]).name for record in records] == [
        f"{number:04}.jpg" for number in range(25)
    ]
    failed = [record for record in records if record["caption"] is None]
    assert [record["error"]["code"] for record in failed] == ["crashed"]
    assert Path(failed[0]["path"]).name == "0007.jpg" and failed[0]["settings"]
    whole = on_one_machine(few, tmp_path / "one").splitlines()
    assert merged(output).splitlines()[:7] == whole[:7]


def test_a_ray_of_its_own_ends_with_the_run_and_with_ctrl_c(pictures: Path, tmp_path: Path) -> None:
    output, gate = tmp_path / "out", tmp_path / "gate"
    log = tmp_path / "log"
    driver = start_driver(pictures, output, "local", gate, log=log)
    try:
        gate.touch()
        until(lambda: vouchers(output) >= 2, of=driver)
        gate.unlink()
        descendants = _descendants(driver.pid)
        assert descendants
        driver.send_signal(signal.SIGINT)
        driver.wait(60)
    finally:
        driver.kill()
    assert b"KeyboardInterrupt" in log.read_bytes()
    until(lambda: not any(Path("/proc", str(pid)).exists() for pid in descendants))
    assert vouchers(output) >= 2 and not (output / "_manifest.json").exists()


def _descendants(process: int) -> set[int]:
    parents: dict[int, int] = {}
    for entry in Path("/proc").iterdir():
        try:
            stat = (entry / "stat").read_text()
            parents[int(entry.name)] = int(stat.rpartition(")")[2].split()[1])
        except (OSError, ValueError):
            continue
    found, more = {process}, True
    while more:
        more = {child for child, parent in parents.items() if parent in found} - found
        found |= more
    return found - {process}


def test_a_cluster_that_is_not_there_is_a_network_error(tmp_path: Path) -> None:
    options = EngineOptions(engine="ray", ray_address="127.0.0.1:1")
    with pytest.raises(NetworkError, match="cannot be reached"):
        list(
            caption_with_ray(Captioner.from_pretrained, [], ShareJob(place=str(tmp_path)), options)
        )


def test_the_client_protocol_is_refused(tmp_path: Path) -> None:
    options = EngineOptions(engine="ray", ray_address="ray://127.0.0.1:10001")
    with pytest.raises(UsageError, match="client protocol"):
        list(
            caption_with_ray(Captioner.from_pretrained, [], ShareJob(place=str(tmp_path)), options)
        )


def test_without_ray_it_is_said_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(__import__("sys").modules, "ray", None)
    options = EngineOptions(engine="ray")
    with pytest.raises(MissingDependencyError) as caught:
        list(
            caption_with_ray(Captioner.from_pretrained, [], ShareJob(place=str(tmp_path)), options)
        )
    assert "capgen[ray]" in caught.value.hint
