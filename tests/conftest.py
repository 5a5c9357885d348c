"""Isolation from the world, and the fixtures that many tests share."""

from __future__ import annotations

import gc
import itertools
import logging
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Generator, Iterator
from pathlib import Path

import pytest
from filelock import FileLock

from capgen.captioning.runtimes.cores import usable_cores

ROOT = Path(__file__).parent.parent
# Nothing listens on loopback's discard port: whoever asks the Hub by mistake fails at once.
UNREACHABLE = "http://127.0.0.1:9"


# huggingface_hub reads these when it is imported, which conftests of folders may do: they are set
# before any of those is loaded.
HUB_CACHE = tempfile.mkdtemp(prefix="capgen-tests-")
os.environ["HF_HOME"] = HUB_CACHE
os.environ["HF_ENDPOINT"] = UNREACHABLE
os.environ["HF_HUB_DISABLE_XET"] = "1"
os.environ["HF_HUB_DISABLE_TELEMETRY"] = "1"
os.environ["DO_NOT_TRACK"] = "1"  # Daft asks a server when it is imported
# Ray looks for it in a home that differs from test to test.
os.environ["RAY_AUTH_TOKEN"] = "0" * 64
# Spark's workers are this Python, not the one that PATH finds.
os.environ["PYSPARK_PYTHON"] = sys.executable
# A Java that runs for seconds spends them on compiling.
os.environ["SPARK_SUBMIT_OPTS"] = "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC"
# Tiny models gain nothing from threads, and lose much when the tests share the cores.
os.environ["OMP_NUM_THREADS"] = "1"
# The tests are about the CPU: a GPU's half precision would change the numbers.
os.environ["CUDA_VISIBLE_DEVICES"] = ""
# Workers read what others have rewritten and compiled, and so do the commands that tests start.
sys.dont_write_bytecode = False
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
# What a shell in the background, or `nohup`, has ignored would be ignored by tested commands, too.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)
if hasattr(signal, "SIGHUP"):
    signal.signal(signal.SIGHUP, signal.SIG_DFL)
for _name in ("HF_HUB_OFFLINE", "HF_TOKEN", "TRANSFORMERS_OFFLINE"):
    os.environ.pop(_name, None)


def pytest_xdist_auto_num_workers(config: pytest.Config) -> int:
    """Two more than there are cores: tests also wait, for servers, disks and processes."""
    return usable_cores() + 2


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """Leave what is imported and collected out of garbage collection.

    These are a million objects that stay: looking through them again and again took more than a
    third of the collection's time.
    """
    gc.disable()
    try:
        return (yield)
    finally:
        gc.freeze()
        gc.enable()


def pytest_unconfigure(config: pytest.Config) -> None:
    shutil.rmtree(HUB_CACHE, ignore_errors=True)


@pytest.fixture(scope="session")
def homes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Return names of folders that are not there yet.

    For each folder pytest's `mktemp` reads the names of all those before it: thousands.
    """
    folder = tmp_path_factory.mktemp("homes")
    return (folder / f"home{number}" for number in itertools.count())


@pytest.fixture(autouse=True)
def isolation(homes: Iterator[Path], monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give each test a home of its own; return it."""
    home = next(homes)
    home.mkdir()
    for name in os.environ:
        if name.startswith("CAPGEN_") and name != "CAPGEN_SHARED":
            monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("CAPGEN_HOME", str(home / "capgen"))
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.setenv("COLUMNS", "100")
    monkeypatch.delenv("FORCE_COLOR", raising=False)
    return home


@pytest.fixture(scope="session", autouse=True)
def one_thread_of_onnx() -> Iterator[None]:
    """Let ONNX Runtime compute with one thread, as `OMP_NUM_THREADS` has it for torch.

    Its threads wait for each other in loops: beside other tests they take twice the processor time.
    """
    from capgen.captioning.runtimes import onnx_runtime

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(onnx_runtime, "usable_cores", lambda: 1)
        yield


