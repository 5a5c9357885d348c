"""Images per second of `capgen serve`, beside those of a batch in one process on the same cores.

    python tests/bench/serve.py PHOTOS/ [--seconds 60] [--connections 32] [--images 1000]

Each connection posts one image after the other as it is, on loopback. The batch (`caption_all`, as
`capgen caption PHOTOS/` runs it) comes before and after; loading the model counts for neither.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import re
import signal
import subprocess
import sys
import time
import urllib.request
from collections import Counter
from multiprocessing import get_context
from pathlib import Path

from capgen import BatchFinished, Captioner, Inputs, caption_all
from capgen.captioning.batch.pipeline import BatchRun
from capgen.captioning.runtimes.cores import lanes_and_threads
from capgen.config import BatchOptions, DecodeOptions, ImageLimits

BATCH = 16
EVERY = 5.0  # seconds between looks at the memory


def batch_rate(paths: list[str]) -> float:
    """Return the images per second of a batch in this process."""
    lanes, threads = lanes_and_threads(len(paths), BATCH)
    captioner = Captioner.from_pretrained(threads=threads)
    captioner.caption(paths[0])
    run = BatchRun(
        decoding=DecodeOptions(),
        options=BatchOptions(batch_size=BATCH),
        limits=ImageLimits(),
        lanes=lanes,
    )
    *_, finished = caption_all(captioner, Inputs(paths), run)
    assert isinstance(finished, BatchFinished) and not finished.failures
    return finished.captions / finished.seconds


def requests(paths: list[str]) -> list[bytes]:
    """Return whole requests, made before the clock runs."""
    head = "POST /v1/captions HTTP/1.1\r\nHost: localhost\r\nContent-Type: image/jpeg\r\n"
    contents = [Path(path).read_bytes() for path in paths]
    return [f"{head}Content-Length: {len(data)}\r\n\r\n".encode() + data for data in contents]


async def load(
    port: int, made: list[bytes], connections: int, seconds: float, pid: int
) -> tuple[Counter[int], list[int]]:
    """Return how often each status came, and the server's memory over time in megabytes."""
    statuses: Counter[int] = Counter()
    memory: list[int] = []
    end = time.monotonic() + seconds

    async def client(first: int) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=1 << 20)
        number = first
        while time.monotonic() < end:
            writer.write(made[number % len(made)])
            number += connections
            head = await reader.readuntil(b"\r\n\r\n")
            length = re.search(rb"content-length: (\d+)", head.lower())
            assert length is not None
            await reader.readexactly(int(length[1]))
            statuses[int(head[9:12])] += 1
        writer.close()

    async def watch() -> None:
        while time.monotonic() < end:
            status = Path(f"/proc/{pid}/status").read_text()
            found = re.search(r"VmRSS:\s+(\d+)", status)
            assert found is not None
            memory.append(int(found[1]) >> 10)
            await asyncio.sleep(EVERY)

    await asyncio.gather(watch(), *map(client, range(connections)))
    return statuses, memory


def serve_rate(paths: list[str], connections: int, seconds: float) -> float:
    """Run the service under load; print what it did, and return its images per second."""
    command = [sys.executable, "-m", "capgen", "serve", "--port", "0"]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=os.environ)
    assert process.stderr is not None
    line = process.stderr.readline()
    found = re.search(r":(\d+);", line)
    assert found is not None, line
    port = int(found[1])
    try:
        made = requests(paths)
        asyncio.run(load(port, made, connections, 3.0, process.pid))  # warm
        before = os.times()
        begun = time.monotonic()
        statuses, memory = asyncio.run(load(port, made, connections, seconds, process.pid))
        took = time.monotonic() - begun
        after = os.times()
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics") as answer:
            text = answer.read().decode()
    finally:
        process.send_signal(signal.SIGTERM)
        code = process.wait()
    pictures = float(re.findall(r"^capgen_batch_images_sum (\S+)", text, re.MULTILINE)[0])
    batches = float(re.findall(r"^capgen_batch_images_count (\S+)", text, re.MULTILINE)[0])
    own = after.user + after.system - before.user - before.system
    print(
        f"serve: {statuses[200] / took:.1f} images/s over {took:.0f} s; answers "
        f"{json.dumps(statuses)}; {pictures / batches:.1f} images per batch; memory "
        f"{memory[0]} to {memory[-1]} MB (most {max(memory)}); the client took {own:.1f} s of "
        f"processor time; exit code {code}"
    )
    return statuses[200] / took


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("photos", type=Path)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--connections", type=int, default=32)
    parser.add_argument("--images", type=int, default=1000)
    asked = parser.parse_args()
    paths = [str(path) for path in sorted(asked.photos.rglob("*.jpg"))[: asked.images]]
    with get_context("spawn").Pool(1, maxtasksperchild=1) as pool:
        before = pool.apply(batch_rate, (paths,))
        print(f"batch: {before:.1f} images/s")
        rate = serve_rate(paths, asked.connections, asked.seconds)
        after = pool.apply(batch_rate, (paths,))
        print(f"batch: {after:.1f} images/s")
    print(f"the service has {100 * rate / ((before + after) / 2):.0f} % of the batch's rate")


if __name__ == "__main__":
    main()
