"""`capgen caption` from stores to stores equals captioning the same files on a disk."""

from __future__ import annotations

import csv
import io
import json
import signal
import subprocess
import sys
import tarfile
import time
from collections.abc import Callable
from os import environ
from pathlib import Path
from typing import Any

import pytest
from fsspec.registry import _registry

from capgen.cli.main import main
from capgen.storage import attempts, drivers
from tests.minis import draw
from tests.s3_server import KEY, SECRET, Faults, S3Server

pytestmark = pytest.mark.usefixtures("handlers_put_back", "quick")
Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Try again at once."""
    options = {"stop": None, "waits": (0.0,) * 5}
    monkeypatch.setattr(attempts.attempt, "__kwdefaults__", options)


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    monkeypatch.chdir(tmp_path)

    def command(*arguments: str) -> tuple[int, str, str]:
        code = main(arguments)
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return command


def photo(number: int) -> bytes:
    stream = io.BytesIO()
    draw(number, (60, 40)).save(stream, "JPEG")
    return stream.getvalue()


def photos(server: S3Server, number: int) -> dict[str, bytes]:
    """Put images under `photos/` of a bucket, and into a folder of that name here."""
    images = {f"photos/{number % 3}/{number:03}.jpg": photo(number) for number in range(number)}
    server.fill("bucket", images)
    for name, data in images.items():
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        Path(name).write_bytes(data)
    return images


def records(data: bytes) -> list[dict[str, Any]]:
    return [json.loads(line) for line in data.splitlines()]


@pytest.mark.parametrize("share", [0.0, 0.1])
def test_a_bucket_gives_the_bytes_of_a_folder(s3_server: S3Server, run: Run, share: float) -> None:
    photos(s3_server, 60)
    assert run("caption", "photos/", "-r", "-o", "here.jsonl")[0] == 0
    s3_server.faults = Faults(share=share)

    arguments = ("caption", "s3://bucket/photos/", "-r", "-o", "s3://bucket/out/there.jsonl")
    code, _, err = run(*arguments)

    assert code == 0, err
    assert bool(s3_server.failed) == bool(share)
    s3_server.faults = Faults()
    there = s3_server.content("bucket", "out/there.jsonl")
    assert there.replace(b'"s3://bucket/', b'"') == Path("here.jsonl").read_bytes()
    assert "60 captions written to s3://bucket/out/there.jsonl" in err
    assert not any(word.encode() in there or word in err for word in (KEY, SECRET))


def test_reads_are_many_at_a_time(s3_server: S3Server, run: Run) -> None:
    photos(s3_server, 40)
    s3_server.busy = 0
    s3_server.faults = Faults(slow=0.1)

    assert run("caption", "s3://bucket/photos/", "-r", "--workers", "1")[0] == 0

    assert 16 <= s3_server.busy <= 32


def test_what_a_command_line_may_name(s3_server: S3Server, run: Run) -> None:
    images = {name: photo(number) for number, name in enumerate("abcdef")}
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w:gz") as tar:
        for name in "ab":
            member = tarfile.TarInfo(f"{name}.jpg")
            member.size = len(images[name])
            tar.addfile(member, io.BytesIO(images[name]))
    s3_server.fill(
        "bucket",
        {f"p/{name}.jpg": images[name] for name in "abc"}
        | {"p/deep/d.jpg": images["d"], "p/.hidden.jpg": b"", "p/@eaDir/a.jpg": b"", "p/x.txt": b""}
        | {
            "set/shard-0.tar.gz": archive.getvalue(),
            "noname": images["e"],
            "odd[1].jpg": images["f"],
        }
        | {"list/list.csv": b"image\n../p/a.jpg\ns3://bucket/p/b.jpg\n\nq.jpg\n"},
    )
    Path("list.txt").write_text("s3://bucket/p/c.jpg\n")

    def named(*arguments: str) -> list[str]:
        _, out, _ = run("caption", *arguments, "--format", "jsonl")
        return [str(record["path"]) for record in records(out.encode())]

    assert named("s3://bucket/p/a.jpg", "s3://bucket/noname") == [
        "s3://bucket/p/a.jpg",
        "s3://bucket/noname",
    ]
    assert named("s3://bucket/p") == [f"s3://bucket/p/{name}.jpg" for name in "abc"]
    assert named("s3://bucket/p/", "-r", "--exclude", "a*") == [
        f"s3://bucket/p/{name}.jpg" for name in ("b", "c", "deep/d")
    ]
    assert named("s3://bucket/**/[bd].jpg") == ["s3://bucket/p/b.jpg", "s3://bucket/p/deep/d.jpg"]
    assert named("s3://bucket/odd[1].jpg") == ["s3://bucket/odd[1].jpg"]
    assert named("s3://bucket/set/*.tar.gz") == [
        f"s3://bucket/set/shard-0.tar.gz/{name}.jpg" for name in "ab"
    ]
    assert named("--manifest", "s3://bucket/list/list.csv") == [
        "s3://bucket/list/../p/a.jpg",
        "s3://bucket/p/b.jpg",
        "s3://bucket/list/q.jpg",
    ]


def test_what_cannot_be_read_is_a_record(s3_server: S3Server, run: Run) -> None:
    s3_server.fill("bucket", {"a.jpg": photo(1), "large.jpg": photo(2) * 20, "x/no.txt": b""})
    s3_server.faults = Faults(
        each=lambda method, path: "AccessDenied" if "secret" in path else None
    )

    code, out, _ = run(
        *("caption", "s3://bucket/a.jpg", "s3://bucket/none.jpg", "s3://bucket/secret.jpg"),
        *("s3://bucket/large.jpg", "s3://bucket/nothing/", "s3://bucket/x/", "s3://bucket/n*.jpg"),
        *("--max-bytes", str(len(photo(1)) + 5000), "--format", "jsonl"),
    )

    codes = [record["error"]["code"] for record in records(out.encode())]
    assert codes == ["", "missing", "permission", "too_large", "missing", "empty", "missing"]
    assert code == 1


def test_a_store_that_asks_who_is_reading_ends_the_run(s3_server: S3Server, run: Run) -> None:
    photos(s3_server, 3)
    s3_server.faults = Faults(
        each=lambda method, path: "ExpiredToken" if path.endswith(".jpg?") else None
    )

    code, _, err = run("caption", "s3://bucket/photos/", "-r")

    assert (code, "the store asks who you are" in err) == (1, True)


def test_an_object_is_gone_on_with(s3_server: S3Server, run: Run) -> None:
    photos(s3_server, 6)
    output = "s3://bucket/out.jsonl"
    assert run("caption", "s3://bucket/photos/0/", "-o", output)[0] == 0

    code, _, err = run("caption", "s3://bucket/photos/", "-r", "-o", output)

    assert (code, "2 of them from an earlier run" in err) == (0, True)
    assert len(records(s3_server.content("bucket", "out.jsonl"))) == 6


def test_an_upload_that_fails_is_made_up_for(s3_server: S3Server, run: Run) -> None:
    photos(s3_server, 4)
    output = "s3://bucket/out.jsonl"
    s3_server.faults = Faults(each=lambda method, path: "AccessDenied" if method == "PUT" else None)
    code, _, err = run("caption", "photos/", "-r", "-o", output, "-o", "here.csv")
    assert (code, "out.jsonl: not allowed" in err) == (1, True)
    assert Path("here.csv").exists()
    assert "out.jsonl" not in s3_server.names("bucket")
    s3_server.faults = Faults()

    code, _, err = run("caption", "photos/", "-r", "-o", output)

    assert (code, "4 of them from an earlier run" in err) == (0, True)
    assert len(records(s3_server.content("bucket", "out.jsonl"))) == 4


def test_tables_and_pages_are_outputs_too(s3_server: S3Server, run: Run) -> None:
    photos(s3_server, 2)
    outputs = [f"s3://bucket/out.{suffix}" for suffix in ("csv", "html", "parquet", "json")]

    code, _, err = run(
        "caption", "s3://bucket/photos/", "-r", *(f"-o{output}" for output in outputs)
    )

    assert code == 0, err
    rows = list(csv.DictReader(io.StringIO(s3_server.content("bucket", "out.csv").decode())))
    assert [row["path"] for row in rows] == [f"s3://bucket/photos/{n}/00{n}.jpg" for n in range(2)]
    assert s3_server.content("bucket", "out.parquet").startswith(b"PAR1")
    assert run("convert", "s3://bucket/out.json", "-o", "s3://bucket/again.csv")[0] == 0
    assert s3_server.content("bucket", "again.csv") == s3_server.content("bucket", "out.csv")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("s3://bucket/photos/", "--sidecar", ".txt"), "--sidecar is for images on this machine"),
        (("s3://bucket/photos/", "--write-metadata"), "--write-metadata is for images on this"),
        (("photos/0/000.jpg", "--explain", "s3://bucket/a.png"), "s3://bucket/a.png is an address"),
        (("photos/", "-o", "s3://bucket/photos/0/000.jpg", "--format", "csv"), "is a JPEG image"),
        (("--manifest", "s3://bucket/a.csv", "-o", "s3a://bucket/a.csv"), "is an input"),
        (("photos/", "-o", "s3://bucket/b.csv", "-o", "S3://bucket/b.csv"), "both write"),
        (("photos/", "-o", "file:///tmp/a.csv"), "local files by their path"),
        (("photos/", "-o", "ftp://host/a.csv"), "does not read ftp://"),
        (("photos/", "-o", "s3://bucket/new", "-o", "a.csv"), "needs one output, a folder"),
        (("photos/", "-o", "s3://bucket/new", "--format", "imagefolder"), "on this machine"),
    ],
)
def test_what_is_refused(
    s3_server: S3Server, run: Run, arguments: tuple[str, ...], said: str
) -> None:
    images = photos(s3_server, 1)
    s3_server.client().put_object(Bucket="bucket", Key="a.csv", Body=b"image\nphotos/0/000.jpg\n")

    code, _, err = run("caption", *arguments)

    assert (code, said in err) == (2, True), err
    assert s3_server.names("bucket") == ["a.csv", *images]


def test_lists_may_not_name_machines(s3_server: S3Server, run: Run) -> None:
    Path("list.csv").write_text("image\nsftp://me:secret@host/a.jpg\nsimplecache::s3://b/a.jpg\n")

    code, out, _ = run("caption", "--manifest", "list.csv", "--format", "jsonl")

    failures = records(out.encode())
    assert [failure["error"]["code"] for failure in failures] == ["refused_address", "missing"]
    assert (code, "secret" in out) == (1, False)


def test_without_the_driver(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "s3fs", None)
    monkeypatch.delitem(_registry, "s3", raising=False)
    drivers.forget_stores()

    code, _, err = run("caption", "s3://bucket/photos/")

    assert (code, "pip install 'capgen[cloud]'" in err) == (1, True)


def test_ctrl_c_does_not_wait_for_a_store(s3_server: S3Server) -> None:
    s3_server.fill("bucket", {f"{number}.jpg": photo(number) for number in range(40)})
    s3_server.faults = Faults(hang=".jpg")
    process = subprocess.Popen(
        [sys.executable, "-m", "capgen", "caption", "s3://bucket/"],
        env={**environ},
        stderr=subprocess.PIPE,
    )
    assert s3_server.hanging.wait(60)

    process.send_signal(signal.SIGINT)
    started = time.monotonic()
    _, err = process.communicate(timeout=30)

    assert process.returncode == 130
    assert b"Traceback" not in err
    assert time.monotonic() - started < 10  # of a machine that is busy; else below one


def test_captioning_files_needs_no_fsspec(tmp_path: Path) -> None:
    (tmp_path / "a.jpg").write_bytes(photo(1))
    program = (
        "import sys; from capgen.cli.main import main; code = main(sys.argv[1:]);"
        "assert code == 0; assert not {'fsspec', 's3fs', 'aiohttp'} & set(sys.modules)"
    )
    for arguments in (["--help"], ["caption", "a.jpg", "a.jpg", "-o", "a.jsonl"]):
        subprocess.run([sys.executable, "-c", program, *arguments], cwd=tmp_path, check=True)
