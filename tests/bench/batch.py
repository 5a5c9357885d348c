"""Captioning a folder: images a second beside its parts, and memory with many images.

    python -m tests.bench.batch FOLDER [--images 1000] [--beams 3] [--rounds 3]
    python -m tests.bench.batch FOLDER --phone [--images 200]
    python -m tests.bench.batch FOLDER --memory

The first form measures, interleaved: the encoder alone on decoded arrays, Pillow alone, a
plain loop of single calls, and the batch pipeline as `capgen caption -o x.jsonl` runs it.
The second does the same with 12-megapixel photos made of the folder's, less the single calls.
The third runs the command on 1,000 and on 10,000 files, no two alike, and compares their peak
memory. As root it also runs it in a control group of 512 MB.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from itertools import cycle, islice
from pathlib import Path

import numpy as np
from PIL import Image

from capgen import Captioner
from capgen.captioning.batch.journal import Journal
from capgen.captioning.batch.pipeline import BatchRun, ImageDone, caption_all
from capgen.captioning.batch.sources import FileSource
from capgen.captioning.batch_size import DEFAULT_BATCH_SIZE
from capgen.captioning.runtimes.cores import lanes_and_threads, usable_cores
from capgen.captioning.runtimes.onnx_runtime import OnnxRuntime
from capgen.config import DecodeOptions
from capgen.images.folders import find_images
from capgen.images.load import load_image
from capgen.output.formats import open_format
from tests.bench.phone_photos import make_photos

BATCH = DEFAULT_BATCH_SIZE
_INPUT = (288, 288)


def rates(images: list[Path], beams: int, rounds: int, *, single_calls: bool = True) -> None:
    """Measure and print images a second."""
    cores = usable_cores()
    lanes, threads = lanes_and_threads(len(images), BATCH)
    batched = Captioner.from_pretrained(runtime="onnx", threads=threads)
    single = Captioner.from_pretrained(runtime="onnx")
    runtime = batched.runtime
    assert isinstance(runtime, OnnxRuntime)
    decoding = DecodeOptions(beams=beams)
    sample = [runtime.preprocessor.preprocess(load_image(path).image) for path in images[:BATCH]]
    arrays = np.stack(sample)

    def encoder_alone() -> None:
        # A batch a core at a time, each on one thread: what the machine can do.
        with ThreadPoolExecutor(lanes) as pool:
            list(pool.map(lambda _: runtime.encode(arrays), range(-(-len(images) // BATCH))))

    def pillow_alone() -> None:
        def decode(path: Path) -> None:
            with Image.open(path) as image:
                image.draft("RGB", _INPUT)  # 1/8 of 12 megapixels; small photos stay as they are
                image.convert("RGB").resize(_INPUT, Image.Resampling.BICUBIC)

        with ThreadPoolExecutor(cores) as pool:
            list(pool.map(decode, images))

    def one_by_one() -> None:
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
        "single calls": one_by_one,
        "capgen batch": pipeline,
    }
    if not single_calls:
        del contestants["single calls"]
    seconds: dict[str, list[float]] = {name: [] for name in contestants}
    used: dict[str, list[float]] = {name: [] for name in contestants}
    for _ in range(rounds):
        for name, contestant in contestants.items():
            started, cpu = time.perf_counter(), time.process_time()
            contestant()
            seconds[name].append(time.perf_counter() - started)
            used[name].append(time.process_time() - cpu)
    count = len(images)
    batches = -(-count // BATCH)
    for measured in (seconds, used):  # of whole batches
        measured["encoder alone"] = [
            value * count / (batches * BATCH) for value in measured["encoder alone"]
        ]
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
    """Run the command on folders of these sizes and print its peak memory."""
    images = find_images(folder)[:200]
    peaks = []
    for size in sizes:
        with tempfile.TemporaryDirectory() as place:
            make_copies(images, Path(place, "photos"), size)
            peaks.append(peak(Path(place)))
            print(f"{size} files: peak {peaks[-1]:.0f} MB", flush=True)
    print(f"growth {peaks[1] - peaks[0]:.0f} MB")
    with tempfile.TemporaryDirectory() as place:
        make_copies(images, Path(place, "photos"), len(images))
        try:
            with control_group(512) as group:
                found = peak(Path(place), group)
                charged = int((group / "memory.max_usage_in_bytes").read_text()) / (1 << 20)
        except (PermissionError, FileNotFoundError):
            print("no control group of 512 MB: that takes root, and version 1")
        else:
            print(f"in 512 MB: peak {found:.0f} MB, {charged:.0f} MB charged to the group")


def make_copies(images: list[Path], folder: Path, count: int) -> None:
    """Write JPEGs, each with a comment of its own: of equal files only one is captioned."""
    folder.mkdir()
    for number, image in enumerate(islice(cycle(images), count)):
        data, comment = image.read_bytes(), b"%d" % number
        segment = b"\xff\xfe" + (2 + len(comment)).to_bytes(2, "big") + comment
        (folder / f"{number}.jpg").write_bytes(data[:2] + segment + data[2:])


def peak(place: Path, group: Path | None = None) -> float:
    """Caption the folder `photos` in `place`; return the peak of the command's memory in MB."""
    photos, output = place / "photos", place / "x.jsonl"
    command = [sys.executable, "-m", "capgen", "caption", str(photos), "-o", str(output), "-q"]
    if group is not None:
        enter = 'echo $$ > "$0" && exec "$@"'
        command = ["/bin/sh", "-c", enter, str(group / "cgroup.procs"), *command]
    _, status, usage = os.wait4(os.posix_spawn(command[0], command, os.environ), 0)
    lines = output.read_bytes().count(b"\n") if output.exists() else 0
    if status or lines != len(list(photos.iterdir())):
        raise SystemExit(f"status {status}, {lines} lines")
    return usage.ru_maxrss / 1024


@contextmanager
def control_group(megabytes: int) -> Iterator[Path]:
    """Make a control group (version 1) with this limit for a while."""
    group = Path("/sys/fs/cgroup/memory", f"capgen-bench-{os.getpid()}")
    group.mkdir()
    try:
        (group / "memory.limit_in_bytes").write_text(str(megabytes << 20))
        yield group
    finally:
        group.rmdir()


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    parser.add_argument("--images", type=int, default=1000)
    parser.add_argument("--beams", type=int, default=3)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--phone", action="store_true")
    parser.add_argument("--memory", action="store_true")
    asked = parser.parse_args()
    images = find_images(asked.folder)
    if asked.memory:
        memory(asked.folder)
    elif asked.phone:
        with tempfile.TemporaryDirectory() as place:
            photos = make_photos(images, Path(place), asked.images)
            rates(photos, asked.beams, asked.rounds, single_calls=False)
    else:
        rates(images[: asked.images], asked.beams, asked.rounds)


if __name__ == "__main__":
    main()
