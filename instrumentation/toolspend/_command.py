"""The console script: the command line comes with the dashboard's extra."""

from __future__ import annotations

import gc
import importlib.util
import sys
from typing import Final

_INSTALL: Final = "toolspend: this command needs the dashboard: pip install 'toolspend[dashboard]'"
_ZSTD: Final = "compression.zstd" if sys.version_info >= (3, 14) else "backports.zstd"
_NEEDED: Final = (_ZSTD, "duckdb", "genai_prices", "grpc", "msgspec", "numpy", "pandas", "plotly", "ptars", "pyarrow",
                  "rich", "starlette", "streamlit", "typer", "uvicorn")  # fmt: skip


def main() -> int:
    """Runs the command line; its exit code. Says how to install it where it is missing."""
    # What is imported stays: to look for cycles in it meanwhile would make importing a tenth longer.
    gc.disable()
    if not all(map(_is_there, (*_NEEDED, "toolspend_dashboard"))):
        gc.enable()
        print(_INSTALL, file=sys.stderr)
        return 1
    from toolspend_dashboard import cli

    gc.freeze()
    gc.enable()
    return cli.main()


def _is_there(name: str) -> bool:
    try:
        return importlib.util.find_spec(name) is not None
    except ModuleNotFoundError:  # nor is what it lies in
        return False
