"""A watcher that uses the provider's own web search, billed per search, and a tool whose result is an image."""

from __future__ import annotations

import base64
import struct
import zlib
from collections.abc import Awaitable, Callable
from typing import Any

from anthropic import AsyncAnthropic

import toolspend
from stories import world
from stories.case import Case, script_of
from stories.plots.market_watch import CASES as CASES
from stories.telemetry import agent_run
from stories.toolbox import Json, text

MODEL = "claude-sonnet-5-5"
SYSTEM = "You watch suppliers for the purchasing team. Report what changed since the last report, in five lines."
TOOLS: Any = [
    {"type": "web_search_20250305", "name": "web_search", "max_uses": 4},
    {
        "name": "capture_chart",
        "description": "A picture of the price chart of a material over the last twelve months, 1000 by 600 pixels.",
        "input_schema": {"type": "object", "properties": {"material": text("Name.")}, "required": ["material"]},
    },
    {
        "name": "post_report",
        "description": "Post the report to the purchasing channel. Once per run.",
        "input_schema": {"type": "object", "properties": {"report": text("Markdown.")}, "required": ["report"]},
    },
]

script = script_of(CASES)


@toolspend.tool(name="capture_chart")
async def capture_chart(material: str) -> list[Json]:
    """The chart as an image block."""
    await world.wait(2.2, "chart", material)
    source = {"type": "base64", "media_type": "image/png", "data": base64.b64encode(_png(1_000, 600)).decode()}
    return [{"type": "image", "source": source}]


@toolspend.tool(name="post_report", has_side_effects=True)
async def post_report(report: str) -> list[Json]:
    """Posts the report."""
    await world.wait(0.3, "post", report)
    return [{"type": "text", "text": "posted"}]


HANDLERS: dict[str, Callable[..., Awaitable[list[Json]]]] = {"capture_chart": capture_chart, "post_report": post_report}

toolspend.instrument()


async def handle(client: AsyncAnthropic, case: Case) -> str:
    """One report. The searches run at the provider; only the other calls come back here."""
    with toolspend.session(case.session, user=case.user, tags=list(case.tags)), agent_run("market-watch"):
        messages: list[Any] = [{"role": "user", "content": case.messages[0]}]
        while True:
            async with client.messages.stream(
                model=MODEL, max_tokens=4_000, system=SYSTEM, tools=TOOLS, messages=messages
            ) as stream:
                response = await stream.get_final_message()
            messages.append({"role": "assistant", "content": [_as_sent(block) for block in response.content]})
            results: list[Any] = []
            for block in response.content:
                if block.type == "tool_use":
                    arguments: Any = block.input
                    content = await HANDLERS[block.name](**arguments)
                    results.append({"type": "tool_result", "tool_use_id": block.id, "content": content})
            if not results:
                return "".join(block.text for block in response.content if block.type == "text")
            messages.append({"role": "user", "content": results})


def _as_sent(block: Any) -> Json:
    """The block as the API takes it back: without the fields that it left out."""
    sent: Json = block.model_dump(mode="json", exclude_none=True)
    return sent


def _png(width: int, height: int) -> bytes:
    """A white picture with one bit a pixel, not compressed, so that its size is the same everywhere."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    rows = (b"\x00" + b"\xff" * ((width + 7) // 8)) * height
    header = struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0)
    body = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows, 0)) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + body
