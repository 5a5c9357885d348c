"""`capgen caption` over many images: whole processes with the bundled model."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest

from capgen.records import Caption, Concept
from tests import commands
from tests.broken_images import jpeg_with_scans, png_without_palette, tiff
from tests.minis import draw

ROOT = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def workplace(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """Work in a folder of the test's own: the undo file goes there."""
    monkeypatch.chdir(tmp_path_factory.mktemp("workplace"))


start = partial(commands.start, "caption")
capgen = partial(commands.capgen, "caption")


def make(folder: Path, count: int, bad: int = 0) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for number in range(count):
        draw(number, (160, 120)).save(folder / f"photo{number}.jpg")
    for number in range(bad):
        content = (folder / "photo0.jpg").read_bytes()[: 300 + number]
        (folder / f"bad{number}.jpg").write_bytes(content)
    return folder


def test_killed_again_and_again(tmp_path: Path) -> None:
    images = make(tmp_path / "photos", 44, bad=6)
    assert capgen(images, "-o", tmp_path / "whole.jsonl", "-q")[0] == 1
    whole = (tmp_path / "whole.jsonl").read_bytes()
    output = tmp_path / "killed.jsonl"
    journal = tmp_path / "killed.jsonl.journal"
    chance = random.Random(1)
    kept = 0
    for _ in range(3):
        process = start(images, "-o", output, "-q", "--batch-size", "4")
        wanted = kept + chance.randrange(1, 12)
        deadline = time.monotonic() + 60
        while process.poll() is None and time.monotonic() < deadline:
            if journal.exists() and journal.read_bytes().count(b"\n") >= wanted:
                break
            time.sleep(0.01)
        process.send_signal(signal.SIGKILL)
        process.communicate()
        kept_now = journal.read_bytes().count(b"\n")
        assert kept_now >= kept
        kept = kept_now
        with journal.open("ab") as file:
            file.write(b'{"schema_version": 1, "path": "ha')
    code, _, err = capgen(images, "-o", output, "--batch-size", "4")
    assert code == 1
    assert "from an earlier run" in err
    assert output.read_bytes() == whole
    assert not journal.exists()
    # Finished, and started again: nothing is left to do.
    _, _, err = capgen(images, "-o", output)
    assert "50 records from an earlier run" in err
    assert output.read_bytes() == whole


def test_exit_codes_and_summary(tmp_path: Path) -> None:
    images = make(tmp_path / "photos", 3, bad=2)
    output = tmp_path / "x.json"
    code, out, err = capgen(images, "-o", output)
    assert (code, out) == (1, "")
    assert "3 captions written to" in err and "2 failed: 2 truncated" in err
    assert (
        "journal" not in err
        and "x.csv.journal: the same command" in capgen(images, "-o", tmp_path / "x.csv")[2]
    )
    assert len([line for line in err.splitlines() if line.startswith("error: ")]) == 2
    assert capgen(images, "-o", output, "--fail-on", "all")[0] == 0
    assert capgen(images, "-o", output, "--fail-on", "none")[0] == 0
    assert capgen(images / "bad0.jpg", images / "bad1.jpg", "--fail-on", "all")[0] == 1
    assert capgen(images / "bad0.jpg", "--fail-on", "none")[0] == 0
    code, _, err = capgen(images, "--fail-fast", "--format", "jsonl")
    assert code == 1 and "stopped at the first failure" not in err.splitlines()[0]
    assert capgen(images, "--fail-on", "some")[0] == 2
    code, _, err = capgen(images, "-o", output, "-q")
    assert (code, err) == (1, "")