@pytest.fixture(scope="session")
def of_all_workers(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of what one worker makes for all of them."""
    base = tmp_path_factory.getbasetemp()
    return base.parent if "PYTEST_XDIST_WORKER" in os.environ else base


@pytest.fixture(scope="session", autouse=True)
def architectures_are_traced_once(of_all_workers: Path) -> Iterator[None]:
    """See `tests.traced_graphs`; tests that do without torch are not made to import it."""
    if "torch" not in sys.modules:
        yield
        return
    from capgen.models.onnx import export
    from tests.traced_graphs import remembering

    folder = of_all_workers / "traced_graphs"
    folder.mkdir(exist_ok=True)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(export, "trace", remembering(export.trace, folder))
        yield


@pytest.fixture
def home(isolation: Path) -> Path:
    """Return the CAPGEN_HOME of the test."""
    return isolation / "capgen"


@pytest.fixture(scope="session")
def realdata() -> Path:
    """Return the folder of the research data, or skip the test."""
    places = [Path(os.environ.get("CAPGEN_SHARED", ROOT.parent / "shared")) / "data"]
    for place in places:
        if place.is_dir():
            return place
    pytest.skip("the research data is not there (../shared, or CAPGEN_SHARED)")


@pytest.fixture(scope="session")
def images(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Return 16 drawn images of several sizes."""
    from tests.fakes import draw_image

    folder = tmp_path_factory.mktemp("photos")
    sizes = ((320, 240), (240, 320), (400, 300), (288, 288))
    found = []
    for number in range(16):
        path = folder / f"photo{number:02}.jpg"
        draw_image(number, sizes[number % len(sizes)]).save(path, quality=90)
        found.append(path)
    return found


@pytest.fixture(scope="session")
def concepts_model(of_all_workers: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a tiny captioner with a concept head and ONNX graphs; only read it.

    Exporting it takes seconds: the first worker that needs it does it for all.
    """
    from tests.tiny_concepts import save_tiny_concepts

    folder = of_all_workers / "concepts_model"
    with FileLock(of_all_workers / "concepts_model.lock"):
        if not folder.exists():
            save_tiny_concepts(tmp_path_factory.getbasetemp() / "concepts_model.new").rename(folder)
    return folder


@pytest.fixture(scope="session")
def bundled() -> Iterator[object]:
    """Return the bundled model on ONNX Runtime."""
    from capgen import Captioner

    yield Captioner.from_pretrained()


@pytest.fixture(scope="session")
def bundled_torch() -> Iterator[object]:
    """Return the bundled model on torch."""
    from capgen import Captioner

    yield Captioner.from_pretrained(runtime="torch", device="cpu")


@pytest.fixture
def make_disk(tmp_path: Path) -> Iterator[Callable[[str], Path]]:
    """Mounts an empty disk of a size (`64k`); the test is skipped where that is not allowed."""
    disks: list[Path] = []

    def make(size: str) -> Path:
        disk = tmp_path / f"disk-{len(disks)}"
        disk.mkdir()
        command = ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(disk)]
        try:
            mounted = subprocess.run(command, capture_output=True, text=True, check=False)
        except FileNotFoundError:
            pytest.skip("there is no mount command")
        if mounted.returncode:
            pytest.skip(f"cannot mount a small disk: {mounted.stderr.strip()}")
        disks.append(disk)
        return disk

    yield make
    busy = [disk for disk in disks if not _unmounted(disk)]
    assert not busy, f"somebody still has files open on {busy}"


def _unmounted(disk: Path, patience: float = 15.0) -> bool:
    """Unmount a disk; processes that are ending get some seconds to close their files."""
    end = time.monotonic() + patience
    while subprocess.run(["umount", str(disk)], capture_output=True, check=False).returncode:
        if time.monotonic() > end:
            subprocess.run(["umount", "--lazy", str(disk)], check=True)
            return False
        time.sleep(0.1)
    return True


@pytest.fixture
def small_disk(make_disk: Callable[[str], Path]) -> Path:
    """A disk of 64 kB."""
    return make_disk("64k")


@pytest.fixture
def handlers_put_back() -> Iterator[None]:
    """Take `--log-file` and `--log-level` back."""
    root = logging.getLogger()
    before, level = list(root.handlers), root.level
    yield
    for handler in [item for item in root.handlers if item not in before]:
        root.removeHandler(handler)
        handler.close()
    root.setLevel(level)
