"""Broken images by the thousand: every one a record, none a traceback, none for ever.

    nice python -m tests.bench.fuzz_images command --files 2000 --seed 1
    nice python -m tests.bench.fuzz_images decode --files 20000 --seed 1

`command` makes a folder and runs `capgen caption` over it. `decode` calls the decoder within a
process of its own, which may crash or hang: it goes on behind the file that did it. Both print
their figures as JSON and end with 1 if anything is wrong.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import random
import resource
import signal
import subprocess
import sys
import tempfile
import time
import warnings
from collections import Counter
from collections.abc import Iterator
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from tests.bench.fuzz_mutations import broken
from tests.bench.fuzz_seeds import DECODED, format_of, make_seeds

_SIZE_HINT = (256, 256)
_LONGEST = 60  # seconds of computing until a decoder counts as hanging
_SLOW = 1.0


def files(number: int, seed: int) -> Iterator[tuple[str, bytes]]:
    """Yield names and contents of broken images, the same for the same seed."""
    seeds = make_seeds()
    names, contents = sorted(seeds), list(seeds.values())
    # Each format as often as another, however many images of it there are.
    kinds = sorted({format_of(name) for name in names} & DECODED)
    others = sorted({format_of(name) for name in names} - DECODED)
    for index in range(number):
        chance = random.Random(f"{seed} {index}")
        kind = chance.choice(kinds if chance.random() < 0.95 else others)
        name = chance.choice([name for name in names if format_of(name) == kind])
        yield f"{index:06}-{name}", broken(chance, kind, seeds[name], contents)


def run_command(number: int, seed: int) -> dict[str, Any]:
    """Caption a folder of broken images, then again from the journal's records."""
    with tempfile.TemporaryDirectory() as place:
        folder, output = Path(place) / "pictures", Path(place) / "out.jsonl"
        folder.mkdir()
        for name, content in files(number, seed):
            (folder / name.replace(":", "")).write_bytes(content)
        command = [sys.executable, "-m", "capgen", "caption", str(folder), "-o", str(output), "-q"]
        started = time.monotonic()
        done = subprocess.run(command, capture_output=True, check=False)
        seconds = time.monotonic() - started
        records = [json.loads(line) for line in output.open("rb")] if output.exists() else []
        peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
        again = subprocess.run(
            [*command, "--on-existing", "overwrite"], capture_output=True, check=False
        )
    errors = Counter(record["error"]["code"] for record in records if record["error"]["code"])
    fine = (
        done.returncode in (0, 1)
        and b"Traceback" not in done.stderr
        and len(records) == number
        and again.returncode == done.returncode
    )
    return {
        "files": number,
        "seed": seed,
        "exit": done.returncode,
        "records": len(records),
        "captions": len(records) - errors.total(),
        "errors": dict(errors.most_common()),
        "seconds": round(seconds, 1),
        "peak_mb": round(peak),
        "fine": fine,
        "stderr": "" if fine else done.stderr.decode("utf-8", "replace")[-3000:],
    }


def run_decoder(number: int, seed: int) -> dict[str, Any]:
    """Decode broken images one by one."""
    outcomes: Counter[str] = Counter()
    wrong: list[str] = []
    slow: list[tuple[float, str]] = []
    longest, peak, first = (0.0, ""), 0.0, 0
    while first < number:
        ours, theirs = multiprocessing.Pipe(duplex=False)
        process = multiprocessing.Process(target=_decode_all, args=(theirs, number, seed, first))
        process.start()
        theirs.close()
        try:
            while True:
                name, outcome, seconds, peak_mb = ours.recv()
                first += 1
                outcomes[outcome.partition(":")[0]] += 1
                peak = max(peak, peak_mb)
                if ":" in outcome:
                    wrong.append(f"{name}: {outcome}")
                longest = max(longest, (round(seconds, 2), name))
                if seconds > _SLOW:
                    slow.append((round(seconds, 1), name))
        except EOFError:
            process.join()
        if first < number:
            wrong.append(f"file {first}: the process ended with {process.exitcode}")
            first += 1
    return {
        "files": number,
        "seed": seed,
        "outcomes": dict(outcomes.most_common()),
        "slow": sorted(slow)[-5:],
        "longest": longest,
        "peak_mb": round(peak),
        "wrong": wrong,
        "fine": not wrong,
    }


def _decode_all(results: Connection, number: int, seed: int, first: int) -> None:
    """Send (name, outcome, seconds of computing, peak MB) of each file from the `first`."""
    from capgen.errors import ImageError
    from capgen.images.frames import count_frames
    from capgen.images.load import load_image
    from capgen.images.metadata import Unwritable
    from capgen.images.metadata.write import read_captions

    warnings.simplefilter("ignore")
    for index, (name, content) in enumerate(files(number, seed)):
        if index < first:
            continue
        signal.setitimer(signal.ITIMER_PROF, _LONGEST)  # whose default ends the process
        started = time.process_time()
        try:
            load_image(content, name=name, size_hint=_SIZE_HINT)
            count_frames(content, name)
            outcome = "picture"
        except ImageError as error:
            outcome = error.code
        except Exception as error:
            outcome = f"raised: {type(error).__name__} {error}"
        try:
            read_captions(content)
        except Unwritable:
            pass
        except Exception as error:
            outcome = f"raised: reading captions, {type(error).__name__} {error}"
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        results.send((name, outcome, time.process_time() - started, peak))
    signal.setitimer(signal.ITIMER_PROF, 0)


def main() -> int:
    """Run what the arguments ask for and print its figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=("command", "decode"))
    parser.add_argument("--files", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    run = run_command if options.what == "command" else run_decoder
    figures = run(options.files, options.seed)
    print(json.dumps(figures, indent=1))
    return 0 if figures["fine"] else 1


if __name__ == "__main__":
    sys.exit(main())
