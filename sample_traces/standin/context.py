"""What the API makes of the messages before it bills them: compactions, and edits of the context that it was asked for.

The client's list stays as it is: only what is billed shrinks.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Final

from standin.prompt import Json

CLEARED: Final = "[Old tool result content cleared]"
CLEAR_TOOL_USES: Final = "clear_tool_uses_20250919"
COMPACT: Final = "compact_20260112"
_DEFAULT_TRIGGER_TOKENS: Final = 100_000
_DEFAULT_KEPT_USES: Final = 3


def edits_of(body: Json, kind: str) -> Json | None:
    """The edit of that type which a request asks for, or None."""
    asked: list[Json] = (body.get("context_management") or {}).get("edits") or []
    return next((edit for edit in asked if edit["type"] == kind), None)


def without_compacted(body: Json) -> Json:
    """The request without what its last compaction stands for: every block before it."""
    messages: list[Json] = body["messages"]
    for index in range(len(messages) - 1, -1, -1):
        content = messages[index]["content"]
        places = [] if isinstance(content, str) else [i for i, b in enumerate(content) if b.get("type") == "compaction"]
        if places:
            kept = messages[index] | {"content": content[places[-1] :]}
            return body | {"messages": [kept, *messages[index + 1 :]]}
    return body


def cleared(body: Json, count: Callable[[Json], int]) -> tuple[Json, list[Json]]:
    """The request without the results of old tool uses, if it asks for that, and what was applied.

    `count` gives the tokens of a request: nothing is cleared below the trigger, nor for less than `clear_at_least`.
    """
    edit = edits_of(body, CLEAR_TOOL_USES)
    if edit is None:
        return body, []
    before = count(body)
    results = [block["tool_use_id"] for block in _blocks(body) if block.get("type") == "tool_result"]
    kept = int((edit.get("keep") or {}).get("value", _DEFAULT_KEPT_USES))
    excluded = set(edit.get("exclude_tools") or ())
    spared = {block["id"] for block in _blocks(body) if block.get("type") == "tool_use" and block["name"] in excluded}
    old = {call for call in results[: len(results) - kept] if call not in spared}
    if before <= _tokens(edit.get("trigger"), _DEFAULT_TRIGGER_TOKENS) or not old:
        return body, []
    after = body | {"messages": [_without_results(message, old) for message in body["messages"]]}
    freed = before - count(after)
    if freed < max(_tokens(edit.get("clear_at_least"), 0), 1):
        return body, []
    return after, [{"type": CLEAR_TOOL_USES, "cleared_tool_uses": len(old), "cleared_input_tokens": freed}]


def _tokens(limit: Any, otherwise: int) -> int:
    return int(limit["value"]) if limit else otherwise


def _blocks(body: Json) -> Iterator[Json]:
    for message in body["messages"]:
        if not isinstance(message["content"], str):
            yield from message["content"]


def _without_results(message: Json, old: set[str]) -> Json:
    content = message["content"]
    if isinstance(content, str):
        return message
    return message | {
        "content": [
            block | {"content": CLEARED}
            if block.get("type") == "tool_result" and block["tool_use_id"] in old
            else block
            for block in content
        ]
    }