def test_every_way_in_gives_the_same_captions(tmp_path: Path) -> None:
    images = make(tmp_path / "photos", 5)
    paths = sorted(str(path) for path in images.iterdir())

    def captions(*arguments: str | Path, **options) -> dict[str, str]:
        code, out, err = capgen(*arguments, **options)
        assert (code, err) == (0, "")
        return dict(line.split("\t") for line in out.splitlines())

    expected = captions(images)
    assert sorted(expected) == paths
    assert captions(f"{images}/*.jpg", "--batch-size", "2", "--workers", "1") == expected
    assert captions("-", send="\n".join(reversed(paths)).encode()) == expected
    assert captions("-", "-0", send="\0".join(paths).encode()) == expected
    (images / "list.jsonl").write_text("".join(f'{{"file": "photo{n}.jpg"}}\n' for n in range(5)))
    assert captions("--manifest", images / "list.jsonl") == expected
    subprocess.run(["tar", "cf", tmp_path / "s.tar", "-C", images, "."], check=True)
    found = captions(tmp_path / "s.tar", "--exclude", "*4.jpg")
    assert sorted(found.values()) == sorted(t for p, t in expected.items() if "4.jpg" not in p)
    code, out, _ = capgen("-", send=Path(paths[0]).read_bytes())
    assert (code, out) == (0, expected[paths[0]] + "\n")


def test_sidecars_and_metadata(tmp_path: Path) -> None:
    images = make(tmp_path / "photos", 3)
    before = {path.name: path.read_bytes() for path in images.iterdir()}
    (images / "photo1.txt").write_text("mine\n")
    code, out, err = capgen(images, "--sidecar", ".txt")
    assert (code, out) == (0, "")
    assert "2 captions written" in err
    assert (images / "photo1.txt").read_text() == "mine\n"
    log = tmp_path / "undo.jsonl"
    arguments = (images, "--write-metadata", "--undo-file", log)
    assert "would be written into 3" in capgen(*arguments, "--dry-run")[2]
    output = tmp_path / "x.jsonl"
    assert capgen(*arguments, "-o", output)[0] == 0
    first = output.read_bytes()
    assert all(before[name] != (images / name).read_bytes() for name in before)
    # The changed files are known by what they were.
    code, _, err = capgen(*arguments, "-o", output)
    assert code == 0 and "3 of them from an earlier run" in err
    assert "into 0 images; 3 already there" in err
    assert output.read_bytes() == first
    assert "3 changes undone" in capgen("--undo", log)[2]
    assert {name: (images / name).read_bytes() for name in before} == before


def test_records_follow_the_schema(tmp_path: Path) -> None:
    images = make(tmp_path / "photos", 2, bad=1)
    _, out, _ = capgen(images, "--json", "--num-captions", "2")
    schema = json.loads((ROOT / "docs" / "record.schema.json").read_text(encoding="utf-8"))
    records = json.loads(out)
    assert len(records) == 3
    for record in records:
        assert problems(record, schema, schema) == []
    captions = [Caption.from_dict(record) for record in records if record["caption"] is not None]
    assert len(captions) == 2
    for caption in captions:
        seen = replace(caption, concepts=(Concept("dog", 0.9), Concept("bed", 1.0))).to_dict()
        assert problems(seen, schema, schema) == []
        seen["concepts"][1]["probability"] = 1.1
        assert problems(seen, schema, schema) != []
    for line in (ROOT / "tests/data/v0.1/rich.jsonl").read_text(encoding="utf-8").splitlines():
        assert problems(json.loads(line), schema, schema) == []  # of version 1
    broken = {**records[0], "schema_version": "1", "width": -1, "caption": 3}
    assert len(problems(broken, schema, schema)) >= 1


