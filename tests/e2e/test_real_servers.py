"""`--endpoint` against servers that are not ours, each with a tiny random model."""

from __future__ import annotations

import importlib.util
import json
import os
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from capgen import Captioner
from capgen.errors import ImageError
from capgen.records import Caption
from tests.minis import draw
from tests.tiny_gguf import write_projector, write_text_model

_NEEDED = ("fastapi", "uvicorn", "openai")
_SERVE = "from transformers.cli.transformers import main; main()"


def _free_port() -> int:
    with closing(socket.socket()) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def started(command: list[str], url: str, log: Path) -> Iterator[None]:
    """Run a server until it lists its models."""
    environment = {**os.environ, "HF_HUB_OFFLINE": "1", "TRANSFORMERS_OFFLINE": "1"}
    with log.open("wb") as stream:
        process = subprocess.Popen(command, stdout=stream, stderr=stream, env=environment)
    try:
        deadline = time.monotonic() + 180
        while not _answers(url):
            assert process.poll() is None, log.read_text()
            assert time.monotonic() < deadline, log.read_text()
            time.sleep(0.2)
        yield
    finally:
        process.terminate()
        process.wait(60)


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(f"{url}/models", timeout=5) as response:
            return bool(json.load(response)["data"])
    except OSError:
        return False


@pytest.fixture(scope="module")
def transformers_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of `transformers serve` with a tiny LLaVA."""
    missing = [name for name in _NEEDED if importlib.util.find_spec(name) is None]
    if missing:
        pytest.skip(f"transformers serve needs {', '.join(missing)}")
    tiny_prompted = pytest.importorskip("tests.tiny_prompted")
    folder = tmp_path_factory.mktemp("served")
    model = tiny_prompted.llava(folder / "llava")
    port = _free_port()
    url = f"http://127.0.0.1:{port}/v1"
    arguments = ["serve", str(model), "--host", "127.0.0.1", "--port", str(port), "--device", "cpu"]
    with started([sys.executable, "-c", _SERVE, *arguments], url, folder / "log.txt"):
        yield url


# llama.cpp's own server, which xllamacpp has inside.
_LLAMA = """
import sys, time
import xllamacpp
params = xllamacpp.CommonParams()
params.model.path, params.mmproj.path, params.port = sys.argv[1], sys.argv[2], int(sys.argv[3])
params.n_ctx, params.n_parallel, params.n_gpu_layers, params.warmup = 4096, 4, 0, False
params.mmproj_use_gpu, params.use_jinja = False, True
params.cpuparams.n_threads = 1
server = xllamacpp.Server(params)
time.sleep(3600)
"""


@pytest.fixture(scope="module")
def llama_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of llama.cpp's server with a tiny LLaVA."""
    for name in ("xllamacpp", "gguf"):
        pytest.importorskip(name)
    folder = tmp_path_factory.mktemp("llama")
    model, projector = folder / "tiny.gguf", folder / "mmproj.gguf"
    write_text_model(model)
    write_projector(projector)
    port = _free_port()
    url = f"http://127.0.0.1:{port}/v1"
    command = [sys.executable, "-c", _LLAMA, str(model), str(projector), str(port)]
    with started(command, url, folder / "log.txt"):
        yield url


def photos(folder: Path, count: int) -> list[Path]:
    paths = [folder / f"{number}.jpg" for number in range(count)]
    for number, path in enumerate(paths):
        draw(number, (96, 64)).save(path)
    return paths


def test_transformers_serve_captions_many_images(transformers_server: str, tmp_path: Path) -> None:
    captioner = Captioner.from_endpoint(transformers_server, concurrency=4)
    paths = photos(tmp_path, 12)
    together = captioner.caption(list(paths), max_length=12)
    assert all(caption.text for caption in together)
    assert len({caption.text for caption in together}) > 1  # it sees the images
    for path, caption in zip(paths[:3], together, strict=False):
        assert captioner.caption(path, max_length=12).text == caption.text
    assert all(caption.usage and caption.usage.completion_tokens <= 12 for caption in together)


def test_transformers_serve_samples(transformers_server: str, tmp_path: Path) -> None:
    captioner = Captioner.from_endpoint(transformers_server)
    (path,) = photos(tmp_path, 1)
    caption = captioner.caption(path, max_length=8, temperature=1.0, num_captions=2, seed=1)
    assert len(caption.alternatives) == 1
    again = captioner.caption(path, max_length=8, temperature=1.0, num_captions=2, seed=1)
    assert texts(again) == texts(caption)


def texts(caption: Caption) -> list[str]:
    return [caption.text, *(other.text for other in caption.alternatives)]


def test_llama_cpp_captions_many_images(llama_server: str, tmp_path: Path) -> None:
    captioner = Captioner.from_endpoint(llama_server, concurrency=4)
    paths = photos(tmp_path, 12)
    together = captioner.caption(list(paths), max_length=8)
    assert all(caption.text for caption in together)
    assert len({caption.text for caption in together}) > 1  # it sees the images
    alone = captioner.caption(paths[3], max_length=8)
    assert alone.text == together[3].text
    for caption in together:
        assert caption.usage is not None
        assert 0 < caption.usage.completion_tokens <= 8


def test_llama_cpp_gives_tokens_and_log_probabilities(llama_server: str, tmp_path: Path) -> None:
    (path,) = photos(tmp_path, 1)
    caption = Captioner.from_endpoint(llama_server).caption(path, max_length=8)
    assert caption.tokens
    assert len(caption.tokens) <= 8
    assert all(token.id is not None for token in caption.tokens)
    assert caption.log_probability is not None
    assert caption.log_probability < 0


def test_llama_cpp_samples_several_captions(llama_server: str, tmp_path: Path) -> None:
    (path,) = photos(tmp_path, 1)
    captioner = Captioner.from_endpoint(llama_server)
    options = {"max_length": 8, "temperature": 2.0, "num_captions": 3, "seed": 5}
    caption = captioner.caption(path, **options)
    assert len(caption.alternatives) == 2
    assert len(set(texts(caption))) > 1


def test_llama_cpp_says_what_is_wrong_with_one_image(llama_server: str, tmp_path: Path) -> None:
    """A prompt that does not fit its context is that image's failure."""
    (path,) = photos(tmp_path, 1)
    captioner = Captioner.from_endpoint(llama_server, prompt="a" * 4000)
    with pytest.raises(ImageError) as caught:
        captioner.caption(path)
    assert caught.value.code == "endpoint"
    assert "context" in caught.value.message
