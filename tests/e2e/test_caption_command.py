"""`capgen caption` as a user runs it: whole processes."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.commands import capgen, environment, start
from tests.fakes import draw_image, names

ROOT = Path(__file__).parents[2]
NOBODY = 65534
KEYS = {
    *("schema_version", "path", "caption", "score", "log_probability", "tokens", "alternatives"),
    *("width", "height", "sha256", "model", "revision", "settings", "notes", "error"),
    *("retry", "concepts"),
}


# Loads everything while it may, then captions as somebody who may not read other's files.
UNPRIVILEGED = f"""
import os, sys
from capgen.cli.main import main
assert main(["caption", sys.argv[1], "--json"]) == 0
print("now")
print("now", file=sys.stderr, flush=True)
if os.geteuid() == 0:
    os.setgroups([])
    os.setgid({NOBODY})
    os.setuid({NOBODY})
sys.exit(main(sys.argv[2:]))
"""


@pytest.fixture
def open_folder(tmp_path: Path) -> Path:
    """A folder that everybody can reach."""
    for folder in (tmp_path, *tmp_path.parents):
        if not folder.stat().st_mode & 0o001:
            folder.chmod(folder.stat().st_mode | 0o011)
    return tmp_path


def test_one_image_prints_its_caption(images: list[Path]) -> None:
    code, out, err = capgen("caption", images[0])
    assert (code, err) == (0, "")
    assert out.endswith("\n") and out.count("\n") == 1
    assert len(out.split()) >= 3
    assert "\x1b" not in out


def test_several_images_print_path_tab_caption(images: list[Path]) -> None:
    code, out, err = capgen("caption", *images[:3], "--beams", "1")
    assert (code, err) == (0, "")
    lines = [line.split("\t") for line in out.splitlines()]
    assert [path for path, _ in lines] == [str(path) for path in images[:3]]


def test_a_folder_is_its_images(tmp_path: Path) -> None:
    for name in ("img10.png", "img2.png"):
        draw_image(3).save(tmp_path / name)
    (tmp_path / "notes.txt").write_text("no image")
    code, out, _ = capgen("caption", tmp_path)
    paths = [Path(line.split("\t")[0]).name for line in out.splitlines()]
    assert (code, paths) == (0, ["img2.png", "img10.png"])


def test_json_has_every_documented_key(images: list[Path]) -> None:
    code, out, err = capgen(
        *("caption", *images[:2], "--json", "--beams", "4", "--num-captions", "2"),
        *("--max-length", "90"),
    )
    records = json.loads(out)
    assert code == 0
    assert err == f"note: {json.loads(records[0]['notes'])[0]}\n"
    assert "90" in err and "24" in err
    for record, path in zip(records, images, strict=False):
        assert set(record) == KEYS
        assert record["schema_version"] == 2
        assert record["path"] == str(path)
        assert record["settings"]["max_length"] == 24
        assert record["settings"]["beams"] == 4
        assert len(record["alternatives"]) == 1
        assert record["error"] == {"code": "", "message": "", "hint": ""}
        said = "".join(token["text"] for token in record["tokens"])
        assert said.strip() == record["caption"]


def test_good_images_among_bad_ones_are_captioned(images: list[Path], tmp_path: Path) -> None:
    bad = {
        "missing.jpg": None,
        "text.jpg": b"Dear diary",
        "empty.png": b"",
        "cut.jpg": images[0].read_bytes()[:900],
    }
    for name, content in bad.items():
        if content is not None:
            (tmp_path / name).write_bytes(content)
    paths = [tmp_path / name for name in bad]
    code, out, err = capgen("caption", paths[0], images[0], *paths[1:], images[1])
    assert code == 1
    assert [line.split("\t")[0] for line in out.splitlines()] == [str(p) for p in images[:2]]
    errors = [line for line in err.splitlines() if line.startswith("error: ")]
    assert len(errors) == len(bad)
    for path in paths:
        assert any(str(path) in line for line in errors)
    code, out, _ = capgen("caption", *paths, images[0], "--json")
    records = json.loads(out)
    assert code == 1
    assert [r["error"]["code"] for r in records] == [
        *("missing", "not_an_image", "empty", "truncated"),
        "",
    ]


@pytest.mark.parametrize("suffix", [".json", ".jsonl"])
def test_records_in_a_file(suffix: str, images: list[Path], tmp_path: Path) -> None:
    output = tmp_path / "new" / f"captions{suffix}"
    code, out, err = capgen("caption", images[0], "gone.jpg", images[1], "-o", output)
    assert (code, out) == (1, "")
    assert "2 captions written to" in err
    text = output.read_text(encoding="utf-8")
    records = json.loads(text) if suffix == ".json" else [*map(json.loads, text.splitlines())]
    assert [record["caption"] is None for record in records] == [False, True, False]
    assert names(output.parent) == [output.name]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--beams", "0"], ["--beams", "0", "between 1 and 64"]),
        (["--beams", "65"], ["--beams", "65", "between 1 and 64"]),
        (["--temperature", "2.5"], ["--temperature", "between 0.1 and 2.0"]),
        (["--temperature", "nan"], ["--temperature", "number"]),
        (["--top-p", "1.5"], ["--top-p", "between 0.01 and 1.0"]),
        (["--max-length", "1"], ["--max-length", "between 2 and 4096"]),
        (["--repetition-penalty", "-1"], ["--repetition-penalty", "between 0.1 and 10.0"]),
        (["--seed", "-1"], ["--seed", "between 0 and"]),
        (["--max-pixels", "0"], ["--max-pixels", "at least 1"]),
        (["--batch-size", "0"], ["--batch-size", "1"]),
        (["--beams", "3", "--top-k", "5"], ["--top-k", "--beams 3"]),
        (["--min-length", "30"], ["--min-length 30", "22"]),
        (["--device", "tpu"], ["--device", "cuda"]),
        (["--runtime", "jax"], ["--runtime", "onnx"]),
        (["--runtime", "onnx", "--dtype", "fp16"], ["fp32"]),
        (["-o", "captions.xml"], [".json"]),
        (["--bems", "3"], ["--bems", "--beams"]),
    ],
    ids=lambda value: " ".join(value) if value[0].startswith("-") else "",
)
def test_wrong_usage_exits_2_and_names_the_range(
    arguments: list[str], words: list[str], images: list[Path]
) -> None:
    code, out, err = capgen("caption", images[0], *arguments)
    assert (code, out) == (2, "")
    for word in words:
        assert word in err


def test_without_images_exits_2() -> None:
    assert capgen("caption")[0] == 2
    code, out, err = capgen("nonsense")
    assert (code, out) == (2, "")
    assert "nonsense" in err


@pytest.mark.parametrize(
    ("model", "word"), [("./nothing", "./nothing"), ("somebody/something", "127.0.0.1")]
)
def test_an_unknown_model(model: str, word: str, images: list[Path]) -> None:
    begin = time.monotonic()
    code, out, err = capgen("caption", images[0], "--model", model)
    assert time.monotonic() - begin < 10
    assert (code, out) == (1, "")
    error, hint = err.splitlines()
    assert error.startswith("error: ") and word in error
    assert hint.startswith("hint: ")


def test_a_folder_that_is_no_model(images: list[Path], tmp_path: Path) -> None:
    code, _, err = capgen("caption", images[0], "--model", tmp_path)
    assert code == 1
    assert err.startswith("error: ") and str(tmp_path) in err


def test_names_that_look_like_markup_or_are_no_text(tmp_path: Path) -> None:
    odd = [b"[red].jpg", b"[bold].jpg", b"caf\xe9.jpg", "日本 \u202e.jpg".encode()]
    paths = [os.fsencode(tmp_path) + b"/" + name for name in odd]
    for number, path in enumerate(paths):
        draw_image(number).save(tmp_path / "x.jpg")
        (tmp_path / "x.jpg").rename(os.fsdecode(path))
    code, out, _ = capgen("caption", *paths)
    assert code == 0
    said = [line.split("\t")[0] for line in out.splitlines()]
    # The character that turns the direction of what follows is shown, not sent to the terminal.
    shown = [*paths[:3], paths[3].replace("\u202e".encode(), rb"\u202e")]
    assert [os.fsencode(path) for path in said] == shown
    code, out, _ = capgen("caption", *paths, "--json")
    assert [r["path"] for r in json.loads(out.encode("utf-8"))] == [*map(os.fsdecode, paths)]
    code, _, err = capgen("caption", tmp_path / "[red]gone.jpg", b"gone\xe9.jpg")
    assert code == 1
    assert "[red]gone.jpg" in err


@pytest.mark.parametrize("name", ["n" * 300 + ".jpg", "a/" * 3000 + "b.jpg", ""])
def test_names_that_nothing_can_have(name: str) -> None:
    code, out, err = capgen("caption", name)
    assert (code, out) == (1, "")
    assert err.startswith("error: ")


def test_images_one_may_not_read(open_folder: Path, images: list[Path]) -> None:
    (open_folder / "private").mkdir()
    (open_folder / "closed").mkdir()
    for path in ("private/a.jpg", "closed/b.jpg", "good.jpg"):
        draw_image(1).save(open_folder / path)
    (open_folder / "private" / "a.jpg").chmod(0)
    (open_folder / "closed").chmod(0o600)
    arguments = [open_folder / path for path in ("private/a.jpg", "closed/b.jpg", "good.jpg")]
    result = subprocess.run(
        [
            sys.executable,
            "-c",
            UNPRIVILEGED,
            images[0],
            "caption",
            *arguments,
            open_folder / "closed",
        ],
        env={**environment(), "CAPGEN_HOME": str(open_folder / "home")},
        capture_output=True,
        text=True,
        check=False,
    )
    out, err = (text.partition("now\n")[2] for text in (result.stdout, result.stderr))
    assert result.returncode == 1, result.stderr
    assert out.startswith(str(open_folder / "good.jpg")), err
    assert out.count("\n") == 1
    *errors, summary = err.splitlines()
    assert summary == "note: 1 caption; 3 failed: 3 permission"
    assert len(errors) == 3
    assert all("not allowed" in line for line in errors)


@pytest.mark.parametrize(
    ("sent", "code"),
    [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)],
    ids=["Ctrl-C", "SIGTERM", "SIGHUP"],
)
def test_an_interruption_leaves_nothing_half_written(
    sent: int, code: int, images: list[Path], tmp_path: Path
) -> None:
    pipe = tmp_path / "camera.jpg"
    os.mkfifo(pipe)
    output = tmp_path / "captions.json"
    output.write_text("old")
    process = start("caption", images[0], pipe, images[1], "-o", output, "--batch-size", "1")
    # The process reads the pipe once it is at work; it will not get anything.
    with pipe.open("wb"):
        time.sleep(0.2)
        process.send_signal(sent)
        time.sleep(0.2)
    out, err = process.communicate(timeout=20)
    assert process.returncode == code
    assert out == b""
    assert err == b"note: stopped before the first image was done\n"
    assert output.read_text() == "old"
    # What was done may have been kept already, for the next run.
    assert {*names(tmp_path)} - {"captions.json.journal"} == {"camera.jpg", "captions.json"}


@pytest.mark.parametrize(
    ("sent", "code"),
    [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)],
    ids=["Ctrl-C", "SIGTERM", "SIGHUP"],
)
def test_a_pipe_that_nobody_writes_into_does_not_keep_a_run_alive(
    sent: int, code: int, tmp_path: Path
) -> None:
    silent, other = tmp_path / "silent.jpg", tmp_path / "other.jpg"
    os.mkfifo(silent)
    os.mkfifo(other)
    process = start("caption", silent, other, "--workers", "2")
    try:
        # Once the second pipe has a reader, another thread waits for the first one.
        with other.open("wb"):
            process.send_signal(sent)
            out, err = process.communicate(timeout=20)
        assert (process.returncode, out) == (code, b"")
        assert err == b"note: stopped before the first image was done\n"
    finally:
        process.kill()


def test_a_pipe_is_read_to_its_end(images: list[Path], tmp_path: Path) -> None:
    pipe = tmp_path / "camera.jpg"
    os.mkfifo(pipe)
    process = start("caption", pipe, "--format", "jsonl")
    pipe.write_bytes(images[0].read_bytes())
    out, _ = process.communicate(timeout=60)
    assert process.returncode == 0
    assert json.loads(out)["sha256"] == hashlib.sha256(images[0].read_bytes()).hexdigest()


def test_a_reader_that_has_enough_ends_quietly(images: list[Path]) -> None:
    process = start("caption", *images[:6], "--batch-size", "1")
    assert process.stdout is not None and process.stderr is not None
    assert process.stdout.readline()
    process.stdout.close()
    err = process.stderr.read()
    process.stderr.close()
    assert process.wait(timeout=30) == 0
    assert err == b""


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no /dev/full")
@pytest.mark.parametrize("options", [[], ["--json"]], ids=["text", "json"])
def test_output_to_a_full_disk(options: list[str], images: list[Path]) -> None:
    with Path("/dev/full").open("wb") as full:
        code, _, err = capgen("caption", images[0], *options, stdout=full)
    assert code == 1
    assert err == "error: Cannot write the output: No space left on device\n"


def test_version_and_help() -> None:
    import capgen as package

    assert capgen("--version") == (0, f"capgen {package.__version__}\n", "")
    code, out, err = capgen("caption", "--help")
    assert (code, err) == (0, "")
    for flag in (
        *("--model", "--beams", "--temperature", "--top-k", "--top-p", "--max-length"),
        *("--min-length", "--length-penalty", "--repetition-penalty", "--num-captions"),
        *("--seed", "--device", "--dtype", "--json", "--output", "--max-pixels"),
    ):
        assert flag in out
    assert "capgen caption photo.jpg" in out


def test_the_console_script_is_installed() -> None:
    script = Path(sys.executable).with_name("capgen")
    if not script.exists():
        pytest.skip("capgen is not installed in this environment")
    result = subprocess.run(
        [script, "--version"], env=environment(), capture_output=True, text=True, check=True
    )
    assert result.stdout.startswith("capgen ")


REPORT = """
import sys
from capgen.cli.main import main
code = main(sys.argv[2:])
heavy = sorted(set(sys.argv[1].split(",")) & set(sys.modules))
print("loaded:", ",".join(heavy), code, file=sys.stderr)
"""


@pytest.mark.parametrize(
    ("arguments", "absent"),
    [
        (["--help"], "torch,transformers,onnxruntime,numpy,PIL,huggingface_hub,tokenizers,rich"),
        (["--version"], "torch,transformers,onnxruntime,numpy,PIL"),
        (["--version", "--verbose"], "torch,transformers,onnxruntime,numpy,PIL"),
        ([], "torch,transformers,onnxruntime,numpy,PIL,huggingface_hub,tokenizers,rich"),
        (["caption", "--help"], "torch,transformers,onnxruntime,numpy,PIL"),
        (["caption", "PHOTO"], "torch,transformers,huggingface_hub,onnx,httpx,nltk"),
        (["caption", "PHOTO", "PHOTO", "--json"], "torch,transformers,huggingface_hub,onnx"),
    ],
    ids=" ".join,
)
def test_heavy_libraries_stay_out(arguments: list[str], absent: str, images: list[Path]) -> None:
    if "--help" in arguments:
        absent = absent.replace(",rich", "")  # typer draws its help with it
    filled = [str(images[0]) if argument == "PHOTO" else argument for argument in arguments]
    result = subprocess.run(
        [sys.executable, "-c", REPORT, absent, *filled],
        env=environment(),
        capture_output=True,
        text=True,
        check=True,
    )
    assert result.stderr.splitlines()[-1] == f"loaded:  {0 if arguments else 2}"
