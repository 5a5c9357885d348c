"""Every command and every piece of Python on the pages runs, and ends as the page says.

They run in the reader's place (`tests.readers_place`), page by page, in the page's order. The
examples of `--help` are those of docs/cli.md. A command of several pages runs once.
"""

from __future__ import annotations

import re
import signal
from collections.abc import Iterator
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch

from capgen.models.known import KNOWN_MODELS
from tests.pages import PAGES, ROOT, Block, Command, blocks, commands, help_examples
from tests.readers_place import ReadersPlace, reading
from tests.readers_store import stocked
from tests.readers_supplies import Supplies, make_supplies, said

pytestmark = pytest.mark.usefixtures("handlers_put_back")

# What cannot run here, by how it begins, and why.
NOT_RUN = {
    "srun capgen": "needs Slurm",
    "pip install .": "installs; .ci/run does",
    "pip install -e '.[dev]'": "installs; .ci/run does",
    "pip install torch": "installs; .ci/run does",
    "pip install '.[mini,export]'": "installs; the tests need these extras too",
    "pytest": "is what runs this",
    "python -m capgen._build.lowest_versions": "is for the environment made next; a test runs it",
    "python3.11 -m venv": "makes an environment to install in",
    ". lowest/bin/activate": "likewise",
    "pip install -c lowest.txt": "installs",
    "pip check": ".ci/run does",
    "python tests/bench/": "measures for a long time, on the real images",
    "python -m tests.bench.": "measures for a long time, on the real images",
    "docker run": "needs docker",
    "capgen alt fill content/ --review": "waits for a person, too",
    "capgen demo": "waits for a person; see e2e/test_demo.py",
    "capgen review": "waits for a person; see e2e/test_review_command.py",
    "capgen serve": "runs until it is stopped; see e2e/test_serve_command.py",
    "curl ": "asks a service; see test_services_page.py",
    "openssl rand": "makes a token",
    "ssh -L": "needs another machine",
    "torchrun": "starts several processes; see training/test_launchers.py",
    "accelerate launch": "likewise",
    "capgen caption *.jpg --model USER/NAME --device cuda": "needs a GPU, which the tests hide",
    "pip install 'capgen[": "installs; .ci/run does",
    "llama-server": "is a program of its own; e2e/test_real_servers.py runs llama.cpp's server",
    "capgen caption photo.jpg --model my-lora/": "needs gigabytes; see models/test_adapters.py",
    "capgen caption hf://": "asks the Hub for a list of files",
    "capgen caption s3://bucket/photos/ -r -o s3://bucket/captions/ --engine ray --ray-address": (
        "needs a cluster; see e2e/test_ray.py"
    ),
    "capgen caption /shared/photos -o captions/ --engine ray": "likewise",
    "capgen calibrate qwen3-vl-2b": "needs gigabytes; see captioning/test_prompted.py",
}
# Commands with a model of gigabytes: e2e/test_prompted.py runs such commands with tiny ones.
LARGE = {model.name for model in KNOWN_MODELS if model.identifier} | {"models/SmolVLM-Instruct"}
# What other tests run as it stands.
RUN_IN = {
    "capgen models export mini --int8 --photos my-photos/": "integration/registry/test_export.py",
}
# The quickstart has a test of its own, in processes of their own; api.md has signatures.
OWN_TEST, SIGNATURES = "quickstart.md", "api.md"
# What does not end with 0, and the sentence that says so.
ENDS = {
    "capgen alt check content/": (1, "exit code 1 if anything is wrong"),
    "capgen alt check content/ --ignore too-long": (1, "exit code 1 if anything is wrong"),
    "capgen alt check content/ --format sarif -o alt.sarif": (1, "its exit code is 1 if"),
    "capgen caption photos/ --min-confidence 0.6 -o captions.jsonl": (
        1,
        "the exit code is that of failures (1, unless",
    ),
}
PROGRAMS = ("capgen", "find")
WRITES = ("-o", "--output", "--html", "--json", "--explain", "--save-input", "--log-file")


@dataclass(frozen=True)
class Part:
    """A page to read from top to bottom; of docs/cli.md a section."""

    name: str
    blocks: tuple[Block, ...]


def parts() -> list[Part]:
    """Return the parts of all pages that show something to run here."""
    found: dict[str, list[Block]] = {}
    for page in PAGES:
        for block in blocks(page):
            name = f"{block.page} {block.section}" if block.page == "cli.md" else block.page
            found.setdefault(name, []).append(block)
    return [Part(name, tuple(shown)) for name, shown in found.items()]


