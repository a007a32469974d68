"""What spans say: one pure module per emitter's dialect, which puts a span into the conventions' words.

A dialect is a module with `translate(span) -> Span`, the same span saying the same under the conventions' names, and
`read_content(span) -> attributes`, what its content says in sizes, kinds and figures. Of the result `conventions` makes
rows. A new dialect is a new file, its scopes and marks here, and how it counts in `emitters`.

A span that none of this concerns is told by its scope and one comparison of sets, and costs nothing more.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, Final, NamedTuple

from msgspec.structs import replace

from toolspend import attributes as at

from ..otlp_values import LOG_KIND
from ..rows import Span
from . import (
    claude_code,
    content,
    genai,
    langsmith,
    log_records,
    logfire,
    mcp,
    openinference,
    openllmetry,
    pydantic_ai,
    vercel,
)
from .conventions import SYSTEM, normalise

__all__ = [
    "MARKS",
    "Dialect",
    "dialect_of",
    "is_spoken",
    "may_speak",
    "normalise",
    "speaking",
    "translate",
    "without_content",
]


class Dialect(NamedTuple):
    """One emitter's way to say things."""

    name: str
    translate: Callable[[Span], Span]
    read_content: Callable[[Span], dict[str, Any]]


_GENAI: Final = Dialect("genai", genai.translate, genai.read_content)
_OPENINFERENCE: Final = Dialect("openinference", openinference.translate, openinference.read_content)
_OPENLLMETRY: Final = Dialect("openllmetry", openllmetry.translate, openllmetry.read_content)
_LOGFIRE: Final = Dialect("logfire", logfire.translate, logfire.read_content)
_PYDANTIC_AI: Final = Dialect("pydantic-ai", pydantic_ai.translate, pydantic_ai.read_content)
_VERCEL: Final = Dialect("vercel", vercel.translate, vercel.read_content)
_LANGSMITH: Final = Dialect("langsmith", langsmith.translate, langsmith.read_content)
_MCP: Final = Dialect("mcp", mcp.translate, mcp.read_content)
_CLAUDE_CODE: Final = Dialect("claude code", claude_code.translate, claude_code.read_content)
_LOG_RECORDS: Final = Dialect("log records", log_records.translate, log_records.read_content)

_BY_SCOPE: Final = {
    at.SCOPE: _GENAI,
    at.ANTHROPIC_SCOPE: _GENAI,
    **dict.fromkeys(claude_code.SCOPES, _CLAUDE_CODE),
    "pydantic-ai": _PYDANTIC_AI,
    "logfire.anthropic": _LOGFIRE,
    "logfire.openai": _LOGFIRE,
}
_BY_MARK: Final = (
    (at.LOG_RECORDS, _LOG_RECORDS),
    (at.LOG_EVIDENCE, _LOG_RECORDS),
    (at.MCP_METHOD, _MCP),
    (openinference.KIND, _OPENINFERENCE),
    (vercel.ID, _VERCEL),
    (langsmith.KIND, _LANGSMITH),
    ("traceloop.span.kind", _OPENLLMETRY),
    ("llm.request.type", _OPENLLMETRY),
    (at.OPERATION, _GENAI),
    (SYSTEM, _GENAI),
)
"""What only a dialect's spans say; the first that a span says tells it. Collectors may drop the scope."""
MARKS: Final = frozenset(mark for mark, _ in _BY_MARK)
_INSTRUMENTATIONS: Final = "opentelemetry.instrumentation."
_CALL: Final = f"{mcp.CALL_METHOD} "


def dialect_of(span: Span) -> Dialect | None:
    """The dialect of a span; None where it says nothing of models and tools."""
    own = _BY_SCOPE.get(span.scope or "") if span.kind != LOG_KIND else _LOG_RECORDS
    if own is not None:
        return own
    if MARKS.isdisjoint(span.attributes):
        return _MCP if span.name.startswith(_CALL) else None
    found = next(dialect for mark, dialect in _BY_MARK if mark in span.attributes)
    is_instrumentation = found is _GENAI and (span.scope or "").startswith(_INSTRUMENTATIONS)
    return _OPENLLMETRY if is_instrumentation else found


def translate(span: Span) -> Span:
    """The span in the conventions' words, with what its content says; itself where it says nothing of models."""
    dialect = dialect_of(span)
    if dialect is None:
        return span
    span = dialect.translate(span)
    if content.has_any(span.attributes) or content.has_messages(span.events):
        return span.saying(dialect.read_content(span))
    return span


def without_content(span: Span) -> dict[str, Any]:
    """The attributes of a span without content, and with all that its content says: it translates to the same."""
    kept = content.without(span.attributes)
    dialect = dialect_of(span)
    if dialect is None:
        return kept
    whole = dialect.translate(span)
    kept |= dialect.read_content(whole)
    left = dialect.translate(replace(span, attributes=kept)).attributes
    return kept | content.without({name: said for name, said in whole.attributes.items() if name not in left})


def may_speak(scope: str | None, name: str) -> bool:
    """Whether a span may be in a dialect that none of its attributes is a mark of."""
    return scope in _BY_SCOPE or name.startswith(_CALL)


def speaking() -> dict[str, Any]:
    """What tells in SQL whether a stored span may be in a dialect: the values of `spans_of_traces`."""
    marks = "|".join(map(re.escape, sorted(MARKS)))
    return {"log_kind": LOG_KIND, "scopes": sorted(_BY_SCOPE), "call": _CALL, "marks": f'"(?:{marks})"'}


def is_spoken(scope: str | None) -> bool:
    """Whether every span of this scope is in a dialect."""
    return scope in _BY_SCOPE
