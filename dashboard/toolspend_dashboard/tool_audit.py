"""The tool audit of what a store has seen: definitions and their use, as findings and scores."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from toolspend.toolkit.audit import Finding, audit, in_order, scores
from toolspend.toolkit.audit.observed import Use, audit_use
from toolspend_dashboard.formats import number, plural

if TYPE_CHECKING:
    import pandas as pd

QUERIES: Final = ("audit_tools", "audit_uses", "audit_errors", "audit_results")

Ask = Callable[[str], "pd.DataFrame"]
"""Answers one of `QUERIES` for the selection."""

_SAME_KEYS: Final = 0.5
"""Objects that share this much of their keys have one shape: optional fields come and go."""


@dataclass(frozen=True)
class Audit:
    """Findings, the gravest first, and the score of every tool by name; `undefined` are those of unknown definition."""

    findings: tuple[Finding, ...]
    scores: Mapping[str, int]
    undefined: tuple[str, ...] = ()


def of_tools(tools: Iterable[Any]) -> Audit:
    """The audit of tools that are given, without any use of them."""
    given = list(tools)
    found = audit(given)
    names = [str(tool["name"] if isinstance(tool, Mapping) else tool.name) for tool in given]
    return Audit(tuple(found), scores(names, found))


def of_store(ask: Ask) -> Audit:
    """The audit of the tools in a store; those that one service offers are looked at together."""
    answers = {name: ask(name) for name in QUERIES}
    offered: defaultdict[str | None, list[dict[str, Any]]] = defaultdict(list)
    undefined: dict[str, None] = {}
    for row in _rows(answers["audit_tools"]):
        if isinstance(row.description, str) or isinstance(row.input_schema, str):
            offered[row.service if isinstance(row.service, str) else None].append(_definition(row))
        else:
            undefined[str(row.tool)] = None
    found: dict[tuple[Any, ...], Finding] = {}
    for tools in offered.values():
        for each in audit(tools):
            found.setdefault((each.tool, each.check, each.parameters), each)
    known = {tool["name"]: tool for tools in offered.values() for tool in tools}
    uses = [_use(row, answers) for row in _rows(answers["audit_uses"])]
    ordered = in_order([*found.values(), *audit_use(known.values(), uses)])
    names = dict.fromkeys((*known, *undefined, *(use.tool for use in uses)))
    unknown = tuple(name for name in names if name not in known)
    return Audit(tuple(ordered), scores(names, ordered), unknown)


def as_json(result: Audit) -> dict[str, Any]:
    """The audit as JSON values: tools with their scores, the lowest first, then findings."""
    return {
        "tools": [
            {"tool": tool, "score": score, "is_defined": tool not in result.undefined}
            for tool, score in sorted(result.scores.items(), key=lambda each: (each[1], each[0]))
        ],
        "findings": [finding.as_dict() for finding in result.findings],
    }


def _rows(frame: pd.DataFrame) -> Iterator[Any]:
    # Not `queries.records`: tools that are given are audited without the libraries that a store needs.
    return iter(frame.itertuples(index=False))


def _definition(row: Any) -> dict[str, Any]:
    tool: dict[str, Any] = {
        "name": str(row.tool),
        "description": row.description if isinstance(row.description, str) else "",
        "input_schema": _parsed(row.input_schema),
    }
    if (declared := number(row.has_side_effects)) is not None:
        tool["has_side_effects"] = bool(declared)
    return tool


def _parsed(text: Any) -> Any:
    try:
        return json.loads(text) if isinstance(text, str) else None
    except ValueError:
        return None


def _use(row: Any, answers: Mapping[str, pd.DataFrame]) -> Use:
    tool, results = str(row.tool), answers["audit_results"]
    return Use(
        tool,
        calls=int(row.calls),
        failed=int(row.failed),
        is_used=bool(row.is_used),
        offered_requests=int(row.offered_requests),
        errors=_counts(answers["audit_errors"], tool, "error_type", "calls"),
        shapes=_shapes(results[results["kind"].notna()], tool),
        messages=_counts(results[results["message"].notna()], tool, "message", "calls"),
        error_words=_words(results[results["words"].notna()], tool),
        definition_tokens=number(row.definition_tokens),
        mean_result_tokens=number(row.mean_result_tokens),
        definition_cost_usd=number(row.definition_cost_usd),
        other_cost_usd=number(row.other_cost_usd),
    )


def _counts(frame: pd.DataFrame, tool: str, what: str, count: str) -> dict[str, int]:
    own = frame[frame["tool"] == tool]
    return {str(name): int(times) for name, times in zip(own[what], own[count], strict=True)}


def _words(frame: pd.DataFrame, tool: str) -> dict[int, int]:
    own = frame[frame["tool"] == tool]
    return {int(words): int(times) for words, times in zip(own["words"], own["calls"], strict=True)}


def _shapes(frame: pd.DataFrame, tool: str) -> dict[str, int]:
    """Results by shape; objects that share most of their keys count as one, and those of unknown keys as any other."""
    found: dict[str, int] = {}
    objects: list[tuple[set[str], str]] = []
    unknown = 0
    for row in _rows(frame[frame["tool"] == tool]):
        shape = {"text": "text", "array": "an array"}.get(str(row.kind))
        if shape is None and not isinstance(row.keys, str):
            unknown += int(row.calls)
            continue
        if shape is None:
            keys = {key for key in str(row.keys).split(", ") if key}
            shape = next((name for seen, name in objects if _overlap(seen, keys) >= _SAME_KEYS), None)
            if shape is None:
                shape = _told(keys, len(objects), is_hashed=bool(row.is_hashed))
                objects.append((keys, shape))
        found[shape] = found.get(shape, 0) + int(row.calls)
    if unknown:
        shape = objects[0][1] if objects else "an object"
        found[shape] = found.get(shape, 0) + unknown
    return found


def _told(keys: set[str], before: int, *, is_hashed: bool) -> str:
    """An object of these keys in words, `before` others having been told of."""
    if not keys:
        return "an empty object"
    if is_hashed:
        fields = plural(len(keys), "other field" if before else "field")
        return f"an object of {fields}" + (f" (kind {before + 1})" if before > 1 else "")
    return f"an object of {', '.join(sorted(keys)[:5])}{'…' if len(keys) > 5 else ''}"


def _overlap(one: set[str], other: set[str]) -> float:
    return len(one & other) / len(one | other) if one | other else 1.0
