"""Captions of a bucket against those of a folder: equal, and how much slower.

    python -m tests.bench.stores --images 2000 [--share 0.05] [--slow 0.1] [--workers N]

Draws images, serves them with moto's S3 server in a process of its own, captions both, and compares
the records. `--slow` lets each request wait, `--share` lets that share of them fail.
"""

from __future__ import annotations

import argparse
import io
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from tests.minis import draw
from tests.s3_server import S3Server


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--images", type=int, default=2000)
    parser.add_argument("--share", type=float, default=0.0)
    parser.add_argument("--slow", type=float, default=0.0)
    parser.add_argument("--workers", type=int)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        compare(Path(folder), given)


def compare(folder: Path, given: argparse.Namespace) -> None:
    images = {f"photos/{number:05}.jpg": _photo(number) for number in range(given.images)}
    (folder / "photos").mkdir()
    for name, data in images.items():
        (folder / name).write_bytes(data)
    command = [sys.executable, "-m", "tests.s3_server"]
    program = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert program.stdout is not None
    assert program.stdin is not None
    try:
        server = S3Server(address=program.stdout.readline().strip())
        server.fill("bucket", images)
        print(f"{given.share} {given.slow}", file=program.stdin, flush=True)
        program.stdout.readline()
        workers = [] if given.workers is None else ["--workers", str(given.workers)]
        here = _caption(folder, server, "photos/", "here.jsonl", workers)
        there = _caption(folder, server, "s3://bucket/photos/", "s3://bucket/out.jsonl", workers)
        print("0 0", file=program.stdin, flush=True)
        answer = program.stdout.readline().strip()
        content = server.content("bucket", "out.jsonl").replace(b'"s3://bucket/', b'"')
    finally:
        program.stdin.close()
        program.wait()
    same = content == (folder / "here.jsonl").read_bytes()
    print(f"folder {here:.1f} s, bucket {there:.1f} s, {answer}; the same bytes: {same}")
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
    print(f"largest process: {peak:.0f} MB")
    assert same


def _caption(folder: Path, server: S3Server, source: str, output: str, more: list[str]) -> float:
    started = time.monotonic()
    home = {"CAPGEN_HOME": str(folder / "home")}
    subprocess.run(
        [sys.executable, "-m", "capgen", "caption", source, "-o", output, *more],
        cwd=folder,
        env={**os.environ, **server.environment, **home},
        check=True,
    )
    return time.monotonic() - started


def _photo(number: int) -> bytes:
    stream = io.BytesIO()
    draw(number, (240, 180)).save(stream, "JPEG")
    return stream.getvalue()


if __name__ == "__main__":
    main()
