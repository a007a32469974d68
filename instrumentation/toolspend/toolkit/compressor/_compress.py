"""Which strategy, and what comes of it."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

from ..._guard import logger
from ...evidence.weight import weigh
from ...targets.compressor import _around
from .._born import through, traced
from .._content import content_of, text_of
from .._density import divided_by, learned
from .._seen_bills import seen
from .._threads import Run
from . import _code, _html, _json, _logs, _model, _tables, _text
from ._focus import Focus
from ._pieces import Fitted
from ._store import FETCH, ResultStore, default_store

Count: TypeAlias = Callable[[str], "int | Awaitable[int]"]

_MARK_TOKENS: Final = 52
"""What the closing line takes."""
_LEAST_TOKENS: Final = 20
_LEAST_SAVED: Final = 0.05
_COUNT_S: Final = 20.0
_LONG: Final = 16_000
"""Longer texts take more than 10 ms or so: a thread's work, as the event loop has other things to do."""


@dataclass(frozen=True, slots=True)
class Compression:
    """A result as the model is to see it, by which strategy, and the handle of the whole where something is missing."""

    text: str
    strategy: str
    tokens_before: int
    tokens_after: int
    left_out: str = ""
    handle: str | None = None


@through
async def compress_tool_result(
    result: Any,
    tool_name: str,
    max_tokens: int = 500,
    *,
    model: str | None = None,
    client: Any = None,
    task: str | None = None,
    keep: Iterable[str] = (),
    count_tokens: Count | None = None,
    store: ResultStore | None = None,
) -> str:
    """`result` in about `max_tokens`, as text: unchanged where it fits, else by the kind of its content.

    JSON and tables keep their shape, with rows sampled and numbers summed up; HTML becomes text, logs say each thing
    once, code becomes its outline, prose its telling sentences. Where prose would lose facts and a `model` is named
    (`claude-haiku-4-5`), that model is asked, through `client` or a new `AsyncAnthropic`; where it fails, the sentences
    are taken. It is never longer than `result`. Errors, and whatever `task` or `keep` name, stay even beyond
    `max_tokens`. What was left out is said in the last line, with a handle for the tool `fetch_result`.

    Tokens are estimated from the text, at the density that bills have shown: those that a `Tracker` or `instrument()`
    saw in this process. With `count_tokens`, a function of a text, sync or async, they are counted, unless it fails.
    """
    return (
        await compress(
            result, tool_name, max_tokens,
            model=model, client=client, task=task, keep=keep, count_tokens=count_tokens, store=store,
        )
    ).text  # fmt: skip


@traced(_around)
async def compress(
    result: Any,
    tool_name: str,
    max_tokens: int = 500,
    *,
    model: str | None = None,
    client: Any = None,
    task: str | None = None,
    keep: Iterable[str] = (),
    count_tokens: Count | None = None,
    store: ResultStore | None = None,
) -> Compression:
    """As `compress_tool_result`, with what was done."""
    content = content_of(result)
    text = text_of(content)
    if text is None:
        raise TypeError(f"compress({tool_name}): images and documents cannot be compressed")
    max_tokens = max(max_tokens, 0)
    measure = _Measure(tool_name, count_tokens)
    before = await measure.of(text)
    if (divided := divided_by.get()) is not None:
        max_tokens = round(max_tokens * divided)
    whole = Compression(text, "none", before, before)
    if tool_name == FETCH or before <= max_tokens:
        return whole
    focus = Focus(task, keep)
    strategy, fitted = await _shortened(text, measure.budget(max_tokens), focus)
    if model is not None and strategy in ("text", "html") and fitted.is_lossy:
        try:
            async with asyncio.timeout(_model.TIMEOUT_S):  # the client's own attempts together
                said = await _model.summarise(text, tool_name, max_tokens, focus, model=model, client=client, task=task)
            strategy, fitted = "model", Fitted(said, "what the model left out", is_lossy=True)
        except ModuleNotFoundError:
            raise
        except Exception as error:
            logger.warning("toolspend: the compressing model failed with %s", type(error).__qualname__)
    kept_in = default_store if store is None else store
    said, handle = _marked(fitted, before, measure, text, kept_in)
    after = await measure.of(said)
    if measure.is_counted and after > max_tokens and strategy != "model":
        # What is left has more tokens for the same estimate than the whole, and now it is known how many.
        strategy, fitted = await _shortened(text, measure.budget(max_tokens), focus)
        said, handle = _marked(fitted, before, measure, text, kept_in)
        after = await measure.of(said)
    if after > (1 - _LEAST_SAVED) * before or len(said) > len(text):
        return whole
    return Compression(said, strategy, before, after, fitted.left_out, handle)


