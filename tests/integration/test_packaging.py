"""The wheel and the sdist hold what they should, and the wheel works by itself."""

from __future__ import annotations

import importlib.metadata
import json
import os
import re
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from collections.abc import Iterable
from email.parser import Parser
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

import capgen
from capgen._build import lowest_versions, make_licences

ROOT = Path(__file__).parent.parent.parent
PACKAGE = ROOT / "capgen"
LARGEST = 60_000_000
MUST = (
    *("py.typed", "metrics/wordnet/synonyms.txt.gz", "metrics/wordnet/LICENSE"),
    *("images/bundled/photographer.jpg", "images/bundled/LICENSES.md"),
    *("training/plan/recipes/mini.toml", "pages/templates/base.html"),
    *("pages/templates/page.css", "pages/templates/gallery.js"),
    *(
        f"models/bundled/{model}/{name}"
        for model in ("mini", "mini-int8")
        for name in (
            *("model.safetensors", "onnx/encoder.onnx", "onnx/decoder.onnx", "config.json"),
            *("tokenizer.json", "calibration.json", "capgen.json", "LICENSE-EfficientNet"),
        )
    ),
)


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a wheel and an sdist of this source tree."""
    pytest.importorskip("hatchling", reason="hatchling builds the package")
    folder = tmp_path_factory.mktemp("dist")
    command = [sys.executable, "-m", "hatchling", "build", "-d", str(folder)]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    return folder


@pytest.fixture(scope="module")
def wheel(built: Path) -> Path:
    (found,) = built.glob("*.whl")
    return found


@pytest.fixture(scope="module")
def unpacked(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder to import the wheel's capgen from."""
    folder = tmp_path_factory.mktemp("site")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder)
    return folder


def sources() -> set[str]:
    """Return the files of the package, as paths within it."""
    files = (path for path in PACKAGE.rglob("*") if path.is_file())
    return {
        path.relative_to(PACKAGE).as_posix()
        for path in files
        if "__pycache__" not in path.parts and path.suffix != ".pyc"
    }


def data_files() -> set[str]:
    return {name for name in sources() if not name.endswith(".py")}


def run(
    site: Path, *arguments: str, variables: Iterable[str] = os.environ
) -> subprocess.CompletedProcess[str]:
    """Run Python with the wheel's capgen, away from the source tree."""
    kept = {name: os.environ[name] for name in variables if name in os.environ}
    environment = {**kept, "PYTHONPATH": str(site)}
    return subprocess.run(
        [sys.executable, *arguments], cwd=site, env=environment, capture_output=True, text=True
    )


