"""What a call that failed tells the model: what went wrong, and what it can do."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from .. import attributes as at
from ..targets._errors import ToolError
from . import _shapes
from ._arguments import BadArguments
from ._content import Content, ToolResult

if TYPE_CHECKING:
    from .executor import Work

_LONGEST_ERROR: Final = 4_000


def failed(work: Work, said: Content, error_type: str) -> ToolResult:
    """The block that tells the model what went wrong, and everyone else its `error_type`."""
    block = ToolResult(type="tool_result", tool_use_id=work.id, content=said, is_error=True)
    block.error_type = error_type
    return block


def mend(error: BadArguments) -> str:
    """What to do about arguments that do not fit."""
    is_theirs = error.error_type == at.ERROR_INVALID_ARGUMENTS
    return "correct the arguments and call it again." if is_theirs else "use another tool."


def said_of(error: BaseException) -> str:
    """An exception's type and message, the middle left out of a long one."""
    text = str(error).strip()
    if len(text) > _LONGEST_ERROR:
        text = f"{text[: _LONGEST_ERROR // 2]} … {text[-_LONGEST_ERROR // 2 :]}"
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def broken(work: Work, tool: Any, error: BaseException) -> str:
    """A handler raised `error`."""
    if isinstance(error, ToolError):
        return str(error)  # written for the model by the handler's author
    times = f" {work.attempts} times in a row" if work.attempts > 1 else ""
    return f"{work.name} failed{times}: {said_of(error)}. {again(tool)}"


def late(work: Work, tool: Any, limit_s: float | None) -> str:
    """A handler was not done in time, or an attempt before had failed and there was no time for another."""
    is_stopped = work.thread is None or not work.thread.is_abandoned
    end = "it was stopped" if is_stopped else "it could not be stopped and may still take effect"
    hint = "Ask for less, or use another tool." if _shapes.is_repeatable(tool) else again(tool)
    before = f" An attempt before failed: {work.failure}." if work.failure else ""
    return f"{work.name} gave no result within {limit_s or 0:g} s; {end}.{before} {hint}"


def again(tool: Any) -> str:
    """Whether to call it again."""
    if _shapes.is_repeatable(tool):
        return "Try other arguments, or another tool."
    return "It may have taken effect in part: check that before you call it again, or use another tool."