class _Measure:
    """How many tokens texts have: counted, where a counter is given and works, else estimated, as bills have shown."""

    def __init__(self, tool_name: str, count: Count | None) -> None:
        self._count = count
        seen.teach(learned)
        self.scale = learned.of(tool_name) if (divided := divided_by.get()) is None else divided
        """Tokens for each that is estimated."""

    @property
    def is_counted(self) -> bool:
        """Whether tokens are counted."""
        return self._count is not None

    async def of(self, text: str) -> int:
        """The tokens of `text`. What was counted last sets the scale of what is estimated."""
        estimate = weigh(text).tokens
        if self._count is not None and estimate:
            try:
                async with asyncio.timeout(_COUNT_S):
                    counted = self._count(text)
                    found = int(await counted if inspect.isawaitable(counted) else counted)
                if found <= 0:
                    raise ValueError(found)
                self.scale = found / estimate
                return found
            except Exception as error:
                self._count = None
                logger.warning("toolspend: count_tokens failed with %s: estimated instead", type(error).__qualname__)
        return round(estimate * self.scale)

    def budget(self, max_tokens: float) -> int:
        """What may be left of a text, as it is estimated, beside the closing line."""
        return max(int(max_tokens / self.scale) - _MARK_TOKENS, min(_LEAST_TOKENS, int(max_tokens)))


async def _shortened(text: str, max_tokens: int, focus: Focus) -> tuple[str, Fitted]:
    if len(text) < _LONG:
        return _without_model(text, max_tokens, focus)
    work = {"text": text, "max_tokens": max_tokens, "focus": focus}
    found: tuple[str, Fitted] = await Run("compression").of(_without_model, work)
    return found


def _without_model(text: str, max_tokens: int, focus: Focus) -> tuple[str, Fitted]:
    """The strategy that the content asks for."""
    stripped = text.lstrip("\ufeff \n\r\t")
    if stripped.startswith(("{", "[")):
        try:
            return "json", _json.compress(stripped, max_tokens, focus)
        except (ValueError, RecursionError):
            pass  # it only begins like JSON
    if "<" in stripped and _html.is_html(stripped):
        return "html", _html.compress(stripped, max_tokens, focus)
    lines = text.splitlines()
    if _logs.is_log(lines):
        return "log", _logs.compress(text, max_tokens, focus)
    if (rows := _tables.rows_of(text)) is not None:
        return "table", _tables.compress(rows, max_tokens, focus)
    if _code.is_code(lines):
        return "code", _code.compress(text, max_tokens, focus)
    return "text", _text.compress(text, max_tokens, focus)


def _marked(fitted: Fitted, before: int, measure: _Measure, text: str, kept_in: ResultStore) -> tuple[str, str | None]:
    """What fits, with the closing line, and the handle of the whole `text`, kept where something is missing."""
    if not fitted.left_out:
        return fitted.text, None
    handle = kept_in.put(text)
    after = weigh(fitted.text).tokens * measure.scale
    whole = f"; the whole: {FETCH}(handle={handle!r})" if handle else ""
    mark = f"[shortened from about {before} to {after:.0f} tokens; left out: {fitted.left_out}{whole}]"
    return f"{fitted.text}\n{mark}", handle


def counter(client: Any, model: str) -> Count:
    """A `count_tokens` that asks the provider, through an `Anthropic` or `AsyncAnthropic` client."""

    async def count(text: str) -> int:
        found = client.messages.count_tokens(model=model, messages=[{"role": "user", "content": text or " "}])
        found = await found if inspect.isawaitable(found) else found
        return int(found.input_tokens)

    return count
