"""Findings as SARIF: what code hosts need to show them."""

from __future__ import annotations

import json

from toolspend.toolkit import audit
from toolspend.toolkit.audit import CHECKS
from toolspend.toolkit.audit.sarif import sarif

TOOLS = [
    {"name": "read report", "description": "", "input_schema": {"type": "object"}},
    {"name": "wait", "description": "Waits for one event.",
     "input_schema": {"properties": {"timeout": {"type": "number", "description": "How long"}}}},
]  # fmt: skip


def test_a_log_is_whole_and_its_results_point_to_rules() -> None:
    """Version, driver, a rule for each check, and for each finding its rule, level, text and place."""
    found = audit(TOOLS)
    log = json.loads(json.dumps(sarif(found, {"wait": ("tools.json", 7)})))
    assert log["version"] == "2.1.0"
    [run] = log["runs"]
    rules = run["tool"]["driver"]["rules"]
    assert [rule["id"] for rule in rules] == list(CHECKS)
    assert len(run["results"]) == len(found) > 2
    for result, finding in zip(run["results"], found, strict=True):
        assert rules[result["ruleIndex"]]["id"] == result["ruleId"] == finding.check
        assert result["level"] == finding.severity
        assert finding.evidence in result["message"]["text"] and finding.hint in result["message"]["text"]
        [location] = result["locations"]
        assert location["logicalLocations"][0]["name"] == finding.tool
        where = location.get("physicalLocation")
        placed = {"artifactLocation": {"uri": "tools.json"}, "region": {"startLine": 7}}
        assert where == (placed if finding.tool == "wait" else None)


def test_a_finding_keeps_its_fingerprint_when_figures_move() -> None:
    """A host knows a finding again when the file changed around it."""

    def prints(line: int) -> list[str]:
        log = sarif(audit(TOOLS), {"wait": ("tools.json", line)})
        return [result["partialFingerprints"]["toolspend/v1"] for result in log["runs"][0]["results"]]

    assert prints(7) == prints(70)
    assert len(set(prints(7))) == len(prints(7))
