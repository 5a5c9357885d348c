"""Data sets: read in any format, downloaded, imported, checked, split, mixed.

    from capgen.data import load_dataset

    dataset = load_dataset("flickr8k")  # or a folder
    print(len(dataset.split("train")))

formats   one reader for each layout
download  known data sets, fetched and unpacked
checks    what would spoil training, and how to mend it
cache     decoded images and what else is kept between runs
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from capgen.lazy_names import lazy_names

if TYPE_CHECKING:
    from capgen.data.checks.check import Diagnosis, diagnose
    from capgen.data.checks.fix import write_fixed
    from capgen.data.dataset import Dataset, load_dataset
    from capgen.data.download.install import install
    from capgen.data.formats.reading import ReadOptions
    from capgen.data.import_set import import_dataset
    from capgen.data.mixture import Mixture, open_mixture
    from capgen.data.splits import SplitOptions
    from capgen.data.statistics import DatasetStatistics, describe
else:
    __getattr__, __dir__ = lazy_names(
        __name__,
        {
            "capgen.data.checks.check": ("Diagnosis", "diagnose"),
            "capgen.data.checks.fix": ("write_fixed",),
            "capgen.data.dataset": ("Dataset", "load_dataset"),
            "capgen.data.download.install": ("install",),
            "capgen.data.formats.reading": ("ReadOptions",),
            "capgen.data.import_set": ("import_dataset",),
            "capgen.data.mixture": ("Mixture", "open_mixture"),
            "capgen.data.splits": ("SplitOptions",),
            "capgen.data.statistics": ("DatasetStatistics", "describe"),
        },
    )

__all__ = [
    "Dataset",
    "DatasetStatistics",
    "Diagnosis",
    "Mixture",
    "ReadOptions",
    "SplitOptions",
    "describe",
    "diagnose",
    "import_dataset",
    "install",
    "load_dataset",
    "open_mixture",
    "write_fixed",
]
