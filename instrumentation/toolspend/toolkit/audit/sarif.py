"""Findings as SARIF 2.1.0, which code hosts show beside the lines of a change."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from typing import Any, Final
from urllib.parse import quote

from ..._version import __version__
from .findings import CHECKS, QUESTIONS, Finding

SCHEMA: Final = "https://json.schemastore.org/sarif-2.1.0.json"

Place = tuple[str, int]
"""A file, relative to where the audit ran or absolute, and a line."""


def sarif(findings: Iterable[Finding], places: Mapping[str, Place] | None = None) -> dict[str, Any]:
    """A SARIF log with one run; `places` says in which file and line a tool is defined, where that is known."""
    rules = list(CHECKS)
    where = places or {}
    return {
        "$schema": SCHEMA,
        "version": "2.1.0",
        "runs": [
            {
                "tool": {
                    "driver": {
                        "name": "toolspend audit",
                        "semanticVersion": __version__,
                        "rules": [_rule(name) for name in rules],
                    }
                },
                "columnKind": "unicodeCodePoints",
                "results": [_result(finding, rules.index(finding.check), where) for finding in findings],
            }
        ],
    }


def _rule(name: str) -> dict[str, Any]:
    check = CHECKS[name]
    return {
        "id": name,
        "name": "".join(part.capitalize() for part in name.split("_")),
        "shortDescription": {"text": f"{check.title}."},
        "fullDescription": {"text": QUESTIONS[check.question]},
        "properties": {"tags": [check.question]},
    }


def _result(finding: Finding, index: int, places: Mapping[str, Place]) -> dict[str, Any]:
    location: dict[str, Any] = {
        "logicalLocations": [{"name": finding.tool, "fullyQualifiedName": finding.tool, "kind": "function"}]
    }
    if (place := places.get(finding.tool)) is not None:
        location["physicalLocation"] = {"artifactLocation": {"uri": quote(place[0])}, "region": {"startLine": place[1]}}
    # Neither counts nor line numbers: what is the same finding tomorrow has the same print.
    identity = "\0".join((finding.tool, finding.check, *sorted(finding.parameters)))
    return {
        "ruleId": finding.check,
        "ruleIndex": index,
        "level": finding.severity,
        "message": {"text": f"{finding.tool}: {finding.evidence} {finding.hint}"},
        "locations": [location],
        "partialFingerprints": {"toolspend/v1": hashlib.sha256(identity.encode()).hexdigest()[:32]},
        "properties": {"hint": finding.hint, "related": list(finding.related)},
    }
