"""Tool results made to fit: `await compress_tool_result(result, tool_name, max_tokens)`."""

from __future__ import annotations

from ._compress import Compression, compress, compress_tool_result, counter
from ._store import ResultStore, fetch_result_tool

__all__ = ["Compression", "ResultStore", "compress", "compress_tool_result", "counter", "fetch_result_tool"]
