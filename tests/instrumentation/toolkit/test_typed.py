"""Functions whose parameters are of types that JSON has not are given such values."""

from __future__ import annotations

import enum
import functools
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any, Literal
from uuid import UUID

import pydantic
import pytest
from typing_extensions import TypedDict

from tool_layer import ask, run
from toolspend.testing import Captured
from toolspend.toolkit import Tool, ToolRegistry
from toolspend.toolkit.audit import handlers


class Unit(enum.Enum):
    METRIC = "metric"


class Order(pydantic.BaseModel):
    number: int


@dataclass
class Place:
    lat: float


class Filter(TypedDict, total=False):
    city: str


UUID_TEXT = "12345678-1234-5678-1234-567812345678"


def book(
    day: date,
    unit: Unit = Unit.METRIC,
    order: Order | None = None,
    places: list[Place] | None = None,
    price: Decimal = Decimal(1),
    tags: tuple[str, ...] = (),
    id: UUID | None = None,
    path: Path | None = None,
) -> list[str]:
    """Books."""
    return [type(each).__name__ for each in (day, unit, order, *(places or ()), price, tags, id, path)]


async def book_async(day: date) -> str:
    """Books."""
    return f"{day.year}"


def days(day: date) -> Iterator[int]:
    """Counts."""
    yield day.year


class Booker:
    def __call__(self, day: date) -> int:
        """Books."""
        return day.year


def plain(
    a: str, b: int | None = None, c: list[dict[str, float]] | None = None, d: Literal["x", 1] = 1, e: Any = None,
    f: Annotated[int, "n"] = 1, g: Filter | None = None, *, h: bool = False,
) -> str:  # fmt: skip
    """All of JSON's own types."""
    return a


def answer(function: Any, **arguments: Any) -> Any:
    tool = Tool.from_function(function, name="tool")
    (block,) = run(ask(("tool", arguments)), ToolRegistry([tool]))
    return block


def test_a_function_is_given_what_its_parameters_are_declared_to_be() -> None:
    """Dates, enums, models, dataclasses, in lists too; not what the model left out."""
    given = {"day": "2026-11-28", "unit": "metric", "order": {"number": 1}, "places": [{"lat": 1}], "price": "1.10"}
    more = {"tags": ["a"], "id": UUID_TEXT, "path": "/tmp"}
    said = answer(book, **given, **more)["content"]
    assert said == '["date","Unit","Order","Place","Decimal","tuple","UUID","PosixPath"]'
    assert (
        answer(book, day="2026-11-28")["content"]
        == '["date","Unit","NoneType","Decimal","tuple","NoneType","NoneType"]'
    )


@pytest.mark.parametrize("function", [book_async, days, Booker(), functools.partial(book_async)])
def test_so_is_every_kind_of_function(function: Any) -> None:
    """Coroutine functions, generators, objects, partials."""
    assert "2026" in answer(function, day="2026-11-28")["content"]


def test_what_fits_the_schema_and_not_the_type_is_the_models_mistake() -> None:
    """It is told what is wrong; the function has not run."""
    block = answer(book, day="2026-13-45", order={"number": 1})
    assert block.error_type == "invalid_arguments"
    assert block["content"].startswith("The arguments do not fit: day: ") and "was not run" in block["content"]


def test_functions_of_jsons_own_types_are_taken_as_they_are() -> None:
    """Nothing lies between."""
    assert Tool.from_function(plain).handler is plain


def test_an_author_who_gives_the_schema_may_use_any_type() -> None:
    """What cannot be made from JSON arrives as it came; names that nobody can resolve change nothing."""

    class Handle:
        pass

    def use(handle: Handle) -> str:
        """Uses."""
        return type(handle).__name__

    def odd(thing: Unknown) -> str:  # type: ignore[name-defined]  # noqa: F821
        """Odd."""
        return "odd"

    for function, expected in ((use, "str"), (odd, "odd")):
        tool = Tool.from_function(function, name="tool", schema={"type": "object"})
        name = "handle" if function is use else "thing"
        (block,) = run(ask(("tool", {name: "x"})), ToolRegistry([tool]))
        assert block["content"] == expected


def test_the_span_and_the_audit_know_the_function(captured: Captured) -> None:
    """Arguments are sized as the model gave them; the source is the function's."""
    tool = Tool.from_function(book)
    assert tool.handler is not None
    found = handlers.source_of(tool.handler)
    assert found is not None and found[0] == __file__
