"""Tool calls at once, each answered: whatever happens to one is its `tool_result` and nobody else's."""

from __future__ import annotations

import asyncio
import inspect
import itertools
import random
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from .. import attributes as at
from .._guard import logger
from ..evidence.weight import weigh
from ..targets import _calls
from ..targets._errors import ToolError, error_type
from ..targets.executor import _around
from . import _density, _shapes, _slots, _threads
from ._arguments import BadArguments, checked, fresh, require
from ._born import traced
from ._content import Content, ToolResult, content_of, text_of
from ._failures import again, broken, failed, late, mend, said_of
from .compressor import _model, compress_tool_result

if TYPE_CHECKING:
    from .tracker import Tracker

Compressor: TypeAlias = "Callable[..., str | Awaitable[str]]"

GRACE_S: Final = 1.0
"""How long a cancelled handler may take to clean up before its call is answered without it."""
_COMPRESSION_S: Final = 90.0
"""How long a compressor may take: beyond the minute that our own gives a model."""
_LASTING: Final = (
    ToolError, TypeError, ValueError, LookupError, AttributeError, NameError, AssertionError, ImportError,
    NotImplementedError, PermissionError, FileNotFoundError,
)  # fmt: skip
"""Errors that another attempt with the same arguments would only repeat; so would all that are no `Exception`."""
_NO_FAILURES: Final = (KeyboardInterrupt, GeneratorExit, asyncio.CancelledError)
"""What ends a handler from outside: the user, the end of its coroutine, or a cancellation."""

_stubborn: Final[set[asyncio.Task[None]]] = set()


@dataclass(frozen=True, slots=True)
class Retries:
    """How often a call that may be repeated is tried, and how long to wait between: `base_s`, doubled, with jitter."""

    max_attempts: int = 3
    base_s: float = 0.25
    max_s: float = 8.0

    def delay_s(self, attempt: int, error: BaseException) -> float:
        """Seconds to wait after failed attempt number `attempt`; what the error asks for goes before."""
        asked = getattr(error, "retry_after", None)
        if isinstance(asked, int | float) and asked >= 0:
            return float(asked)
        doubled: float = self.base_s * 2.0 ** (attempt - 1)
        return random.uniform(0.5, 1.0) * min(self.max_s, doubled)  # noqa: S311 (no secret)


@dataclass(frozen=True, slots=True)
class Options:
    """How calls are run."""

    max_concurrency: int = 8
    timeout_s: float | None = 30.0
    max_per_tool: int | Mapping[str, int] | None = None
    retries: Retries = Retries()
    max_result_tokens: int | None = None
    compressor: Compressor = compress_tool_result
    tracker: Tracker | None = None


@dataclass(slots=True)
class Work:
    """One call, what it waits for, and how it went."""

    id: str
    name: str
    input: object
    ready: Callable[[], Awaitable[Content | None]] | None = None
    """Awaited before it starts: what it returns answers the call, which failed, in place of its handler."""
    block: ToolResult | None = None
    attempts: int = 0
    failure: str = ""
    """Of the last attempt that is followed by another."""
    started_s: float | None = None
    duration_ms: float = 0.0
    finished: Callable[[Work], None] | None = None
    thread: _threads.Run | None = field(default=None, repr=False)
    """Of its last attempt, where its handler is not async."""
    task: asyncio.Task[None] | None = field(default=None, repr=False)
    held: list[asyncio.Semaphore] = field(default_factory=list, repr=False)

    @property
    def is_error(self) -> bool:
        """Whether it failed."""
        return self.block is not None and self.block.get("is_error") is True


