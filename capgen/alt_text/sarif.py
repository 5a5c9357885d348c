"""Findings as SARIF 2.1.0, which code hosts show beside the changed lines."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from typing import Any
from urllib.parse import quote

from capgen.alt_text.findings import RULES, Finding, Rule

_SCHEMA = "https://json.schemastore.org/sarif-2.1.0.json"


def sarif(found: Iterable[Finding], version: str) -> dict[str, Any]:
    """Return findings as a SARIF log of one run.

    Args:
        found: What was found.
        version: capgen's version.
    """
    driver = {
        "name": "capgen",
        "semanticVersion": version,
        "rules": [_rule(each) for each in RULES],
    }
    # Columns count characters as Python does, not UTF-16 units.
    run = {
        "tool": {"driver": driver},
        "columnKind": "unicodeCodePoints",
        "results": [_result(each) for each in found],
    }
    return {"$schema": _SCHEMA, "version": "2.1.0", "runs": [run]}


def _rule(rule: Rule) -> dict[str, Any]:
    return {
        "id": rule.id,
        "shortDescription": {"text": rule.short},
        "help": {"text": rule.help},
        "defaultConfiguration": {"level": _level(rule)},
    }


def _level(rule: Rule) -> str:
    return "error" if rule.error else "warning"


def _result(finding: Finding) -> dict[str, Any]:
    place: dict[str, Any] = {"artifactLocation": {"uri": quote(finding.page, errors="replace")}}
    if finding.line is not None:
        place["region"] = {"startLine": finding.line, "startColumn": finding.column}
    # The same finding after lines above it have changed.
    known = "\0".join((finding.rule.id, finding.page, finding.address, finding.text))
    digest = hashlib.sha256(known.encode("utf-8", "surrogateescape")).hexdigest()
    return {
        "ruleId": finding.rule.id,
        "ruleIndex": RULES.index(finding.rule),
        "level": _level(finding.rule),
        "message": {"text": f"{finding.message}. {finding.rule.help}"},
        "locations": [{"physicalLocation": place}],
        "partialFingerprints": {"capgenAlt/v1": digest[:32]},
    }
