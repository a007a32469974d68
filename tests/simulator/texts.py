"""What tools return and people write: texts of many kinds, whose tokens per character differ, also within a kind."""

from __future__ import annotations

import json
import random
import uuid
from collections.abc import Callable, Iterator
from typing import Any, Final, Protocol

from simulator import words as w


class Kind(Protocol):
    """Makes a text of about so many characters.

    `style` decides its form: columns, language, layout. The results of one tool have one form: it passes the same.
    """

    def __call__(self, dice: random.Random, chars: int, style: random.Random | None = None) -> str: ...


def sentence(dice: random.Random) -> str:
    """One sentence of English."""
    parts = [dice.choice(("The", "A", "Each", "No", "This", "Our", "Their")), dice.choice(w.ADJECTIVES)]
    for _ in range(dice.randint(1, 4)):
        parts += [dice.choice(w.NOUNS), *dice.choices(w.PLAIN, k=dice.randint(1, 3)), dice.choice(w.VERBS)]
        parts += dice.choices(w.PLAIN, k=dice.randint(2, 5))
        if dice.random() < 0.4:
            parts.append(dice.choice(w.ADJECTIVES))
    parts.append(dice.choice(w.NOUNS))
    if dice.random() < 0.25:
        parts.append(dice.choice(("by {n} percent", "in 20{n}", "(see section {n}.{m})", "for €{n},{m}00")))
        parts[-1] = parts[-1].format(n=dice.randint(10, 99), m=dice.randint(1, 9))
    return " ".join(parts) + dice.choice((".", ".", ".", "!", "?", ";"))


def _until(chars: int, parts: Iterator[str], between: str = "\n") -> str:
    found: list[str] = []
    length = 0
    for part in parts:
        found.append(part)
        length += len(part) + len(between)
        if length >= chars:
            break
    return between.join(found)[: max(chars, 1)]


def _forever(make: Callable[[], str]) -> Iterator[str]:
    while True:
        yield make()


def prose(dice: random.Random, chars: int, style: random.Random | None = None) -> str:
    """Paragraphs of English."""
    return _until(chars, _forever(lambda: " ".join(sentence(dice) for _ in range(dice.randint(2, 6)))), between="\n\n")


def markdown(dice: random.Random, chars: int, style: random.Random | None = None) -> str:
    """A page as a model reads it: headings, lists, links, some code."""

    def part() -> str:
        pick = dice.random()
        if pick < 0.2:
            return f"{'#' * dice.randint(1, 4)} {sentence(dice)[:-1].title()}"
        if pick < 0.45:
            return "\n".join(f"- **{dice.choice(w.NOUNS)}**: {sentence(dice)}" for _ in range(dice.randint(2, 6)))
        if pick < 0.6:
            return f"[{dice.choice(w.NOUNS)} {dice.choice(w.NOUNS)}]({url(dice)})"
        if pick < 0.7:
            return f"```\n{code(dice, 240)}\n```"
        return sentence(dice)

    return _until(chars, _forever(part), between="\n\n")


def url(dice: random.Random) -> str:
    """An address with a path and sometimes a query."""
    path = "/".join(dice.choice(w.NOUNS) for _ in range(dice.randint(1, 4)))
    query = f"?{dice.choice(w.IDENTIFIERS)}={dice.getrandbits(40):x}&page={dice.randint(1, 60)}"
    return f"https://{dice.choice(w.HOSTS)}/{path}{query if dice.random() < 0.4 else ''}"


def identifier(dice: random.Random) -> str:
    """A name as it stands in code."""
    parts = [dice.choice(w.IDENTIFIERS) for _ in range(dice.randint(1, 3))]
    if dice.random() < 0.5:
        return "_".join(parts)
    return parts[0] + "".join(part.title() for part in parts[1:])


def uuid4(dice: random.Random) -> str:
    """A random UUID."""
    return str(uuid.UUID(int=dice.getrandbits(128), version=4))


def timestamp(dice: random.Random) -> str:
    """A time in 2026 with milliseconds."""
    return (
        f"2026-{dice.randint(1, 12):02}-{dice.randint(1, 28):02}T{dice.randint(0, 23):02}:{dice.randint(0, 59):02}:"
        f"{dice.randint(0, 59):02}.{dice.randint(0, 999):03}Z"
    )


