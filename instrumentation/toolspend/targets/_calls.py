"""One batch of tool calls, and the one span that each call gets however it ends.

A batch knows what the model asked for before anything runs. A handler that starts claims the call it runs; what no
handler claimed still gets its span when the batch ends. Where context variables do not reach (a thread pool), the
handler finds its call among the batches that are running.
"""

from __future__ import annotations

import inspect
import threading
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextvars import ContextVar
from typing import Any, Final, cast

from opentelemetry import context as otel_context
from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.trace import Span, Status, StatusCode

from .. import _provider, evidence
from .. import attributes as at
from .._clock import now_ns
from .._config import config
from .._guard import guarded, record_failure
from ..evidence.definitions import canonical
from ..evidence.guidance import error_words
from ..evidence.shape import shape_of
from . import _tools
from ._errors import error_text, error_type
from ._tools import ToolInfo

_BATCH: Final = otel_context.create_key("toolspend.batch")
_CALL: Final = otel_context.create_key("toolspend.call")

asked_id: ContextVar[str | None] = ContextVar("toolspend_asked_id", default=None)
"""Id of the call whose handler runs next here, where the executor says it: two calls may have the same inputs."""

_running: list[Batch] = []
_running_lock = threading.Lock()


class Call:
    """One tool call: what was asked, how its handler fared, and its span once it has one."""

    __slots__ = (
        "arguments",
        "attempts",
        "batch",
        "ended_ns",
        "error_type",
        "error_words",
        "id",
        "info",
        "is_compressed",
        "is_inside",
        "is_known",
        "message",
        "name",
        "raw_chars",
        "raw_identity",
        "raw_shape",
        "runs",
        "span",
    )

    def __init__(self, name: str, id: str | None, arguments: object, batch: Batch | None = None) -> None:
        self.name = name
        self.id = id
        self.arguments = arguments
        self.batch = batch
        self.info: ToolInfo | None = None
        self.is_known: bool | None = None
        self.span: Span | None = None
        self.attempts = 0
        self.runs = 0
        self.ended_ns: int | None = None
        self.error_type: str | None = None
        self.error_words: int | None = None
        self.message: str | None = None
        self.raw_chars: int | None = None
        self.raw_identity: int | None = None
        self.raw_shape: str | None = None
        self.is_compressed = False
        self.is_inside = False

    def start(self, context: Context | None, start_ns: int | None = None) -> Span:
        """Starts its span under `context`."""
        values: dict[str, Any] = {
            at.OPERATION: at.OPERATION_TOOL,
            at.TOOL_NAME: self.name,
            at.TOOL_TYPE: "function",
        }
        if self.id is not None:
            values[at.TOOL_CALL_ID] = self.id
            conversation = _conversation(self.id)
            if conversation is not None:
                values[at.CONVERSATION_ID] = conversation
        if self.info is not None:
            values.update(self.info.attributes())
        chars = _tools.argument_chars(self.arguments)
        if chars is not None:
            values[at.TOOL_ARGUMENT_CHARS] = chars
            settings = config()
            if settings.capture_content:
                text = self.arguments if isinstance(self.arguments, str) else canonical(self.arguments)
                content = settings.content(text)
                if content is not None:
                    values[at.TOOL_ARGUMENTS] = content
        if self.is_known is False:
            values[at.TOOL_IS_KNOWN] = False
        if self.batch is not None:
            values[at.BATCH_ID] = self.batch.id
        self.span = _provider.tracer().start_span(
            f"{at.SPAN_EXECUTE_TOOL} {self.name}", context=context, attributes=values, start_time=start_ns
        )
        return self.span

    def returned(self, ended_ns: int, identity: int, chars: int | None, shape: str | None) -> None:
        """Its handler returned an object of that `id()`, size and shape: the object itself is not kept."""
        self.ended_ns = ended_ns
        self.error_type = self.error_words = self.message = None
        self.raw_chars = chars
        self.raw_shape = shape
        self.raw_identity = identity

    def raised(self, ended_ns: int, error: BaseException) -> None:
        """Its handler ended with `error`."""
        self.ended_ns = ended_ns
        self.error_type = error_type(error)
        said = error_text(error)
        self.error_words = None if said is None else error_words(said)
        self.message = config().content(said) if said is not None and config().capture_content else None
        self.raw_chars = self.raw_identity = self.raw_shape = None

    def end(self, end_ns: int, *, result_chars: int | None = None, result: str | None = None) -> None:
        """Ends its span, with what is known by now."""
        span = self.span
        if span is None:
            return
        found = {
            at.TOOL_ATTEMPT: self.attempts or None,
            at.TOOL_RAW_RESULT_CHARS: self.raw_chars,
            at.TOOL_RESULT_SHAPE: self.raw_shape,
            at.TOOL_RESULT_CHARS: result_chars,
            at.TOOL_RESULT: result,
            at.ERROR_TYPE: self.error_type,
            at.TOOL_ERROR_WORDS: None if self.error_type is None else self.error_words,
        }
        span.set_attributes({key: value for key, value in found.items() if value is not None})
        if self.error_type is not None:
            span.set_status(Status(StatusCode.ERROR, self.message))
        span.end(end_ns)
        self.arguments = None


