"""HTML made of escaped parts, and the frame of the page."""

from __future__ import annotations

import html
from collections.abc import Iterable

_STYLE = """
:root { color-scheme: light dark; --ink: #1b1f24; --soft: #57606a; --paper: #fff;
  --panel: #f4f6f8; --line: #c9d1d9; --accent: #0b57a4; --good: #116329; --bad: #a40e26; }
@media (prefers-color-scheme: dark) { :root { --ink: #e6edf3; --soft: #a5b0bb; --paper: #0d1117;
  --panel: #161b22; --line: #3d444d; --accent: #79b8ff; --good: #56d364; --bad: #ff9492; } }
* { box-sizing: border-box; }
body { font: 16px/1.5 system-ui, sans-serif; color: var(--ink); background: var(--paper);
  margin: 0 auto; max-width: 76rem; padding: 1.5rem; overflow-wrap: anywhere; }
h1, h2, h3 { line-height: 1.2; margin: 2rem 0 .75rem; }
h1 { margin-top: 0; } h3 { margin-top: 1.5rem; }
a { color: var(--accent); }
a:focus-visible, summary:focus-visible, .wide:focus-visible { outline: 3px solid var(--accent);
  outline-offset: 2px; }
.skip { position: absolute; left: -100rem; } .skip:focus { left: 1rem; top: 1rem;
  background: var(--paper); padding: .5rem; }
nav ul { display: flex; flex-wrap: wrap; gap: .25rem 1.25rem; list-style: none; padding: 0; }
.wide { overflow-x: auto; }
table { border-collapse: collapse; }
caption { text-align: left; color: var(--soft); padding-bottom: .4rem; }
th, td { text-align: left; padding: .3rem .9rem .3rem 0; border-bottom: 1px solid var(--line);
  vertical-align: top; font-weight: normal; }
th { overflow-wrap: normal; } th[scope=row] { min-width: 8rem; }
thead th { font-weight: 600; }
.number { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap; }
.note { border-left: .3rem solid var(--accent); background: var(--panel); padding: .5rem .9rem; }
.soft { color: var(--soft); } .good { color: var(--good); } .bad { color: var(--bad); }
.grid { display: grid; gap: 1.25rem;
  grid-template-columns: repeat(auto-fill, minmax(min(20rem, 100%), 1fr)); }
.card, figure.chart { background: var(--panel); border: 1px solid var(--line);
  border-radius: .5rem; padding: .9rem; margin: 0; min-width: 0; }
.card > img, .missing { display: block; width: 100%; height: 15rem; object-fit: contain;
  background: var(--paper); border-radius: .25rem; }
.missing { display: grid; place-items: center; text-align: center; padding: 1rem; }
.card h3 { margin: .7rem 0 .3rem; font-size: .85rem; font-weight: normal; color: var(--soft); }
.said { font-weight: 600; margin: .3rem 0; }
.card ul { margin: .3rem 0; padding-left: 1.2rem; }
.scores { display: flex; flex-wrap: wrap; gap: .1rem .9rem; margin: .3rem 0; font-size: .85rem;
  font-variant-numeric: tabular-nums; }
.scores div { display: flex; gap: .35rem; } .scores dt { color: var(--soft); }
.scores dd { margin: 0; }
summary { cursor: pointer; color: var(--accent); padding: .2rem 0; }
.words { display: grid; gap: .4rem; grid-template-columns: repeat(auto-fill, minmax(6rem, 1fr));
  list-style: none; padding: 0 !important; }
.words li { text-align: center; font-size: .85rem; }
.look { display: block; position: relative; background-size: 100% 100%; overflow: hidden;
  border-radius: .25rem; }
.look img { display: block; width: 100%; height: 100%; }
svg { display: block; width: 100%; height: auto; } svg .bar { fill: var(--accent); }
svg .second { fill: none; stroke: var(--bad); stroke-width: 2; }
svg .axis { stroke: var(--soft); stroke-width: 1; } svg text { fill: var(--soft); font-size: 11px; }
figcaption { font-size: .85rem; color: var(--soft); }
"""

# Nothing is fetched, nothing runs: images are in the file, styles are inline.
_POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'; base-uri 'none'"


def text(value: object) -> str:
    """Return any value as HTML text, which is inert in elements and in quoted attributes.

    Half of a character pair, which UTF-8 cannot hold, is written out (a file name that is no
    text may have one).
    """
    plain = str(value).encode("utf-8", "backslashreplace").decode("utf-8")
    return html.escape(plain, quote=True)


def page(title: str, sections: Iterable[tuple[str, str, str]], *, style: str = "") -> str:
    """Return a whole page.

    Args:
        title: Its title, as plain text.
        sections: Anchor, heading (plain text) and content (HTML) of each section.
        style: More CSS.
    """
    parts = list(sections)
    links = "".join(
        f'<li><a href="#{anchor}">{text(heading)}</a></li>' for anchor, heading, _ in parts
    )
    content = "\n".join(
        f'<section id="{anchor}" aria-labelledby="{anchor}-title">\n'
        f'<h2 id="{anchor}-title">{text(heading)}</h2>\n{body}\n</section>'
        for anchor, heading, body in parts
    )
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{_POLICY}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<link rel="icon" href="data:,">
<title>{text(title)}</title>
<style>{_STYLE}{style}</style>
</head>
<body>
<a class="skip" href="#main">Skip to the report</a>
<header>
<h1>{text(title)}</h1>
<nav aria-label="Sections"><ul>{links}</ul></nav>
</header>
<main id="main">
{content}
</main>
</body>
</html>
"""


def table(
    caption: str,
    heads: Iterable[str],
    rows: Iterable[Iterable[object]],
    *,
    numbers: int | None = None,
) -> str:
    """Return a table; the first cell of a row is its heading, other cells are text.

    Args:
        caption: What it shows.
        heads: Headings of the columns.
        rows: The cells.
        numbers: The column from which on cells are numbers; None for no such column.
    """
    heads = list(heads)

    def style(column: int) -> str:
        return ' class="number"' if numbers is not None and column >= numbers else ""

    top = "".join(
        f'<th scope="col"{style(column)}>{text(head)}</th>' for column, head in enumerate(heads)
    )
    lines = []
    for row in rows:
        first, *others = row
        cells = "".join(
            f"<td{style(column)}>{text(cell)}</td>" for column, cell in enumerate(others, start=1)
        )
        lines.append(f'<tr><th scope="row">{text(first)}</th>{cells}</tr>')
    head = f"<thead><tr>{top}</tr></thead>" if any(heads) else ""
    return (
        f'<div class="wide" tabindex="0" role="region" aria-label="{text(caption)}"><table>'
        f"<caption>{text(caption)}</caption>{head}<tbody>{''.join(lines)}</tbody></table></div>"
    )
