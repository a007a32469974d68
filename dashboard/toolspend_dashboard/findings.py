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

_OF_A_KIND = 3
"""At most so many findings of one kind are told together."""

_SHORTER = 0.5
"""What is saved of the cost of results that are cut to half: they are billed by their tokens, however often."""

_LONG_RESULT_TOKENS = 200
"""Of a shorter result there is little to leave out."""


@dataclass(frozen=True)
class Finding:
    """One thing to act on: what is so, what to do, and where to look.

    `cost_usd` is what the fact is about; `saves_usd` is what the same work would have cost less had the action been
    taken, None where that is not known. Actions meet the same tokens: what they save does not add up.
    """

    fact: str
    action: str
    subject: str | None = None
    cost_usd: float | None = None
    saves_usd: float | None = None
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
    cache_breaks: pd.DataFrame
    expired: pd.Series[Any]
    result_costs: pd.DataFrame


QUERIES = ("uncached", "compressions", "cache_breaks", "expired", "result_costs")
"""What findings are computed from, beside the ledger, the tools and the totals."""


def evidence(
    ledger: pd.DataFrame, tools: pd.DataFrame, totals: pd.Series[Any], ask: Callable[[str], pd.DataFrame]
) -> Evidence:
    """The answers, of which `ask` gives those that are not there yet."""
    uncached, compressions, breaks, expired, result_costs = (ask(name) for name in QUERIES)
    return Evidence(ledger, tools, totals, uncached.iloc[0], compressions, breaks, expired.iloc[0], result_costs)


@dataclass(frozen=True)
class Drivers:
    """The fewest tools that make most of a measure: `names` of `tools`, and their share of the whole of it."""

    names: tuple[str, ...]
    tools: int
    share: float

    @property
    def count(self) -> int:
        """How many they are."""
        return len(self.names)


def drivers(ledger: pd.DataFrame, measure: Literal["cost_usd", "context_tokens"], known_tools: int) -> Drivers | None:
    """Who drives a measure; None where no tool has any of it. `known_tools` are the tools called or offered."""
    sums = ledger[ledger["tool"].notna()].groupby("tool")[measure].sum().sort_values(ascending=False, kind="stable")
    of_tools, whole = float(sums.sum()), float(ledger[measure].sum())
    if of_tools <= 0 or whole <= 0:
        return None
    reached = (sums.cumsum() >= of_tools * DRIVING_SHARE).to_numpy()
    number = int(reached.argmax()) + 1
    names = tuple(str(tool) for tool in sums.index[:number])
    return Drivers(names, max(known_tools, len(sums)), float(sums.iloc[:number].sum()) / whole)


def known_tools(ledger: pd.DataFrame, tools: pd.DataFrame) -> int:
    """How many tools were called, offered or billed."""
    return len({*ledger["tool"].dropna(), *tools["tool"].dropna()})


def never_called(ledger: pd.DataFrame, tools: pd.DataFrame) -> set[str]:
    """The tools that were offered and that nothing tells of a call of.

    Whose calls or results are billed was called, also where its run is in no span of the selection: in another
    service, or before it.
    """
    is_definition = ledger["part"] == "definition"
    called = {*tools["tool"], *ledger.loc[~is_definition, "tool"].dropna()}
    return {str(tool) for tool in ledger.loc[is_definition, "tool"].dropna() if tool not in called}


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
    spend = f"{formats.percent(cost.share)} of the spend."
    if set(cost.names) == set(context.names):
        return f"{sentence} and {spend}"
    verb = "drives" if cost.count == 1 else "drive"
    if cost.count != context.count:
        return f"{sentence}; {cost.count} {verb} {spend}"
    return f"{sentence}; {'another' if cost.count == 1 else f'{cost.count}, not all the same,'} {verb} {spend}"


def findings(evidence: Evidence) -> list[Finding]:
    """What to act on, what saves most first; what is not known to save anything comes last."""
    found = [finding for rule in _RULES for finding in rule(evidence)[:_OF_A_KIND]]
    return sorted(found, key=lambda each: (each.saves_usd is None, -(each.saves_usd or 0), -(each.cost_usd or 0)))


def of_tool(evidence: Evidence, tool: str) -> list[Finding]:
    """What to do about one tool, what saves most first."""
    found = [finding for rule in _RULES for finding in rule(evidence) if finding.subject == tool]
    idle = _idle(evidence)
    if tool in idle.index:
        cost = formats.number(idle["cost_usd"][tool])
        action = "Offer it only to the tasks that need it."
        found.append(Finding("It was offered and never called.", action, tool, cost, cost or None))
    return sorted(found, key=lambda each: -(each.saves_usd or 0))


def _bill(evidence: Evidence) -> float:
    return formats.number(evidence.totals["cost_usd"]) or 0.0