class Batch:
    """One run of an executor: its calls, its span, and the context that its calls' spans lie in."""

    def __init__(self, asked: Sequence[tuple[str, str | None, object]], attributes: Mapping[str, Any]) -> None:
        values: dict[str, Any] = {at.OPERATION: at.OPERATION_BATCH, at.BATCH_CALLS: len(asked), **attributes}
        self.started_ns = now_ns()
        self.span = _provider.tracer().start_span(at.SPAN_EXECUTE_TOOLS, attributes=values, start_time=self.started_ns)
        self.id = trace.format_span_id(self.span.get_span_context().span_id)
        self.span.set_attribute(at.BATCH_ID, self.id)
        self.context = otel_context.set_value(_BATCH, self, trace.set_span_in_context(self.span))
        self.calls: list[Call] = []
        self.lock = threading.Lock()
        self.is_over = False
        self._has_conversation = False
        for each in asked:
            self.add(*each)
        with _running_lock:
            _running.append(self)

    def add(self, name: str, id: str | None, arguments: object) -> Call | None:
        """Takes one more call, unless it is over."""
        call = Call(name, id, arguments, self)
        with self.lock:
            if self.is_over:
                return None
            self.calls.append(call)
        if not self._has_conversation and id and (conversation := _conversation(id)) is not None:
            self._has_conversation = True
            self.span.set_attribute(at.CONVERSATION_ID, conversation)
        return call

    def claim(
        self, name: str, inputs: Callable[[object], bool], *, is_exact: bool, id: str | None = None
    ) -> Call | None:
        """The call that a handler of tool `name` with such inputs runs now, or None. `id` is the call's, if known."""
        with self.lock:
            if self.is_over:
                return None
            if id is not None:
                for call in self.calls:
                    if call.id == id:
                        if call.is_known is False:  # under this name: it was an alias
                            call.is_known = call.error_type = None
                        call.attempts += 1
                        call.runs += 1
                        return call
            # Nearly always it is the first that no handler has run yet and that has these inputs.
            for call in self.calls:
                if call.attempts == 0 and call.name == name and inputs(call.arguments):
                    call.attempts = call.runs = 1
                    return call
            mine = [call for call in self.calls if call.name == name]
            same = [call for call in mine if inputs(call.arguments)]
            for candidates in (same,) if is_exact else (same, mine):
                # One that no handler has run; else a retry of one that failed; else of one that is still running.
                for fits in (_is_fresh, _has_failed, _is_at_work):
                    for call in candidates:
                        if fits(call):
                            call.attempts += 1
                            call.runs += 1
                            return call
            return None

    def close(self) -> list[Call]:
        """Takes no more claims. Returns its calls."""
        with _running_lock:
            _running.remove(self)
        with self.lock:
            self.is_over = True
            return self.calls


def _is_fresh(call: Call) -> bool:
    return call.attempts == 0


def _has_failed(call: Call) -> bool:
    return call.error_type is not None


def _is_at_work(call: Call) -> bool:
    return call.runs > 0


def current_call(context: Context | None = None) -> Call | None:
    """The tool call whose handler is running here, or None."""
    return cast("Call | None", otel_context.get_value(_CALL, context))


def current_batch() -> Batch | None:
    """The batch that is running here, or None."""
    return cast("Batch | None", otel_context.get_value(_BATCH))


def running_batches() -> list[Batch]:
    """Every batch that is running in this process."""
    with _running_lock:
        return list(_running)