@traced(_around)
async def execute_tool_calls(
    tool_calls: Sequence[Any],
    registry: Any,
    *,
    max_concurrency: int = 8,
    timeout_s: float | None = 30.0,
    max_per_tool: int | Mapping[str, int] | None = None,
    retries: Retries = Retries(),
    max_result_tokens: int | None = None,
    compressor: Compressor = compress_tool_result,
    tracker: Tracker | None = None,
) -> list[ToolResult]:
    """Runs the `tool_use` blocks at once and returns their `tool_result` blocks in the same order.

    At most `max_concurrency` run at a time, and of one tool as many as `max_per_tool` says here, and as the tool says
    in all batches together. A call has `timeout_s` (or its tool's own) for all its attempts: there is more than one
    only where the tool is idempotent or has no side effects. What a generator yields is a list. A failure of any kind
    is a block with `is_error` and what the model can do about it; its `error_type`, which is not sent, says why it
    failed (`attributes.CALL_ERRORS`, or an exception's class). Results beyond `max_result_tokens` go through
    `compressor`; `tracker` counts, refuses or compresses where a budget says so, and knows from bills how many tokens
    a text has.

    Cancelled, it cancels every handler and waits for them. A synchronous handler runs in a thread, which nothing can
    end: it is told by `is_cancelled()`, and left behind.
    """
    options = Options(max_concurrency, timeout_s, max_per_tool, retries, max_result_tokens, compressor, tracker)
    works = [Work(each.id, each.name, each.input) for each in map(_shapes.asked, tool_calls)]
    await Runner(registry, options).run(works)
    return [work.block or ToolResult() for work in works]


