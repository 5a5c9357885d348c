"""What notebooks show of a caption."""

from __future__ import annotations

import base64
import html


def caption_html(
    text: str, thumbnail: bytes | None, confidence: float | None, path: str | None
) -> str:
    """Return a caption as HTML, all text escaped and without any script.

    Args:
        text: The caption.
        thumbnail: The image, a WebP, or None.
        confidence: Its confidence, or None.
        path: The image's name, or None.
    """
    parts = []
    if thumbnail is not None:
        data = base64.b64encode(thumbnail).decode()
        parts.append(
            f'<img src="data:image/webp;base64,{data}" alt="{html.escape(text)}" '
            f'title="{html.escape(path or "")}" style="max-width: 256px; max-height: 256px">'
        )
    parts.append(f"<figcaption>{html.escape(text)}")
    if confidence is not None:
        parts.append(f" <small>confidence {confidence:.2f}</small>")
    parts.append("</figcaption>")
    return f'<figure style="margin: 0">{"".join(parts)}</figure>'