def value(dice: random.Random, depth: int = 0) -> Any:
    """A JSON value."""
    pick = dice.random()
    if depth < 3 and pick < 0.12:
        return {identifier(dice): value(dice, depth + 1) for _ in range(dice.randint(1, 5))}
    if depth < 3 and pick < 0.2:
        return [value(dice, depth + 1) for _ in range(dice.randint(0, 5))]
    return dice.choice(
        (
            lambda: uuid4(dice),
            lambda: dice.randint(0, 10 ** dice.randint(1, 9)),
            lambda: round(dice.uniform(-1000, 1000), dice.randint(1, 9)),
            lambda: timestamp(dice),
            lambda: dice.choice(w.NOUNS),
            lambda: sentence(dice),
            lambda: dice.choice((True, False, None)),
            lambda: url(dice),
            lambda: f"{dice.choice(w.NOUNS)}-{dice.randint(1, 9999)}",
        )
    )()


def json_rows(dice: random.Random, chars: int, style: random.Random | None = None) -> str:
    """Rows of one table as JSON, compact or indented."""
    style = style or dice
    keys = [identifier(style) for _ in range(style.randint(3, 9))]
    makers = [style.choice(_CELLS) for _ in keys]
    indent = style.choice((None, None, 1, 2))
    separators = (",", ":") if indent is None and style.random() < 0.5 else None

    def row() -> str:
        cells = {key: make(dice) for key, make in zip(keys, makers, strict=True)}
        return json.dumps(cells, indent=indent, separators=separators)

    return "[" + _until(chars - 2, _forever(row), between=",\n" if indent else ",") + "]"


def json_tree(dice: random.Random, chars: int, style: random.Random | None = None) -> str:
    """Nested JSON, each entry of another form."""

    def entry() -> str:
        return f'"{identifier(dice)}": ' + json.dumps(
            {identifier(dice): value(dice) for _ in range(dice.randint(2, 7))}, indent=dice.choice((None, 2))
        )

    return "{" + _until(chars - 2, _forever(entry), between=",\n") + "}"


_CELLS: Final[tuple[Callable[[random.Random], Any], ...]] = (
    uuid4,
    timestamp,
    lambda dice: dice.randint(1, 99_999),
    lambda dice: round(dice.uniform(0, 5_000), 2),
    lambda dice: dice.choice(w.NOUNS),
    lambda dice: dice.choice(("open", "closed", "pending", "in_review", "rejected")),
    lambda dice: f"{dice.choice(w.ADJECTIVES)} {dice.choice(w.NOUNS)}",
    lambda dice: dice.random() < 0.5,
    lambda dice: None if dice.random() < 0.6 else identifier(dice),
    lambda dice: f"{dice.choice(w.NOUNS)}.{dice.choice(w.NOUNS)}@{dice.choice(w.HOSTS)}",
)


def csv(dice: random.Random, chars: int, style: random.Random | None = None) -> str:
    """A table with a head line."""
    style = style or dice
    makers = [style.choice(_CELLS) for _ in range(style.randint(3, 10))]
    head = ",".join(identifier(style) for _ in makers)
    return head + "\n" + _until(chars - len(head), _forever(lambda: ",".join(str(make(dice)) for make in makers)))


def code(dice: random.Random, chars: int, style: random.Random | None = None) -> str:
    """A file of Python, TypeScript or SQL; Python sometimes with line numbers."""
    makers: tuple[Callable[[random.Random], str], ...] = (_python, _typescript, _sql)
    style = style or dice
    make, has_numbers = style.choice(makers), style.random() < 0.5
    text = _until(chars, _forever(lambda: make(dice)), between="\n\n")
    if make is _python and has_numbers:
        text = "\n".join(f"{n:6d}\t{line}" for n, line in enumerate(text.split("\n"), dice.randint(1, 400)))[:chars]
    return text


