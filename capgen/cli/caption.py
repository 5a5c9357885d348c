"""`capgen caption`: parses, calls the captioner, prints."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import chain
from pathlib import Path
from typing import Annotated

import typer

from capgen.cli.console import Console
from capgen.cli.options import (
    DECODING_PANEL,
    INPUT_PANEL,
    MODEL_PANEL,
    DeviceOption,
    DtypeOption,
    JsonOption,
    ModelOption,
    OutputOption,
    RevisionOption,
    RuntimeOption,
    setting_option,
)
from capgen.config import DecodeOptions, ImageLimits
from capgen.output.records import check_output, write_records
from capgen.records import Caption, CaptionFailure

Record = Caption | CaptionFailure

EXAMPLES = """Examples:

capgen caption photo.jpg

capgen caption photo.jpg --beams 5 --num-captions 3

capgen caption photo.jpg --temperature 0.8 --top-p 0.9 --seed 1

capgen caption holiday/ -o captions.json

capgen caption *.jpg --model USER/NAME --device cuda"""


def _decoding(name: str, *short: str) -> object:
    return setting_option(DecodeOptions, name, *short, panel=DECODING_PANEL)


def caption_command(
    photos: Annotated[
        list[Path],
        typer.Argument(
            help="Pictures, or folders of pictures.",
            metavar="PHOTO",
            show_default=False,
            readable=False,  # checked where pictures are read: the others are still captioned
        ),
    ],
    model: ModelOption = None,
    revision: RevisionOption = None,
    runtime: RuntimeOption = "auto",
    device: DeviceOption = "auto",
    dtype: DtypeOption = "auto",
    beams: Annotated[int | None, _decoding("beams", "-b")] = None,
    temperature: Annotated[float | None, _decoding("temperature", "-t")] = None,
    top_k: Annotated[int | None, _decoding("top_k")] = None,
    top_p: Annotated[float | None, _decoding("top_p")] = None,
    max_length: Annotated[int | None, _decoding("max_length")] = None,
    min_length: Annotated[int | None, _decoding("min_length")] = None,
    length_penalty: Annotated[float | None, _decoding("length_penalty")] = None,
    repetition_penalty: Annotated[float | None, _decoding("repetition_penalty")] = None,
    no_repeat_ngram_size: Annotated[int | None, _decoding("no_repeat_ngram_size")] = None,
    num_captions: Annotated[int | None, _decoding("num_captions", "-n")] = None,
    seed: Annotated[int | None, _decoding("seed")] = None,
    output: OutputOption = None,
    as_json: JsonOption = False,
    recursive: Annotated[
        bool,
        typer.Option(
            "--recursive", "-r", help="Look into subfolders.", rich_help_panel=INPUT_PANEL
        ),
    ] = False,
    max_pixels: Annotated[
        int, setting_option(ImageLimits, "max_pixels", panel=INPUT_PANEL)
    ] = ImageLimits.max_pixels,
    max_bytes: Annotated[
        int, setting_option(ImageLimits, "max_bytes", panel=INPUT_PANEL)
    ] = ImageLimits.max_bytes,
    batch_size: Annotated[
        int,
        typer.Option(help="Pictures the model sees at once.", rich_help_panel=MODEL_PANEL, min=1),
    ] = 16,
) -> None:
    """Say what is in pictures.

    One picture prints its caption; several print their path, a tab and the caption.

    Where no option is given, the model's own defaults apply.
    """
    options = DecodeOptions(
        beams=beams,
        temperature=temperature,
        top_k=top_k,
        top_p=top_p,
        max_length=max_length,
        min_length=min_length,
        length_penalty=length_penalty,
        repetition_penalty=repetition_penalty,
        no_repeat_ngram_size=no_repeat_ngram_size,
        num_captions=num_captions,
        seed=seed,
    )
    limits = ImageLimits(max_pixels=max_pixels, max_bytes=max_bytes)
    console = Console()
    if output is not None:
        check_output(output)

    from capgen.inference.captioner import Captioner
    from capgen.inference.folders import expand

    pictures, failures = expand(photos, recursive=recursive)
    captioner = Captioner.from_pretrained(
        model, revision=revision, runtime=runtime, device=device, dtype=dtype
    )
    stream = captioner.stream(pictures, options, batch_size=batch_size, limits=limits)
    total = len(failures) + len(pictures)
    watch = Watch(console, total)
    records = watch.over(chain(failures, stream))
    if output is not None:
        write_records(output, records)
        console.note(f"{total - watch.failed} captions written to {output}")
    elif as_json:
        console.json([record.to_dict() for record in records])
    else:
        single = len(photos) == 1 and pictures == photos
        for record in records:
            _print_caption(console, record, with_path=not single)
    if watch.failed:
        raise typer.Exit(1)


class Watch:
    """Passes records on; shows progress, and reports failures and notes as they come."""

    def __init__(self, console: Console, total: int) -> None:
        self._console = console
        self._total = total
        self._noted: set[str] = set()
        self.failed = 0

    def over(self, records: Iterable[Record]) -> Iterator[Record]:
        """Yield the records."""
        with self._console.progress("captioning", self._total) as advance:
            for record in records:
                self._report(record)
                advance()
                yield record

    def _report(self, record: Record) -> None:
        if isinstance(record, CaptionFailure):
            self.failed += 1
            self._console.error(record.message, record.hint)
            return
        for note in record.notes:
            if note not in self._noted:
                self._noted.add(note)
                self._console.note(note)


def _print_caption(console: Console, record: Record, *, with_path: bool) -> None:
    if isinstance(record, CaptionFailure):
        return
    for caption in (record, *record.alternatives):
        console.data(f"{record.path}\t{caption.text}" if with_path else caption.text)
