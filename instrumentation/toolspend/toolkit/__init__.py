"""A tool layer to build agents with: small, typed, no database, and traced once `toolspend.instrument()` was called.

Every part has the shape that `toolspend.instrument` knows, so that an agent can take over one at a time.
"""

from __future__ import annotations

from ..targets._errors import ToolError
from ._content import ToolResult
from ._threads import is_cancelled
from .audit import audit
from .compressor import Compression, ResultStore, compress_tool_result, fetch_result_tool
from .executor import Retries, execute_tool_calls
from .plan import Plan, Step
from .registry import ToolRegistry
from .selection import Selection
from .tool import Tool
from .tracker import Budget, Tracker
from .versions import ToolVersions, VersionedTools, mcp_server

__all__ = [
    "Budget",
    "Compression",
    "Plan",
    "ResultStore",
    "Retries",
    "Selection",
    "Step",
    "Tool",
    "ToolError",
    "ToolRegistry",
    "ToolResult",
    "ToolVersions",
    "Tracker",
    "VersionedTools",
    "audit",
    "compress_tool_result",
    "execute_tool_calls",
    "fetch_result_tool",
    "is_cancelled",
    "mcp_server",
]
