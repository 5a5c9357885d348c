"""Install a known data set: fetch, check, unpack, read, move into place.

The data set's folder appears only when it is complete. After a killed run, the next one
resumes its downloads and deletes its half-unpacked folders.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import capgen.data.installed as stores
from capgen import paths
from capgen.data.dataset import Dataset, finished, load_dataset
from capgen.data.download.catalog import DATASETS, DatasetSpec, RemoteFile
from capgen.data.download.fetch import Fetched, Job, fetch_all
from capgen.data.download.mirrors import chosen_mirrors, is_official, offers, size_of
from capgen.data.download.transfer import TransferOptions, arrived
from capgen.data.download.unpack import check_space, unpack
from capgen.data.events import Event, Notice, Progress
from capgen.data.formats import manifest
from capgen.data.staging import staged
from capgen.errors import DataError, UsageError, did_you_mean
from capgen.locks import Lock


def install(
    name: str,
    *,
    store: Path | None = None,
    mirrors: Sequence[str] = (),
    accept_terms: bool = False,
    keep_archives: bool = False,
    options: TransferOptions | None = None,
    spec: DatasetSpec | None = None,
) -> Iterator[Event]:
    """Download and install a known data set, unless it is installed already.

    Args:
        name: Key of `DATASETS`.
        store: Folder of the installed data sets.
        mirrors: Addresses of folders with the release's files, used instead of the sources, in
            this order; by default those in the variable CAPGEN_MIRROR.
        accept_terms: The user accepts the source's terms.
        keep_archives: Keep the downloaded files.
        options: How patient to be with servers.
        spec: Where the data set comes from, if not from `DATASETS`.

    Yields:
        Progress and notices, and finally a `Finished`.

    Raises:
        UsageError: The data set is unknown, or its terms were not accepted.
        NetworkError: No source can be reached.
        DataError: The download is damaged or not the data set.
        StorageError: There is no room for it.
    """
    if spec is None and name not in DATASETS:
        raise UsageError(f"Unknown data set {name!r}", hint=did_you_mean(name, DATASETS))
    spec = spec or DATASETS[name]
    place = stores.dataset_dir(name, store)
    if manifest.manifest_file(place):
        yield finished(load_dataset(place), already=True)
        return
    if spec.must_accept and not accept_terms:
        raise UsageError(
            f"{spec.title} asks its users to accept its terms: {spec.terms}",
            hint=f"Read {spec.homepage}, then run the command again with --accept-terms.",
        )
    lock = Lock(place.with_name(f".{name}.lock"), f"downloading {name}")
    for message in lock.wait():
        yield Notice(message=message)
    with lock.held():
        if manifest.manifest_file(place):  # installed by the process that had the lock
            yield finished(load_dataset(place), already=True)
            return
        if place.exists():
            raise DataError(
                f"{place} is in the way: it is not a capgen data set",
                hint="Move it away; `capgen data import` imports data of your own.",
            )
        downloads = place.with_name(".downloads") / name
        yield from _install(spec, place, downloads, mirrors, options or TransferOptions())
        if not keep_archives:
            shutil.rmtree(downloads, ignore_errors=True)


def _install(
    spec: DatasetSpec,
    place: Path,
    downloads: Path,
    mirrors: Sequence[str],
    options: TransferOptions,
) -> Iterator[Event]:
    mirrors = chosen_mirrors(mirrors)
    official = is_official(spec.files, mirrors)
    jobs = [
        Job(path=path, offers=offers(file, mirrors, timeout=options.timeout))
        for file in spec.files
        if not (path := downloads / file.name).exists()
    ]
    _check_room(spec, jobs, downloads, official=official, timeout=options.timeout)
    for event in fetch_all(jobs, options):
        if isinstance(event, Fetched):  # its checksum is kept for runs that find it there
            paths.write_text(event.path.with_name(f"{event.path.name}.checksum"), event.checksum)
        else:
            yield event
    with staged(place, "unpacking") as unpacked:
        for file in spec.files:
            yield from _unpack(file, downloads, unpacked)
        dataset = load_dataset(unpacked)
        problem = _differences(spec, dataset)
        if problem and official:
            hint = f"See {spec.homepage}."
            raise DataError(f"{place.name} is not complete: {problem}", hint=hint)
        if problem:
            message = f"{place.name} from the mirror is not the whole release: {problem}"
            yield Notice(message=message)
        header = manifest.Header(
            name=place.name,
            source=spec.homepage,
            format=dataset.format,
            split_source=dataset.split_source,
            licence=spec.licence,
            terms=spec.terms,
            citation=spec.citation,
            checksums=_checksums(downloads, spec),
            language=spec.language,
        )
        manifest.write(unpacked / manifest.FILE_NAME, header, dataset.examples)
    yield finished(replace(dataset, name=place.name, root=place))


def _check_room(
    spec: DatasetSpec, jobs: Sequence[Job], downloads: Path, *, official: bool, timeout: float
) -> None:
    """Check that there is room for the files still to be fetched, and all files unpacked."""
    to_fetch = to_unpack = 0
    rough = {file.name: file.size if official else 0 for file in spec.files}
    fetched = {job.path.name for job in jobs}
    for job in jobs:
        size = size_of(job.offers[0], timeout=timeout) or rough[job.path.name]
        to_fetch += max(0, size - arrived(job.path))
        to_unpack += size
    to_unpack += sum(
        (downloads / file.name).stat().st_size for file in spec.files if file.name not in fetched
    )
    check_space(downloads, to_fetch + to_unpack, "download and unpack it")


def _unpack(file: RemoteFile, downloads: Path, unpacked: Path) -> Iterator[Event]:
    archive = downloads / file.name
    if file.unpack_to is None:
        with paths.storage_errors(unpacked):
            shutil.copyfile(archive, unpacked / file.name)
        return
    try:
        for done, total in unpack(archive, unpacked / file.unpack_to, patterns=file.members):
            yield Progress(task="unpack", item=file.name, done=done, total=total, unit="files")
    except DataError:
        # So that the next run fetches it again.
        archive.unlink(missing_ok=True)
        raise


def _differences(spec: DatasetSpec, dataset: Dataset) -> str:
    differences = []
    if len(dataset.examples) != spec.images:
        differences.append(f"{len(dataset.examples):,} of {spec.images:,} images")
    if dataset.counts != spec.splits:
        differences.append(f"splits {dataset.counts}, not {spec.splits}")
    if spec.captions not in (None, dataset.captions):
        differences.append(f"{dataset.captions:,} of {spec.captions:,} captions")
    return "; ".join(differences)


def _checksums(downloads: Path, spec: DatasetSpec) -> dict[str, str]:
    notes = {file.name: downloads / f"{file.name}.checksum" for file in spec.files}
    return {name: note.read_text(encoding="utf-8") for name, note in notes.items() if note.exists()}
