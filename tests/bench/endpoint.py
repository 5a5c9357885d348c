"""Images per second of `caption_all` over an endpoint, beside the server's own rate.

    python tests/bench/endpoint.py [--images 400] [--in-flight 32] [--seconds 0.4] [--rounds 3]

The server, in a process of its own, answers each request after `--seconds` (±50 %) and works on
`--in-flight` at once, as a server that batches does. Its own rate is measured with prepared
requests and no images, by as many threads as there are requests in flight; the two take turns.
"""

from __future__ import annotations

import argparse
import asyncio
import http.client
import json
import multiprocessing
import queue
import random
import statistics
import tempfile
import threading
import time
from pathlib import Path

import numpy as np
from PIL import Image

from capgen import BatchFinished, Captioner, Inputs, caption_all

ANSWER = {
    "choices": [{"message": {"content": "a dog runs"}, "finish_reason": "stop"}],
    "usage": {"prompt_tokens": 700, "completion_tokens": 4},
}


def serve(port: multiprocessing.Queue[int], in_flight: int, seconds: float) -> None:
    """Answer every request after a while; at most `in_flight` at once."""
    body = json.dumps(ANSWER).encode()
    reply = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body)

    async def run() -> None:
        slots = asyncio.Semaphore(in_flight)

        async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            while head := await reader.readuntil(b"\r\n\r\n"):
                length = next(
                    int(line.split(b":")[1])
                    for line in head.lower().split(b"\r\n")
                    if line.startswith(b"content-length:")
                )
                await reader.readexactly(length)
                async with slots:
                    await asyncio.sleep(seconds * random.uniform(0.5, 1.5))
                writer.write(reply)
                await writer.drain()

        async def until_gone(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            try:
                await connected(reader, writer)
            except (asyncio.IncompleteReadError, ConnectionError):
                writer.close()

        server = await asyncio.start_server(until_gone, "127.0.0.1", 0, limit=1 << 24)
        port.put(server.sockets[0].getsockname()[1])
        await server.serve_forever()

    asyncio.run(run())


def own_rate(port: int, images: int, in_flight: int, size: int) -> float:
    """Return the requests per second of as many bare connections as may be in flight."""
    waiting: queue.SimpleQueue[int] = queue.SimpleQueue()
    for number in range(images):
        waiting.put(number)
    body = b" " * size

    def work() -> None:
        connection = http.client.HTTPConnection("127.0.0.1", port)
        while True:
            try:
                waiting.get_nowait()
            except queue.Empty:
                return
            connection.request("POST", "/v1/chat/completions", body)
            connection.getresponse().read()

    threads = [threading.Thread(target=work) for _ in range(in_flight)]
    started = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return images / (time.perf_counter() - started)


def our_rate(captioner: Captioner, folder: Path, images: int) -> float:
    """Return the images per second of a batch over a folder."""
    started = time.perf_counter()
    *_, finished = caption_all(captioner, Inputs([str(folder)]))
    assert isinstance(finished, BatchFinished)
    assert finished.captions == images
    return images / (time.perf_counter() - started)


def write_images(folder: Path, images: int) -> None:
    """Write 640×480 JPEGs with the detail of photographs."""
    for number in range(images):
        noise = np.random.default_rng(number).integers(0, 256, (60, 80, 3), dtype=np.uint8)
        picture = Image.fromarray(noise).resize((640, 480), Image.Resampling.BICUBIC)
        picture.save(folder / f"{number:05}.jpg", quality=90)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--images", type=int, default=400)
    parser.add_argument("--in-flight", type=int, default=32)
    parser.add_argument("--seconds", type=float, default=0.4)
    parser.add_argument("--rounds", type=int, default=3)
    given = parser.parse_args()
    ports: multiprocessing.Queue[int] = multiprocessing.Queue()
    asked = (ports, given.in_flight, given.seconds)
    process = multiprocessing.Process(target=serve, args=asked, daemon=True)
    process.start()
    port = ports.get(timeout=30)
    url = f"http://127.0.0.1:{port}/v1"
    captioner = Captioner.from_endpoint(url, "any", concurrency=given.in_flight)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_images(folder, given.images)
        size = 4 * (folder / "00000.jpg").stat().st_size // 3
        bare, ours = [], []
        for _ in range(given.rounds):
            bare.append(own_rate(port, given.images, given.in_flight, size))
            ours.append(our_rate(captioner, folder, given.images))
    process.terminate()
    first, second = statistics.median(bare), statistics.median(ours)
    print(f"server's own rate: {first:.1f} requests per second {[f'{r:.1f}' for r in bare]}")
    print(f"caption_all:       {second:.1f} images per second {[f'{r:.1f}' for r in ours]}")
    print(f"difference:        {second / first - 1:+.1%}")


if __name__ == "__main__":
    main()
