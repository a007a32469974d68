"""What the API refuses before it reads a prompt, in its own words."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from standin.cache import MAX_BREAKPOINTS
from standin.prompt import Json, Piece
from standin.script import Failure

MISSING_MODELS: Final = frozenset({"claude-nonexistent"})
INVALID_KEYS: Final = frozenset({"", "sk-invalid"})


def refused_key(headers: dict[str, str]) -> Failure | None:
    """Why these headers do not let anyone in, or None. Names are in lower case."""
    key = headers.get("x-api-key") or headers.get("authorization", "").removeprefix("Bearer ")
    return Failure(401, "authentication_error", "invalid x-api-key") if key in INVALID_KEYS else None


def refused_body(body: Json, *, counts_only: bool) -> Failure | None:
    """Why this request is not answered, or None."""
    for field in ("model", "messages") if counts_only else ("model", "max_tokens", "messages"):
        if field not in body:
            return _invalid(f"{field}: Field required")
    if body["model"] in MISSING_MODELS:
        return Failure(404, "not_found_error", f"model: {body['model']}")
    messages: list[Json] = body["messages"]
    if not messages:
        return _invalid("messages: at least one message is required")
    return _unpaired(messages)


def refused_breakpoints(pieces: Sequence[Piece]) -> Failure | None:
    """Why these cache breakpoints are not accepted, or None."""
    ttls = [piece.ttl for piece in pieces if piece.ttl is not None]
    if len(ttls) > MAX_BREAKPOINTS:
        return _invalid(f"A maximum of {MAX_BREAKPOINTS} blocks with cache_control may be provided. Found {len(ttls)}.")
    if "5m" in ttls and "1h" in ttls[ttls.index("5m") :]:
        return _invalid("a ttl='1h' cache_control block must not come after a ttl='5m' cache_control block.")
    return None


def _unpaired(messages: list[Json]) -> Failure | None:
    asked: set[str] = set()
    for index, message in enumerate(messages):
        blocks = [] if isinstance(message["content"], str) else message["content"]
        given = {block["tool_use_id"] for block in blocks if block.get("type") == "tool_result"}
        if unknown := given - asked:
            return _invalid(
                f"messages.{index}.content: unexpected `tool_use_id` found in `tool_result` blocks: {min(unknown)}. "
                "Each `tool_result` block must have a corresponding `tool_use` block in the previous message."
            )
        if missing := asked - given:
            return _invalid(
                f"messages.{index - 1}: `tool_use` ids were found without `tool_result` blocks immediately after: "
                f"{min(missing)}."
            )
        asked = {block["id"] for block in blocks if block.get("type") == "tool_use"}
    return None


def _invalid(message: str) -> Failure:
    return Failure(400, "invalid_request_error", message)
