"""What a span's evidence says, an attribute each, in tests."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final

from toolspend import attributes as at

_NAMES: Final = {
    "base": at.CONTEXT_BASE,
    "delta": at.CONTEXT_DELTA,
    "restated": at.CONTEXT_RESTATED,
    "segments": at.CONTEXT_SEGMENTS,
    "chars": at.CONTEXT_CHARS,
    "cache_marks": at.CONTEXT_CACHE_MARKS,
    "output": at.OUTPUT_SEGMENTS,
}


def apart(attributes: Mapping[str, Any]) -> dict[str, Any]:
    """`attributes` with those of which `CONTEXT_EVIDENCE` is the sum in its place: lists as JSON, as they ever were."""
    found = dict(attributes)
    for name, value in json.loads(found.pop(at.CONTEXT_EVIDENCE, "{}")).items():
        found[_NAMES[name]] = json.dumps(value, separators=(",", ":")) if isinstance(value, list) else value
    return found
