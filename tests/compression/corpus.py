"""Documents to compress: results that tools returned in recordings, and pages, data, logs and code, most of them real.

What is taken from the standard library and the interpreter differs from version to version a little; nothing depends on
its wording.
"""

from __future__ import annotations

import csv
import http.client
import importlib.util
import inspect
import io
import json
import logging
import pydoc
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from compression import planted
from simulator import texts

LEAST = 6_000
MOST = 60_000
PROGRAMS = (
    "anthropic/_base_client.py",
    "httpx/_client.py",
    "uvicorn/config.py",
    "_pytest/fixtures.py",
    "pandas/core/generic.py",
    "playwright/driver/package/lib/serverRegistry.js",
    "playwright/driver/package/lib/tools/cli-client/program.js",
    "mypyc/lib-rt/str_ops.c",
    "mypyc/lib-rt/int_ops.c",
    "numpy/f2py/src/fortranobject.c",
    "greenlet/TGreenlet.cpp",
    "pyarrow/src/arrow/python/numpy_convert.cc",
    "pyarrow/src/arrow/python/datetime.cc",
    "pyarrow/_fs.pyx",
)
"""Python, JavaScript, C, C++ and Cython."""


class Document(NamedTuple):
    """One result. `kind` says how facts are planted in it."""

    name: str
    kind: str
    text: str


def documents(recordings: Path | None) -> Iterator[Document]:
    """All of them; those of the recordings only where these are there."""
    if recordings is not None:
        yield from recorded(recordings)
    yield from pages()
    yield from data(recordings)
    yield from logs()
    yield from code()


def recorded(folder: Path) -> Iterator[Document]:
    """What tools returned in the recordings, the long ones, each once."""
    seen: set[str] = set()
    for path in sorted(folder.rglob("*.json*")):
        if path.suffix not in (".json", ".jsonl") or path.name == "expected.json":
            continue
        whole = path.read_text(encoding="utf-8", errors="replace")
        for line in whole.split("\n") if path.suffix == ".jsonl" else [whole]:
            try:
                value = json.loads(line)
            except ValueError:
                continue
            for text in _results(value):
                if len(text) >= LEAST and text not in seen:
                    seen.add(text)
                    kind = "json" if text.startswith("{") else "prose"
                    if kind == "json":
                        # A fetched page lies in it as one text.
                        text, kind = _page_in(json.loads(text)), "prose"
                    yield Document(f"recorded: {path.stem[:40]}", kind, text[:MOST])


def pages() -> Iterator[Document]:
    """HTML: the documentation that pydoc writes of modules, and a page with all that surrounds an article."""
    for module in (http.client, csv, logging):
        html = pydoc.HTMLDoc().page(module.__name__, pydoc.HTMLDoc().document(module))
        yield Document(f"html: pydoc {module.__name__}", "html", html[:MOST])
    dice = random.Random(5)
    menu = "".join(f'<li class="menu-item"><a href="/s/{n}">{texts.sentence(dice)[:24]}</a></li>' for n in range(60))
    body = "".join(f"<h2>{texts.sentence(dice)[:40]}</h2>" + "".join(
        f'<p class="text">{texts.prose(dice, 500)}</p>' for _ in range(4)) for _ in range(8))  # fmt: skip
    yield Document("html: article with menus", "html", (
        f"<!doctype html><html><head><title>Report</title><style>{'.a{color:red}' * 200}</style></head><body>"
        f"<nav><ul>{menu}</ul></nav><article>{body}</article><footer>{menu}</footer><script>{'var x=1;' * 400}</script>"
        "</body></html>"
    ))  # fmt: skip


def data(recordings: Path | None) -> Iterator[Document]:
    """JSON: rows, nested records, lines, a tool list; and CSV."""
    dice = random.Random(7)
    orders = [_order(dice, number) for number in range(240)]
    yield Document("json: 240 orders", "rows", json.dumps({"page": 1, "total": 240, "items": orders}))
    yield Document("json lines: 200 orders", "rows", "\n".join(json.dumps(_order(dice, n)) for n in range(200)))
    nested = [
        {"user": {"id": f"u-{n:04d}", "name": dice.choice(("ada", "bo", "chi"))},
         "repo": {"stars": dice.randint(1, 900)}, "title": texts.sentence(dice),
         "state": dice.choice(("open", "closed")), "labels": ["bug", "ui"][: n % 3]}
        for n in range(150)
    ]  # fmt: skip
    yield Document("json: 150 nested issues", "rows", json.dumps(nested, indent=2))
    buffer = io.StringIO()
    writer = csv.DictWriter(buffer, ["id", "region", "customer", "amount", "status", "note"])
    writer.writeheader()
    for number in range(300):
        order = _order(dice, number)
        writer.writerow({key: order[key] for key in ("id", "region", "customer", "amount", "status", "note")})
    yield Document("csv: 300 orders", "rows", buffer.getvalue())
    if recordings is not None:
        for path in sorted((recordings / "mcp_tools").rglob("*.json"))[:40]:
            text = path.read_text(encoding="utf-8")
            if path.name != "expected.json" and 20_000 < len(text) < MOST:
                yield Document(f"json: tool list {path.stem[:24]}", "json", text)


