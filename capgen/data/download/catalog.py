"""The data sets that capgen can download: their sources, checksums and terms."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Location:
    """One source of a file.

    Attributes:
        url: Address; `hub://datasets/OWNER/NAME/FILE` for a file on the Hugging Face Hub.
        checksum: `md5:HEX` or `sha256:HEX`, or an empty string if none is known.
    """

    url: str
    checksum: str = ""


@dataclass(frozen=True, kw_only=True)
class RemoteFile:
    """One file of a data set.

    Attributes:
        name: Its name on disk and at mirrors.
        locations: Where to get it, in order of preference.
        size: Rough size in bytes, to check the disk space.
        unpack_to: Folder that an archive is unpacked into, or None if it is not an archive.
        members: Patterns of the archive members to keep; empty keeps all.
    """

    name: str
    locations: tuple[Location, ...]
    size: int
    unpack_to: str | None = None
    members: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class DatasetSpec:
    """A data set that can be downloaded.

    Attributes:
        title: Name for people.
        files: What to download.
        images: Number of images with captions in the official release.
        splits: Images per split in the official release.
        captions: Number of captions, or None if the releases differ.
        licence: Licence or state of rights in a few words.
        terms: What the source asks of users.
        must_accept: Whether the terms must be accepted before a download.
        homepage: Where to read more.
        citation: What to cite.
        language: The captions' language as in BCP 47: `en`, `pt-BR`.
    """

    title: str
    files: tuple[RemoteFile, ...]
    images: int
    splits: dict[str, int]
    captions: int | None
    licence: str
    terms: str
    must_accept: bool
    homepage: str
    citation: str
    language: str = "en"


_FLICKR_TERMS = (
    "For non-commercial research and education only. The images belong to their photographers"
    " on Flickr; do not redistribute them."
)
_COCO_TERMS = (
    "Captions: Creative Commons Attribution 4.0. The images are under their Flickr licences"
    " and Flickr's terms of use; check whether they allow your use."
)
_RELEASE = "https://github.com/jbrownlee/Datasets/releases/download/Flickr8k/"
_UIUC = "http://nlp.cs.illinois.edu/HockenmaierGroup/Framing_Image_Description/"
_COCO = "http://images.cocodataset.org/"
_HUB = "hub://datasets/nlphuji/flickr30k/"
_REPACKED = "https://github.com/awsaf49/flickr-dataset/releases/download/v1.0/flickr8k.zip"
_KARPATHY = "https://cs.stanford.edu/people/karpathy/deepimagesent/caption_datasets.zip"
_COCO_CITATION = "Chen et al., Microsoft COCO Captions, arXiv:1504.00325, 2015"


def _file(
    name: str,
    size: int,
    unpack_to: str | None,
    *urls: str,
    md5: str = "",
    repacked: str = "",
    members: str = "",
) -> RemoteFile:
    """Return a file that all of `urls` have; `repacked` is an archive of the same files."""
    checksum = f"md5:{md5}" if md5 else ""
    locations = [Location(url=url, checksum=checksum) for url in urls]
    return RemoteFile(
        name=name,
        locations=(*locations, Location(url=repacked)) if repacked else tuple(locations),
        size=size,
        unpack_to=unpack_to,
        members=tuple(members.split()),
    )


def _coco(path: str, size: int, md5: str, members: str = "") -> RemoteFile:
    return _file(path.rpartition("/")[2], size, ".", _COCO + path, md5=md5, members=members)


DATASETS: dict[str, DatasetSpec] = {
    "flickr8k": DatasetSpec(
        title="Flickr8k",
        files=(
            _file(
                "Flickr8k_Dataset.zip",
                1_115_419_746,
                ".",
                _RELEASE + "Flickr8k_Dataset.zip",
                _UIUC + "Flickr8k_Dataset.zip",
                md5="f18a1e2920de5bd84dae7cf08ec78978",
                repacked=_REPACKED,
            ),
            _file(
                "Flickr8k_text.zip",
                2_340_801,
                "Flickr8k_text",
                _RELEASE + "Flickr8k_text.zip",
                _UIUC + "Flickr8k_text.zip",
                md5="bf6c1abcb8e4a833b7f922104de18627",
            ),
        ),
        images=8091,
        splits={"train": 6000, "val": 1000, "test": 1000, "none": 91},
        captions=40455,
        licence="research use; images belong to their photographers",
        terms=_FLICKR_TERMS,
        must_accept=False,
        homepage="https://hockenmaier.cs.illinois.edu/8k-pictures.html",
        citation=(
            "Hodosh, Young and Hockenmaier, Framing Image Description as a Ranking Task, JAIR 2013"
        ),
    ),
    "flickr30k": DatasetSpec(
        title="Flickr30k",
        files=(
            _file("flickr30k-images.zip", 4_440_000_000, ".", _HUB + "flickr30k-images.zip"),
            _file(
                "flickr_annotations_30k.csv", 15_000_000, None, _HUB + "flickr_annotations_30k.csv"
            ),
        ),
        images=31014,
        splits={"train": 29000, "val": 1014, "test": 1000},
        captions=155070,
        licence="research use; images belong to their photographers",
        terms=_FLICKR_TERMS,
        must_accept=True,
        homepage="https://shannon.cs.illinois.edu/DenotationGraph/",
        citation="Young et al., From image descriptions to visual denotations, TACL 2014",
    ),
    "coco": DatasetSpec(
        title="COCO captions 2014, Karpathy splits",
        files=(
            _coco("zips/train2014.zip", 13_510_573_713, "0da8c0bd3d6becc4dcb32757491aca88"),
            _coco("zips/val2014.zip", 6_645_013_297, "a3d79f5ed8d289b7a7554ce06a5782b3"),
            _coco(
                "annotations/annotations_trainval2014.zip",
                252_872_794,
                "0a379cfc70b0e71301e0f377548639bd",
                "annotations/captions_*.json",
            ),
            _file(
                "caption_datasets.zip",
                36_745_453,
                ".",
                _KARPATHY,
                members="dataset_coco.json */dataset_coco.json",
            ),
        ),
        images=123287,
        splits={"train": 113287, "val": 5000, "test": 5000},
        captions=None,
        licence="captions CC BY 4.0; images under their Flickr licences",
        terms=_COCO_TERMS,
        must_accept=False,
        homepage="https://cocodataset.org",
        citation=_COCO_CITATION
        + "; splits: Karpathy and Fei-Fei, Deep Visual-Semantic Alignments, CVPR 2015",
    ),
    "coco2017": DatasetSpec(
        title="COCO captions 2017",
        files=(
            _coco("zips/train2017.zip", 19_336_861_798, "cced6f7f71b7629ddf16f17bbcfab6b2"),
            _coco("zips/val2017.zip", 815_585_330, "442b8da7639aecaf257c1dceb8ba8c80"),
            _coco(
                "annotations/annotations_trainval2017.zip",
                252_907_541,
                "f4bbac642086de4f52a3fdda2de5fa2c",
                "annotations/captions_*.json",
            ),
        ),
        images=123287,
        splits={"train": 118287, "val": 5000},
        captions=None,
        licence="captions CC BY 4.0; images under their Flickr licences",
        terms=_COCO_TERMS,
        must_accept=False,
        homepage="https://cocodataset.org",
        citation=_COCO_CITATION,
    ),
}
