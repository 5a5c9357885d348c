from __future__ import annotations

import hashlib
import io
import threading
import zipfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from capgen.data.dataset import load_dataset, open_dataset
from capgen.data.download.catalog import DATASETS, DatasetSpec, Location
from capgen.data.download.install import install
from capgen.data.download.transfer import TransferOptions
from capgen.data.events import Event, Finished, Notice
from capgen.data.installed import installed, remove
from capgen.errors import DataError, NetworkError, UsageError
from tests.minis import make_images, write_coco_release, write_flickr8k, write_flickr30k_release
from tests.server import Served, serving

QUICK = TransferOptions(attempts=3, timeout=0.5, first_wait=0.01, longest_wait=0.05)
IMAGES = make_images(20)


def zipped(folder: Path, *, within: str = "") -> bytes:
    """Return a zip of a folder's files."""
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w") as archive:
        for path in sorted(folder.rglob("*")):
            if path.is_file():
                archive.write(path, within + path.relative_to(folder).as_posix())
    return data.getvalue()


@pytest.fixture
def release(tmp_path: Path) -> dict[str, bytes]:
    """The two official zips of a miniature: images in their folder, texts without one."""
    root = write_flickr8k(tmp_path / "source", IMAGES)
    return {
        "Flickr8k_Dataset.zip": zipped(root / "Flicker8k_Dataset", within="Flicker8k_Dataset/"),
        "Flickr8k_text.zip": zipped(root / "Flickr8k_text"),
    }


@pytest.fixture
def server(release: dict[str, bytes]) -> Iterator[Served]:
    with serving(Served(files=dict(release))) as served:
        yield served


def spec_for(server: Served, **locations: tuple[Location, ...]) -> DatasetSpec:
    """Flickr8k's entry with its files at the test server, checksums binding."""
    spec = DATASETS["flickr8k"]
    files = tuple(
        replace(
            file,
            size=1,
            locations=locations.get(file.name.partition(".")[0])
            or (
                Location(
                    url=f"{server.address}/{file.name}",
                    checksum=f"sha256:{hashlib.sha256(server.files[file.name]).hexdigest()}",
                ),
            ),
        )
        for file in spec.files
    )
    counts = {"train": 12, "val": 4, "test": 4}
    return replace(spec, files=files, images=20, captions=100, splits=counts)


def run(**options: object) -> list[Event]:
    return list(install("flickr8k", options=QUICK, **options))  # type: ignore[arg-type]


def notices(events: list[Event]) -> str:
    return "\n".join(event.message for event in events if isinstance(event, Notice))


def store_content(home: Path) -> list[str]:
    return sorted(path.name for path in (home / "datasets").iterdir())


def test_install_from_the_source(server: Served, home: Path, tmp_path: Path):
    spec = spec_for(server)
    finished = run(spec=spec)[-1]
    assert isinstance(finished, Finished)
    assert (finished.images, finished.captions, finished.already) == (20, 100, False)
    assert finished.splits == {"train": 12, "val": 4, "test": 4}
    dataset = open_dataset("flickr8k", None)
    assert dataset.digest == load_dataset(tmp_path / "source").digest
    assert dataset.licence and dataset.terms
    assert installed() == ["flickr8k"]
    requests = len(server.requests)
    again = run(spec=spec)
    assert [event.already for event in again if isinstance(event, Finished)] == [True]
    assert len(server.requests) == requests  # offline after the first time
    remove("flickr8k")
    assert installed() == []


def test_mirror_that_publishes_no_checksums(server: Served, home: Path):
    events = run(mirrors=[server.address])
    assert isinstance(events[-1], Finished)
    assert "is not the official release" in notices(events)
    assert "20 of 8,091 images" in notices(events)


def test_mirror_with_zips_packed_otherwise(server: Served, tmp_path: Path):
    root = tmp_path / "source"
    server.files["Flickr8k_Dataset.zip"] = zipped(root / "Flicker8k_Dataset")
    server.files["Flickr8k_text.zip"] = zipped(root / "Flickr8k_text", within="Flickr8k_text/")
    run(mirrors=[server.address])
    assert open_dataset("flickr8k", None).digest == load_dataset(root).digest


def test_second_mirror_after_the_first_fails(server: Served):
    events = run(mirrors=[f"{server.address}/nothing-here", server.address])
    assert isinstance(events[-1], Finished)
    assert "404 Not Found; trying the next source" in notices(events)


