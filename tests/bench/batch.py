"""Captioning a folder: images a second beside its parts, and memory with many images.

    python tests/bench/batch.py FOLDER [--images 1000] [--beams 3] [--rounds 3]
    python tests/bench/batch.py FOLDER --memory

The first form measures, interleaved: the encoder alone on decoded arrays, Pillow alone, a
plain loop of single calls, and the batch pipeline as `capgen caption -o x.jsonl` runs it.
The second runs the command on 1,000 and on 10,000 entries and compares their peak memory.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from itertools import cycle, islice
from pathlib import Path

import numpy as np
from PIL import Image

from capgen import Captioner
from capgen.captioning.batch.journal import Journal
from capgen.captioning.batch.pipeline import BatchRun, ImageDone, caption_all
from capgen.captioning.batch.sources import FileSource
from capgen.captioning.runtimes.cores import lanes_and_threads, usable_cores
from capgen.captioning.runtimes.onnx_runtime import OnnxRuntime
from capgen.config import BatchOptions, DecodeOptions
from capgen.images.folders import find_images
from capgen.output.formats import open_format

BATCH = BatchOptions.batch_size


def rates(images: list[Path], beams: int, rounds: int) -> None:
    """Measure and print images a second."""
    cores = usable_cores()
    lanes, threads = lanes_and_threads(len(images), BATCH)
    batched = Captioner.from_pretrained(runtime="onnx", threads=threads)
    single = Captioner.from_pretrained(runtime="onnx")
    runtime = batched.runtime
    assert isinstance(runtime, OnnxRuntime)
    decoding = DecodeOptions(beams=beams)
    sample = [runtime.preprocessor.preprocess(batched.load(path).image) for path in images[:BATCH]]
    arrays = np.stack(sample)

    def encoder_alone() -> None:
        # A batch a core at a time, each on one thread: what the machine can do.
        with ThreadPoolExecutor(lanes) as pool:
            list(pool.map(lambda _: runtime.encode(arrays), range(len(images) // BATCH)))

    def pillow_alone() -> None:
        def decode(path: Path) -> None:
            Image.open(path).convert("RGB").resize((288, 288), Image.Resampling.BICUBIC)

        with ThreadPoolExecutor(cores) as pool:
            list(pool.map(decode, images))

    def single_calls() -> None:
        for path in images:
            single.caption(path, beams=beams)

    def pipeline() -> None:
        with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
            settings, _ = batched.settings(decoding)
            journal = Journal(
                Path(folder, "journal"),
                batched.name,
                batched.folder.fingerprint,
                batched.record_settings(settings),
            )
            stack.callback(journal.close)
            write = stack.enter_context(open_format(Path(folder, "x.jsonl"), "jsonl"))
            sources = [FileSource(str(path)) for path in images]
            for event in caption_all(
                batched, sources, BatchRun(decoding=decoding, journal=journal, lanes=lanes)
            ):
                if isinstance(event, ImageDone):
                    write(event.record, None)

    contestants: dict[str, Callable[[], None]] = {
        "encoder alone": encoder_alone,
        "Pillow alone": pillow_alone,
        "single calls": single_calls,
        "capgen batch": pipeline,
    }
    seconds: dict[str, list[float]] = {name: [] for name in contestants}
    used: dict[str, list[float]] = {name: [] for name in contestants}
    for _ in range(rounds):
        for name, contestant in contestants.items():
            started, cpu = time.perf_counter(), time.process_time()
            contestant()
            seconds[name].append(time.perf_counter() - started)
            used[name].append(time.process_time() - cpu)
    count = len(images)
    best = {name: count / min(values) for name, values in seconds.items()}
    for name, values in seconds.items():
        print(
            f"{name:14} {count / statistics.median(values):7.1f} images/s (best {best[name]:6.1f})"
            f"   {1000 * statistics.median(used[name]) / count:6.1f} ms CPU an image"
        )
    for label, figures in (
        ("median", {name: count / statistics.median(values) for name, values in seconds.items()}),
        ("best", best),
        ("CPU time", {name: count / statistics.median(values) for name, values in used.items()}),
    ):
        allowed = 1 / (1 / figures["encoder alone"] + 1 / figures["Pillow alone"])
        share = figures["capgen batch"] / allowed
        print(f"{label}: encoder and Pillow together allow {allowed:.1f}; capgen {share:.0%} of it")


def memory(folder: Path, sizes: tuple[int, int] = (1000, 10_000)) -> None:
    """Run the command on lists of these lengths (names repeat) and print its peak memory."""
    images = find_images(folder)[:200]
    peaks = []
    for size in sizes:
        with tempfile.TemporaryDirectory() as place:
            # Copies by link under names of their own, so that every one is captioned.
            names = [os.fspath(Path(place, f"{number}.jpg")) for number in range(size)]
            for name, image in zip(names, islice(cycle(images), size), strict=True):
                Path(name).symlink_to(image.resolve())
            output = Path(place, "x.jsonl")
            command = [sys.executable, "-m", "capgen", "caption", place, "-o", str(output), "-q"]
            pid = os.posix_spawn(command[0], command, os.environ)
            _, status, usage = os.wait4(pid, 0)
            if status:
                raise SystemExit(f"status {status}")
            peaks.append(usage.ru_maxrss / 1024)
            lines = output.read_bytes().count(b"\n")
            print(f"{size} entries: {lines} lines, peak {peaks[-1]:.0f} MB")
    print(f"growth {peaks[1] - peaks[0]:.0f} MB")


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    parser.add_argument("--images", type=int, default=1000)
    parser.add_argument("--beams", type=int, default=3)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--memory", action="store_true")
    asked = parser.parse_args()
    if asked.memory:
        memory(asked.folder)
    else:
        rates(find_images(asked.folder)[: asked.images], asked.beams, asked.rounds)


if __name__ == "__main__":
    main()