def _python(dice: random.Random) -> str:
    a, b, c, d = (identifier(dice) for _ in range(4))
    return dice.choice(
        (
            f"def {a}({b}: list[str], *, {c}: int = {dice.randint(1, 900)}) -> dict[str, Any]:\n"
            f'    """{sentence(dice)}"""\n    {d} = [each.{c} for each in {b} if each is not None]\n'
            f"    if len({d}) > {c}:\n        raise ValueError(f'{{len({d})}} {a} exceed {{{c}}}')\n"
            f"    return {{name: {d}[index] for index, name in enumerate({b})}}",
            f"class {a.title().replace('_', '')}({b.title().replace('_', '')}):\n"
            f"    {c}: float = {dice.random():.6f}\n\n"
            f"    async def {d}(self) -> None:\n        async with self.{c}_lock:\n"
            f"            await self._{b}.{d}(timeout={dice.randint(1, 60)})\n",
            f"# {sentence(dice)}\n{a.upper()} = frozenset({{{b!r}, {c!r}, {d!r}}})",
        )
    )


def _typescript(dice: random.Random) -> str:
    a, b, c, d = (identifier(dice) for _ in range(4))
    return (
        f"export const {a} = async ({b}: {c.title()}Props): Promise<{d.title()}[]> => {{\n"
        f"  const {{ {c}, {d} }} = await use{b.title()}({{ retry: {dice.randint(0, 9)}, signal }});\n"
        f"  return {c}?.filter((x) => x.{d} !== undefined && x.{b} > {dice.randint(0, 999)}) ?? [];\n}};"
    )


def _sql(dice: random.Random) -> str:
    a, b, c, d = (identifier(dice) for _ in range(4))
    return (
        f"SELECT t.{a}, COUNT(DISTINCT u.{b}) AS {c}_count, SUM(t.{d}) FILTER (WHERE t.{c} > {dice.randint(0, 999)})\n"
        f"FROM {a}s AS t\nLEFT JOIN {b}s AS u ON u.{a}_id = t.id\nWHERE t.created_at >= '{timestamp(dice)[:10]}'\n"
        f"GROUP BY 1\nHAVING COUNT(*) > {dice.randint(1, 50)};"
    )


def logs(dice: random.Random, chars: int, style: random.Random | None = None) -> str:
    """Lines of a service's log."""
    style = style or dice
    service, host = identifier(style), f"{style.choice(w.NOUNS)}-{style.getrandbits(20):05x}"
    is_wordy = style.random()

    def line() -> str:
        level = dice.choice(("INFO", "INFO", "INFO", "DEBUG", "WARN", "ERROR"))
        if dice.random() < is_wordy:
            return f"{timestamp(dice)} {level} [{host}] {service}.{identifier(dice)} - {sentence(dice)}"
        tail = dice.choice(
            (
                lambda: f"{identifier(dice)}={dice.randint(0, 9999)} {identifier(dice)}={uuid4(dice)}",
                lambda: f"GET {url(dice)} {dice.choice((200, 204, 301, 404, 500))} {dice.random() * 900:.3f}ms",
                lambda: f"at {identifier(dice)}.{identifier(dice)}({identifier(dice)}.java:{dice.randint(1, 900)})",
            )
        )()
        return f"{timestamp(dice)} {level} [{host}] {service}.{identifier(dice)} - {tail}"

    return _until(chars, _forever(line))


def html(dice: random.Random, chars: int, style: random.Random | None = None) -> str:
    """The source of a page."""

    def element() -> str:
        tag = dice.choice(("div", "p", "li", "td", "span", "h2", "section"))
        name = f"{dice.choice(w.IDENTIFIERS)}-{dice.choice(w.IDENTIFIERS)}__{dice.choice(w.IDENTIFIERS)}"
        inner = sentence(dice) if dice.random() < 0.6 else f'<a href="{url(dice)}">{dice.choice(w.NOUNS)}</a>'
        return f'<{tag} class="{name}" data-id="{dice.getrandbits(32):08x}">{inner}</{tag}>'

    return _until(chars, _forever(element), between="\n    ")


def hashes(dice: random.Random, chars: int, style: random.Random | None = None) -> str:
    """Digests and ids, as registries and version control list them."""
    return _until(
        chars,
        _forever(
            lambda: dice.choice(
                (
                    f"sha256:{dice.getrandbits(256):064x}  {identifier(dice)}.tar.gz",
                    f"{dice.getrandbits(160):040x} refs/heads/{dice.choice(w.NOUNS)}",
                    uuid4(dice),
                )
            )
        ),
    )