def test_the_wheel_holds_the_package_and_nothing_else(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = {name for name in archive.namelist() if not name.endswith("/")}
        assert archive.read("capgen/py.typed") == (PACKAGE / "py.typed").read_bytes()
    shipped = {name.removeprefix("capgen/") for name in names if name.startswith("capgen/")}
    assert shipped == {name for name in sources() if not name.startswith("_build/")}
    assert set(MUST) <= shipped
    assert all(name.startswith(("capgen/", "capgen-")) for name in names)


def test_the_wheel_is_small(wheel: Path) -> None:
    assert wheel.stat().st_size < LARGEST


def test_the_sdist_holds_what_the_wheel_is_built_from_and_the_tests(built: Path) -> None:
    (path,) = built.glob("*.tar.gz")
    with tarfile.open(path) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    assert {f"capgen/{name}" for name in sources()} <= names
    assert {"pyproject.toml", "README.md", "LICENSE", "docs/licences.md"} <= names
    assert {
        "tests/conftest.py",
        "docs/images/LICENSES.md",
        "docs/containers/Dockerfile.cpu",
    } <= names
    assert not any("__pycache__" in name or ".git/" in name for name in names)


def test_the_metadata_are_those_of_the_project(unpacked: Path) -> None:
    (folder,) = unpacked.glob("*.dist-info")
    metadata = Parser().parsestr((folder / "METADATA").read_text(encoding="utf-8"))
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert metadata["Version"] == capgen.__version__
    assert metadata["Requires-Python"] == project["requires-python"]
    assert set(metadata.get_all("Provides-Extra") or []) == set(project["optional-dependencies"])
    licences = {path.relative_to(folder / "licenses").as_posix() for path in _files(folder)}
    assert licences == {
        *("LICENSE", "capgen/metrics/wordnet/LICENSE"),
        *(f"capgen/models/bundled/{name}/LICENSE-EfficientNet" for name in ("mini", "mini-int8")),
    }
    assert "capgen = capgen.__main__:run" in (folder / "entry_points.txt").read_text()


def test_the_changelog_and_the_citation_are_of_this_version() -> None:
    changes = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    newest = re.search(r"^## \[(.+)\] - (\d{4}-\d\d-\d\d)$", changes, re.MULTILINE)
    citation = (ROOT / "docs" / "CITATION.cff").read_text(encoding="utf-8").splitlines()
    assert newest is not None and newest[1] == capgen.__version__
    assert {f"version: {newest[1]}", f"date-released: {newest[2]}"} <= set(citation)


def _files(folder: Path) -> list[Path]:
    return [path for path in (folder / "licenses").rglob("*") if path.is_file()]


def test_every_public_name_can_be_imported_without_the_extras(unpacked: Path) -> None:
    absent = modules_of_extras()
    assert not absent & {"torch", "onnxruntime", "PIL", "typer"}
    code = (
        "import sys, importlib, pathlib\n"
        f"sys.modules.update(dict.fromkeys({sorted(absent)!r}))\n"
        "for file in sorted(pathlib.Path('capgen').rglob('__init__.py')):\n"
        "    module = importlib.import_module('.'.join(file.parent.parts))\n"
        "    assert pathlib.Path(module.__file__).samefile(file), module.__file__\n"
        "    for name in getattr(module, '__all__', ()):\n"
        "        getattr(module, name)\n"
        "        print(module.__name__, name)\n"
    )
    done = run(unpacked, "-c", code)
    assert done.returncode == 0, done.stderr
    printed = set(done.stdout.splitlines())
    assert {f"capgen {name}" for name in capgen.__all__} <= printed
    assert {"capgen.config", "capgen.records"} <= {line.split()[0] for line in printed}


def modules_of_extras() -> set[str]:
    """Return the modules that are installed here and that `pip install capgen` does not bring."""
    groups = make_licences.direct_dependencies()
    waiting = [Requirement(name) for name, asked in groups.items() if "capgen" in asked]
    seen: set[tuple[str, frozenset[str]]] = set()
    while waiting:
        wanted = waiting.pop()
        key = (canonicalize_name(wanted.name), frozenset(wanted.extras))
        if key in seen:
            continue
        seen.add(key)
        try:
            lines = importlib.metadata.requires(wanted.name) or []
        except importlib.metadata.PackageNotFoundError:
            continue  # for another kind of machine, or another build of torch
        for item in map(Requirement, lines):
            environments = [{"extra": extra} for extra in ("", *wanted.extras)]
            if item.marker is None or any(map(item.marker.evaluate, environments)):
                waiting.append(item)
    core = {name for name, _ in seen}
    return {
        module
        for module, owners in importlib.metadata.packages_distributions().items()
        if not core & {canonicalize_name(owner) for owner in owners} and module != "capgen"
    }


def test_the_wheel_captions_a_image_and_leaves_nothing_behind(
    unpacked: Path, isolation: Path
) -> None:
    """Not even ONNX Runtime's identifier of the machine (which it never writes under CI)."""
    variables = ("PATH", "HOME", "SYSTEMROOT", "LD_LIBRARY_PATH")
    image = str(unpacked / "capgen/images/bundled/photographer.jpg")
    before = {path: path.stat().st_mtime_ns for path in unpacked.rglob("*")}
    for arguments in (["caption", image], ["demo", "--no-review"]):
        done = run(unpacked, "-B", "-m", "capgen", *arguments, variables=variables)
        assert len(done.stdout.split()) > 3, done.stderr
    assert not [path for path in isolation.rglob("*") if path.is_file()]
    assert {path: path.stat().st_mtime_ns for path in unpacked.rglob("*")} == before


def test_the_doctor_of_the_wheel_knows_its_files(unpacked: Path) -> None:
    """Its RECORD has the hash of each file."""
    assert _looked_at(unpacked)["ok"]
    file = unpacked / "capgen" / "models" / "bundled" / "mini" / "calibration.json"
    whole = file.read_bytes()
    file.write_bytes(whole[:-1] + b" ")
    try:
        changed = _looked_at(unpacked)
    finally:
        file.write_bytes(whole)
    assert changed["ok"] is False
    assert str(changed["detail"]).endswith("calibration.json has changed")
    assert "pip install" in str(changed["cure"])


def _looked_at(site: Path) -> dict[str, object]:
    code = (
        "import json; from capgen.doctor.installation import check_package; "
        "print(json.dumps(vars(next(check_package()))))"
    )
    done = run(site, "-c", code)
    assert done.returncode == 0, done.stderr
    found: dict[str, object] = json.loads(done.stdout)
    return found


def test_the_licence_list_covers_every_data_file() -> None:
    for name in data_files():
        patterns = [row[0] for row in make_licences.SHIPPED]
        assert any(_covers(pattern, name) for pattern in patterns), name
    for pattern in (row[0] for row in make_licences.SHIPPED):
        assert any(_covers(pattern, name) for name in data_files()), pattern


def _covers(pattern: str, name: str) -> bool:
    folder = pattern.removesuffix("*")
    return name.startswith(folder) if pattern.endswith("/*") else Path(name).match(pattern)


def test_the_licence_list_names_every_direct_dependency() -> None:
    wanted = make_licences.direct_dependencies()
    assert set(wanted) == set(make_licences.WHY)
    page = make_licences.PAGE.read_text(encoding="utf-8")
    rows = [line.split(" | ") for line in page.partition("## Direct")[2].splitlines()[6:]]
    listed = {row[0].removeprefix("| "): row[-1].removesuffix(" |") for row in rows if len(row) > 3}
    listed.pop("Package", None)
    assert listed == {name: ", ".join(groups) for name, groups in wanted.items()}, (
        "run: python -m capgen._build.make_licences"
    )
    assert all(f"`{pattern}`" in page for pattern, *_ in make_licences.SHIPPED)


def test_each_direct_dependency_has_a_lower_bound() -> None:
    """So that the lowest versions can be installed and tested (docs/contributing.md)."""
    assert set(lowest_versions.lowest_versions()) == set(make_licences.direct_dependencies())