def test_mirror_with_checksums(server: Served, release: dict[str, bytes], monkeypatch):
    sums = {name: hashlib.sha256(data).hexdigest() for name, data in release.items()}
    text = "".join(f"{digest}  {name}\n" for name, digest in sums.items())
    server.files["mirror/SHA256SUMS"] = text.encode()
    for name, data in release.items():
        server.files[f"mirror/{name}"] = data
    monkeypatch.setenv("CAPGEN_MIRROR", f"{server.address}/mirror/")
    events = run()
    assert isinstance(events[-1], Finished)
    assert "not the official release" not in notices(events)
    remove("flickr8k")
    server.files["mirror/SHA256SUMS"] = text.replace(sums["Flickr8k_text.zip"], "0" * 64).encode()
    with pytest.raises(DataError, match=r"Flickr8k_text\.zip from .* has sha256:\w+, not sha256:0"):
        run()


def test_wrong_checksum(server: Served, home: Path):
    spec = spec_for(server)
    data = bytearray(server.files["Flickr8k_Dataset.zip"])
    data[len(data) // 2] ^= 1
    server.files["Flickr8k_Dataset.zip"] = bytes(data)
    with pytest.raises(DataError, match=r"has sha256:\w+, not sha256:"):
        run(spec=spec)
    assert len(server.gets("Flickr8k_Dataset.zip")) == 2  # once more, then it is an error
    assert not (home / "datasets" / "flickr8k").exists()
    downloads = home / "datasets" / ".downloads" / "flickr8k"
    assert not list(downloads.glob("Flickr8k_Dataset*"))


def test_next_place_after_404_and_wrong_checksum(server: Served):
    good = hashlib.sha256(server.files["Flickr8k_Dataset.zip"]).hexdigest()
    server.files["wrong.zip"] = b"something else"
    places = (
        Location(url=f"{server.address}/gone.zip", checksum=f"sha256:{good}"),
        Location(url=f"{server.address}/wrong.zip", checksum=f"sha256:{good}"),
        Location(url=f"{server.address}/Flickr8k_Dataset.zip", checksum=f"sha256:{good}"),
    )
    events = run(spec=spec_for(server, Flickr8k_Dataset=places))
    assert isinstance(events[-1], Finished)
    assert "404" in notices(events)
    assert "not sha256:" in notices(events)


def test_truncated_file_at_a_mirror(server: Served, home: Path):
    server.files["Flickr8k_Dataset.zip"] = server.files["Flickr8k_Dataset.zip"][:-500]
    with pytest.raises(DataError, match="neither a zip nor a tar archive"):
        run(mirrors=[server.address])
    assert store_content(home) == [".downloads", ".flickr8k.lock"]


def test_damaged_member_at_a_mirror(server: Served, home: Path, release: dict[str, bytes]):
    data = bytearray(release["Flickr8k_Dataset.zip"])
    data[len(data) // 2] ^= 1
    server.files["Flickr8k_Dataset.zip"] = bytes(data)
    with pytest.raises(DataError, match="is damaged"):
        run(mirrors=[server.address])
    assert not (home / "datasets" / "flickr8k").exists()
    server.files["Flickr8k_Dataset.zip"] = release["Flickr8k_Dataset.zip"]
    assert isinstance(run(mirrors=[server.address])[-1], Finished)


def test_incomplete_release_at_its_source(server: Served, home: Path):
    spec = replace(spec_for(server), images=21)
    with pytest.raises(DataError, match="not complete: 20 of 21 images"):
        run(spec=spec)
    assert not (home / "datasets" / "flickr8k").exists()


def test_no_network(home: Path):
    with pytest.raises(NetworkError, match="cannot reach the server"):
        run(mirrors=["http://127.0.0.1:9"])
    assert not (home / "datasets" / "flickr8k").exists()


def test_unknown_name_and_terms(server: Served):
    with pytest.raises(UsageError, match="Unknown data set 'flikr8k'"):
        list(install("flikr8k"))
    with pytest.raises(UsageError, match="accept its terms") as caught:
        list(install("flickr30k", mirrors=[server.address]))
    assert "--accept-terms" in caught.value.hint
    assert server.requests == []


def test_folder_in_the_way(server: Served, home: Path):
    (home / "datasets" / "flickr8k").mkdir(parents=True)
    with pytest.raises(DataError, match="is in the way"):
        run(mirrors=[server.address])


def test_closing_the_generator_stops_and_the_next_run_goes_on(server: Served, home: Path):
    server.rate = 20_000
    events = install("flickr8k", mirrors=[server.address], options=QUICK)
    done = 0
    for event in events:
        if getattr(event, "item", "") == "Flickr8k_Dataset.zip":
            done = event.done  # type: ignore[union-attr]
            if done > 5000:
                break
    events.close()  # type: ignore[attr-defined]
    threads = [thread.name for thread in threading.enumerate() if "_work" in thread.name]
    assert threads == []
    server.rate = None
    assert isinstance(run(mirrors=[server.address])[-1], Finished)
    ranges = server.gets("Flickr8k_Dataset.zip")
    assert ranges[0] is None
    assert ranges[1] is not None
    assert int(ranges[1].removeprefix("bytes=").rstrip("-")) >= done


def test_two_at_once_download_once(server: Served):
    server.rate = 200_000
    results: list[list[Event]] = []

    def work() -> None:
        results.append(run(mirrors=[server.address]))

    threads = [threading.Thread(target=work) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    finished = [events[-1] for events in results]
    assert sorted(event.already for event in finished if isinstance(event, Finished)) == [
        False,
        True,
    ]
    assert len(server.gets("Flickr8k_Dataset.zip")) == 1
    assert "Another process is downloading flickr8k" in "".join(map(notices, results))


def test_coco_release_with_karpathy_splits(tmp_path: Path):
    root = write_coco_release(tmp_path / "coco", IMAGES)
    files = {
        "train2014.zip": zipped(root / "train2014", within="train2014/"),
        "val2014.zip": zipped(root / "val2014", within="val2014/"),
        "annotations_trainval2014.zip": zipped(root / "annotations", within="annotations/"),
        "caption_datasets.zip": zipped(root / "karpathy"),
    }
    with serving(Served(files=files)) as server:
        finished = list(install("coco", mirrors=[server.address], options=QUICK))[-1]
    assert isinstance(finished, Finished)
    assert (finished.images, finished.captions) == (20, 100)
    # Half of the val2014 images that Karpathy calls restval count as train.
    assert finished.splits == {"train": 14, "val": 3, "test": 3}
    by_name = {e.image_id: e for e in open_dataset("coco", None).examples}
    for image in IMAGES:
        found = [e for name, e in by_name.items() if name.endswith(image.name)]
        assert [e.references for e in found] == [image.captions]


def test_flickr30k_from_the_hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    root = write_flickr30k_release(tmp_path / "f30k", IMAGES)
    images = zipped(root / "flickr30k-images", within="flickr30k-images/")
    table = (root / "flickr_annotations_30k.csv").read_bytes()
    base = "datasets/nlphuji/flickr30k/resolve/main"
    digest = hashlib.sha256(images).hexdigest()
    served = Served(
        files={"cdn/images": images, f"{base}/flickr_annotations_30k.csv": table},
        redirects={f"{base}/flickr30k-images.zip": "cdn/images"},
        headers={f"{base}/flickr30k-images.zip": {"X-Linked-Etag": f'"{digest}"'}},
    )
    with serving(served) as server:
        monkeypatch.setenv("HF_ENDPOINT", f"{server.address}/")
        events = install("flickr30k", accept_terms=True, options=QUICK)
        finished = list(events)[-1]
        assert isinstance(finished, Finished)
        assert finished.splits == {"train": 12, "val": 4, "test": 4}
        remove("flickr30k")
        server.files["cdn/images"] = images[:-1] + b"?"
        with pytest.raises(DataError, match=rf"not sha256:{digest}"):
            list(install("flickr30k", accept_terms=True, options=QUICK))


def test_hub_offline_and_gone(monkeypatch: pytest.MonkeyPatch):
    with serving(Served()) as server:
        monkeypatch.setenv("HF_ENDPOINT", server.address)
        with pytest.raises(NetworkError, match="404 Not Found"):
            list(install("flickr30k", accept_terms=True, options=QUICK))
        monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
        with pytest.raises(NetworkError, match="HF_HUB_OFFLINE is set"):
            list(install("flickr30k", accept_terms=True, options=QUICK))