def _long_results(evidence: Evidence) -> list[Finding]:
    called = evidence.tools.set_index("tool")
    found = []
    for row in records(evidence.result_costs):
        cost = formats.number(row.cost_usd) or 0.0
        if cost * _SHORTER < _NOTABLE * _bill(evidence) or not cost or row.tool not in called.index:
            continue
        size, times = (formats.number(called[name][row.tool]) for name in ("mean_result_tokens", "mean_times_sent"))
        if size is None or size < _LONG_RESULT_TOKENS:
            continue
        sent = f", each in {times:.1f} requests," if times else ""
        found.append(
            Finding(
                f"{SUBJECT}: results of {formats.count(round(size))} tokens{sent} are "
                f"{formats.percent(cost / _bill(evidence))} of the bill.",
                "Half as long, they cost half: return less, compress them, or clear what was used.",
                subject=str(row.tool),
                cost_usd=cost,
                saves_usd=cost * _SHORTER,
                query={"tool": str(row.tool)},
            )
        )
    return found


def _idle(evidence: Evidence) -> pd.DataFrame:
    """The tools that were offered and never called: what their definitions cost, by tool."""
    idle = evidence.ledger[evidence.ledger["tool"].isin(never_called(evidence.ledger, evidence.tools))]
    return idle.groupby("tool")[["cost_usd", "context_tokens"]].sum()


def _never_called(evidence: Evidence) -> list[Finding]:
    idle = _idle(evidence)
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
            saves_usd=cost or None,
            query={"show": "never-called"},
        )
    ]


def _uncached(evidence: Evidence) -> list[Finding]:
    sessions, uncached = int(evidence.uncached["sessions"]), int(evidence.uncached["uncached_sessions"])
    cost, saved = (formats.number(evidence.uncached[name]) for name in ("uncached_cost_usd", "saved_usd"))
    if not uncached or (saved is not None and saved < _NOTABLE * _bill(evidence)):
        return []
    verb, of = "reads" if uncached == 1 else "read", formats.plural(sessions, "session")
    return [
        Finding(
            f"{uncached} of {of} that could read from the cache {verb} nothing from it.",
            "Set cache_control at the end of each prompt. Counted: prompts of 4,096 tokens and more, within 5 minutes.",
            cost_usd=cost,
            saves_usd=saved,
            page="session",
            query={"session": str(evidence.uncached["largest_session_id"])},
        )
    ]


def _cache_breaks(evidence: Evidence) -> list[Finding]:
    context = float(evidence.ledger["context_tokens"].sum())
    found = []
    for row in records(evidence.cache_breaks):
        cost, lost = formats.number(row.cost_usd), float(row.lost_tokens)
        is_small = lost < _NOTABLE * context if cost is None else cost < _NOTABLE * _bill(evidence)
        if is_small:
            continue
        cause, tool = causes.cause(str(row.cause)), row.tool if isinstance(row.tool, str) else None
        action, saved = cause.action, cost
        if row.cause == "expiry":
            action, saved = _longer(evidence)
        what = f"Changing the definition of {SUBJECT}" if tool is not None else cause.what
        requests = formats.plural(int(row.breaks), "request")
        found.append(
            Finding(
                f"{what} re-billed {formats.count(lost)} cached tokens in {requests}.",
                action,
                subject=tool,
                cost_usd=cost,
                saves_usd=saved,
                page="session",
                query={"session": str(row.largest_session_id)},
            )
        )
    return found


def _longer(evidence: Evidence) -> tuple[str, float | None]:
    """What to do about pauses that outlast the cache, and what it saves: the 1-hour cache costs more to write."""
    saved, paying = formats.number(evidence.expired["saved_usd"]), int(evidence.expired["paying_sessions"])
    if saved is None:
        return causes.CAUSES["expiry"].action, None
    if saved and saved >= _NOTABLE * _bill(evidence):
        return f"Write to the 1-hour cache in the {formats.plural(paying, 'session')} where that pays.", saved
    return (
        "The 1-hour cache would have cost as much to write. Keep pauses under 5 minutes, or send a short request then.",
        None,
    )


def _errors(evidence: Evidence) -> list[Finding]:
    found = []
    tools = evidence.tools.assign(share=evidence.tools["errors"] / evidence.tools["calls"])
    for row in records(tools.sort_values("share", ascending=False, kind="stable")):
        if row.errors >= 3 and row.share >= 0.1:
            kind = f", mostly {row.main_error_type}" if isinstance(row.main_error_type, str) else ""
            cost = formats.number(row.failed_cost_usd)
            found.append(
                Finding(
                    f"{SUBJECT} fails {formats.percent(row.share)} of its calls ({row.errors} of {row.calls}{kind}).",
                    "Fix the cause or say it in the description; the turns that they take are not counted.",
                    subject=str(row.tool),
                    cost_usd=cost,
                    saves_usd=cost or None,
                    query={"tool": str(row.tool)},
                )
            )
    return found


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
                    saves_usd=-saved,
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
    _long_results,
    _never_called,
    _uncached,
    _cache_breaks,
    _errors,
    _compression_at_a_loss,
    _unexplained,
)
