"""Captions a folder for another command, as `capgen caption FOLDER -o FILE --scores` does."""

from __future__ import annotations

from functools import partial
from pathlib import Path

from capgen.captioning.batch.inputs import Inputs
from capgen.captioning.batch.journal import journal_path
from capgen.captioning.batch.sources import FailedSource
from capgen.captioning.runtimes.cores import lanes_and_threads
from capgen.cli.caption.loading import load_captioner
from capgen.cli.caption.many import BatchJob, run_batch
from capgen.cli.caption.options import Results, Run
from capgen.cli.console import Console
from capgen.config import DecodeOptions, ImageLimits, InputOptions, ModelOptions
from capgen.errors import DataError, UsageError
from capgen.output.files import targets_of
from capgen.overwriting import (
    OWN_JOURNAL,
    TEXT_OR_DATA,
    InputFiles,
    Output,
    check_outputs,
)
from capgen.paths import check_place


def caption_folder(
    console: Console,
    folder: Path,
    output: Path,
    model: ModelOptions,
    options: InputOptions,
    limits: ImageLimits,
) -> None:
    """Caption the images of a folder that `output` does not have yet.

    Raises:
        DataError: The folder has no images.
        UsageError: The output is no file of records, or would replace something else.
    """
    [target] = targets_of([output], None)
    if not target.kind.holds_records:
        raise UsageError(f"-o {output}: records are .jsonl or .json files")
    check_place(output)
    inputs = Inputs([str(folder)], options, limits=limits)
    for source in inputs:
        if isinstance(source, FailedSource):
            raise DataError(source.error.message, hint=source.error.hint)
    outputs = [
        Output("-o", output, TEXT_OR_DATA),
        Output("the journal of -o,", journal_path(output), OWN_JOURNAL),
    ]
    check_outputs(outputs, InputFiles(inputs.files()))
    results = Results(outputs=(str(output),), scores=True)
    job = BatchJob(
        inputs=inputs,
        decoding=DecodeOptions(confidence=True),
        run=Run(fail_on="none"),
        limits=limits,
        results=results,
        targets=(target,),
        format="",
        sidecars=None,
        alone=None,
    )
    lanes, threads = lanes_and_threads(inputs.total, job.run.batch_size)
    load = partial(load_captioner, model, results, threads=threads)
    run_batch(console, load, job, lanes)
