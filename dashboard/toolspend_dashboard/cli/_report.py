"""The bill by tool as plain values: what `toolspend report` prints and `--json` writes."""

from __future__ import annotations

from typing import Any

import duckdb
import pandas as pd

from toolspend_dashboard import findings, health, queries
from toolspend_dashboard.formats import number, seen
from toolspend_dashboard.queries import Filters

PARTS = ("definition", "call", "result", "carry", "compression", "fee")
# One bucket for all of time: the ledger's query sums by time, which a report has no use for.
ALL_TIME_S = 1_000 * 366 * 86_400


def gather(cursor: duckdb.DuckDBPyConnection, filters: Filters) -> dict[str, Any]:
    """Everything a report says, as JSON values; money in US dollars, null where nothing is known."""
    bound = {**filters.parameters(), "bucket_s": ALL_TIME_S}
    totals = queries.run(cursor, "totals", **bound).iloc[0]
    ledger = queries.run(cursor, "ledger", **bound)
    tools = queries.run(cursor, "tools", **bound)
    bases = queries.run(cursor, "bases", **bound)
    evidence = findings.evidence(ledger, tools, totals, lambda name: queries.run(cursor, name, **bound))
    return {
        "headline": findings.headline(ledger, tools),
        "totals": _totals(totals),
        "coverage": coverage(totals, bases),
        "told_again": health.told_again(queries.run(cursor, "copies", **filters.parameters())),
        "tools": _tools(ledger, tools),
        "others": _others(ledger),
        "findings": [
            {
                "finding": found.sentence(seen),
                "action": found.action,
                "subject": found.subject,
                "cost_usd": number(found.cost_usd),
                "saves_usd": number(found.saves_usd),
            }
            for found in findings.findings(evidence)
        ],
    }


def _totals(row: pd.Series[Any]) -> dict[str, Any]:
    at = ("first_at", "last_at") if row["requests"] else ("first_call_at", "last_call_at")
    whole = ("requests", "failed_requests", "calls", "failed_calls", "called_tools")
    tokens = ("input_tokens", "cache_read_tokens", "output_tokens")
    return {
        "sessions": int(row["sessions"] or row["sessions_with_calls"]),
        **{name: int(row[name]) for name in whole},
        **{name: _whole(row[name]) for name in tokens},
        "cost_usd": number(row["cost_usd"]),
        "first_at": _time(row[at[0]]),
        "last_at": _time(row[at[1]]),
    }


def coverage(row: pd.Series[Any], bases: pd.DataFrame) -> dict[str, Any]:
    """How much of the bill is known, and how: requests by what is known of them, tokens by basis."""
    return {
        "requests": int(row["requests"]),
        "usage_known": int(row["known_requests"]),
        "priced": int(row["known_requests"]) - int(row["unpriced_requests"]),
        "unpriced_models": row["unpriced_models"].split(", ") if isinstance(row["unpriced_models"], str) else [],
        "tokens_by_basis": {str(row["basis"]): int(row["tokens"]) for row in records(bases)},
    }


def _tools(ledger: pd.DataFrame, tools: pd.DataFrame) -> list[dict[str, Any]]:
    """One entry a tool that was called, offered or billed, the dearest first."""
    calls = {str(row["tool"]): row for row in records(tools)}
    bill = {str(tool): rows for tool, rows in ledger[ledger["tool"].notna()].groupby("tool")}
    whole_cost, whole_context = _sum(ledger["cost_usd"]), int(ledger["context_tokens"].sum())
    entries = []
    for tool in sorted({*calls, *bill}):
        rows, called = bill.get(tool), calls.get(tool)
        parts = {part: _sum(rows.loc[rows["part"] == part, "cost_usd"]) for part in PARTS} if rows is not None else {}
        cost = _sum(rows["cost_usd"]) if rows is not None else None
        # Billed for nothing, or for answers to prompts that are not known: what it takes of these is unknown as well.
        context = int(rows["context_tokens"].sum()) if rows is not None else None
        if not context and (called is None or not called["is_measured"]):
            context = None
        entries.append(
            {
                "tool": tool,
                "calls": int(called["calls"]) if called is not None else 0,
                "errors": int(called["errors"]) if called is not None else 0,
                "p50_ms": number(called["p50_ms"]) if called is not None else None,
                "context_tokens": context,
                "context_share": context / whole_context if context is not None and whole_context else None,
                "cost_usd": cost,
                "cost_share": cost / whole_cost if cost is not None and whole_cost else None,
                "parts_usd": parts,
            }
        )
    return sorted(
        entries, key=lambda entry: (-(entry["cost_usd"] or 0.0), -(entry["context_tokens"] or 0), entry["tool"])
    )


def _others(ledger: pd.DataFrame) -> list[dict[str, Any]]:
    """One entry a part of the bill that no tool owns, so that the entries add up to the whole."""
    rest = ledger[ledger["tool"].isna()]
    entries = [
        {"part": str(part), "context_tokens": int(rows["context_tokens"].sum()), "cost_usd": _sum(rows["cost_usd"])}
        for part, rows in rest.groupby("part")
    ]
    return sorted(entries, key=lambda entry: (-(entry["cost_usd"] or 0.0), entry["part"]))


def records(frame: pd.DataFrame) -> list[dict[str, Any]]:
    """The rows of a frame by the names of their columns."""
    return [{str(name): value for name, value in row.items()} for row in frame.to_dict("records")]


def _sum(costs: pd.Series[Any]) -> float | None:
    """The sum of what is known; None where nothing is."""
    known = costs.dropna()
    return float(known.astype(float).sum()) if len(known) else None


def _whole(value: Any) -> int | None:
    return None if pd.isna(value) else int(value)


def _time(value: Any) -> str | None:
    return None if pd.isna(value) else pd.Timestamp(value).isoformat(sep=" ", timespec="seconds")
