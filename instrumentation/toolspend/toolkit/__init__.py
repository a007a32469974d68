"""A tool layer to build agents with: small, typed, no database, and traced once `toolspend.instrument()` was called.

Every part has the shape that `toolspend.instrument` knows, so that an agent can take over one at a time.
"""

from __future__ import annotations

from .audit import audit
from .registry import ToolRegistry
from .selection import Selection
from .tool import Tool, ToolError

__all__ = ["Selection", "Tool", "ToolError", "ToolRegistry", "audit"]
