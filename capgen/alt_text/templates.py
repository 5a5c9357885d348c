"""What template languages (Liquid, Jinja, Go templates) leave in pages."""

from __future__ import annotations

import re
from collections.abc import Mapping

# Comments of Liquid, Go templates and MDX, and code that Liquid and Hugo colour.
COMMENT = re.compile(
    r"\{%-?\s*(comment|highlight)\b(?:(?!\{%-?\s*\1\b).)*?"
    r"\{%-?\s*end\1\s*-?%\}"
    r"|\{\{([<%])\s*highlight\s.*?\{\{\2\s*/\s*highlight\s*[>%]\}\}"
    r"|\{\{-?\s*/\*(?:(?!/\*).)*?\*/\s*-?\}\}|\{/\*(?:(?!/\*).)*?\*/\}",
    re.DOTALL,
)
# One that does not end costs no more than the way to the next.
EXPRESSION = re.compile(r"\{\{(?![<%])(?:(?!\{\{)[^\r\n])*?\}\}|(?<!\{)\{%(?:(?!\{%)[^\r\n])*?%\}")
_QUOTED = re.compile(r"[\"']([^\"']+)[\"']")
_IMPORT = re.compile(r"^import\s+(\w+)\s+from\s+[\"']([^\"'\r\n]+)[\"']", re.MULTILINE)
# What would end an address in Markdown.
_NOT_IN_ADDRESSES = re.compile(r"[\s\"'()<>\[\]|]")


def address_in(written: str) -> str:
    """Return the address in an attribute or a link: `{{ site.baseurl }}/a.jpg` → `/a.jpg`.

    `{{ "/a.jpg" | relative_url }}` gives what is quoted. An address that only the template knows is
    empty.
    """
    expressions = EXPRESSION.findall(written)
    if not expressions:
        return written
    rest = EXPRESSION.sub("", written)
    if rest:
        return rest
    quoted = _QUOTED.search(expressions[0])
    return "" if quoted is None else quoted.group(1)


def address_in_expression(expression: str, imported: Mapping[str, str]) -> str:
    """Return the address in an expression of JSX; empty if only running it would tell.

    `require('./a.jpg').default` and `useBaseUrl('/a.jpg')` have one text; a name that the page
    imports stands for the file (`imported`: name → address).
    """
    quoted = _QUOTED.findall(expression)
    return quoted[0] if len(quoted) == 1 else imported.get(expression, "")


def imported_files(page: str) -> dict[str, str]:
    """Return name → address of what a page of MDX imports by `import name from 'address'`."""
    return dict(_IMPORT.findall(page))


def neutralised(page: str) -> str:
    """Return a page whose expressions can be part of an address in Markdown; places stay."""
    return EXPRESSION.sub(lambda match: _NOT_IN_ADDRESSES.sub("_", match.group()), page)
