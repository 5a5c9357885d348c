"""An HTML page of random samples, in one file that needs nothing else."""

from __future__ import annotations

import base64
import html
import io
import random
from pathlib import Path

from PIL import Image

from capgen.data.dataset import Dataset
from capgen.errors import ImageError
from capgen.images.load import load_image
from capgen.overwriting import WEB_PAGE, check_output
from capgen.paths import write_text
from capgen.records import Example

_SIDE = 320
_STYLE = """
body { font: 15px/1.4 system-ui, sans-serif; margin: 2rem; color: #222; background: #fafafa; }
main { display: grid; gap: 1.5rem; grid-template-columns: repeat(auto-fill, minmax(20rem, 1fr)); }
figure { margin: 0; padding: 1rem; background: #fff; border: 1px solid #ddd; border-radius: 6px; }
img { display: block; max-width: 100%; margin-bottom: .5rem; }
figcaption { overflow-wrap: anywhere; }
ol { margin: .3rem 0 0; padding-left: 1.4rem; }
.split { background: #e4ecf7; border-radius: 3px; padding: 0 .4em; }
.fault { color: #a00; }
"""


def write_preview(
    dataset: Dataset, path: Path, *, samples: int = 24, seed: int = 0, split: str | None = None
) -> list[Example]:
    """Write a page with random images and their captions.

    Args:
        dataset: The data set.
        path: The HTML file to write.
        samples: How many images.
        seed: Seed of the choice.
        split: Choose from this split only.

    Returns:
        The images that were chosen.

    Raises:
        DataError: The split is empty.
        ProtectedFileError: There is a file that is not a web page.
        StorageError: The file cannot be written.
    """
    check_output(path, WEB_PAGE)
    pool = dataset.examples if split is None else dataset.split(split)
    chosen = random.Random(seed).sample(pool, min(samples, len(pool)))
    figures = "\n".join(_figure(example) for example in chosen)
    name = html.escape(dataset.name)
    write_text(
        path,
        f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy"
 content="default-src 'none'; img-src data:; style-src 'unsafe-inline'">
<meta name="viewport" content="width=device-width">
<title>{name}: samples</title>
<style>{_STYLE}</style>
</head>
<body>
<h1>{name}</h1>
<p>{len(chosen)} of {len(pool):,} images, seed {seed}. {html.escape(dataset.licence)}</p>
<main>
{figures}
</main>
</body>
</html>
""",
    )
    return chosen


def _figure(example: Example) -> str:
    captions = "".join(f"<li>{html.escape(text)}</li>" for text in example.references)
    return (
        f"<figure>{_image(example)}<figcaption><b>{html.escape(example.image_id)}</b>"
        f' <span class="split">{html.escape(example.split)}</span>'
        f"<ol>{captions}</ol></figcaption></figure>"
    )


def _image(example: Example) -> str:
    try:
        image = load_image(example.image, size_hint=(_SIDE, _SIDE)).image
    except ImageError as error:
        return f'<p class="fault">{html.escape(error.message)}</p>'
    image.thumbnail((_SIDE, _SIDE), Image.Resampling.LANCZOS)
    data = io.BytesIO()
    image.save(data, "JPEG", quality=85)
    text = base64.b64encode(data.getvalue()).decode("ascii")
    alt = html.escape(example.references[0], quote=True)
    return f'<img src="data:image/jpeg;base64,{text}" alt="{alt}">'
