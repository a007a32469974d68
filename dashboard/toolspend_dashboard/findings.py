"""What the bill says and what to do about it: sentences computed from the answers of the queries."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import pandas as pd

from toolspend_dashboard import causes, formats
from toolspend_dashboard.queries import records

Page = Literal["overview", "tools", "session", "sql"]

SUBJECT = "{subject}"
"""Stands in `Finding.fact` where the subject's name goes, so that each surface can show the name in its own way."""

DRIVING_SHARE = 0.8
"""A headline names the fewest tools that make this share of what all tools take."""

_NOTABLE = 0.03
"""A finding about money has to be about this share of the bill."""


@dataclass(frozen=True)
class Finding:
    """One thing to act on: what is so, what to do, the evidence in dollars where it is known, and where to look."""

    fact: str
    action: str
    subject: str | None = None
    cost_usd: float | None = None
    page: Page = "tools"
    query: Mapping[str, str] = field(default_factory=dict)

    def sentence(self, show: Callable[[str], str] = str) -> str:
        """The fact with the subject in its place, shown by `show`."""
        return self.fact.replace(SUBJECT, show(self.subject or ""))


@dataclass(frozen=True)
class Evidence:
    """The answers that findings are computed from, each named as its query."""

    ledger: pd.DataFrame
    tools: pd.DataFrame
    totals: pd.Series[Any]
    uncached: pd.Series[Any]
    compressions: pd.DataFrame
    cache_breaks: pd.DataFrame | None = None


@dataclass(frozen=True)
class Drivers:
    """The fewest tools that make most of a measure: `count` of `tools`, and their share of the whole of it."""

    count: int
    tools: int
    share: float


def drivers(ledger: pd.DataFrame, measure: Literal["cost_usd", "context_tokens"], known_tools: int) -> Drivers | None:
    """Who drives a measure; None where no tool has any of it. `known_tools` are the tools called or offered."""
    sums = ledger[ledger["tool"].notna()].groupby("tool")[measure].sum().sort_values(ascending=False, kind="stable")
    of_tools, whole = float(sums.sum()), float(ledger[measure].sum())
    if of_tools <= 0 or whole <= 0:
        return None
    reached = (sums.cumsum() >= of_tools * DRIVING_SHARE).to_numpy()
    number = int(reached.argmax()) + 1
    return Drivers(number, max(known_tools, len(sums)), float(sums.iloc[:number].sum()) / whole)


def known_tools(ledger: pd.DataFrame, tools: pd.DataFrame) -> int:
    """How many tools were called, offered or billed."""
    return len({*ledger["tool"].dropna(), *tools["tool"].dropna()})


def headline(ledger: pd.DataFrame, tools: pd.DataFrame) -> str:
    """The sentence that the page opens with, as plain text; empty where no tool costs anything."""
    known = known_tools(ledger, tools)
    context, cost = drivers(ledger, "context_tokens", known), drivers(ledger, "cost_usd", known)
    if context is None:
        return ""
    verb = "drives" if context.count == 1 else "drive"
    tools_word = formats.plural(context.tools, "tool")
    sentence = f"{context.count} of {tools_word} {verb} {formats.percent(context.share)} of the context"
    if cost is None:
        return f"{sentence}."
    if cost.count == context.count:
        return f"{sentence} and {formats.percent(cost.share)} of the spend."
    verb = "drives" if cost.count == 1 else "drive"
    return f"{sentence}; {cost.count} {verb} {formats.percent(cost.share)} of the spend."


def findings(evidence: Evidence) -> list[Finding]:
    """What to act on, the most expensive first; those without a figure in dollars come last."""
    found = [finding for rule in _RULES for finding in rule(evidence)]
    return sorted(found, key=lambda finding: (finding.cost_usd is None, -(finding.cost_usd or 0)))


def _bill(evidence: Evidence) -> float:
    return formats.number(evidence.totals["cost_usd"]) or 0.0


def _carry(evidence: Evidence) -> list[Finding]:
    parts = evidence.ledger.pivot_table(index="tool", columns="part", values="cost_usd", aggfunc="sum", fill_value=0.0)
    if "carry" not in parts:
        return []
    resent = evidence.tools.set_index("tool")["mean_times_sent"]
    found = []
    for tool, row in parts.iterrows():
        carry, whole = float(row["carry"]), float(row.sum())
        # Nothing is known of a tool whose requests have no price; its whole is then 0.
        if not whole or carry < 0.5 * whole or carry < _NOTABLE * _bill(evidence):
            continue
        times = formats.number(resent.get(tool))
        over = f", sent {formats.count(round(times))} times on average" if times else ""
        found.append(
            Finding(
                f"{SUBJECT}: {formats.percent(carry / whole)} of its cost is carry{over}.",
                "Compress its results, or clear them once they are used.",
                subject=str(tool),
                cost_usd=carry,
                query={"tool": str(tool)},
            )
        )
    return sorted(found, key=lambda finding: -(finding.cost_usd or 0))[:2]