class Runner:
    """Runs one batch of calls."""

    def __init__(self, registry: Any, options: Options) -> None:
        if options.max_concurrency < 1:
            raise ValueError(f"max_concurrency={options.max_concurrency}: give at least 1")
        self._registry = registry
        self._options = options
        self._observe = getattr(registry, "observe", None)
        self._slots = _slots.Slots(options.max_concurrency, options.max_per_tool)
        self._left = 0
        self._done: asyncio.Future[None] | None = None

    async def run(self, works: Sequence[Work]) -> None:
        """Gives every one of `works` its block."""
        if not works:
            return
        require()
        loop = asyncio.get_running_loop()
        self._left, self._done = len(works), loop.create_future()
        self._slots.expect(len(works))
        for work in works:
            work.task = loop.create_task(self._whole(work))
            work.task.add_done_callback(partial(self._ended, work))
        try:
            await self._done
        except asyncio.CancelledError:
            await self._cancel([work.task for work in works if work.task is not None])
            raise

    async def _cancel(self, tasks: Sequence[asyncio.Task[None]]) -> None:
        if self._done is not None:
            self._done.cancel()
        for task in tasks:
            task.cancel()
        _, pending = await asyncio.wait(tasks, timeout=GRACE_S)
        for task in pending:
            _leave(task)

    async def _whole(self, work: Work) -> None:
        try:
            block = await self._answer(work)
        except _NO_FAILURES:
            raise
        except BaseException as error:  # a defect of ours or of the registry's: still that call's, not the batch's
            logger.warning("toolspend: a tool call failed outside its handler: %s", type(error).__qualname__)
            before = "" if work.attempts else " before it ran"
            said = f"The call of {work.name} failed{before}: {said_of(error)}. Use another tool."
            block = failed(work, said, error_type(error))
        self._finish(work, block)

    def _ended(self, work: Work, task: asyncio.Task[None]) -> None:
        """Answers a call whose task ended without an answer: nobody may wait for it for ever."""
        error = asyncio.CancelledError() if task.cancelled() else task.exception()
        if error is not None and not self._is_over(work):
            said = f"The call of {work.name} ended with {type(error).__name__} and has no result. Use another tool."
            self._finish(work, failed(work, said, error_type(error)))

    def _is_over(self, work: Work) -> bool:
        """Whether nobody waits for `work` any longer: its batch was cancelled, or it was given up at its timeout."""
        return work.block is not None or (self._done is not None and self._done.cancelled())

    def _finish(self, work: Work, block: ToolResult) -> None:
        if work.block is not None:
            return
        work.block = block
        if work.finished is not None:
            work.finished(work)
        self._left -= 1
        if self._left == 0 and self._done is not None and not self._done.done():
            self._done.set_result(None)

    async def _answer(self, work: Work) -> ToolResult:
        if work.ready is not None and (said := await work.ready()) is not None:
            return failed(work, said, at.ERROR_DEPENDENCY)
        tool = _shapes.find(self._registry, work.name)
        if tool is None:
            return failed(work, _shapes.unknown(self._registry, work.name), at.ERROR_UNKNOWN_TOOL)
        handler = _shapes.handler_of(tool)
        if handler is None:
            said = f"{work.name} cannot be run here: it has no handler. Use another tool."
            return failed(work, said, at.ERROR_NO_HANDLER)
        try:
            arguments = checked(work.input, _shapes.schema_of(tool))
        except BadArguments as error:
            return failed(work, f"{error} {work.name} was not run: {mend(error)}", error.error_type)
        needed = self._slots.of(work.name, tool)
        if not needed:
            return await self._budgeted(work, tool, handler, arguments)
        await _slots.acquire(needed, tool)
        work.held = needed
        try:
            return await self._budgeted(work, tool, handler, arguments)
        finally:
            _release(work)

    async def _budgeted(
        self, work: Work, tool: Any, handler: Callable[..., Any], arguments: dict[str, Any]
    ) -> ToolResult:
        tracker = self._options.tracker
        max_tokens = self._options.max_result_tokens
        if tracker is None:
            return await self._timed(work, tool, handler, arguments, max_tokens)
        decision = tracker.begin(work.name)
        if decision.action == "refuse":
            return failed(work, decision.reason, at.ERROR_BUDGET)
        if decision.action == "compress":
            max_tokens = decision.max_result_tokens(max_tokens)
        # Each call has a context of its own; a handler may compress by itself.
        _model.bill_to.set(partial(tracker.compressed, work.name))
        try:
            return await self._timed(work, tool, handler, arguments, max_tokens)
        finally:
            tracker.end(work.name)

    async def _timed(
        self, work: Work, tool: Any, handler: Callable[..., Any], arguments: dict[str, Any], max_tokens: int | None
    ) -> ToolResult:
        tracker = self._options.tracker
        own_s = getattr(tool, "timeout_s", None)
        limit_s = self._options.timeout_s if own_s is None else own_s
        loop = asyncio.get_running_loop()
        work.started_s = time.perf_counter()
        overdue = None if limit_s is None else loop.call_later(limit_s + GRACE_S, self._abandon, work, limit_s)
        timeout = asyncio.timeout(limit_s)
        try:
            async with timeout:
                block = await self._attempts(work, tool, handler, arguments)
        except TimeoutError:
            block = failed(work, late(work, tool, limit_s), at.ERROR_TIMEOUT)
        except asyncio.CancelledError:
            if self._is_over(work):
                raise
            if timeout.expired():
                block = failed(work, late(work, tool, limit_s), at.ERROR_TIMEOUT)
            else:
                block = failed(work, f"{work.name} was cancelled from inside. {again(tool)}", at.ERROR_CANCELLED)
        finally:
            if overdue is not None:
                overdue.cancel()
            if work.block is None:
                work.duration_ms = (time.perf_counter() - work.started_s) * 1e3
        if max_tokens is not None and not block.get("is_error"):
            if tracker is not None:
                # A compressor estimates; what bills say of that estimate is known to the tracker.
                density = tracker.density_of(work.name)
                _density.divided_by.set(density)
                max_tokens = max(round(max_tokens / density), 1)
            block["content"] = await self._compressed(block["content"], work.name, max_tokens)
        if work.block is None:
            self._learn(work, block)
        return block

    async def _attempts(
        self, work: Work, tool: Any, handler: Callable[..., Any], arguments: dict[str, Any]
    ) -> ToolResult:
        _calls.asked_id.set(work.id or None)
        retries = self._options.retries
        most = retries.max_attempts if _shapes.is_repeatable(tool) else 1
        while True:
            work.attempts += 1
            try:
                result = await self._call(work, tool, handler, fresh(arguments))
                return ToolResult(type="tool_result", tool_use_id=work.id, content=content_of(result))
            except _NO_FAILURES:
                raise
            except BaseException as error:
                task = asyncio.current_task()
                if task is not None and task.cancelling():
                    # Cancelled, it answered with an error of its own: it is over all the same.
                    raise asyncio.CancelledError from error
                if work.attempts >= most or isinstance(error, _LASTING) or not isinstance(error, Exception):
                    return failed(work, broken(work, tool, error), error_type(error))
                work.failure = said_of(error)
                await asyncio.sleep(retries.delay_s(work.attempts, error))

    async def _call(self, work: Work, tool: Any, handler: Callable[..., Any], arguments: dict[str, Any]) -> Any:
        if _shapes.is_async(handler):
            return await handler(**arguments)
        stuck = _threads.abandoned(work.name)
        if stuck >= self._options.max_concurrency:
            said = f"{stuck} earlier runs of {work.name} still hang, so it was not started again. Use another tool."
            raise ToolError(said, error_type=at.ERROR_UNRESPONSIVE)
        work.thread = _threads.Run(work.name, is_interruptible=getattr(tool, "is_interruptible", False) is True)
        result = await work.thread.of(_run, {"handler": handler, "arguments": arguments})
        if inspect.isasyncgen(result):
            return [each async for each in result]
        return await result if inspect.isawaitable(result) else result

    async def _compressed(self, content: Content, name: str, max_tokens: int) -> Content:
        text = text_of(content)
        if text is None:
            return content
        try:
            async with asyncio.timeout(_COMPRESSION_S):
                found = self._options.compressor(text, name, max_tokens)
                return str(await found if inspect.isawaitable(found) else found)
        except _NO_FAILURES:
            raise
        except BaseException as error:  # the result itself is good
            logger.warning("toolspend: a compressor failed with %s: the result stays whole", type(error).__qualname__)
            return content

    def _learn(self, work: Work, block: ToolResult) -> None:
        is_error = block.get("is_error") is True
        text = text_of(block["content"])
        tokens = None if text is None or is_error else weigh(text).tokens
        if self._observe is not None:
            self._observe(work.name, tokens, is_error=is_error)
        if self._options.tracker is not None:
            self._options.tracker.called(work.name, work.duration_ms, is_error=is_error)

    def _abandon(self, work: Work, limit_s: float) -> None:
        """The handler was cancelled at its timeout and goes on regardless: the batch does not wait for it."""
        if work.task is not None and not work.task.done():
            _leave(work.task)
            _release(work)
            work.duration_ms = (time.perf_counter() - (work.started_s or 0.0)) * 1e3
            block = failed(
                work,
                f"{work.name} gave no result within {limit_s:g} s, ignores that it was cancelled, and may still "
                "take effect. Do not call it again: say so, and go on without it.",
                at.ERROR_TIMEOUT,
            )
            self._learn(work, block)
            self._finish(work, block)


def _run(handler: Callable[..., Any], arguments: Mapping[str, Any]) -> Any:
    """What a synchronous handler returns; of an iterator, all that it yields until nobody waits any longer."""
    result = handler(**arguments)
    if not isinstance(result, Iterator):
        return result
    return list(itertools.takewhile(lambda _: not _threads.is_cancelled(), result))


def _release(work: Work) -> None:
    while work.held:
        work.held.pop().release()


def _leave(task: asyncio.Task[None]) -> None:
    _stubborn.add(task)  # a task that nothing refers to may be collected while it runs
    task.add_done_callback(_stubborn.discard)
    task.cancel()
    logger.warning("toolspend: a tool's handler ignores its cancellation and was left running")
