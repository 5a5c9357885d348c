"""The text of docs/records.md: the fields of records, from docs/record.schema.json."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any


def records_page(schema_file: Path, made: str) -> str:
    """Return the page.

    Args:
        schema_file: The JSON Schema of a record.
        made: The line that says that the page is made.
    """
    schema = json.loads(schema_file.read_text(encoding="utf-8"))
    kinds = schema["$defs"]
    lines = ["# Records", "", made, schema["description"], ""]
    lines += [f"The JSON Schema is [{schema_file.name}]({schema_file.name}).", ""]
    for kind, title in (("caption", "A caption"), ("failure", "A failure")):
        lines += [f"## {title}", "", "| Field | Type | What it is |", "|---|---|---|"]
        required = set(kinds[kind]["required"])
        for name, field in kinds[kind]["properties"].items():
            # A failure has most fields of a caption, and the schema describes them there.
            known = kinds["caption"]["properties"].get(name, {})
            said = field.get("description") or known.get("description", "")
            mark = "" if name in required else " (optional)"
            lines.append(f"| `{name}`{mark} | {_type(field)} | {said}{_parts(field, kinds)} |")
        lines.append("")
    return "\n".join(lines)


def _type(field: Mapping[str, Any]) -> str:
    if "const" in field:
        return json.dumps(field["const"])
    kind = field.get("type", "object")
    return kind if isinstance(kind, str) else " or ".join(kind)


def _parts(field: Mapping[str, Any], kinds: Mapping[str, Any]) -> str:
    """Return the names inside an object, with what they are."""
    inside = kinds[field["$ref"].rpartition("/")[2]] if "$ref" in field else field
    said = ", ".join(_named(inside.get("properties", {})))
    return f" Fields: {said}." if said else ""


def _named(properties: Mapping[str, Any]) -> Iterator[str]:
    for name, field in properties.items():
        values = [json.dumps(value) for value in field.get("enum", ()) if value]
        yield f"`{name}`" + (f" ({', '.join(values)})" if values else "")
