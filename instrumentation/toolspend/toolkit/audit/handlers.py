"""What a tool's handler does, as its source says; nothing where the source cannot be had."""

from __future__ import annotations

import ast
import inspect
import textwrap
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Final

from .words import word_set

_BROAD: Final = frozenset(("Exception", "BaseException"))
_WRITES: Final = word_set(
    "unlink rmdir rmtree remove removedirs rename replace write_text write_bytes mkdir makedirs symlink chmod chown"
)
_MODULES: Final = frozenset(("os", "shutil", "Path", "pathlib"))
_HTTP: Final = frozenset(("post", "put", "patch", "delete"))
_CLIENTS: Final = word_set("requests httpx client session http aiohttp")
_RUNS: Final = word_set("run call check_call check_output Popen")
_SQL: Final = ("insert ", "update ", "delete ", "drop ", "alter ", "create ", "truncate ")


@dataclass(frozen=True, slots=True)
class Seen:
    """One place in a handler: the line of its file, and what stands there."""

    line: int
    what: str


def source_of(handler: Callable[..., Any]) -> tuple[str, int] | None:
    """The file and the line of a handler's definition."""
    try:
        function = inspect.unwrap(handler)
        path = inspect.getsourcefile(function)
        return (path, inspect.getsourcelines(function)[1]) if path else None
    except (OSError, TypeError, ValueError):
        return None


def swallowed(handler: Callable[..., Any]) -> list[Seen]:
    """Broad `except` clauses whose body only passes, or returns something that looks like a result."""
    return [
        Seen(line, f"except {_name(node.type) or ''}".strip() + f": {ast.unparse(node.body[0])}")
        for node, line in _nodes(handler)
        if isinstance(node, ast.ExceptHandler)
        and _is_broad(node.type)
        and len(node.body) == 1
        and _is_silent(node.body[0])
    ]


def effects(handler: Callable[..., Any]) -> list[Seen]:
    """Calls that change something outside the process: files, HTTP that is not a read, processes, SQL that writes."""
    return [
        Seen(line, ast.unparse(node.func) + "(…)")
        for node, line in _nodes(handler)
        if isinstance(node, ast.Call) and _changes(node)
    ]


def _nodes(handler: Callable[..., Any]) -> Iterator[tuple[Any, int]]:
    try:
        lines, first = inspect.getsourcelines(inspect.unwrap(handler))
        tree = ast.parse(textwrap.dedent("".join(lines)))
    except (OSError, TypeError, ValueError, SyntaxError):
        return
    for node in ast.walk(tree):
        yield node, first + getattr(node, "lineno", 1) - 1


def _is_broad(caught: ast.expr | None) -> bool:
    return caught is None or _name(caught) in _BROAD


def _is_silent(statement: ast.stmt) -> bool:
    if isinstance(statement, ast.Pass):
        return True
    if not isinstance(statement, ast.Return):
        return False
    value = statement.value
    if isinstance(value, ast.List | ast.Tuple):
        return not value.elts
    if isinstance(value, ast.Dict):
        return not value.keys
    return value is None or (isinstance(value, ast.Constant) and value.value in (None, "", 0, False))


def _changes(call: ast.Call) -> bool:
    function = call.func
    if isinstance(function, ast.Name):
        return function.id == "open" and _mode(call) is not None
    if not isinstance(function, ast.Attribute):
        return False
    owner, name = _name(function.value), function.attr
    if name in ("write_text", "write_bytes", "unlink", "rmdir", "rmtree"):
        return True
    if name in _WRITES and owner in _MODULES:
        return True
    if name in _HTTP and owner.lower() in _CLIENTS:
        return True
    if (owner == "subprocess" and name in _RUNS) or (owner, name) == ("os", "system"):
        return True
    return name in ("execute", "executemany") and _text(call).startswith(_SQL)


def _mode(call: ast.Call) -> str | None:
    given = (
        call.args[1] if len(call.args) > 1 else next((each.value for each in call.keywords if each.arg == "mode"), None)
    )
    mode = given.value if isinstance(given, ast.Constant) and isinstance(given.value, str) else ""
    return mode if set(mode) & set("wax+") else None


def _text(call: ast.Call) -> str:
    first = call.args[0] if call.args else None
    if isinstance(first, ast.JoinedStr):
        first = first.values[0] if first.values else None
    return first.value.lstrip().lower() if isinstance(first, ast.Constant) and isinstance(first.value, str) else ""


def _name(node: ast.expr | None) -> str:
    match node:
        case ast.Name():
            return node.id
        case ast.Attribute():
            return node.attr
        case ast.Call():
            return _name(node.func)
        case _:
            return ""