def problems(value: object, schema: dict, root: dict, place: str = "record") -> list[str]:
    """Check a value against the part of JSON Schema that our schema uses."""
    known = {
        *("$schema", "$id", "$defs", "title", "description", "type", "properties", "required"),
        *("items", "oneOf", "$ref", "const", "minimum", "maximum", "pattern", "enum"),
        "additionalProperties",
    }
    assert set(schema) <= known, "the checker does not know all of the schema"
    if "$ref" in schema:
        return problems(value, root["$defs"][schema["$ref"].rsplit("/")[-1]], root, place)
    if "oneOf" in schema:
        found = [problems(value, option, root, place) for option in schema["oneOf"]]
        return [] if sum(not faults for faults in found) == 1 else [f"{place}: {found}"]
    if isinstance(value, int | float) and value > schema.get("maximum", value):
        return [f"{place}: {value!r} is above {schema['maximum']}"]
    if "const" in schema and value != schema["const"]:
        return [f"{place}: {value!r} is not {schema['const']!r}"]
    if value not in schema.get("enum", [value]):
        return [f"{place}: {value!r} is not one of {schema['enum']}"]
    types = {
        "object": dict,
        "array": list,
        "string": str,
        "number": (int, float),
        "integer": int,
        "null": type(None),
        "boolean": bool,
    }
    wanted = schema.get("type", [])
    wanted = [wanted] if isinstance(wanted, str) else wanted
    if wanted and not any(isinstance(value, types[name]) for name in wanted):
        return [f"{place}: {value!r} is not of type {wanted}"]
    found = []
    if isinstance(value, dict):
        found += [f"{place}: no {name}" for name in schema.get("required", ()) if name not in value]
        for name, part in schema.get("properties", {}).items():
            if name in value:
                found += problems(value[name], part, root, f"{place}.{name}")
    if isinstance(value, list) and "items" in schema:
        for number, item in enumerate(value):
            found += problems(item, schema["items"], root, f"{place}[{number}]")
    if isinstance(value, int) and value < schema.get("minimum", value):
        found.append(f"{place}: {value} is too small")
    return found


@pytest.mark.skipif(not hasattr(os, "geteuid"), reason="POSIX only")
def test_hostile_files_among_good_ones(tmp_path: Path) -> None:
    images = make(tmp_path / "photos", 6, bad=3)
    (images / "empty.png").write_bytes(b"")
    (images / "text.jpg").write_bytes(b"Dear diary")
    (images / "bare.png").write_bytes(png_without_palette())
    (images / "tags.tif").write_bytes(tiff({700: (3, 1)}))
    (images / "scans.jpg").write_bytes(jpeg_with_scans(101))
    (images / "loop.jpg").symlink_to("loop.jpg")
    (images / "nowhere.jpg").symlink_to("/nowhere/x.jpg")
    (images / "folder.jpg").mkdir()
    bomb = b"GIF89a" + b"\xff" * 4 + bytes(90)
    (images / os.fsdecode(b"bomb\xff\n[red].gif")).write_bytes(bomb)
    names = b"\0".join(os.fsencode(path) for path in images.iterdir()) + b"\0gone.jpg"
    code, _, err = capgen("-", "-0", "-o", tmp_path / "x.jsonl", send=names)
    records = [json.loads(line) for line in (tmp_path / "x.jsonl").open("rb")]
    assert code == 1
    codes = sorted(record["error"]["code"] for record in records if record["error"]["code"])
    assert len(records) - len(codes) == 6
    assert codes == sorted(
        ["truncated"] * 3
        + ["empty", "not_an_image", "unreadable", "missing", "unreadable", "too_large", "missing"]
        + ["unsupported", "unreadable", "too_large"]
    )
    assert "6 captions" in err and "13 failed" in err


AWKWARD = {
    "folder.jpg": "it is a folder",
    "dead.jpg": "a link to a file that does not exist",
    "utf16.jpg": "",
    "latin.jpg": "",
    "odd.jpg": "known encoding",
    f"{'n' * 250}.jpg": "File name too long",
    "good.jpg": "",
}