@guarded("tool call")
def begin(info: ToolInfo, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[Call, Context]:
    """A handler of the tool starts: its call, claimed or new, and the context that the handler is to run in."""

    def is_input(arguments: object) -> bool:
        if _is_same(kwargs, arguments):
            return True
        return bool(args) and any(_is_same(each, arguments) for each in args)

    base = otel_context.get_current()
    batch = current_batch()
    call: Call | None = None
    if batch is not None:
        # Within another handler only a call of the very same inputs is meant: handlers call each other directly.
        is_inside = current_call() is not None
        call = batch.claim(info.name, is_input, is_exact=is_inside, id=None if is_inside else asked_id.get())
    else:
        # A thread that the context did not follow into, or a call outside any batch. What has a span about it already
        # is rather the latter, unless its inputs say otherwise.
        running = running_batches()
        tries = [(each, True) for each in running]
        if not trace.get_current_span().get_span_context().is_valid:
            tries += [(each, False) for each in running]
        for batch, is_exact in tries:
            call = batch.claim(info.name, is_input, is_exact=is_exact)
            if call is not None:
                base = batch.context
                break
    if call is None:
        call = Call(info.name, None, _arguments(args, kwargs))
        call.attempts = call.runs = 1
    if call.span is None:
        call.info = info
        if call.arguments is None:
            call.arguments = _arguments(args, kwargs)
        call.start(base)
    span = call.span
    call.is_inside = False
    context = base if span is None else trace.set_span_in_context(span, base)
    return call, otel_context.set_value(_CALL, call, context)


@guarded("tool call")
def finish(call: Call, result: object, error: BaseException | None) -> None:
    """A handler has returned `result` or raised `error`. Outside a batch, that ends the call's span."""
    ended_ns = now_ns()
    try:
        chars = _tools.raw_chars(result) if error is None else None
        shape = shape_of(result) if error is None else None
    except Exception as failure:  # an object that cannot even be looked at: its size is unknown, its call is not
        record_failure("size of a result", failure)
        chars = shape = None
    batch = call.batch
    if batch is None:
        _settle(call, ended_ns, result, chars, shape, error)
        # What is of no known size is no text and no JSON.
        call.end(ended_ns, result=None if chars is None else _tools.raw_content(result))
        return
    with batch.lock:
        call.runs -= 1
        if not batch.is_over:
            _settle(call, ended_ns, result, chars, shape, error)


def _settle(
    call: Call, ended_ns: int, result: object, chars: int | None, shape: str | None, error: BaseException | None
) -> None:
    if error is None:
        call.returned(ended_ns, id(result), chars, shape)
    else:
        call.raised(ended_ns, error)


def run(info: ToolInfo, function: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """What `function(*args, **kwargs)` returns or raises, the run recorded as one of tool `info`."""
    begun = begin(info, args, kwargs)
    if begun is None:
        return function(*args, **kwargs)
    call, context = begun
    token = otel_context.attach(context)
    try:
        result = function(*args, **kwargs)
    except BaseException as error:
        otel_context.detach(token)
        finish(call, None, error)
        raise
    otel_context.detach(token)
    if inspect.iscoroutine(result):
        return _finish_async(call, context, result)
    finish(call, result, None)
    return result


async def run_async(info: ToolInfo, function: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """The same for a function that returns an awaitable."""
    begun = begin(info, args, kwargs)
    if begun is None:
        return await function(*args, **kwargs)
    call, context = begun
    return await _finish_async(call, context, function(*args, **kwargs))


async def _finish_async(call: Call, context: Context, work: Awaitable[Any]) -> Any:
    token = otel_context.attach(context)
    try:
        result = await work
    except GeneratorExit as error:
        # Thrown away before its end, maybe from another context: the token is of no use there.
        finish(call, None, error)
        raise
    except BaseException as error:
        otel_context.detach(token)
        finish(call, None, error)
        raise
    otel_context.detach(token)
    finish(call, result, None)
    return result


def _is_same(given: object, asked: object) -> bool:
    if given is asked:
        return True
    if not isinstance(given, Mapping) or not isinstance(asked, Mapping) or len(given) != len(asked):
        return False
    try:
        return bool(given == asked)
    except Exception:
        # A value whose comparison is not a truth, such as an array, was not in the model's JSON.
        return False


def _arguments(args: tuple[Any, ...], kwargs: dict[str, Any]) -> object:
    if not args:
        return kwargs
    if len(args) == 1 and not kwargs and isinstance(args[0], Mapping):
        return args[0]
    return {"args": args, **kwargs}


@guarded("conversation of a call")
def _conversation(call_id: str) -> str | None:
    return evidence.conversation_of_call(call_id)