def _never_called(evidence: Evidence) -> list[Finding]:
    definitions = evidence.ledger[evidence.ledger["part"] == "definition"]
    idle = (
        definitions[~definitions["tool"].isin(evidence.tools["tool"])]
        .groupby("tool")[["cost_usd", "context_tokens"]]
        .sum()
    )
    if idle.empty:
        return []
    cost = float(idle["cost_usd"].sum())
    share = cost / _bill(evidence) if _bill(evidence) else 0.0
    if share < 0.005 and idle["context_tokens"].sum() < 0.01 * evidence.ledger["context_tokens"].sum():
        return []
    are = (
        "tool was offered and never called: its definition"
        if len(idle) == 1
        else "tools were offered and never called: their definitions"
    )
    return [
        Finding(
            f"{len(idle)} {are} took {formats.count(float(idle['context_tokens'].sum()))} tokens of context.",
            "Offer them only to the tasks that need them.",
            cost_usd=cost or None,
            query={"show": "never-called"},
        )
    ]


def _uncached(evidence: Evidence) -> list[Finding]:
    sessions, uncached = int(evidence.uncached["sessions"]), int(evidence.uncached["uncached_sessions"])
    cost = formats.number(evidence.uncached["uncached_cost_usd"])
    if not uncached or (cost is not None and cost < _NOTABLE * _bill(evidence)):
        return []
    verb = "resends" if uncached == 1 else "resend"
    return [
        Finding(
            f"{uncached} of {formats.plural(sessions, 'session')} {verb} the whole prompt at the input rate: "
            "nothing is read from the cache.",
            "Set a cache breakpoint after the tools and the system prompt.",
            cost_usd=cost,
            page="session",
            query={"session": str(evidence.uncached["largest_session_id"])},
        )
    ]


def _cache_breaks(evidence: Evidence) -> list[Finding]:
    if evidence.cache_breaks is None:
        return []
    context = float(evidence.ledger["context_tokens"].sum())
    found = []
    for row in records(evidence.cache_breaks):
        cost, lost = formats.number(row.cost_usd), float(row.lost_tokens)
        is_small = lost < _NOTABLE * context if cost is None else cost < _NOTABLE * _bill(evidence)
        if is_small:
            continue
        cause, tool = causes.cause(str(row.cause)), row.tool if isinstance(row.tool, str) else None
        what = f"Changing the definition of {SUBJECT}" if tool is not None else cause.what
        requests = formats.plural(int(row.breaks), "request")
        found.append(
            Finding(
                f"{what} re-billed {formats.count(lost)} cached tokens in {requests}.",
                cause.action,
                subject=tool,
                cost_usd=cost,
                page="session",
                query={"session": str(row.largest_session_id)},
            )
        )
    return found[:3]


def _errors(evidence: Evidence) -> list[Finding]:
    found = []
    tools = evidence.tools.assign(share=evidence.tools["errors"] / evidence.tools["calls"])
    for row in records(tools.sort_values("share", ascending=False, kind="stable")):
        if row.errors >= 3 and row.share >= 0.1:
            kind = f", mostly {row.main_error_type}" if isinstance(row.main_error_type, str) else ""
            found.append(
                Finding(
                    f"{SUBJECT} fails {formats.percent(row.share)} of its calls ({row.errors} of {row.calls}{kind}).",
                    "Each failure costs another turn: fix the cause or say it in the description.",
                    subject=str(row.tool),
                    query={"tool": str(row.tool)},
                )
            )
    return found[:2]


def _compression_at_a_loss(evidence: Evidence) -> list[Finding]:
    found = []
    for row in records(evidence.compressions):
        saved = formats.number(row.saved_usd)
        if saved is not None and saved < 0:
            found.append(
                Finding(
                    f"Compressing the results of {SUBJECT} cost {formats.usd(-saved)} more than it saved.",
                    "Compress only results that stay long in the context, or without a model call.",
                    subject=str(row.tool),
                    cost_usd=-saved,
                    query={"tool": str(row.tool)},
                )
            )
    return found


def _unexplained(evidence: Evidence) -> list[Finding]:
    sums = evidence.ledger.groupby("part")[["cost_usd", "context_tokens"]].sum()
    if "unattributed" not in sums.index:
        return []
    tokens, cost = (float(sums[measure]["unattributed"]) for measure in ("context_tokens", "cost_usd"))
    share = tokens / float(sums["context_tokens"].sum() or 1)
    if share < 0.1:
        return []
    return [
        Finding(
            f"{formats.percent(share)} of the context has no owner: "
            "nothing says what that part of the prompts was made of.",
            "Call toolspend.instrument() in the agents that send these spans. Session files of Claude Code leave out "
            "its system prompt and its tool definitions.",
            cost_usd=cost or None,
            page="sql",
        )
    ]


_RULES: tuple[Callable[[Evidence], list[Finding]], ...] = (
    _carry,
    _never_called,
    _uncached,
    _cache_breaks,
    _errors,
    _compression_at_a_loss,
    _unexplained,
)