def numbers(dice: random.Random, chars: int, style: random.Random | None = None) -> str:
    """Measurements, a line each."""
    style = style or dice
    decimals = [style.randint(0, 8) for _ in range(style.randint(1, 8))]
    return _until(chars, _forever(lambda: " ".join(f"{dice.uniform(-500, 500):.{each}f}" for each in decimals)))


def listing(dice: random.Random, chars: int, style: random.Random | None = None) -> str:
    """Files of a directory, long or short."""
    is_long = (style or dice).random() < 0.5

    def line() -> str:
        path = "/".join(identifier(dice) for _ in range(dice.randint(1, 5)))
        path += dice.choice((".py", ".ts", ".json", ".md", ".test.tsx", "", ".lock"))
        mode = f"-rw-r--r-- 1 deploy staff {dice.randint(10, 9_999_999):>9} Nov {dice.randint(1, 28):>2} 09:41 "
        return (mode if is_long else "") + path

    return _until(chars, _forever(line))


def matches(dice: random.Random, chars: int, style: random.Random | None = None) -> str:
    """What a search in files prints."""
    return _until(
        chars,
        _forever(
            lambda: (
                f"src/{identifier(dice)}/{identifier(dice)}.py:{dice.randint(1, 2_000)}:        "
                + _python(dice).split("\n")[0]
            )
        ),
    )


def table(dice: random.Random, chars: int, style: random.Random | None = None) -> str:
    """A table drawn with lines."""
    style = style or dice
    widths = [style.randint(6, 24) for _ in range(style.randint(2, 6))]
    makers = [style.choice(_CELLS) for _ in widths]
    rule = "+" + "+".join("-" * (width + 2) for width in widths) + "+"

    def row() -> str:
        cells = (str(make(dice))[:width].ljust(width) for make, width in zip(makers, widths, strict=True))
        return "| " + " | ".join(cells) + " |"

    return _until(chars, _forever(lambda: row() if dice.random() < 0.85 else rule))


def base64_text(dice: random.Random, chars: int, style: random.Random | None = None) -> str:
    """Encoded bytes in a small envelope, as some tools return them."""
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
    return '{"encoding":"base64","data":"' + "".join(dice.choices(alphabet, k=max(chars - 40, 1))) + '="}'


def _in(vocabulary: tuple[str, ...], between: str, end: str) -> Kind:
    def make(dice: random.Random, chars: int, style: random.Random | None = None) -> str:
        def said() -> str:
            spoken = between.join(dice.choice(vocabulary) for _ in range(dice.randint(5, 16)))
            number = f"{between}{dice.randint(1, 99_999)}" if dice.random() < 0.3 else ""
            return f"{spoken}{number}{end}"

        return _until(chars, _forever(said), between=between)

    return make


chinese: Final = _in(w.CHINESE, "", "。")
russian: Final = _in(w.RUSSIAN, " ", ".")
arabic: Final = _in(w.ARABIC, " ", "،")
accented: Final = _in(w.ACCENTED, " ", ".")


def mixed(dice: random.Random, chars: int, style: random.Random | None = None) -> str:
    """Foreign words as values of English keys, with the marks that people add."""
    vocabulary = (style or dice).choice((w.CHINESE, w.RUSSIAN, w.ARABIC, w.ACCENTED))

    def row() -> str:
        spoken = " ".join(dice.choice(vocabulary) for _ in range(dice.randint(1, 8)))
        return json.dumps(
            {identifier(dice): spoken, "mark": dice.choice(w.EMOJI), "id": uuid4(dice)}, ensure_ascii=False
        )

    return _until(chars, _forever(row))


ENGLISH_KINDS: Final[tuple[Kind, ...]] = (
    json_rows, prose, code, logs, csv, html, hashes, numbers, listing, matches, table, markdown, json_tree, base64_text,
)  # fmt: skip
FOREIGN_KINDS: Final[tuple[Kind, ...]] = (chinese, russian, arabic, accented, mixed)
