"""Spans in, DuckDB out: load OpenTelemetry spans into a store and attribute what was billed to tools."""

from __future__ import annotations

from .ingest import Summary, ingest
from .store import Store

__all__ = ["Store", "Summary", "ingest"]
