"""What log records and metrics share on their way to spans, in both encodings."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, Final, TypeAlias

from .otlp_values import BadSpan
from .spans import SpanRow

Told: TypeAlias = SpanRow | BadSpan | None
"""What a record amounts to; None where it says nothing of the bill."""

LOGS: Final = "logs"
METRICS: Final = "metrics"
_MISSHAPEN: Final = (TypeError, ValueError, AttributeError, KeyError, IndexError, OverflowError, RecursionError)
_INNER_CAPITAL: Final = re.compile(r"(?=[A-Z])")


def safely(make: Callable[..., Iterable[Told]], *given: Any) -> Iterator[Told]:
    """What `make` gives; a record that it cannot read costs only itself."""
    try:
        yield from make(*given)
    except BadSpan as bad:
        yield bad
    except _MISSHAPEN as error:
        yield BadSpan(f"misshapen: {error or type(error).__name__}"[:200], "record")


def leaves(
    request: Mapping[str, Any], owners: str, scopes: str, records: str
) -> Iterator[tuple[Mapping[str, Any], Mapping[str, Any], Mapping[str, Any]]]:
    """Each record or metric of a JSON request with its resource and its scope."""
    for owner in mappings(get(request, owners)):
        resource = owner.get("resource")
        for scoped in mappings(get(owner, scopes)):
            scope = scoped.get("scope")
            for record in mappings(get(scoped, records)):
                yield (
                    (resource if isinstance(resource, Mapping) else {}),
                    (scope if isinstance(scope, Mapping) else {}),
                    record,
                )


def mappings(value: object) -> Iterable[Mapping[str, Any]]:
    """The objects in a list."""
    return [each for each in value if isinstance(each, Mapping)] if isinstance(value, list) else []


def get(value: Mapping[str, Any], name: str) -> Any:
    """A field by its name in JSON, or as protobuf writes it."""
    return value[name] if name in value else value.get(_INNER_CAPITAL.sub("_", name).lower())
