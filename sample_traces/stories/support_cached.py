"""The support agent with prompt caching: compare its bill with that of `support_uncached`, which does the same work."""

from __future__ import annotations

from anthropic import AsyncAnthropic

from stories.case import Case, script_of
from stories.plots.support import cases
from stories.support import converse

CASES = cases("cached")
script = script_of(CASES)


async def handle(client: AsyncAnthropic, case: Case) -> str:
    """One conversation with a customer."""
    return await converse(client, case, is_cached=True)
