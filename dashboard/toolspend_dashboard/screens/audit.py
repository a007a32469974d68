"""How well each tool is made: the five questions of the audit and what its use shows, with what to rewrite."""

from __future__ import annotations

from collections import Counter

import pandas as pd
import streamlit as st

from toolspend.toolkit.audit import CHECKS, QUESTIONS, SEVERITIES, Finding, Question
from toolspend_dashboard import components, data, formats, selection
from toolspend_dashboard.components import section
from toolspend_dashboard.formats import code, told

# Beyond these the table leads on: a page of hundreds of cards is neither read nor quick.
MAX_TOOLS = 25
# As many tools with the same thing against them, and nothing else, are said on one card.
MIN_ALIKE = 3
LABELS = {
    "one_thing": "One thing",
    "description": "Description",
    "output": "Output",
    "failures": "Failures",
    "side_effects": "Side effects",
    "use": "Use",
}

components.stop_without_data()
filters = selection.current()
audit = data.audit(filters)
of_tool: dict[str, list[Finding]] = {tool: [] for tool in audit.scores}
for finding in audit.findings:
    of_tool.setdefault(finding.tool, []).append(finding)
worst_first = sorted(audit.scores, key=lambda tool: (audit.scores[tool], tool))


def tiles() -> None:
    """How many tools there are, how many have nothing against them, and the findings by severity."""
    counts = Counter(finding.severity for finding in audit.findings)
    clean = sum(not found for found in of_tool.values())
    figures = [
        (
            "Tools",
            len(of_tool),
            f"{len(audit.undefined)} without definition" if audit.undefined else "audited",
        ),
        ("Without findings", clean, formats.percent(clean / len(of_tool)) if of_tool else ""),
        *((f"{severity.capitalize()}s", counts[severity], "") for severity in SEVERITIES),
    ]
    for column, (label, value, note) in zip(st.columns(len(figures)), figures, strict=True):
        column.metric(
            label,
            formats.count(value),
            note or None,
            delta_arrow="off",
            delta_color="off",
            border=True,
            height="stretch",
        )


def chosen() -> Question | None:
    """The question that the page is narrowed to."""
    counts = Counter(finding.question for finding in audit.findings)
    asked: list[Question] = [question for question in QUESTIONS if counts[question]]
    pressed = st.pills(
        "Question",
        asked,
        format_func=lambda question: f"{LABELS[question]} {counts[question]}",
        key="audit_question",
        label_visibility="collapsed",
    )
    return next((question for question in asked if question == pressed), None)


def table(tools: list[str], found: dict[str, list[Finding]]) -> str | None:
    """Tools by score; the one whose row is picked."""
    shown = pd.DataFrame(
        {
            "Tool": [formats.name(tool) for tool in tools],
            "Score": [audit.scores[tool] for tool in tools],
            "Findings": [len(found[tool]) for tool in tools],
            "First": [CHECKS[found[tool][0].check].title if found[tool] else "" for tool in tools],
        }
    )
    event = st.dataframe(
        shown,
        hide_index=True,
        key="audit_table",
        on_select="rerun",
        selection_mode="single-row",
        row_height=32,
        height="content" if len(shown) <= 18 else 640,
        column_config={
            "Tool": st.column_config.TextColumn(width=150),
            "Score": st.column_config.ProgressColumn(
                format="%d",
                min_value=0,
                max_value=100,
                width=120,
                color="primary",
                help="100 without findings; an error takes 30, a warning 10, a note 3",
            ),
            "First": st.column_config.TextColumn("Gravest finding", width=260),
        },
    )
    rows = event.selection.rows
    return tools[rows[0]] if rows and rows[0] < len(tools) else None


def card(tool: str, found: list[Finding]) -> None:
    """One tool: its score, and every finding with its evidence and what to rewrite."""
    with st.container(border=True, key=f"audit_{worst_first.index(tool)}"):
        with st.container(horizontal=True, vertical_alignment="center"):
            st.markdown(f"#### {code(tool)}", width="stretch")
            st.markdown(f"**{audit.scores[tool]}** of 100", width="content")
            st.page_link(components.PAGES["tools"], label="Open", query_params=selection.query(tool=tool))
        for each in found:
            components.audit_finding(each)


def card_of_several(found: list[Finding]) -> None:
    """Tools that have the same thing against them: what it is of each, and once what to do."""
    first = found[0]
    with st.container(border=True, key=f"audit_all_{worst_first.index(first.tool)}"):
        st.markdown(f"#### {CHECKS[first.check].title}: {formats.plural(len(found), 'tool')}")
        said = "\n".join(f"- {code(each.tool)} {told(each.evidence)}" for each in found)
        st.markdown(f"{components.badge(first)} :gray[{told(remedy(first))}]\n\n{said}")


def remedy(finding: Finding) -> str:
    """What is to be done about a finding, whichever tool it is of."""
    return finding.hint.replace(f"`{finding.tool}`", "each")


def cards(tools: list[str], found: dict[str, list[Finding]]) -> None:
    """Each tool by itself, or with those that only have the same against them."""
    alike: dict[str, list[Finding]] = {}
    for tool in tools:
        if len(found[tool]) == 1:
            alike.setdefault(remedy(found[tool][0]), []).append(found[tool][0])
    said: set[str] = set()
    for tool in tools:
        if tool in said:
            continue
        several = alike[remedy(found[tool][0])] if len(found[tool]) == 1 else []
        if len(several) >= MIN_ALIKE:
            card_of_several(several)
            said.update(each.tool for each in several)
        else:
            card(tool, found[tool])


def findings() -> None:
    """The table on the left, what is wrong and what to do on the right."""
    question = chosen()
    narrowed = {
        tool: [each for each in found if question is None or each.question == question]
        for tool, found in of_tool.items()
    }
    listed = [tool for tool in worst_first if narrowed[tool] or question is None]
    left, right = st.columns(2, gap="medium")
    with left:
        section("Tools by score", "Click a row to see one tool's findings alone.")
        picked = table(listed, narrowed)
    with right:
        section(
            "What to rewrite",
            QUESTIONS[question] if question is not None else "The tools with most against them first.",
        )
        to_show = [picked] if picked is not None else [tool for tool in listed if narrowed[tool]]
        cards(to_show[:MAX_TOOLS], narrowed)
        if picked is not None and not narrowed[picked]:
            st.caption("Nothing was found against this tool.")
        if len(to_show) > MAX_TOOLS:
            st.caption(f"{formats.plural(len(to_show) - MAX_TOOLS, 'more tool')} in the table.")


tiles()
if audit.findings:
    findings()
else:
    st.info("Nothing was found against the tools of this selection.")
