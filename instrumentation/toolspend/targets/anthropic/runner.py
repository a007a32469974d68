"""Tool runs of the SDK's tool runner: its own spans enriched, or spans of ours where it has none."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import Any

from opentelemetry.trace import SpanKind, Status, StatusCode

from ... import attributes as at
from ..._guard import guarded
from ..._provider import tracer
from ...evidence import conversations
from ...evidence.definitions import canonical
from ...evidence.segments import result_text
from ._patches import Patches


def patch(patches: Patches, *, has_native_spans: bool) -> None:
    """Wraps the end of the SDK's tool spans, or, in an SDK without them, the running of its function tools."""
    if has_native_spans:
        module = import_module("anthropic.lib._tracing._tools")
        patches.wrap(module, "end_tool_use_span", _end)
        return
    try:
        functions = import_module("anthropic.lib.tools._beta_functions")
    except ImportError:
        return  # older than the tool runner
    for name, wrapper in (("BetaFunctionTool", _call), ("BetaAsyncFunctionTool", _call_async)):
        if (owner := getattr(functions, name, None)) is not None:
            patches.wrap(owner, "call", wrapper)


def _end(wrapped: Callable[..., None], _instance: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
    with guarded("anthropic.tool"):
        _client, span, argument, run = args
        if span.is_recording():
            content = None if run.result is None else run.result.get("content")
            name = (getattr(span, "attributes", None) or {}).get(at.TOOL_NAME)
            span.set_attributes(_sizes(name, argument, content))
    wrapped(*args, **kwargs)


def _sizes(name: Any, argument: Any, content: Any) -> dict[str, Any]:
    attributes: dict[str, Any] = {at.TOOL_ARGUMENT_CHARS: len(canonical(argument))}
    if content is not None:
        chars = len(result_text(content if isinstance(content, str) else list(content)))
        attributes[at.TOOL_RAW_RESULT_CHARS] = attributes[at.TOOL_RESULT_CHARS] = chars
    if isinstance(name, str) and (version := conversations.version_of_tool(name)) is not None:
        attributes[at.TOOL_VERSION] = version
    return attributes


class _Run:
    """A tool run of the runner of an SDK without spans of its own, as a context manager around it."""

    def __init__(self, tool: Any, argument: Any) -> None:
        self._argument = argument
        self._name = tool.name
        call_id = conversations.claim_call(tool.name)
        attributes = {at.OPERATION: at.OPERATION_TOOL, at.TOOL_NAME: tool.name, at.TOOL_TYPE: "function"}
        if call_id is not None:
            attributes[at.TOOL_CALL_ID] = call_id
            if (conversation_id := conversations.conversation_of_call(call_id)) is not None:
                attributes[at.CONVERSATION_ID] = conversation_id
        self._span = tracer().start_span(
            f"{at.SPAN_EXECUTE_TOOL} {tool.name}", kind=SpanKind.INTERNAL, attributes=attributes
        )

    def returned(self, result: Any) -> None:
        self._span.set_attributes(_sizes(self._name, self._argument, result))
        self._span.set_status(Status(StatusCode.OK))
        self._span.end()

    def failed(self, error: BaseException) -> None:
        self._span.set_attributes(_sizes(self._name, self._argument, None))
        if isinstance(error, Exception):
            self._span.set_status(Status(StatusCode.ERROR))
            self._span.set_attribute(at.ERROR_TYPE, type(error).__name__)
        self._span.end()


def _begin(tool: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> _Run | None:
    with guarded("anthropic.tool"):
        return _Run(tool, args[0] if args else kwargs.get("input"))
    return None


def _finish(run: _Run | None, method: str, value: Any) -> None:
    if run is not None:
        with guarded("anthropic.tool"):
            getattr(run, method)(value)


def _call(wrapped: Callable[..., Any], tool: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    run = _begin(tool, args, kwargs)
    try:
        result = wrapped(*args, **kwargs)
    except BaseException as error:
        _finish(run, "failed", error)
        raise
    _finish(run, "returned", result)
    return result


async def _call_async(wrapped: Callable[..., Any], tool: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    run = _begin(tool, args, kwargs)
    try:
        result = await wrapped(*args, **kwargs)
    except BaseException as error:
        _finish(run, "failed", error)
        raise
    _finish(run, "returned", result)
    return result
