"""What the doctor looks at, and that a fault is seen."""

from __future__ import annotations

import errno
import importlib.metadata
import importlib.resources
import os
import sys
import time
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from capgen import paths
from capgen.cache_folders import FEATURES
from capgen.doctor import devices, installation, network, storage, versions
from capgen.doctor.examine import Findings, _guarded
from capgen.errors import UsageError
from capgen.metrics import synonyms
from capgen.records import Check


@pytest.fixture
def release(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Installed metadata of capgen that the test writes: its METADATA file."""
    folder = tmp_path / "site" / "capgen-9.dist-info"
    folder.mkdir(parents=True)
    monkeypatch.syspath_prepend(str(folder.parent))
    return folder / "METADATA"


def by_name(checks: object) -> dict[str, Check]:
    return {check.name: check for check in checks}  # type: ignore[attr-defined]


def test_a_version_within_its_range() -> None:
    version = importlib.metadata.version("numpy")
    check = versions.check_requirement(Requirement("numpy>=1.0"))
    assert check == Check("numpy", True, f"{version} (>=1.0)")


def test_a_version_outside_its_range_has_a_cure() -> None:
    check = versions.check_requirement(Requirement("numpy<1.0"))
    assert check.ok is False
    assert check.cure == "pip install 'numpy<1.0'"


def test_a_package_that_is_missing() -> None:
    check = versions.check_requirement(Requirement("capgen-has-no-such-package>=1"))
    assert (check.ok, check.detail) == (False, "not installed; >=1 is needed")


def test_ranges_are_those_of_the_installed_metadata(release: Path) -> None:
    release.write_text(
        "Metadata-Version: 2.4\nName: capgen\nVersion: 9\nRequires-Python: >=99\n"
        "Requires-Dist: numpy>=99\n"
        'Requires-Dist: pytest<1; extra == "loud"\n'
        'Requires-Dist: capgen-none; extra == "quiet"\n'
        'Requires-Dist: capgen-other; sys_platform == "none"\n'
        "Provides-Extra: loud\nProvides-Extra: quiet\n"
    )
    found = by_name(versions.check_versions())
    assert found["metadata"].detail.startswith("of capgen 9:")
    assert {name for name, check in found.items() if check.ok is False} == {
        *("Python", "numpy", "pytest")
    }
    assert "capgen-other" not in found
    assert found["extras"].detail == "loud; not installed: quiet"


def test_torch_that_cannot_be_imported_is_a_fault_with_a_cure(monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "torch", None)
    found = by_name(devices.check_devices())
    assert found["torch"].ok is False and "pip install" in found["torch"].cure
    assert found["onnxruntime"].ok


def test_onnxruntime_without_its_cpu_provider(monkeypatch) -> None:
    import onnxruntime

    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: ["OtherProvider"])
    assert by_name(devices.check_devices())["onnxruntime"].ok is False


def test_devices_of_this_machine() -> None:
    found = by_name(devices.check_devices())
    assert found["cuda"].ok is None  # the tests hide GPUs
    assert "bf16" in found["cpu"].detail
    assert "GB free" in found["memory"].detail


def test_a_place_is_looked_at_and_left_as_it_was(tmp_path: Path) -> None:
    check = storage.check_place("data", tmp_path / "not" / "yet", 1, "cure")
    assert check.ok and not check.cure
    assert not list(tmp_path.iterdir())


def test_a_full_disk(tmp_path: Path) -> None:
    check = storage.check_place("data", tmp_path, 10**18, "make room")
    assert (check.ok, check.cure) == (False, "make room")


@pytest.mark.parametrize("number", [errno.EACCES, errno.EROFS, errno.EPERM])
def test_a_machine_that_is_read_only_has_no_fault(
    number: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Captioning needs none of these folders."""

    def refused(**_: object) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(storage.tempfile, "TemporaryFile", refused)
    checks = [*storage.check_places()]
    assert [check.ok for check in checks] == [None] * 4
    assert all("cannot write in" in check.detail and check.cure for check in checks)


def test_a_file_in_a_folders_place(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    check = storage.check_place("data", tmp_path / "file" / "data", 1, "cure")
    assert check.ok is False and str(tmp_path / "file") in check.detail


def test_caches_are_added_up() -> None:
    folder = FEATURES.path
    folder.mkdir(parents=True)
    (folder / "a.npy").write_bytes(bytes(2_500_000))
    found = by_name(storage.check_caches())
    assert found["encoder features"].detail.startswith("2.5 MB")
    assert found["Hub"].detail == "empty"


def test_the_table_of_wordnet_is_read(tmp_path: Path, monkeypatch) -> None:
    assert installation._wordnet().ok
    (tmp_path / "wordnet").mkdir()
    (tmp_path / "wordnet" / "synonyms.txt.gz").write_bytes(b"\x1f\x8b damaged")
    synonyms.wordnet.cache_clear()
    monkeypatch.setattr(importlib.resources, "files", lambda package: tmp_path)
    check = installation._wordnet()
    synonyms.wordnet.cache_clear()
    assert check.ok is False and check.cure


def test_a_model_that_does_not_load_is_a_fault(tmp_path: Path, monkeypatch) -> None:
    """The bundled model is looked for where the package is; here is a damaged one."""
    import shutil

    copy = tmp_path / "mini"
    shutil.copytree(paths.bundled_model_dir(), copy)
    (copy / "onnx" / "decoder.onnx").write_bytes(b"no graph")
    monkeypatch.setattr("capgen.models.resolve.bundled_model_dir", lambda: copy)
    wrong = [check for check in installation.check_model() if check.ok is False]
    assert wrong and "pip install" in wrong[0].cure


def test_the_bundled_model_says_what_it_should() -> None:
    checks = list(installation.check_model())
    assert checks and all(check.ok for check in checks)


def test_what_stops_an_area_is_its_last_check() -> None:
    def look():
        yield Check("first", True, "")
        raise UsageError("cannot be used", hint="mend it")

    checks = list(_guarded("area", look))
    assert checks == [Check("first", True, ""), Check("area", False, "cannot be used", "mend it")]
    assert Findings({"area": checks}).faults == checks[1:]


def test_a_library_that_does_not_import_is_a_fault() -> None:
    def look():
        yield Check("first", True, "")
        raise ImportError("libfoo.so.1: cannot open shared object file")

    assert list(_guarded("area", look))[-1].ok is False


def test_offline_nothing_is_asked(monkeypatch) -> None:
    monkeypatch.setattr(network, "reachable", lambda address: pytest.fail("asked"))
    (check,) = network.check_network(offline=True)
    assert check.ok is None


def test_no_network_is_no_fault(monkeypatch) -> None:
    monkeypatch.setenv("WANDB_BASE_URL", "http://127.0.0.1:9")
    found = by_name(network.check_network())
    assert [check.ok for check in found.values()] == [None] * 4
    assert "cannot be reached" in found["Hub"].detail


def test_servers_that_never_answer_are_not_waited_for(monkeypatch) -> None:
    monkeypatch.setattr(network, "LONGEST", 0.2)
    monkeypatch.setattr(network, "reachable", lambda address: time.sleep(3))
    start = time.monotonic()
    checks = list(network.check_network())
    assert time.monotonic() - start < 2
    assert [check.detail for check in checks] == ["no answer within 0 seconds"] * 2


def test_a_bug_in_a_check_is_not_told_as_silence(monkeypatch) -> None:
    def broken(address: str) -> bool:
        raise ZeroDivisionError

    monkeypatch.setattr(network, "reachable", broken)
    with pytest.raises(ZeroDivisionError) as caught:
        list(network.check_network())
    assert "broken" in [entry.name for entry in caught.traceback]


def test_a_key_for_wandb_is_found_and_not_shown(home, isolation, monkeypatch) -> None:
    monkeypatch.setenv("WANDB_MODE", "offline")
    monkeypatch.delenv("WANDB_API_KEY", raising=False)
    monkeypatch.delenv("WANDB_BASE_URL", raising=False)
    monkeypatch.delenv("NETRC", raising=False)
    assert by_name(network.check_wandb())["W&B login"].cure
    (isolation / ".netrc").write_text("machine api.wandb.ai login user password s3cret\n")
    check = by_name(network.check_wandb())["W&B login"]
    assert ".netrc" in check.detail and "s3cret" not in str(check)


@pytest.mark.parametrize(
    "address", ["wandb.example", "http://[", "http://", "http://a:b", "https://a..b", "ftp://a"]
)
def test_an_address_of_wandb_that_is_none(address: str, monkeypatch) -> None:
    monkeypatch.setenv("WANDB_BASE_URL", address)
    assert not network.reachable(address)
    (check,) = network.check_wandb()
    assert check.ok is False
