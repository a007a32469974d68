"""mcp client sessions: `tools/call`.

mcp 2.x emits a client span of its own: it is enriched, never doubled. It ends before its result is known to be an
error, so the end is put off until `call_tool` returns; its end time stays what it was. mcp 1.x, and in-process
sessions of 2.x, emit none: then the `execute_tool` span is ours. Within a tool call of ours, that call's span is the
`execute_tool` span, and a native span is a plain child.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, Final
from weakref import WeakKeyDictionary

from opentelemetry import context as otel_context
from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.trace import Span, SpanKind, Status, StatusCode

from .. import _provider
from .. import attributes as at
from .._clock import now_ns
from .._config import config
from .._guard import guarded
from ..evidence.definitions import canonical
from ..evidence.guidance import error_words
from ..evidence.shape import shape_of
from . import _calls, _tools, _wrapping
from ._errors import error_type
from ._tools import ToolInfo
from ._wrapping import Restore

_TOOL_CALL: Final = "tools/call"
_DISPATCHER: Final = "mcp.shared.jsonrpc_dispatcher"

_restores: list[Restore] = []
_servers: WeakKeyDictionary[Any, str] = WeakKeyDictionary()
_listed: WeakKeyDictionary[Any, dict[str, ToolInfo]] = WeakKeyDictionary()


class _Request:
    """One `call_tool`: the native span that it opened, if it did, and when that ended."""

    __slots__ = ("ended_ns", "is_native", "span", "started_ns")

    def __init__(self) -> None:
        self.started_ns = now_ns()
        self.span: Span | None = None
        self.is_native = False
        self.ended_ns: int | None = None


_request: ContextVar[_Request | None] = ContextVar("toolspend.mcp", default=None)


def instrument() -> None:
    """Traces `ClientSession` of the imported mcp."""
    if _restores:
        return
    from mcp.client.session import ClientSession

    around = {"call_tool": _call_tool, "list_tools": _list_tools, "initialize": _initialize}
    for name, function in around.items():
        method = vars(ClientSession)[name]
        _restores.append(_wrapping.replace_attribute(ClientSession, name, _wrapping.wrap(method, function)))
    dispatcher: Any = sys.modules.get(_DISPATCHER)
    native = getattr(dispatcher, "otel_span", None)
    if native is not None:
        _restores.append(_wrapping.replace_attribute(dispatcher, "otel_span", _open_ended(native)))


def uninstrument() -> None:
    """Puts every method back."""
    while _restores:
        _restores.pop()()


def _open_ended(native: Callable[..., Any]) -> Callable[..., Any]:
    """`otel_span` of the dispatcher, which leaves the span of a call of ours open when it is done."""

    @contextmanager
    def otel_span(name: str, **options: Any) -> Iterator[Span]:
        request = _request.get()
        attributes = options.get("attributes") or {}
        if request is None or request.is_native or attributes.get(at.MCP_METHOD) != _TOOL_CALL:
            with native(name, **options) as span:
                yield span
            return
        tracer = sys.modules["mcp.shared._otel"]._tracer
        # Without content, the message of an exception stays here: `_end` says its type.
        is_telling = config().capture_content
        options.update(record_exception=is_telling, set_status_on_exception=is_telling)
        with tracer.start_as_current_span(name, end_on_exit=False, **options) as span:
            request.span, request.is_native = span, True
            try:
                yield span
            finally:
                request.ended_ns = now_ns()

    return otel_span


async def _call_tool(wrapped: Callable[..., Any], session: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    if _provider.provider() is None:
        return await wrapped(*args, **kwargs)
    request = _Request()
    context = _begin(request, session, args, kwargs) or otel_context.get_current()
    token, of_context = _request.set(request), otel_context.attach(context)
    try:
        result = await wrapped(*args, **kwargs)
    except BaseException as error:
        # What is thrown away before its end may be so from another context, where the tokens are of no use.
        if not isinstance(error, GeneratorExit):
            otel_context.detach(of_context)
            _request.reset(token)
        _end(request, session, args, kwargs, None, error)
        raise
    otel_context.detach(of_context)
    _request.reset(token)
    _end(request, session, args, kwargs, result, None)
    return result


@guarded("mcp")
def _begin(request: _Request, session: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Context | None:
    """Starts a span of ours where no native one is to come: the context that the call is to run in."""
    if _has_native_spans(session) or _calls.current_call() is not None:
        return None
    request.span = _start(_tool_name(args, kwargs), request.started_ns)
    return trace.set_span_in_context(request.span)


def _has_native_spans(session: Any) -> bool:
    dispatcher: Any = sys.modules.get(_DISPATCHER)
    return hasattr(dispatcher, "otel_span") and isinstance(
        getattr(session, "_dispatcher", None), dispatcher.JSONRPCDispatcher
    )


def _start(name: str, start_ns: int) -> Span:
    return _provider.tracer().start_span(f"{at.SPAN_EXECUTE_TOOL} {name}", kind=SpanKind.CLIENT, start_time=start_ns)


def _tool_name(args: tuple[Any, ...], kwargs: dict[str, Any]) -> str:
    return str(kwargs.get("name", args[0] if args else ""))


@guarded("mcp")
def _end(
    request: _Request,
    session: Any,
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
    result: Any,
    error: BaseException | None,
) -> None:
    ended_ns = request.ended_ns or now_ns()
    name = _tool_name(args, kwargs)
    info = (_listed.get(session) or {}).get(name) or ToolInfo(name)
    info.server = _server_name(session)
    outer = _calls.current_call()
    span = request.span
    try:
        if outer is not None:
            if outer.span is not None and info.server is not None:
                outer.span.set_attribute(at.TOOL_SERVER, info.server)
        elif span is None:
            # A native span was to come, but the call failed before it.
            span = _start(name, request.started_ns)
        if span is not None:
            arguments = kwargs.get("arguments", args[1] if len(args) > 1 else None)
            _describe(span, info, arguments or {}, is_tool=outer is None)
            _conclude(span, result, error)
    finally:
        if span is not None:
            span.end(ended_ns)


def _describe(span: Span, info: ToolInfo, arguments: object, *, is_tool: bool) -> None:
    if is_tool:
        span.set_attributes({at.OPERATION: at.OPERATION_TOOL, at.TOOL_NAME: info.name, at.TOOL_TYPE: "extension"})
    span.set_attributes(info.attributes())
    chars = _tools.argument_chars(arguments)
    if chars is not None:
        span.set_attribute(at.TOOL_ARGUMENT_CHARS, chars)
    content = config().content(canonical(arguments)) if config().capture_content else None
    if content is not None:
        span.set_attribute(at.TOOL_ARGUMENTS, content)


def _conclude(span: Span, result: Any, error: BaseException | None) -> None:
    if error is not None:
        code = getattr(getattr(error, "error", error), "code", None)
        span.set_attribute(at.ERROR_TYPE, str(code) if isinstance(code, int) else error_type(error))
        span.set_status(Status(StatusCode.ERROR, config().content(str(error))))
        return
    blocks = _tools.read(result, "content")
    text = _text(blocks) if isinstance(blocks, list) else None
    if text is not None:
        span.set_attribute(at.TOOL_RAW_RESULT_CHARS, len(text))
        if (shape := shape_of(text)) is not None:
            span.set_attribute(at.TOOL_RESULT_SHAPE, shape)
        content = config().content(text)
        if content is not None:
            span.set_attribute(at.TOOL_RESULT, content)
    if _tools.read(result, "is_error", "isError") is True:
        span.set_attribute(at.ERROR_TYPE, _told(result))
        if text:
            span.set_attribute(at.TOOL_ERROR_WORDS, error_words(text))
        span.set_status(Status(StatusCode.ERROR))


def _told(result: Any) -> str:
    """What a server made with the toolkit calls its failure; of others no more is known than that there is one."""
    meta = _tools.read(result, "meta", "_meta")
    said = meta.get(at.MCP_ERROR_TYPE) if isinstance(meta, Mapping) else None
    return said if isinstance(said, str) and said in at.CALL_ERRORS else at.ERROR_TOOL


def _text(blocks: list[Any]) -> str:
    """The text of a result's blocks; of an image, a sound or a resource, its data as it was sent."""
    parts = []
    for block in blocks:
        part = _tools.read(block, "text", "data")
        if part is None:
            part = _tools.read(_tools.read(block, "resource") or {}, "text", "blob")
        parts.append(part if isinstance(part, str) else "")
    return "".join(parts)


def _server_name(session: Any) -> str | None:
    name = getattr(getattr(session, "server_info", None), "name", None)
    return name if isinstance(name, str) else _servers.get(session)


async def _initialize(wrapped: Callable[..., Any], session: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    result = await wrapped(*args, **kwargs)
    with guarded("mcp"):
        name = _tools.read(_tools.read(result, "serverInfo", "server_info"), "name")
        if isinstance(name, str):
            _servers[session] = name
    return result


async def _list_tools(wrapped: Callable[..., Any], session: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    result = await wrapped(*args, **kwargs)
    if _provider.provider() is not None:
        with guarded("mcp"):
            known = _listed.setdefault(session, {})
            for tool in _tools.read(result, "tools") or ():
                info = _tools.describe(tool)
                known[info.name] = info
    return result
