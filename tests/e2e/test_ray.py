"""`capgen caption --engine ray`: every runtime, as on one machine, and only our own messages."""

from __future__ import annotations

import json
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from capgen.cli.main import main
from tests import commands, tiny_prompted
from tests.chat_server import ChatServer, chatting
from tests.fakes import draw_image
from tests.ray_clusters import cluster, until, vouchers

pytest.importorskip("ray")


@pytest.fixture(scope="module")
def one_node() -> Iterator[Any]:
    with cluster(1, cpus=2) as running:
        yield running


@pytest.fixture(autouse=True)
def workplace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    photos = Path("photos")
    photos.mkdir()
    for number in range(7):
        draw_image(number, (64, 48)).save(photos / f"{number}.jpg")
    (photos / "3.jpg").write_bytes(b"no image")


@pytest.fixture(scope="module")
def prompted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_prompted.qwen2_vl(tmp_path_factory.mktemp("model") / "tiny-qwen")


@pytest.fixture(scope="module")
def server() -> Iterator[ChatServer]:
    with chatting() as running:
        yield running


def capgen(*arguments: str, code: int = 0) -> str:
    """Run a command that says nothing but our own messages; return them."""
    found, out, err = commands.capgen(*arguments)
    assert (found, out) == (code, ""), err
    foreign = [
        line for line in err.splitlines() if not line.startswith(("note:", "error:", "hint:"))
    ]
    assert not foreign, "only our own messages"
    return err


# "prompted" is the torch runtime, too, with a model whose libraries have most to say.
@pytest.mark.parametrize("runtime", ["onnx", "prompted", "endpoint", "parquet"])
def test_a_cluster_writes_what_one_machine_writes(
    runtime: str, one_node: Any, prompted: Path, server: ChatServer
) -> None:
    model = {
        "onnx": ("--tags", "--scores"),
        "prompted": ("--model", str(prompted), "--max-length", "8"),
        "endpoint": ("--endpoint", server.url),
        "parquet": ("--format", "parquet", "--tags"),
    }[runtime]
    caption = ("caption", "photos", "--part-size", "4", "--fail-on", "none", *model)
    ray = ("--engine", "ray", "--ray-address", one_node.address, "--actors", "1")
    suffix = "parquet" if runtime == "parquet" else "jsonl"
    told = capgen(*caption, "-o", "on-ray", *ray)
    assert "photos/3.jpg: not an image but text" in told
    assert main([*caption, "-o", "alone"]) == 0
    for place in ("on-ray", "alone"):
        assert main(["merge", place, "-o", f"{place}.{suffix}"]) == 0
    one, other = (Path(f"{place}.{suffix}").read_bytes() for place in ("on-ray", "alone"))
    if runtime == "prompted":  # whose scores depend on the batch, in their last digits
        assert _captions(one) == _captions(other)
    else:
        assert one == other
    if runtime == "onnx":  # no model is asked again
        again = capgen(*caption, "-o", "on-ray", *ray)
        assert "2 parts (7 images) are there from an earlier run" in again


def _captions(data: bytes) -> list[tuple[str, str]]:
    records = map(json.loads, data.splitlines())
    return [(record["path"], record["caption"]) for record in records]


def test_an_error_of_the_model_ends_the_run(one_node: Any) -> None:
    ray = ("--engine", "ray", "--ray-address", one_node.address)
    told = capgen("caption", "photos", "-o", "out", *ray, "--model", "./nowhere", code=1)
    assert "nowhere" in told and told.startswith("error:")


def test_ctrl_c_keeps_what_is_done(one_node: Any) -> None:
    for number in range(300):
        draw_image(number, (64, 48)).save(Path("photos", f"more-{number}.jpg"))
    ray = ("--engine", "ray", "--ray-address", one_node.address, "--actors", "1")
    process = commands.start(
        "caption", "photos", "-o", "out", "--part-size", "4", "--beams", "8", *ray
    )
    until(lambda: vouchers(Path("out")) > 0, of=process)  # type: ignore[arg-type]
    process.send_signal(signal.SIGINT)
    err = process.communicate(timeout=60)[1].decode()
    assert process.returncode == 130
    assert "what is done is kept" in err and "Traceback" not in err
    assert not Path("out", "_manifest.json").exists()