def shown_commands() -> dict[str, str]:
    """Return each command with the part that runs it: quickstart, else the first; cli.md last."""
    order = sorted(parts(), key=lambda part: ("cli.md" in part.name) - (part.name == OWN_TEST))
    found: dict[str, str] = {}
    for part in order:
        for block in part.blocks:
            for command in commands(block):
                found.setdefault(command.text, part.name)
    return found


OWNERS = shown_commands()


def unlisted(command: str) -> bool:
    """Whether a command is to run here."""
    if not command.startswith("capgen models show") and LARGE & set(command.split()):
        return False
    return command not in RUN_IN and not any(command.startswith(known) for known in NOT_RUN)


def things(part: Part) -> Iterator[Command | Block]:
    """Yield the commands and the blocks of Python of a part that run here."""
    for block in part.blocks:
        for command in commands(block):
            if OWNERS[command.text] == part.name and unlisted(command.text):
                yield command
        if block.language == "python":
            yield block


READ = [part for part in parts() if part.name not in (OWN_TEST, SIGNATURES) and any(things(part))]


@pytest.fixture(scope="module")
def supplies(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Supplies]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield make_supplies(tmp_path_factory.mktemp("supplies"))
    torch.set_num_threads(threads)


@pytest.fixture(autouse=True)
def ctrl_c_put_back() -> Iterator[None]:
    """Take back what a page's Python does to Ctrl-C: Spark keeps it."""
    before = signal.getsignal(signal.SIGINT)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.parametrize("part", READ, ids=lambda part: part.name)
def test_what_a_page_shows_runs(
    part: Part, supplies: Supplies, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    logs_in = any("capgen hub login" in block.text for block in part.blocks)
    stores = any("s3://" in block.text for block in part.blocks)
    with (
        stocked(supplies, monkeypatch) if stores else nullcontext(),
        reading(supplies, tmp_path, monkeypatch, logged_in=not logs_in) as place,
    ):
        for thing in things(part):
            if isinstance(thing, Command):
                check(place, thing)
            else:
                text = "\n" * (thing.line - 1) + place.here(thing.text)
                code = compile(text, thing.page, "exec")
                with said():
                    exec(code, {"__name__": thing.page})  # which starts no server


def check(place: ReadersPlace, command: Command) -> None:
    """Run a command and look at what came of it."""
    assert command.words[0] in PROGRAMS, f"{command}: list it in NOT_RUN, and why"
    done = place.run(command)
    expected = ENDS[command.text][0] if command.text in ENDS else 0
    assert done.code == expected, f"{command}: {done}"
    assert "Traceback" not in done.err
    if command.output:
        alike(done.out.strip(), command.output.strip())
    for option, value in zip(command.words, command.words[1:], strict=False):
        if option in WRITES and "://" not in value and re.search(r"\.\w+$", value):
            assert (place.work / value).stat().st_size, f"{command}: no {value}"


def alike(found: str, shown: str) -> None:
    """Compare an output with what the page shows of it; numbers may differ a little."""
    number = r"-?\d+\.\d+"
    assert re.sub(number, "N", found) == re.sub(number, "N", shown)
    numbers, expected = (list(map(float, re.findall(number, text))) for text in (found, shown))
    assert numbers == pytest.approx(expected, abs=0.01)


def test_the_lists_of_exceptions_are_of_commands_on_the_pages() -> None:
    for known in NOT_RUN:
        assert any(shown.startswith(known) for shown in OWNERS), f"{known} is on no page"
    for shown, test in RUN_IN.items():
        assert shown in OWNERS
        assert shown in (ROOT / "tests" / test).read_text(encoding="utf-8")
    for shown, (_, sentence) in ENDS.items():
        page = ROOT / "docs" / OWNERS[shown].split()[0]
        assert sentence in " ".join(page.read_text(encoding="utf-8").split())


def test_examples_of_help_are_on_the_page_of_commands() -> None:
    text = (ROOT / "docs" / "cli.md").read_text(encoding="utf-8").splitlines()
    examples = [line for lines in help_examples().values() for line in lines]
    assert len(examples) > 20
    assert not [line for line in examples if line not in text]


def test_there_is_much_to_run() -> None:
    assert len([shown for shown in OWNERS if unlisted(shown)]) > 80
    assert sum(isinstance(thing, Block) for part in READ for thing in things(part)) > 8
