"""The support agent without prompt caching: the same work as `support_cached`, at the price of every repetition."""

from __future__ import annotations

from anthropic import AsyncAnthropic

from stories.case import Case, script_of
from stories.plots.support import cases
from stories.support import converse

CASES = cases("legacy")
script = script_of(CASES)


async def handle(client: AsyncAnthropic, case: Case) -> str:
    """One conversation with a customer."""
    return await converse(client, case, is_cached=False)