@pytest.mark.parametrize("policy", ["append", "prepend"])
def test_awkward_sidecars_are_records(tmp_path: Path, policy: str) -> None:
    images = tmp_path / "photos"
    images.mkdir()
    for number, name in enumerate(AWKWARD):
        draw(number, (160, 120)).save(images / name)
    suffix = ".caption"
    (images / f"folder{suffix}").mkdir()
    (images / f"dead{suffix}").symlink_to("nowhere")
    (images / f"utf16{suffix}").write_bytes(b"\xff\xfe" + "é".encode("utf-16-le"))
    (images / f"latin{suffix}").write_bytes(b"caf\xe9, tag")
    (images / f"odd{suffix}").write_bytes(b"\x81")
    output = tmp_path / "x.jsonl"
    arguments = (images, "--sidecar", suffix, "--on-existing", policy, "-o", output)
    schema = json.loads((ROOT / "docs" / "record.schema.json").read_text(encoding="utf-8"))
    failed = sum(bool(said) for said in AWKWARD.values())
    for again in (False, True):
        code, _, err = capgen(*arguments)
        assert code == 1
        assert f"not written: {failed} sidecar" in err
        assert ("from an earlier run" in err) == again
        records = [json.loads(line) for line in output.read_bytes().splitlines()]
        found = {Path(record["path"]).name: record for record in records}
        assert set(found) == set(AWKWARD)
        for name, said in AWKWARD.items():
            assert found[name]["caption"]
            error = found[name]["error"]
            assert (error["code"] == "") == (not said), name
            if said:
                assert error["code"] == "sidecar" and said in error["message"]
            assert problems(found[name], schema, schema) == []
    assert "é" in (images / f"utf16{suffix}").read_text(encoding="utf-16")
    added = found["latin.jpg"]["caption"]
    both = f"café, tag, {added}" if policy == "append" else f"{added}, café, tag"
    assert (images / f"latin{suffix}").read_text(encoding="cp1252") == both
    assert (images / f"odd{suffix}").read_bytes() == b"\x81"
    assert (images / f"dead{suffix}").is_symlink()
    assert not [path for path in images.iterdir() if path.suffix == ".tmp"]
    # What stood in the way is gone: the resumed run writes it.
    (images / f"folder{suffix}").rmdir()
    assert f"not written: {failed - 1} sidecar" in capgen(*arguments)[2]
    assert (images / f"folder{suffix}").read_text() == found["folder.jpg"]["caption"] + "\n"


def test_a_folder_on_a_disk_that_may_not_be_written(
    tmp_path: Path, make_disk: Callable[[str], Path]
) -> None:
    make(tmp_path / "photos", 2)
    (tmp_path / "photos" / "sub").symlink_to(tmp_path)  # not followed
    disk = make_disk("1m")
    make(disk, 2)
    subprocess.run(["mount", "-o", "remount,ro", str(disk)], check=True)
    named = (tmp_path / "photos", disk)
    before = {path: path.read_bytes() for path in disk.iterdir()}
    output = tmp_path / "x.json"
    for options, code in (
        (("--sidecar", ".txt"), "sidecar"),
        (("--write-metadata", "--undo-file", tmp_path / "undo.jsonl"), "metadata"),
    ):
        for _ in range(2):
            exit_code, _, err = capgen(*named, *options, "-o", output)
            records = json.loads(output.read_text())
            errors = [record["error"] for record in records if record["error"]["code"]]
            assert (exit_code, len(records), len(errors)) == (1, 4, 2), err
            assert all(record["caption"] for record in records)
            assert {error["code"] for error in errors} == {code}
            assert all(str(disk) in error["message"] for error in errors)
    assert sorted(path.name for path in (tmp_path / "photos").glob("*.txt")) == [
        "photo0.txt",
        "photo1.txt",
    ]
    assert {path: path.read_bytes() for path in disk.iterdir()} == before
    code, _, err = capgen(*named, "--sidecar", ".tags", "--fail-fast", "-o", tmp_path / "y.jsonl")
    assert code == 1 and "stopped at the first failure" in err
    assert len((tmp_path / "y.jsonl").read_text().splitlines()) == 3


# Runs a command on at most two cores; a process of its own, since a child's peak is at least what
# its parent had. Prints the child's peak memory in kB.
PEAK_OF = """
import os, sys
os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:2])
command = [sys.executable, *sys.argv[1:]]
_, status, usage = os.wait4(os.posix_spawn(command[0], command, os.environ), 0)
print(usage.ru_maxrss)
sys.exit(os.waitstatus_to_exitcode(status))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="peaks are in other units elsewhere")
def test_a_folder_takes_less_than_400_megabytes(tmp_path: Path) -> None:
    photos, output = tmp_path / "photos", tmp_path / "x.jsonl"
    photos.mkdir()
    for number in range(64):
        draw(number, (640, 480)).save(photos / f"{number}.jpg")
    command = [sys.executable, "-m", "capgen", "caption", str(photos), "-o", str(output)]
    found = subprocess.run(
        [sys.executable, "-c", PEAK_OF, *command[1:]],
        env=commands.environment(),
        capture_output=True,
        check=True,
        timeout=300,
    )
    assert len(output.read_text().splitlines()) == 64
    assert int(found.stdout) < 400_000
