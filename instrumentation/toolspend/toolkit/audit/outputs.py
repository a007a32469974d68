"""Is its output consistent? What the output schema promises."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from .findings import Finding
from .subjects import Subject


def open_output_schema(tools: Sequence[Subject]) -> Iterator[Finding]:
    """An output schema that is declared, and that everything fits."""
    for tool in tools:
        schema = tool.output_schema
        if schema is None or _says_something(schema):
            continue
        yield Finding(
            tool.name,
            "open_output_schema",
            "note",
            f"The output schema of `{tool.name}` names no field: {dict(schema)!r}.",
            f'List what `{tool.name}` always returns under "properties" and "required", or declare no schema.',
        )


def _says_something(schema: Mapping[str, object]) -> bool:
    values = schema.get("additionalProperties")
    return (
        any(schema.get(key) for key in ("properties", "patternProperties", "anyOf", "oneOf", "allOf", "$ref", "items"))
        or (isinstance(values, Mapping) and bool(values))
        or schema.get("type") not in (None, "object")
    )
