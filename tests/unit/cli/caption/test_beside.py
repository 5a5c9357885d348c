"""`capgen caption` with --write-metadata and --sidecar: nothing lost, nothing silent."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

import capgen.cli.caption.many as many
from capgen.captioning.captioner import Captioner
from capgen.cli.main import main
from capgen.images.metadata import jpeg, xmp
from capgen.images.metadata.write import read_captions
from tests.images_with_metadata import described, encoded, phone_jpeg
from tests.minis import draw
from tests.server import Served, serving

pytestmark = pytest.mark.usefixtures("handlers_put_back")
OMA = "Oma am Bahnhof"
STOPPED = "stopped before the first image was done"


@pytest.fixture
def caption(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., tuple[int, str, str]]:
    """Run the command in a folder of its own; return exit code, stdout and stderr."""
    monkeypatch.chdir(tmp_path)

    def run(*arguments: str) -> tuple[int, str, str]:
        code = main(["caption", *arguments])
        printed = capsys.readouterr()
        return code, printed.out, printed.err

    return run


def person(path: Path) -> bytes:
    tags = Image.Exif()
    tags[0x010E] = OMA
    path.write_bytes(encoded("JPEG", exif=tags))
    return path.read_bytes()


def test_a_kept_description_is_told_and_the_caption_printed(
    tmp_path: Path, caption, capsys: pytest.CaptureFixture[str]
) -> None:
    before = person(tmp_path / "a.jpg")
    code, out, err = caption("a.jpg", "--write-metadata", "--on-existing", "overwrite")
    assert code == 0 and len(out.split()) > 2
    assert "into 0 images" in err
    assert "1 image keeps a description that a person wrote" in err and "--on-description" in err
    assert (tmp_path / "a.jpg").read_bytes() == before
    # Asked for, it goes there; then nothing is printed.
    code, again, _ = caption("a.jpg", "--write-metadata", "--on-description", "append")
    assert (code, again) == (0, "")
    assert read_captions((tmp_path / "a.jpg").read_bytes()) == [f"{OMA}, {out.strip()}"] * 3
    for command in (["caption", "--undo"], ["undo"]):
        assert main([*command, "capgen-undo.jsonl", "--dry-run"]) == 0
        out, err = capsys.readouterr()
        assert out == f"{tmp_path / 'a.jpg'}: would be restored\n"
        assert err == "note: 1 change would be undone\n"
    assert (tmp_path / "a.jpg").read_bytes() != before
    assert "1 change undone" in caption("--undo", "capgen-undo.jsonl")[2]
    assert (tmp_path / "a.jpg").read_bytes() == before


def test_a_caption_that_no_image_takes_is_printed_and_a_sidecar_offered(
    tmp_path: Path, caption
) -> None:
    (tmp_path / "a.avif").write_bytes(encoded("AVIF"))
    (tmp_path / "b.jpg").write_bytes(phone_jpeg())
    code, out, err = caption("a.avif", "b.jpg", "--write-metadata")
    assert code == 1
    assert "--sidecar .xmp" in err and "a.avif" in err
    (line,) = out.splitlines()
    name, text = line.split("\t")
    assert name == "a.avif" and text
    assert len(set(read_captions((tmp_path / "b.jpg").read_bytes()))) == 1
    # With an XMP sidecar nothing is amiss, and it is told where the caption is.
    code, out, err = caption("a.avif", "--write-metadata", "--sidecar", ".xmp")
    assert (code, out) == (0, "") and "into 0 images; 1 only into XMP sidecars" in err
    assert "error" not in err
    assert xmp.read_texts((tmp_path / "a.xmp").read_bytes()) == {"x-default": text}
    # With records it is in them.
    code, out, _ = caption("a.avif", "--write-metadata", "--json")
    (record,) = json.loads(out)
    assert record["caption"] == text and record["error"]["code"] == "metadata"


def test_xmp_sidecars_keep_develop_settings_whatever_the_policy(tmp_path: Path, caption) -> None:
    draw(1).save(tmp_path / "a.jpg")
    settings = described("", ' xmlns:crs="urn:crs" crs:Exposure2012="+1.20"')
    (tmp_path / "a.xmp").write_bytes(settings)
    for policy in ("append", "overwrite"):
        assert caption("a.jpg", "--sidecar", ".xmp", "--on-existing", policy)[0] == 0
        data = (tmp_path / "a.xmp").read_bytes()
        assert b'crs:Exposure2012="+1.20"' in data
        assert list(xmp.read_texts(data)) == ["x-default"]
    # By default a sidecar that has a description is left, and its image passed over.
    assert "0 captions" in caption("a.jpg", "--sidecar", ".xmp")[2]
    assert "1 change undone" in caption("--undo", "capgen-undo.jsonl")[2]
    assert (tmp_path / "a.xmp").read_bytes() == settings


def test_text_sidecars_take_a_separator_and_are_undone(tmp_path: Path, caption) -> None:
    draw(1).save(tmp_path / "a.jpg")
    draw(1).save(tmp_path / "b.jpg")
    (tmp_path / "a.txt").write_bytes(b"tag1, tag2\r\n")
    options = ("a.jpg", "b.jpg", "--sidecar", ".txt", "--on-existing", "append")
    assert caption(*options)[0] == 0
    text = (tmp_path / "b.txt").read_text().strip()
    assert (tmp_path / "a.txt").read_bytes() == f"tag1, tag2, {text}\r\n".encode()
    assert "2 changes undone" in caption("--undo", "capgen-undo.jsonl")[2]
    assert (tmp_path / "a.txt").read_bytes() == b"tag1, tag2\r\n"
    assert not (tmp_path / "b.txt").exists()
    assert caption(*options, "--separator", r"\n")[0] == 0
    assert (tmp_path / "a.txt").read_bytes() == f"tag1, tag2\r\n{text}\r\n".encode()


def test_the_alt_text_field(tmp_path: Path, caption) -> None:
    person(tmp_path / "a.jpg")
    code, out, _ = caption("a.jpg", "--write-metadata", "--metadata-field", "alt-text")
    assert (code, out) == (0, "")
    blocks = jpeg.blocks(jpeg.pieces((tmp_path / "a.jpg").read_bytes()))
    assert list(xmp.read_texts(blocks.xmp, xmp.ALT_TEXT)) == ["x-default"]
    assert xmp.read_texts(blocks.xmp) == {}


@pytest.mark.parametrize(
    "options", [("--on-description", "skip"), ("--metadata-field", "title")], ids=str
)
def test_wrong_values(caption, options: tuple[str, str]) -> None:
    code, _, err = caption("a.jpg", "--write-metadata", *options)
    assert code == 2 and "must be one of" in err


def test_the_next_run_removes_what_a_killed_one_left(tmp_path: Path, caption) -> None:
    draw(1).save(tmp_path / "a.jpg")
    (tmp_path / "a.txt").write_text("mine\n")
    left = tmp_path / ".a.jpg.0123456789ab.capgen.tmp"
    for options in (("--sidecar", ".txt"), ("--write-metadata",), ("-o", "x.csv")):
        left.write_bytes(b"half")
        assert caption("a.jpg", *options)[0] == 0
        assert not left.exists(), options
    left.write_bytes(b"half")
    assert caption("a.jpg")[0] == 0  # only looks
    assert left.exists()


@pytest.mark.parametrize("suffix", [".txt", ".xmp"])
def test_sidecars_that_stay_are_told(tmp_path: Path, caption, suffix: str) -> None:
    for name in ("a", "b", "c"):
        (tmp_path / f"{name}.jpg").write_bytes(encoded("JPEG"))
    texts = {f"{name}{suffix}": described("<dc:description>x</dc:description>") for name in "ab"}
    for name, text in texts.items():
        (tmp_path / name).write_bytes(text)
    _, _, err = caption("a.jpg", "b.jpg", "c.jpg", "--sidecar", suffix)
    assert "1 caption written to sidecars" in err
    assert "2 sidecars keep what is there: --on-existing update" in err
    assert f"(a{suffix}, b{suffix})" in err
    _, _, err = caption("a.jpg", "c.jpg", "--sidecar", suffix, "--on-existing", "append")
    assert "keep" not in err
    # The same where images are captioned nevertheless.
    assert "2 changes undone" in caption("--undo", "capgen-undo.jsonl")[2]
    _, _, err = caption("a.jpg", "b.jpg", "c.jpg", "--sidecar", suffix, "--json")
    assert "1 caption written to sidecars" in err and "2 sidecars keep what is there" in err
    assert {name: (tmp_path / name).read_bytes() for name in texts} == texts


def test_what_was_undone_before_is_not_counted_again(tmp_path: Path, caption) -> None:
    (tmp_path / "a.jpg").write_bytes(encoded("JPEG"))
    caption("a.jpg", "--write-metadata")
    assert "1 change undone" in caption("--undo", "capgen-undo.jsonl")[2]
    assert "nothing to undo" in caption("--undo", "capgen-undo.jsonl")[2]


def test_images_that_have_sidecars_are_counted(tmp_path: Path, caption) -> None:
    for name in ("a", "b", "c"):
        draw(1).save(tmp_path / f"{name}.jpg")
    assert caption("a.jpg", "b.jpg", "--sidecar", ".txt")[0] == 0
    code, _, err = caption("a.jpg", "b.jpg", "c.jpg", "--sidecar", ".txt")
    assert code == 0
    assert "1 caption written to sidecars" in err
    assert "2 sidecars keep what is there: --on-existing" in err


def test_undoing_twice_says_that_there_is_nothing_to_undo(tmp_path: Path, caption) -> None:
    draw(1).save(tmp_path / "a.jpg")
    before = (tmp_path / "a.jpg").read_bytes()
    assert caption("a.jpg", "--sidecar", ".txt", "--write-metadata")[0] == 0
    assert "2 changes undone" in caption("--undo", "capgen-undo.jsonl")[2]
    code, _, err = caption("--undo", "capgen-undo.jsonl")
    assert code == 0
    assert "nothing to undo: all 2 changes were undone before" in err
    assert (tmp_path / "a.jpg").read_bytes() == before


@pytest.mark.parametrize(
    ("options", "goes_on"),
    [
        (("-o", "out.jsonl"), "what is done is kept: run the same command again to go on"),
        (("-o", "out.csv", "--no-resume"), "without --no-resume the same command goes on"),
        (("--sidecar", ".txt"), "what is done is kept: run the same command again to go on"),
        (("--write-metadata", "--dry-run"), "images\n"),
        ((), "images\n"),
    ],
)
def test_an_interrupted_batch_says_what_was_done_and_how_to_go_on(
    options, goes_on, tmp_path: Path, caption, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = [f"{number}.png" for number in range(4)]
    for number, name in enumerate(names):
        draw(number).save(tmp_path / name)
    caption_all = many.caption_all

    def until_ctrl_c(*arguments):
        for number, event in enumerate(caption_all(*arguments)):
            if number == 2:
                raise KeyboardInterrupt
            yield event

    command = (*names, *options, "--batch-size", "1")
    with monkeypatch.context() as patch:
        patch.setattr(many, "caption_all", until_ctrl_c)
        code, _, err = caption(*command)
    assert code == 130
    (line,) = [line for line in err.splitlines(keepends=True) if line.startswith("note: stopped")]
    assert "stopped after 2 of 4 images" in line and goes_on in line
    if "--dry-run" not in options and options and "--no-resume" not in options:
        code, _, err = caption(*command)
        assert code == 0
        # Records are kept before they are shown, so there may be one more.
        kept = "[234] of them from an earlier run" if "-o" in options else "2 sidecars keep"
        assert re.search(kept, err)


@pytest.mark.parametrize("arguments", [("-o", "out.jsonl"), ("-o", "out/", "--shard", "1/2"), ()])
def test_a_run_that_is_interrupted_while_the_model_loads_says_so(
    arguments, tmp_path: Path, caption, monkeypatch: pytest.MonkeyPatch
) -> None:
    def pressed(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    for name in ("a.png", "b.png"):
        draw(1).save(tmp_path / name)
    monkeypatch.setattr(Captioner, "from_options", pressed)
    code, out, err = caption(".", *arguments)
    assert (code, out) == (130, "")
    told = "stopped after 0 images; what is done is kept: the same command goes on"
    assert err == f"note: {told if '--shard' in arguments else STOPPED}\n"


def test_secrets_in_addresses_stay_out_of_everything_and_a_run_still_resumes(
    tmp_path: Path, caption
) -> None:
    with serving(Served()) as served:
        names = [f"{number}.jpg?w=9&X-Amz-Signature=s3cret{number}" for number in range(2)]
        names.append("gone.jpg?sig=s3cret")
        served.files |= {name: encoded("JPEG", draw(i)) for i, name in enumerate(names[:2])}
        addresses = [f"{served.address}/{name}" for name in names]
        options = ("--allow-private-addresses", "--log-level", "debug", "--log-file", "log.txt")
        command = (*addresses, *options, "-o", "out.jsonl")
        code, out, err = caption(*command)
        assert code == 1 and "404" in err
        again, _, told = caption(*command)
        assert again == 1 and "2 records from an earlier run" in told
        shown = out + err + told
        # One address alone is printed without its path.
        one = caption(addresses[0], *options)
        assert one[0] == 0 and "\t" not in one[1] and "http" not in one[1]
    records = [json.loads(line) for line in (tmp_path / "out.jsonl").read_text().splitlines()]
    assert records[0]["path"] == f"{served.address}/0.jpg?w=9&X-Amz-Signature=***"
    for file in tmp_path.iterdir():
        assert b"s3cret" not in file.read_bytes(), file.name
    assert "s3cret" not in shown + "".join(one[1:])
