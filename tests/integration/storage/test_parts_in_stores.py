"""Parts in a bucket: shares that fail and are repeated, and their join."""

from __future__ import annotations

import io
import json
import tarfile
from pathlib import Path

import pytest

from tests.integration.storage.test_caption_stores import Run, photo, photos, quick, run
from tests.s3_server import Faults, S3Server

__all__ = ["quick", "run"]
pytestmark = pytest.mark.usefixtures("handlers_put_back", "quick")


def test_shares_of_a_bucket_are_one_run(s3_server: S3Server, run: Run) -> None:
    photos(s3_server, 30)
    tar = io.BytesIO()
    with tarfile.open(fileobj=tar, mode="w") as archive:
        for number in range(5):
            info = tarfile.TarInfo(f"{number}.jpg")
            info.size = len(photo(number))
            archive.addfile(info, io.BytesIO(photo(number)))
    s3_server.fill("bucket", {"shards/a.tar": tar.getvalue(), "shards/b.tar": tar.getvalue()})
    names = ("s3://bucket/photos/", "s3://bucket/shards/*.tar", "-r")
    assert run("caption", *names, "-o", "one.jsonl")[0] == 0
    s3_server.faults = Faults(share=0.1)
    for number in (1, 2, 3):
        part = ("-o", "s3://bucket/out/", "--shard", f"{number}/3", "--part-size", "8")
        code, _, err = run("caption", *names, *part)
        assert code == 0, err
    assert s3_server.failed
    code, out, err = run("merge", "s3://bucket/out/", "-o", "s3://bucket/all.jsonl")
    assert (code, out) == (0, ""), err
    assert "40 records in" in err
    s3_server.faults = Faults()
    merged = s3_server.content("bucket", "all.jsonl")
    assert merged == Path("one.jsonl").read_bytes()
    manifest = json.loads(s3_server.content("bucket", "out/_manifest.json"))
    assert manifest["records"] == 40
    assert sum(part["records"] for part in manifest["parts"]) == 40


def test_a_folder_in_a_store_is_written_in_parts(s3_server: S3Server, run: Run) -> None:
    photos(s3_server, 6)
    command = ("caption", "s3://bucket/photos/", "-r", "-o", "s3://bucket/captions")
    code, _, err = run(*command)
    assert code == 0, err
    assert "6 captions written to s3://bucket/captions" in err
    assert run("caption", "s3://bucket/photos/", "-r", "-o", "one.jsonl")[0] == 0
    part = s3_server.content("bucket", "captions/part-00000.jsonl")
    assert part == Path("one.jsonl").read_bytes()
    assert json.loads(s3_server.content("bucket", "captions/_manifest.json"))["records"] == 6
    code, _, err = run(
        "merge", "s3://bucket/captions", "-o", "s3://bucket/captions/part-00000.jsonl"
    )
    assert (code, "is in the folder of the parts" in err) == (2, True)
    assert s3_server.content("bucket", "captions/part-00000.jsonl") == part
    before = s3_server.requests.copy()
    assert run(*command)[0] == 0
    # Nothing is written, and no image read.
    assert s3_server.requests["PUT"] == before["PUT"]
    assert s3_server.requests["GET"] - before["GET"] < 17


def test_a_store_that_fails_leaves_no_manifest(s3_server: S3Server, run: Run) -> None:
    photos(s3_server, 12)
    lost = []

    def each(method: str, path: str) -> str | None:
        if method == "PUT" and "part-00001" in path:
            lost.append(path)
            return "InternalError"
        return None

    s3_server.faults = Faults(each=each)
    command = ("caption", "s3://bucket/photos/", "-r", "-o", "s3://bucket/out/", "--part-size", "4")
    code, _, err = run(*command)
    assert code == 1
    assert lost
    assert "part-00001.jsonl" in err
    assert "Traceback" not in err
    s3_server.faults = Faults()
    assert "out/_manifest.json" not in s3_server.names("bucket")
    code, _, err = run(*command)
    assert code == 0
    # The part that the store did not take was kept in the journal.
    assert "from an earlier run" in err
    assert json.loads(s3_server.content("bucket", "out/_manifest.json"))["records"] == 12


def test_merge_on_a_disk(s3_server: S3Server, run: Run) -> None:
    photos(s3_server, 6)
    command = ("caption", "s3://bucket/photos/", "-r", "-o", "parts/", "--part-size")
    assert run(*command, "6")[0] == 0
    code, _, err = run(*command, "6")
    assert "note: 1 part (6 images) is there from an earlier run" in err
    part = Path("parts", "part-00000.jsonl")
    before = part.read_bytes()
    code, _, err = run("merge", "parts", "-o", "parts/../parts/part-00000.jsonl")
    assert (code, "is in the folder of the parts" in err) == (2, True)
    assert part.read_bytes() == before
    assert "6 records in 1 part; nothing is missing" in run("merge", "parts")[2]
    part.write_bytes(before[:-9])
    code, _, err = run("merge", "parts")
    assert (code, "part-00000.jsonl was changed" in err) == (1, True)


def test_a_password_is_not_shown(s3_server: S3Server, run: Run) -> None:
    photos(s3_server, 1)
    place = "memory://somebody:geheim@host/out"
    command = ("caption", "s3://bucket/photos/", "-r", "--shard", "1/2", "-o")
    code, out, err = run(*command, f"{place}/")
    assert (code, out) == (0, "")
    assert "check with: capgen merge memory://host/out/" in err
    code, _, wrong = run(*command, f"{place}.jsonl")
    assert code == 2
    assert "geheim" not in err + wrong
