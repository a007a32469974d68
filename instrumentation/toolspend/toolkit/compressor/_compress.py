"""Which strategy, and what comes of it."""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

from ..._guard import logger
from ...evidence.weight import weigh
from ...targets.compressor import _around
from .._born import through, traced
from .._content import content_of, text_of
from .._threads import in_thread
from . import _code, _html, _json, _logs, _model, _tables, _text
from ._focus import Focus
from ._pieces import Fitted
from ._store import FETCH, ResultStore, default_store

Count: TypeAlias = Callable[[str], "int | Awaitable[int]"]

_MARK_TOKENS: Final = 52
"""What the closing line takes."""
_LEAST_TOKENS: Final = 20
_LEAST_SAVED: Final = 0.05
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

    Tokens are estimated from the text; with `count_tokens`, a function of a text, sync or async, they are counted.
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
    before = weigh(text).tokens
    exact = None if count_tokens is None else await _counted(count_tokens, text)
    # What is counted once sets the scale of what is estimated.
    scale = 1.0 if exact is None or not before else exact / before
    if tool_name == FETCH or before * scale <= max_tokens:
        return Compression(text, "none", exact or before, exact or before)
    focus = Focus(task, keep)
    budget = max(int(max_tokens / scale) - _MARK_TOKENS, min(_LEAST_TOKENS, max_tokens))
    if len(text) < _LONG:
        strategy, fitted = _without_model(text, budget, focus)
    else:
        work = {"text": text, "max_tokens": budget, "focus": focus}
        strategy, fitted = await in_thread("compression", _without_model, work)
    if model is not None and strategy in ("text", "html") and fitted.is_lossy:
        try:
            said = await _model.summarise(text, tool_name, max_tokens, focus, model=model, client=client, task=task)
            strategy, fitted = "model", Fitted(said, "what the model left out", is_lossy=True)
        except ModuleNotFoundError:
            raise
        except Exception as error:
            logger.warning("toolspend: the compressing model failed with %s", type(error).__qualname__)
    kept_in = default_store if store is None else store
    handle = kept_in.put(text) if fitted.left_out else None
    said = _marked(fitted, strategy, before * scale, scale, handle)
    after = weigh(said).tokens
    if after > (1 - _LEAST_SAVED) * before or len(said) > len(text):
        return Compression(text, "none", exact or before, exact or before)
    counted = None if count_tokens is None else await _counted(count_tokens, said)
    if exact is not None and counted is not None and counted >= exact:
        return Compression(text, "none", exact, exact)
    return Compression(said, strategy, exact or before, after if counted is None else counted, fitted.left_out, handle)


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


def _marked(fitted: Fitted, strategy: str, before: float, scale: float, handle: str | None) -> str:
    if not fitted.left_out:
        return fitted.text
    after = weigh(fitted.text).tokens * scale
    whole = f"; the whole: {FETCH}(handle={handle!r})" if handle else ""
    return (
        f"{fitted.text}\n[shortened from about {before:.0f} to {after:.0f} tokens; left out: {fitted.left_out}{whole}]"
    )


async def _counted(count: Count, text: str) -> int:
    found = count(text)
    return int(await found if inspect.isawaitable(found) else found)


def counter(client: Any, model: str) -> Count:
    """A `count_tokens` that asks the provider, through an `Anthropic` or `AsyncAnthropic` client."""

    async def count(text: str) -> int:
        found = client.messages.count_tokens(model=model, messages=[{"role": "user", "content": text or " "}])
        found = await found if inspect.isawaitable(found) else found
        return int(found.input_tokens)

    return count