def logs() -> Iterator[Document]:
    """Logs of a service with few forms of line, and of one with stack traces."""
    dice = random.Random(11)
    lines, second = [], 0
    for _ in range(420):
        second += dice.randint(0, 9)
        clock = f"{second // 3600 % 24:02d}:{second // 60 % 60:02d}:{second % 60:02d},{dice.randint(0, 999):03d}"
        worker, number = dice.randint(1, 8), dice.randint(1_000, 99_999)
        said = dice.choice((
            f"INFO  [worker-{worker}] handled GET /v1/orders/{number} in {dice.randint(3, 90)} ms",
            f"DEBUG [pool] connection {dice.randint(1, 64)} returned",
            f"INFO  [cache] hit ratio {dice.randint(60, 99)}%",
            f"INFO  [worker-{worker}] handled POST /v1/carts/{number} in {dice.randint(9, 200)} ms",
            f"DEBUG [gc] collected {dice.randint(100, 9999)} objects",
        ))  # fmt: skip
        lines.append(f"2026-11-02 {clock} {said}")
    yield Document("log: 420 lines of a service", "log", "\n".join(lines))
    record = io.StringIO()
    logger = logging.Logger("app")
    handler = logging.StreamHandler(record)
    handler.setFormatter(logging.Formatter("2026-11-02T10:00:00Z %(levelname)s %(name)s %(message)s"))
    logger.addHandler(handler)
    for number in range(260):
        logger.info("step %d of job nightly done after %d ms", number, dice.randint(5, 900))
        if number % 20 == 7:
            logger.debug("waiting for lock %x", dice.getrandbits(32))
        if number == 130:
            try:
                json.loads("{")
            except ValueError:
                logger.exception("job nightly lost its settings")
    yield Document("log: a logger with a stack trace", "log", record.getvalue())


def code() -> Iterator[Document]:
    """Modules of the standard library, with facts between any lines; these and programs of packages, in bodies."""
    for module in (csv, http.client, pydoc):
        yield Document(f"code: {module.__name__}", "code", inspect.getsource(module)[:MOST])
    for module in (csv, http.client, pydoc):
        yield Document(f"body: {module.__name__}", planted.BODY, inspect.getsource(module)[:MOST])
    for name in PROGRAMS:
        package, _, path = name.partition("/")
        spec = importlib.util.find_spec(package)
        for folder in (spec and spec.submodule_search_locations) or ():
            # Where a version of the package has no such file, there is one program less.
            if (file := Path(folder, path)).is_file():
                yield Document(f"body: {package} {file.name}", planted.BODY, file.read_text(encoding="utf-8")[:MOST])


def _order(dice: random.Random, number: int) -> dict[str, Any]:
    return {
        "id": f"ord-{number:05d}",
        "region": dice.choice(("north", "south", "east", "west")),
        "customer": f"c{dice.randint(1, 60):03d}",
        "amount": round(dice.uniform(5, 400), 2),
        "items": dice.randint(1, 9),
        "status": "delivered" if dice.random() < 0.8 else "shipped",
        "currency": "EUR",
        "note": "",
        "created_at": f"2026-11-{dice.randint(1, 28):02d}T{dice.randint(0, 23):02d}:00:00Z",
    }


def _results(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        kind = str(value.get("type", ""))
        if kind.endswith("tool_result") or value.get("role") == "tool":
            content = value.get("content")
            if isinstance(content, list):
                content = "".join(part.get("text", "") for part in content if isinstance(part, dict))
            if content:
                yield content if isinstance(content, str) else json.dumps(content)
        for each in value.values():
            yield from _results(each)
    elif isinstance(value, list):
        for each in value:
            yield from _results(each)


def _page_in(value: Any) -> str:
    """The longest text in a fetched page's JSON."""
    return max(_strings(value), key=len, default="")


def _strings(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    for each in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        yield from _strings(each)
