"""What an answer of the API that refused a request says."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

from toolspend import attributes as at
from toolspend.evidence.segments import result_text

_STATUS: Final = re.compile(r"API Error[:\s(]+(?:Request failed with status code )?(\d{3})\b")
_NAMED: Final = re.compile(r'"type"\s*:\s*"(\w+_error)"')
_UNKNOWN: Final = "api_error"


def error_attributes(line: Mapping[str, Any]) -> dict[str, Any]:
    """What a line with `isApiErrorMessage` says: the kind of error, the status, and that nothing was billed."""
    message = line.get("message")
    text = result_text(message.get("content")) if isinstance(message, dict) else ""
    status, named = _STATUS.search(text), _NAMED.search(text)
    said = line.get("error")
    kind = said if isinstance(said, str) and said else named.group(1) if named else None
    return {
        at.ERROR_TYPE: kind or (status.group(1) if status else _UNKNOWN),
        at.HTTP_STATUS: int(status.group(1)) if status else None,
        at.INPUT_TOKENS: 0,
        at.OUTPUT_TOKENS: 0,
    }
