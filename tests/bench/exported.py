"""Bytes that one model request adds to the spool, by turn of a long conversation: `exported.py`, prints JSON.

A conversation of 500 turns with 40 tools, two tool calls a turn. Each request's bytes are those of its frame in the
spool, resource and framing included, as if it were flushed alone.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
TURNS = (1, 5, 50, 500)


def main() -> dict[int, int]:
    """Bytes by turn."""
    import anthropic
    from create import Scripted, conversation, tools  # which finds the stand-in for us

    import standin  # isort: skip
    import toolspend
    from toolspend import _home, _provider

    toolspend.instrument(httpx=False)
    http = standin.http_library()
    client = anthropic.Anthropic(
        api_key="sk-standin", http_client=http.Client(transport=standin.transport(Scripted(), http))
    )
    full, offered = conversation(max(TURNS)), tools(40)
    sizes = {}
    for turn in range(1, max(TURNS) + 1):
        before = spooled(_home.spool_dir())
        client.messages.create(model="claude-opus-4-8", max_tokens=100, tools=offered, messages=full[: 2 * turn + 1])
        if turn in TURNS:
            _provider.flush()
            sizes[turn] = spooled(_home.spool_dir()) - before
        else:
            _provider.flush()
    toolspend.uninstrument()
    return sizes


def spooled(folder: Path) -> int:
    """Bytes in the spool."""
    return sum(path.stat().st_size for path in folder.glob("*.spool"))


if __name__ == "__main__":
    os.environ["TOOLSPEND_HOME"] = tempfile.mkdtemp()
    print(json.dumps(main()))
