"""A research agent: parallel searches and downloads with large results, and fifteen tools of which few are used."""

from __future__ import annotations

from typing import Any

from anthropic import AsyncAnthropic

import toolspend
from stories import world
from stories.case import Case, script_of
from stories.plots.research import CASES as CASES
from stories.telemetry import agent_run
from stories.toolbox import Tool, ToolRegistry, execute_tool_calls_parallel, number, text

MODEL = "claude-sonnet-5"
SYSTEM = """You are the research assistant of an energy consultancy. Answer with what the sources say, not with what \
you remember. Search first, read the three most promising sources in full, and note every figure with its source and \
its date. Prefer primary sources: filings, statistics offices, papers. Where sources disagree, say so and say why. \
Run independent searches and downloads in parallel. Finish with a brief of at most 500 words and a list of sources."""

registry = ToolRegistry()
script = script_of(CASES)


@registry.tool(
    "Search the public web. Returns up to `count` results, each with title, address, date and a snippet of about 300 "
    "characters. Use short keyword queries; quote exact phrases; add site:example.org to restrict to one site.",
    query=text("Keywords, at most 12 words."),
    count=number("How many results, 1 to 20.", default=10),
    since=text("Only results after this date, YYYY-MM-DD.", default=""),
)
async def web_search(query: str, count: int = 10, since: str = "") -> str:
    await world.wait(0.9, "search", query)
    fields = {
        "title": "Report {n}: " + query[:40],
        "url": "https://example.org/{hex}",
        "date": ["2026-10-02", "2026-09-17", "2026-06-30", "2025-12-11"],
        "rank": (0.1, 1.0),
    }
    results = world.records(count, fields, query)
    return world.as_json([row | {"snippet": world.prose(300, query, row["url"])} for row in results])


@registry.tool(
    "Download a page and return its readable text in Markdown, without navigation and advertisements. PDF files are "
    "converted. Pages beyond `max_chars` are cut off at the end.",
    url=text("Absolute address, https only."),
    max_chars=number("Cut off after so many characters.", default=24000),
)
async def fetch_page(url: str, max_chars: int = 24_000) -> str:
    await world.wait(1.8, "page", url)
    return world.page(min(max_chars, world.rng("size", url).randint(5_000, 21_000)), url)


@registry.tool(
    "Search peer-reviewed papers and preprints by topic. Returns title, authors, year, venue, DOI and abstract.",
    topic=text("Topic in natural language."),
    year_from=number("Earliest year of publication.", default=2020),
    limit=number("How many papers.", default=8),
)
async def search_papers(topic: str, year_from: int = 2020, limit: int = 8) -> str:
    await world.wait(1.4, "papers", topic)
    fields = {"doi": "10.1000/{hex}", "year": (year_from, 2026), "cited_by": (0, 410), "venue": ["Joule", "Energy"]}
    return world.as_json(
        [row | {"abstract": world.prose(900, row["doi"])} for row in world.records(limit, fields, topic)]
    )


@registry.tool(
    "Figures from the annual and quarterly filings of a listed company, as reported, with the page of the filing.",
    company=text("Name or ticker."),
    items={"type": "array", "items": {"type": "string"}, "description": "Line items, such as revenue or capex."},
    years=number("How many years back.", default=5),
)
async def company_filings(company: str, items: list[str], years: int = 5) -> str:
    await world.wait(0.7, "filings", company)
    fields = {"item": items, "year": (2026 - years, 2026), "value_musd": (10.0, 9_000.0), "page": (3, 240)}
    return world.as_json(world.records(years * len(items), fields, company))


@registry.tool(
    "Save a note with its source to the notebook of this investigation, where colleagues can read it.",
    note=text("The finding, in one or two sentences."),
    source=text("Address or DOI that it rests on."),
)
async def save_note(note: str, source: str) -> str:
    await world.wait(0.12, "note", note)
    return "saved"


async def _query_database(query: str, options: dict[str, Any]) -> str:
    await world.wait(0.5, "database", query)
    return "no result"


for name, description in {
    "patent_search": "Search granted patents and applications by claim text, assignee, inventor or class (CPC). "
    "Returns number, title, assignee, priority date, legal status and the first claim. Covers EP, US, WO, JP and CN.",
    "news_archive": "Search a licensed archive of newspapers and trade journals since 1995. Returns headline, paper, "
    "date, page and an extract of 500 characters. Costs the department per query; prefer web_search for recent news.",
    "statistics_office": "Query the tables of national statistics offices and Eurostat by table code and dimensions. "
    "Returns a table in long form with unit and revision flag. Use search_tables=true to look up table codes first.",
    "extract_tables": "Extract all tables of a PDF or a page as CSV, one per table, with its caption and page number. "
    "Merged cells are repeated. Scanned documents are read by OCR, which may take up to a minute a page.",
    "translate_text": "Translate a passage between German, English, French, Spanish, Chinese and Japanese, keeping "
    "figures, units and names as they are. At most 5,000 characters a call.",
    "currency_convert": "Convert an amount between currencies at the reference rate of a date. ISO codes.",
    "weather_history": "Hourly history of temperature, wind speed at 100 m, and irradiation for a place, from "
    "reanalysis data since 1980. Returns daily means unless hourly=true, which is large.",
    "geocode_place": "Coordinates, administrative regions and time zone of a place by its name.",
    "grid_capacity_map": "Free connection capacity of substations within a radius of a place, with the operator, the "
    "voltage level, the queue of pending requests and the date of the last update by the operator.",
    "calculate": "Evaluate an arithmetic expression with units, such as 3 GW * 24 h * 0.23 in TWh.",
}.items():
    options = {"type": "object", "description": "Filters as the source names them: region, unit, from, to, language."}
    schema = {"type": "object", "properties": {"query": text("What to look up."), "options": options}}
    registry.register(Tool(name, description, schema, _query_database, estimated_tokens=260))

toolspend.instrument(registry=registry, executor=execute_tool_calls_parallel)


async def handle(client: AsyncAnthropic, case: Case) -> str:
    """One investigation: the agent searches and reads until it has its brief."""
    with toolspend.session(case.session, user=case.user, tags=list(case.tags)), agent_run("researcher"):
        tools: Any = registry.get_tool_definitions(registry.get_tools_for_task(max_tools=15))
        messages: list[Any] = [{"role": "user", "content": case.messages[0]}]
        while True:
            response = await client.messages.create(
                model=MODEL,
                max_tokens=8_000,
                system=SYSTEM,
                tools=tools,
                messages=messages,
                thinking={"type": "adaptive"},
            )
            messages.append({"role": "assistant", "content": response.content})
            calls = [block for block in response.content if block.type == "tool_use"]
            if not calls:
                return "".join(block.text for block in response.content if block.type == "text")
            messages.append({"role": "user", "content": await execute_tool_calls_parallel(calls, registry)})
