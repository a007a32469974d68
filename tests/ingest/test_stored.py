"""Stored spans are read as far as anything follows from them."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from toolspend import attributes as at
from toolspend_ingest import json_text, stored, vocabularies
from toolspend_ingest.rows import Span
from toolspend_ingest.trees import INHERITED

NOW = datetime(2026, 11, 2)
NAMES = st.sampled_from([*sorted(INHERITED), *sorted(vocabularies.MARKS), "http.request.method", "gen_ai.usage.raw"])
VALUES = st.sampled_from(["chat", "execute_tool", "a b", "", 7, None, True, ["x", "y"], {"gen_ai.system": "inner"}])
SCOPES = st.sampled_from([None, at.SCOPE, at.ANTHROPIC_SCOPE, "logfire.openai", "opentelemetry.instrumentation.httpx"])


def _row(name: str, scope: str | None, said: dict[str, Any]) -> list[Any]:
    ids = ["1" * 32, "2" * 16, "3" * 16]
    return [*ids, name, "client", "s", scope, "1.0", NOW, NOW, 1.0, "ok", json_text.write(said), "[]"]


@given(st.sampled_from(["work", "tools/call search"]), SCOPES, st.dictionaries(NAMES, VALUES))
def test_a_span_that_is_glimpsed_says_what_it_says_when_read_whole(
    name: str, scope: str | None, said: dict[str, Any]
) -> None:
    """The same rows follow from it, and the same is inherited from it."""
    row = _row(name, scope, said)
    fields = [*row[:12], said, []]
    whole, found = vocabularies.translate(Span(*fields)), stored.span(row)
    assert vocabularies.normalise(found) == vocabularies.normalise(whole)
    for each in INHERITED:
        assert found.attributes.get(each) == whole.attributes.get(each)


def test_a_span_that_says_nothing_of_models_keeps_only_what_is_inherited() -> None:
    """Its other attributes are not even made."""
    said = {"http.request.method": "GET", at.SESSION_ID: "s-1", "note": "x" * 500}
    assert stored.span(_row("GET", "opentelemetry.instrumentation.httpx", said)).attributes == {at.SESSION_ID: "s-1"}
    assert stored.span(_row("GET", None, {**said, at.OPERATION: "chat"})).attributes["note"] == "x" * 500
