"""How a failure is called: `error.type` of exceptions, and what a handler raises to choose its own."""

from __future__ import annotations

from asyncio import CancelledError

from .. import attributes as at
from .._guard import record_failure


class ToolError(Exception):
    """Raised by a handler to tell the model what went wrong and what it can do.

    `error_type` is what spans say of it: a word out of few, such as "not_found".
    """

    def __init__(self, *said: object, error_type: str = at.ERROR_TOOL) -> None:
        super().__init__(*said)
        self.error_type = error_type


def error_type(error: BaseException) -> str:
    """`error.type` of an exception: its class, unless it stands for one of `attributes.CALL_ERRORS` or says its own."""
    if isinstance(error, ToolError):
        return error.error_type
    if isinstance(error, CancelledError):
        return at.ERROR_CANCELLED
    return at.ERROR_TIMEOUT if isinstance(error, TimeoutError) else type(error).__qualname__


def error_text(error: BaseException) -> str | None:
    """What an exception says, after its `error_type`; None where it says nothing, or its text cannot be asked for."""
    try:
        text = str(error)
    except Exception as failure:
        record_failure("text of an exception", failure)
        return None
    return f"{error_type(error)}: {text}" if text else None
